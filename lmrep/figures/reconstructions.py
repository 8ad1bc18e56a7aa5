"""Re-created images beside their targets, a row a run."""

from collections.abc import Sequence
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.layout import BELOW, CAPTION, COLUMNS, GAP, HEADING, fit_line, row_height
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
)  # fmt: skip
from lmrep.figures.shown import Shown
from lmrep.figures.words import Image, block_name, clip_note, first_rows, floors_text, headings, method_text, ssim_text

NUMBERS, NUMBERS_AND_NOTE = 0.28, 0.385  # in, the lines below a reconstruction
END = MARGIN - 0.06  # in, below the last row, which has room of its own


def place_captioned(
    axes: Axes, image: Image, x: float, y: float, size: float, above: str, below: Sequence[str]
) -> None:
    """A picture with its top left corner at (x, y) in, one line of text above it and some below."""
    axes.text(x + size / 2, y - 0.035, above, size=6.5, ha="center")
    place_image(axes, image, x, y, size, size)
    for index, line in enumerate(below):
        down = y + size + 0.035 + 0.105 * index
        axes.text(x + size / 2, down, line, size=6 if index else 6.5, color=GREY, ha="center", va="top")


def place_heading(axes: Axes, heading: str, beside: Sequence[str], y: float) -> None:
    """A bold heading `y` in below the page's edge, and at its right in grey as much of `beside` as has room."""
    room = PAGE - 2 * MARGIN - 0.1 - text_width(heading, 8, "bold")
    texts = ["; ".join(beside[:end]) for end in range(len(beside), -1, -1)]
    axes.text(MARGIN, y + 0.13, fold(heading, PAGE - 2 * MARGIN, 8, "bold"), size=8, weight="bold")
    fitting = next((text for text in texts if text_width(text, 6) <= room), "")
    axes.text(PAGE - MARGIN, y + 0.13, fitting, size=6, color=GREY, ha="right")


def columns_of(shown: Shown) -> dict[str, Sequence[int]]:
    """The blocks that have a place in the line of each run: those of all runs of its probe, if they fit one line."""
    found: dict[str, Sequence[int]] = {}
    for name, label in shown.labels.items():
        runs = [other for other, same in shown.labels.items() if same == label]
        every = sorted({block for other in runs for block in shown.layers[other]})
        found[name] = every if len(every) < max(COLUMNS) else shown.layers[name]
    return found


@styled
def draw_reconstructions(shown: Shown) -> Figure:
    """One image re-created from the outputs of blocks: its target, then a picture for each block, a row a run.

    Runs come in the order of `shown.labels`, with the blocks of `shown.layers`; blocks that do not fit on one line go
    below. Runs of one probe have their blocks in the same places. Each run: `images` [layer, panel, 3, h, w], shown
    clipped to [0, 1], and `targets` [panel, 3, h, w]; facts: `layers`, `panels` (names of images; of several seeds, the
    first is shown). The accuracy table gives SSIM and the correlation below each picture, with a sign for a lower
    bound, and the optimiser, the passes and the floors. A note tells how many pixels of a picture are clipped.

    Raises ValueError where a run has no such image, KeyError where the table has no row for a picture.
    """
    measured = first_rows(shown.tables["accuracy"])
    runs = {name: shown.runs[name] for name in shown.labels}
    panels = {name: run.facts["panels"].index(shown.image) for name, run in runs.items()}
    pictures = {
        name: {block: run["images"][run.facts["layers"].index(block), panels[name]] for block in shown.layers[name]}
        for name, run in runs.items()
    }
    notes = {name: {b: clip_note([image]) for b, image in pictures[name].items()} for name in runs}
    below = NUMBERS_AND_NOTE if any(chain(*(row.values() for row in notes.values()))) else NUMBERS
    places = columns_of(shown)
    counts = [len(columns) for columns in places.values()]
    y = title_height(shown) + 0.04
    pixels = max(run["targets"].shape[-1] for run in runs.values())
    across, size = fit_line(counts, pixels, TALLEST - y - END, below)
    heights = [row_height(count, across, size + below) for count in counts]
    figure, axes = make_canvas(y + sum(heights) + END, shown)
    titles = headings(shown)
    for (name, run), height in zip(runs.items(), heights, strict=True):
        upper = y + HEADING + CAPTION
        found = [measured[name, shown.image, block] for block in pictures[name]]
        place_heading(axes, titles[name], [method_text(found), floors_text(found[0])], y)
        place_captioned(axes, run["targets"][panels[name]], MARGIN, upper, size, "target", [])
        for row, (block, image) in zip(found, pictures[name].items(), strict=True):
            line, column = divmod(places[name].index(block), across - 1)
            x, down = MARGIN + size + GAP + BELOW + column * (size + GAP), line * (CAPTION + size + below)
            text = [ssim_text(row), f"r {row['correlation']:.2f}", notes[name][block]]
            place_captioned(axes, image, x, upper + down, size, block_name(block), text)
        y += height
    return figure
