"""Pictures of pictures: optimised panels block by block, and re-created images beside their target."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.figures.layout import (
    BELOW,
    CAPTION,
    GAP,
    HEADING,
    Layout,
    Lines,
    fit_blocks,
    fit_line,
    row_height,
)
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
from lmrep.figures.words import first_rows, headings, ssim_text
from lmrep.files import ArrayFile
from lmrep.metrics.tables import optimised_whole
from lmrep.study.kinds import OBJECTIVES

LABEL, NOTE = 0.115, 0.115  # in: the line above a panel, the line below it
SUBTITLE = 0.12  # in, a line below the title
READABLE = 0.3  # in, the side of the smallest panel that has a label of its own
SSIM, SSIM_AND_NOTE = 0.17, 0.28  # in, the lines below a reconstruction
CLIPPED = 0.01  # a picture with a larger share of clipped pixels has a note
Image = npt.NDArray[np.floating]


def clipped_share(image: Image) -> float:
    """The share of pixels of an image [3, h, w], in [0, 1], that have a channel below 0 or above 1."""
    return float(((image < 0) | (image > 1)).any(axis=0).mean())


def clip_note(shares: Sequence[float]) -> str:
    """What to say of one or more pictures' clipped pixels: "12 % clipped", "3 to 17 % clipped", or nothing."""
    if max(shares) <= CLIPPED:
        return ""
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return f"{low if low == high else f'{low} to {high}'} % clipped"


def panel_label(panels: str, panel: int, grid: int) -> str:
    """Neurons by number, patches by (row, column), both from 1. panels: "neurons" or "patches"."""
    return f"({panel // grid + 1}, {panel % grid + 1})" if panels == "patches" else f"{panel + 1}"


def outline_patch(axes: Axes, panel: int, grid: int, x: float, y: float, size: float) -> None:
    """A thin black line with a white rim around a patch of the picture whose top left corner is (x, y) in."""
    patch = size / grid
    corner = (x + panel % grid * patch, y + panel // grid * patch)
    for colour, width in (("white", 1.3), ("black", 0.5)):
        axes.add_patch(Rectangle(corner, patch, patch, fill=False, color=colour, linewidth=width))


@dataclass(frozen=True)
class Words:
    """All text of a feature figure except its title."""

    probe: str
    kind: str  # "neurons" or "patches"
    headings: list[str]  # [block]
    labels: list[str]  # [panel]
    notes: list[list[str]]  # [block][panel], of clipped pixels
    summaries: list[str]  # [block], of clipped pixels

    def listing(self) -> str:
        """The probe and all panels, in one sentence."""
        order = ", left to right and top to bottom" if len(self.labels) > 1 else ""
        named = "Patches (row, column)" if self.kind == "patches" else self.kind.capitalize()
        return f"{self.probe}. {named}{order}: {', '.join(self.labels)}"


def read_words(probe: str, run: ArrayFile) -> Words:
    kind = OBJECTIVES[run.facts["objective"]].panels
    shares = [[clipped_share(image) for image in block] for block in run["images"]]
    return Words(
        probe,
        kind,
        [f"Block {layer}" for layer in run.facts["layers"]],
        [panel_label(kind, panel, run.facts["grid"]) for panel in run.facts["panels"]],
        [[clip_note([share]) for share in block] for block in shares],
        [clip_note(block) for block in shares],
    )


def widest(words: Iterable[str], size: float = 6, weight: str = "normal") -> float:
    return max(text_width(word, size, weight) for word in words)


def fit_words(words: Words, top: float) -> tuple[Layout, str]:
    """The layout of a figure that starts `top` in below the page's edge, and its subtitle, on lines.

    First choice: each panel has its label and its note. Next: notes by block. Last: panels named in the subtitle.
    """
    head = widest(words.headings, 8, "bold")
    label, note, summary = widest(words.labels), widest(chain(*words.notes)), widest(words.summaries)
    noted = NOTE if summary else 0.0
    for subtitle, heading, lines, needed in (
        ("", head + 0.1 + text_width(words.probe, 7), Lines(LABEL, noted, 0), max(label, note)),
        (words.probe, max(head, summary), Lines(LABEL, 0, noted), max(label, READABLE)),
        (words.listing(), max(head, summary), Lines(0, 0, noted), 0.0),
    ):
        folded = fold(subtitle, PAGE - 2 * MARGIN, 6.5)
        room = TALLEST - top - SUBTITLE * len(folded.splitlines()) - MARGIN
        layout = fit_blocks(len(words.headings), len(words.labels), room, heading, lines)
        if layout.width >= heading and layout.size >= needed:
            break
    return layout, folded


@styled
def draw_features(shown: Shown) -> Figure:
    """The panels of one feature run, a near-square grid for each block, on one page.

    The run: `images` [layer, panel, 3, h, w], shown clipped to [0, 1]; facts: `objective`, `layers`, `panels`,
    `size` (px, of the probe's image) and `grid` (patches in a row of it). Where one patch was maximised and the image
    has the probe's own size, a thin outline marks that patch. A note tells how many pixels of a panel are clipped.
    Where panels are too small for labels and notes, a line below the title names the panels and the note is below
    each block.

    Raises ValueError unless there is exactly one run.
    """
    if len(shown.runs) != 1:
        raise ValueError(f"expected one run in a features figure, got {', '.join(shown.runs) or 'none'}")
    ((name, run),) = shown.runs.items()
    images, panels, grid = run["images"], run.facts["panels"], run.facts["grid"]
    words = read_words(shown.labels[name], run)
    outlined = words.kind == "patches" and optimised_whole(run)

    top = title_height(shown) + 0.06
    layout, subtitle = fit_words(words, top)
    lines = subtitle.splitlines()
    figure, axes = make_canvas(top + SUBTITLE * len(lines) + layout.height + MARGIN, shown)
    for index, line in enumerate(lines):
        axes.text(MARGIN, top - 0.04 + SUBTITLE * index, line, size=6.5, color=GREY, va="top")
    top += SUBTITLE * len(lines)
    for index, heading in enumerate(words.headings):
        x, y = layout.block_corner(index)
        x, y = MARGIN + x, top + y
        axes.text(x, y + 0.13, heading, size=8, weight="bold")
        if subtitle:
            below = y + layout.block - layout.lines.foot + 0.022
            axes.text(x + layout.width, below, words.summaries[index], size=6, color=GREY, ha="right", va="top")
        else:
            axes.text(x + layout.width, y + 0.13, words.probe, size=7, color=GREY, ha="right")
        for number, panel in enumerate(panels):
            right, down = layout.panel_corner(number)
            px, py, size = x + right, y + down, layout.size
            place_image(axes, images[index, number], px, py, size, size)
            if layout.lines.label:
                axes.text(px, py - 0.025, words.labels[number], size=6, color=GREY)
            if layout.lines.note:
                note = words.notes[index][number]
                axes.text(px + size, py + size + 0.022, note, size=6, color=GREY, ha="right", va="top")
            if outlined:
                outline_patch(axes, panel, grid, px, py, size)
    return figure


def place_captioned(
    axes: Axes, image: Image, x: float, y: float, size: float, above: str, below: Sequence[str]
) -> None:
    """A picture with its top left corner at (x, y) in, one line of text above it and some below."""
    axes.text(x + size / 2, y - 0.035, above, size=6.5, ha="center")
    place_image(axes, image, x, y, size, size)
    for index, line in enumerate(below):
        down = y + size + 0.035 + 0.105 * index
        axes.text(x + size / 2, down, line, size=6 if index else 6.5, color=GREY, ha="center", va="top")


@styled
def draw_reconstructions(shown: Shown) -> Figure:
    """One image re-created from the outputs of blocks: its target, then a picture for each block, a row a run.

    Runs come in the order of `shown.labels`, with the blocks of `shown.layers`; blocks that do not fit on one line go
    below. Each run: `images` [layer, panel, 3, h, w], shown clipped to [0, 1], and `targets` [panel, 3, h, w]; facts:
    `layers`, `panels` (names of images; of several seeds, the first is shown). SSIM comes from the accuracy table (run,
    image, layer, ssim, converged); a sign marks a lower bound. A note tells how many pixels of a picture are clipped.

    Raises ValueError where a run has no such image, KeyError where the table has no SSIM for a picture.
    """
    measured = first_rows(shown.tables["accuracy"])
    runs = {name: shown.runs[name] for name in shown.labels}
    panels = {name: run.facts["panels"].index(shown.image) for name, run in runs.items()}
    pictures = {
        name: {block: run["images"][run.facts["layers"].index(block), panels[name]] for block in shown.layers[name]}
        for name, run in runs.items()
    }
    notes = {name: {b: clip_note([clipped_share(image)]) for b, image in pictures[name].items()} for name in runs}
    below = SSIM_AND_NOTE if any(chain(*(row.values() for row in notes.values()))) else SSIM
    counts = [len(row) for row in pictures.values()]
    y = title_height(shown) + 0.04
    pixels = max(run["targets"].shape[-1] for run in runs.values())
    across, size = fit_line(counts, pixels, TALLEST - y, below)
    heights = [row_height(count, across, size + below) for count in counts]
    figure, axes = make_canvas(y + sum(heights) + MARGIN - 0.06, shown)
    titles = headings(shown)
    for (name, run), height in zip(runs.items(), heights, strict=True):
        upper = y + HEADING + CAPTION
        axes.text(MARGIN, y + 0.13, titles[name], size=8, weight="bold")
        place_captioned(axes, run["targets"][panels[name]], MARGIN, upper, size, "target", [])
        for index, (block, image) in enumerate(pictures[name].items()):
            line, column = divmod(index, across - 1)
            x, down = MARGIN + size + GAP + BELOW + column * (size + GAP), line * (CAPTION + size + below)
            text = [ssim_text(measured[name, shown.image, block]), notes[name][block]]
            place_captioned(axes, image, x, upper + down, size, f"block {block}", text)
        y += height
    return figure
