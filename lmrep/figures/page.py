"""Figures as pages: the style, a canvas measured in inches, and files with the same bytes every time."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

STYLE = Path(__file__).resolve().parents[2] / "figures" / "lmrep.mplstyle"
PAGE = 7.0  # in, the width of every figure
TITLE_CHARACTERS = 88  # of a title that fits on one line of the page
# What each format would otherwise stamp on the file: the library's version, the date.
UNSTAMPED = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """`draw` under the house style, which the caller's own settings survive."""

    @wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        with style.context(["default", str(STYLE)]):
            return draw(*args, **kwargs)

    return drawn


def fold_title(title: str) -> str:
    return fill(title, TITLE_CHARACTERS)


def make_canvas(height: float, title: str) -> tuple[Figure, Axes]:
    """A page-wide figure of `height` in, with one bare axes over all of it: x right and y down, both in inches."""
    figure = Figure(figsize=(PAGE, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(0.08, 0.08, fold_title(title), size=9, weight="bold", va="top", linespacing=1.15)
    return figure, axes


def title_height(title: str) -> float:
    """Inches from the top of a canvas to where its title has ended."""
    return 0.14 + 0.15 * len(fold_title(title).splitlines())


def place_image(axes: Axes, image: np.ndarray, x: float, y: float, width: float, height: float, **look) -> AxesImage:
    """Shows an image, [3, h, w] (clipped to [0, 1]) or a matrix [h, w], with its top left corner at (x, y) in."""
    if image.ndim == 3:
        image = np.clip(np.moveaxis(image, 0, -1), 0, 1)
    return axes.imshow(image, extent=(x, x + width, y + height, y), aspect="auto", **look)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes `figure` to a png, pdf or svg file; nothing in the file tells when, where or with what it was made."""
    path = Path(path)
    if path.suffix not in UNSTAMPED:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(UNSTAMPED)}")
    with style.context(["default", str(STYLE)]):
        figure.savefig(path, metadata=UNSTAMPED[path.suffix])
