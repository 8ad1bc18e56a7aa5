"""Maps of where optimised images changed, patch by patch. The pictures themselves are often too faint to show it."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.figures.grids import draw_panels, one_run
from lmrep.figures.page import GREY, MARGIN, place_image, styled
from lmrep.figures.shown import Shown
from lmrep.metrics.measures import patch_changes

LEAST = 1e-3  # of the largest change; smaller ones look like it
COLOURS = "magma_r"
FOOT, BAR, WIDTH = 0.42, 0.09, 3.0  # in: room for the key, and the height and width of its bar
KEY = "change of a patch, relative to the largest of its picture; white: none"


@styled
def draw_changes(shown: Shown) -> Figure:
    """The panels of one feature run as in a features figure, with the change of each patch in place of the picture.

    The run: `images` [layer, panel, 3, h, w], `baseline` [panel, 3, h, w]; facts as for `features.draw_features`. The
    change is the root mean square difference of a patch's pixels from the baseline, divided by the largest of its
    picture. The scale of colours is logarithmic, from LEAST to 1; a patch that did not change at all is white.
    Raises ValueError unless there is exactly one run.
    """
    run = one_run(shown)
    grid = run.facts["grid"]
    look = {"cmap": COLOURS, "norm": LogNorm(LEAST, 1), "interpolation": "nearest"}

    def place(axes: Axes, block: int, panel: int, x: float, y: float, size: float) -> None:
        changes = patch_changes(run["images"][block, panel], run["baseline"][panel], grid)
        relative = changes / (changes.max() or 1.0)
        seen = np.ma.masked_where(changes == 0, np.maximum(relative, LEAST))
        place_image(axes, seen.reshape(grid, grid), x, y, size, size, **look)
        axes.add_patch(Rectangle((x, y), size, size, fill=False, color="#bbbbbb", linewidth=0.4))

    figure, below = draw_panels(shown, place, foot=FOOT)
    draw_key(figure.axes[0], below + 0.12)
    return figure


def draw_key(axes: Axes, y: float) -> None:
    """The scale of colours, with its upper edge `y` in down."""
    place_image(axes, np.linspace(0, 1, 256)[None], MARGIN, y, WIDTH, BAR, cmap=colormaps[COLOURS], vmin=0, vmax=1)
    for value in (LEAST, 0.01, 0.1, 1.0):
        x = MARGIN + WIDTH * (1 - np.log10(value) / np.log10(LEAST))
        side = {LEAST: "left", 1.0: "right"}.get(value, "center")
        text = f"{value:g}" if value > LEAST else f"{value:g} or less"
        axes.text(x, y + BAR + 0.03, text, size=6, color=GREY, ha=side, va="top")
    axes.text(MARGIN + WIDTH + 0.1, y + BAR / 2, KEY, size=6, color=GREY, va="center")
