"""Re-created images beside their targets, a row a run."""

from collections.abc import Sequence
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.layout import BELOW, CAPTION, GAP, HEADING, fit_line, row_height
from lmrep.figures.page import GREY, MARGIN, TALLEST, make_canvas, place_image, styled, title_height
from lmrep.figures.shown import Shown
from lmrep.figures.words import Image, clip_note, first_rows, headings, ssim_text

SSIM, SSIM_AND_NOTE = 0.17, 0.28  # in, the lines below a reconstruction


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
    notes = {name: {b: clip_note([image]) for b, image in pictures[name].items()} for name in runs}
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
