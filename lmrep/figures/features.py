"""Optimised images, as they are."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.grids import draw_panels, one_run
from lmrep.figures.page import place_image, styled
from lmrep.figures.shown import Shown
from lmrep.figures.words import clip_note


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
    images = one_run(shown)["images"]

    def place(axes: Axes, block: int, panel: int, x: float, y: float, size: float) -> None:
        place_image(axes, images[block, panel], x, y, size, size)

    figure, _ = draw_panels(shown, place, clip_note)
    return figure
