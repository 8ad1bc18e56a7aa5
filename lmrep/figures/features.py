"""Optimised images, as they are or with their change multiplied."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmrep.figures.grids import draw_panels, one_run
from lmrep.figures.page import place_image, styled
from lmrep.figures.shown import Shown
from lmrep.figures.stretch import read_pictures


@styled
def draw_features(shown: Shown) -> Figure:
    """The panels of one feature run, a near-square grid for each block, on one page.

    The run: `images` [layer, panel, 3, h, w], `baseline` [panel, 3, h, w]; facts: `objective`, `layers`, `panels`,
    `size` (px, of the probe's image) and `grid` (patches in a row of it). A faint change from the baseline is
    multiplied (see `stretch`), and pictures are clipped to [0, 1]. Where one patch was maximised and the image has the
    probe's own size, a thin outline marks that patch. A note tells the factor, and how many pixels of a panel are
    clipped. Where panels are too small for labels and notes, a line below the title names the panels and the note is
    below each block.

    Raises ValueError unless there is exactly one run.
    """
    run = one_run(shown)
    pictures = [read_pictures(run, block) for block in range(len(run.facts["layers"]))]

    def place(axes: Axes, block: int, panel: int, x: float, y: float, size: float) -> None:
        place_image(axes, pictures[block][panel].drawn, x, y, size, size)

    figure, _ = draw_panels(shown, place, pictures)
    return figure
