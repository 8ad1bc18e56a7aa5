"""The features of several runs side by side: a column for each run, a row of pictures for each block."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.grids import outline_patch, panel_label
from lmrep.figures.layout import APART, GAP, LARGEST, SMALLEST
from lmrep.figures.page import (
    GREY,
    MARGIN,
    PAGE,
    TALLEST,
    fold,
    make_canvas,
    place_image,
    styled,
    text_width,
    title_height,
)
from lmrep.figures.shown import Shown
from lmrep.figures.stretch import Picture, drawn, factor_note, picture_notes, read_pictures
from lmrep.figures.words import clip_note, headings
from lmrep.metrics.tables import optimised_whole
from lmrep.study.kinds import OBJECTIVES, PANELS

NAME, SMALL = 9.0, 6.5  # pt: of a run's name and of a block's number, of what is said below a name
NAME_LINE, SMALL_LINE = 0.17, 0.12  # in, a line of each
BLOCK = 0.5  # in, left of the pictures of a block, for its number
NUMBER, NOTE = 0.35, 0.1  # in, the height of a block's number and of a line of the note below it
NEXT = 0.09  # in, between two blocks
FACTOR = 0.115  # in, the line below a picture for the factor of its change
LARGE, ROOMY = 2 / 3, 0.6  # of the largest side, and in: pictures that are large enough, so fewer lines win


@dataclass(frozen=True)
class Column:
    """The pictures of one run, and all that is said of them."""

    name: list[str]  # on lines
    detail: list[str]  # the regime and the panels, on lines
    blocks: Sequence[int]
    pictures: Sequence[Sequence[Picture]]  # [block][panel]
    outlined: Sequence[int]  # the patch of each panel, if it has a place in the picture
    grid: int  # patches in a row

    @property
    def head(self) -> float:
        """Inches above the first picture."""
        return NAME_LINE * len(self.name) + SMALL_LINE * len(self.detail) + 0.06

    def block_notes(self, factors: bool) -> list[list[str]]:
        """What is said of each block, on lines: how many pixels are clipped, and the range of the factors if wanted."""
        said = [picture_notes(block) if factors else [clip_note(drawn(block))] for block in self.pictures]
        return [[line for part in parts for line in fold(part, BLOCK - 0.04, 6).splitlines()] for parts in said]


@dataclass(frozen=True)
class Fit:
    """How the pictures of a block are placed. Lengths in inches."""

    across: int  # pictures in a line
    size: float  # side of a picture
    below: float  # height of the text below a picture, 0 for none
    block: float  # from one block to the next


def factor_text(picture: Picture, width: float = 0.0) -> str:
    """The factor of a picture as it is said below it: in full if `width` in is enough, else as a bare number."""
    note = factor_note([picture])
    return note if text_width(note, 6) <= width else note.removeprefix("change ")


def list_panels(kind: str, panels: Sequence[int], grid: int) -> str:
    """What the pictures of a block maximise, in their order: "Neurons 1 to 4", "Patch (row, column) (2, 3)"."""
    labels = [panel_label(kind, panel, grid) for panel in panels]
    word = (PANELS[kind] if len(labels) == 1 else kind).capitalize()
    if kind == "patches":
        word += " (row, column)"
    elif len(labels) > 2 and list(panels) == list(range(panels[0], panels[0] + len(panels))):
        labels = [f"{labels[0]} to {labels[-1]}"]
    return f"{word} {', '.join(labels)}"


def read_column(shown: Shown, run: str, name: str, width: float) -> Column:
    """One run's column, `width` in wide."""
    file = shown.runs[run]
    facts = file.facts
    kind, panels = OBJECTIVES[facts["objective"]].panels, facts["panels"][: shown.panels or None]
    said = [shown.regimes.get(run, ""), list_panels(kind, panels, facts["grid"])]
    blocks = shown.layers[run]
    pictures = [read_pictures(file, facts["layers"].index(block))[: len(panels)] for block in blocks]
    placed = kind == "patches" and optimised_whole(file)
    return Column(
        fold(name, width, NAME, "bold").splitlines(),
        [line for text in said for line in fold(text, width, SMALL).splitlines()], blocks, pictures,
        panels if placed else (), facts["grid"],
    )  # fmt: skip


def fit_panels(columns: Sequence[Column], width: float, room: float) -> Fit:
    """How the pictures of a block are placed. Factors stand below their pictures where these are wide enough.

    width: of a column, in. room: height for all blocks, in. Raises ValueError if a column has no room for pictures.
    """
    pictures = [picture for column in columns for block in column.pictures for picture in block]
    plain, noted = (fit_lines(columns, width, room, below) for below in (0.0, FACTOR))
    if plain.size < SMALLEST:
        raise ValueError(f"expected fewer runs side by side, got {len(columns)}")
    widest = max(text_width(factor_text(picture), 6) for picture in pictures)
    return noted if 0 < widest <= noted.size else plain


def fit_lines(columns: Sequence[Column], width: float, room: float, below: float) -> Fit:
    """The fewest lines among those with large pictures, with `below` in of text below each picture.

    Takes more than `room` where the numbers of the blocks would be too close together.
    """
    blocks, most = max(len(column.blocks) for column in columns), max(len(column.pictures[0]) for column in columns)
    lowest = NUMBER + NOTE * max(len(note) for column in columns for note in column.block_notes(not below))
    tall = max((room + NEXT) / blocks - NEXT, lowest)
    sizes: list[float] = []
    for lines in range(1, most + 1):
        across = ceil(most / lines)
        sizes.append(min((width - BLOCK + GAP) / across - GAP, (tall + GAP) / lines - GAP - below, LARGEST))
    enough = min(max(LARGE * max(sizes), SMALLEST), max(sizes), ROOMY)
    lines, size = next((lines, size) for lines, size in enumerate(sizes, 1) if size >= enough)
    return Fit(ceil(most / lines), size, below, max(lines * (size + below + GAP) - GAP, lowest) + NEXT)


def draw_column(axes: Axes, column: Column, corner: tuple[float, float], down: float, fit: Fit) -> None:
    """A column whose name is at `corner` (x, y) in, with its pictures `down` in below the page's edge."""
    (x, y), size, notes = corner, fit.size, column.block_notes(not fit.below)
    for index, line in enumerate(column.name):
        axes.text(x, y + NAME_LINE * index, line, size=NAME, weight="bold", va="top")
    y += NAME_LINE * len(column.name)
    for index, line in enumerate(column.detail):
        axes.text(x, y + SMALL_LINE * index, line, size=SMALL, color=GREY, va="top")
    for row, (block, pictures) in enumerate(zip(column.blocks, column.pictures, strict=True)):
        upper = down + row * fit.block
        axes.text(x, upper + 0.02, f"Block\n{block}", size=NAME, weight="bold", va="top", linespacing=1.0)
        note = "\n".join(notes[row])
        axes.text(x, upper + NUMBER + 0.02, note, size=6, color=GREY, va="top", linespacing=1.0)
        for index, picture in enumerate(pictures):
            left = x + BLOCK + index % fit.across * (size + GAP)
            top = upper + index // fit.across * (size + fit.below + GAP)
            place_image(axes, picture.drawn, left, top, size, size)
            if column.outlined:
                outline_patch(axes, column.outlined[index], column.grid, left, top, size)
            if fit.below:
                text = factor_text(picture, size)
                axes.text(left + size, top + size + 0.022, text, size=6, color=GREY, ha="right", va="top")


@styled
def draw_beside(shown: Shown) -> Figure:
    """The first panels of several feature runs: a column for each run, a row (or more) of pictures for each block.

    Runs come in the order of `shown.labels`, each with its own blocks (`shown.layers`) and its first `shown.panels`
    panels (0: all); `shown.weights` ("trained", "untrained") go into the names of the columns where they differ. Each
    run: `images` [layer, panel, 3, h, w], `baseline` [panel, 3, h, w]; facts: `objective`, `layers`, `panels`, `size`
    (px, of the probe's image) and `grid` (patches in a row of it). A faint change from the baseline is multiplied (see
    `stretch`), and pictures are clipped to [0, 1]. Where one patch was maximised and the image has the probe's own
    size, a thin outline marks that patch. A note below a picture tells the factor. One below a block's number tells how
    many pixels are clipped.

    Raises ValueError for fewer than two runs, and for more than have room on a page.
    """
    if len(shown.labels) < 2:
        raise ValueError(f"expected two runs or more side by side, got {', '.join(shown.labels) or 'none'}")
    count = len(shown.labels)
    width = (PAGE - 2 * MARGIN - (count - 1) * APART) / count
    columns = [read_column(shown, run, name, width) for run, name in headings(shown).items()]
    page = replace(shown, regime="")  # each column names its own
    y = title_height(page) + 0.06
    down = y + max(column.head for column in columns)
    fit = fit_panels(columns, width, TALLEST - down - MARGIN)
    rows = max(len(column.blocks) for column in columns)
    figure, axes = make_canvas(down + rows * fit.block - NEXT + MARGIN, page)
    for index, column in enumerate(columns):
        draw_column(axes, column, (MARGIN + index * (width + APART), y), down, fit)
    return figure
