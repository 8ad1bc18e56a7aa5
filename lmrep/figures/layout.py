"""How many pictures go side by side, and how large: grids of blocks and lines of pictures that fit a page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

from matplotlib import rcParams

from lmrep.figures.page import MARGIN, PAGE

GAP, APART, BELOW = 0.04, 0.2, 0.12  # in: between panels, between blocks side by side, between rows of blocks
HEADING = 0.2  # in, the line above a block
CAPTION = 0.14  # in, the line above a reconstruction
LARGEST, SMALLEST = 1.9, 0.12  # in, the side of a panel
COLUMNS = (9, 8)  # pictures in a line of reconstructions with the target, the smaller pictures first


@dataclass(frozen=True)
class Lines:
    """Heights of lines of text in a feature figure, 0 for none. Lengths in inches."""

    label: float  # above each panel
    note: float  # below each panel
    foot: float  # below each block


@dataclass(frozen=True)
class Layout:
    """Where the blocks of a feature figure and their panels go. Lengths in inches."""

    across: int  # panels in a line of a block
    down: int  # lines of panels in a block
    columns: int  # blocks side by side
    rows: int
    size: float  # side of a panel
    lines: Lines

    @property
    def width(self) -> float:
        return self.across * self.size + (self.across - 1) * GAP

    @property
    def block(self) -> float:
        pitch = self.lines.label + self.size + self.lines.note
        return HEADING + self.down * pitch + (self.down - 1) * GAP + self.lines.foot

    @property
    def height(self) -> float:
        return self.rows * self.block + (self.rows - 1) * BELOW

    def block_corner(self, index: int) -> tuple[float, float]:
        """Left and upper edge of a block's heading, from those of the first."""
        return index % self.columns * (self.width + APART), index // self.columns * (self.block + BELOW)

    def panel_corner(self, index: int) -> tuple[float, float]:
        """Left and upper edge of a panel's picture, from those of its block's heading."""
        pitch = self.lines.label + self.size + self.lines.note + GAP
        return index % self.across * (self.size + GAP), HEADING + self.lines.label + index // self.across * pitch


def fit_blocks(blocks: int, panels: int, room: float, heading: float, lines: Lines) -> Layout:
    """The layout with the fewest rows of blocks among those with about the largest panels.

    room: height for all blocks, in. heading: width of the widest heading of a block, in. Takes more than `room` where
    panels would be too small to see.
    """
    across = ceil(sqrt(panels))
    down = ceil(panels / across)
    found: list[Layout] = []
    for columns in range(min(blocks, 2), blocks + 1):
        rows = ceil(blocks / columns)
        bare = Layout(across, down, columns, rows, 0.0, lines)
        wide = ((PAGE - 2 * MARGIN - (columns - 1) * APART) / columns - bare.width) / across
        tall = (room - bare.height) / rows / down
        found.append(replace(bare, size=min(wide, max(tall, SMALLEST), LARGEST)))
    wide_enough = [layout for layout in found if layout.size >= SMALLEST and layout.width >= heading] or found[:1]
    best = max(layout.size for layout in wide_enough)
    large = [layout for layout in wide_enough if layout.size >= 0.9 * best]
    return min(large, key=lambda layout: (layout.rows, layout.columns))


def fit_line(counts: Sequence[int], pixels: int, room: float, below: float) -> tuple[int, float]:
    """How many pictures go in a line of reconstructions, with the target, and their side in inches.

    counts: of blocks, for each run. pixels: side of a picture. room: height for all runs, in.
    below: height of the text below a picture, in. Nine pictures go in a line. Eight do where that gives a picture its
    own pixels in the file and still fits in `room`. Pictures of a few blocks are as small as `room` asks for.
    """
    fits: list[tuple[int, float]] = []
    for columns in COLUMNS:
        lines = ceil(max(counts) / (columns - 1))
        across = 1 + ceil(max(counts) / lines)
        size = min((PAGE - 2 * MARGIN - BELOW - (across - 1) * GAP) / across, LARGEST)
        height = sum(row_height(count, across, size + below) for count in counts)
        if not fits or height <= room:
            fits.append((across, size))
        if size * rcParams["savefig.dpi"] >= pixels:
            break
    across, size = fits[-1]
    bare = sum(row_height(count, across, below) for count in counts)
    lines = sum(ceil(count / (across - 1)) for count in counts)
    return across, min(size, max((room - bare) / lines, SMALLEST))


def row_height(count: int, across: int, picture: float) -> float:
    """Inches that a run's heading and `count` pictures beside a target take. picture: in, with the text below it."""
    return HEADING + ceil(count / (across - 1)) * (CAPTION + picture) + 0.06
