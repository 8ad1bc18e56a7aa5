"""Figures as pages: the style, a canvas measured in inches, and files with the same bytes every time."""

import re
from collections.abc import Callable
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.textpath import text_to_path

from lmrep.figures.shown import Shown
from lmrep.files import replacing

STYLE = Path(__file__).resolve().parents[2] / "figures" / "lmrep.mplstyle"
PAGE = 7.0  # in, the width of every figure
TALLEST = 9.5  # in, the height of a printed page's text
MARGIN = 0.08  # in, around the page
GREY = "#555555"  # of text beside the point
REGIME = 0.12  # in, the line below a title that names a regime
# How each format is written: without what it would otherwise say of the library's version and the date.
FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"metadata": {"Software": None}},
    ".pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    ".svg": {"metadata": {"Date": None, "Creator": None}},
    ".jpg": {"dpi": 200, "pil_kwargs": {"quality": 75, "subsampling": 0, "progressive": True}},  # small, for web pages
}

Draw = Callable[[Shown], Figure]


def styled(draw: Draw) -> Draw:
    """Runs `draw` under the house style and leaves the caller's own settings as they are."""

    @wraps(draw)
    def drawn(shown: Shown) -> Figure:
        with style.context(["default", str(STYLE)]):
            return draw(shown)

    return drawn


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Inches that `text` takes on one line at `size` pt."""
    look = FontProperties(size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, look, ismath=False)
    return float(width) / 72


def fold(text: str, width: float, size: float, weight: str = "normal") -> str:
    """`text` on as many lines as it needs at `size` pt to stay within `width` in.

    Longer words are cut, after a hyphen if they have one.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size, weight) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for piece in re.split(r"(?<=-)", word):
            if lines[-1] and text_width(lines[-1] + piece, size, weight) > width:
                lines.append("")
            for letter in piece:
                if lines[-1] and text_width(lines[-1] + letter, size, weight) > width:
                    lines.append("")
                lines[-1] += letter
    return "\n".join(lines)


def fold_title(title: str) -> str:
    return fold(title, PAGE - 2 * MARGIN, 9, "bold")


def regime_line(shown: Shown) -> str:
    """The regime of a figure's probes, or nothing where it needs more than one line: its caption names it too."""
    lines = fold(shown.regime, PAGE - 2 * MARGIN, 6).splitlines()
    return lines[0] if len(lines) == 1 else ""


def make_canvas(height: float, shown: Shown) -> tuple[Figure, Axes]:
    """A page-wide figure of `height` in with its title and its regime, and one bare axes over all of it.

    The axes measures in inches, x to the right and y down. The title and the regime end at `title_height(shown)`.
    """
    figure = Figure(figsize=(PAGE, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(MARGIN, 0.08, fold_title(shown.title), size=9, weight="bold", va="top", linespacing=1.15)
    if regime_line(shown):
        top = title_height(shown) - REGIME - 0.01
        axes.text(MARGIN, top, regime_line(shown), size=6, color=GREY, va="top")
    return figure, axes


def title_height(shown: Shown) -> float:
    """Inches from the top of a canvas to the end of its title and its regime."""
    return 0.14 + 0.15 * len(fold_title(shown.title).splitlines()) + (REGIME if regime_line(shown) else 0)


def place_image(
    axes: Axes, image: npt.NDArray[np.floating], x: float, y: float, width: float, height: float, **look: Any
) -> AxesImage:
    """Shows an image [3, h, w] (clipped to [0, 1]) or a matrix [h, w] with its top left corner at (x, y) in."""
    if image.ndim == 3:
        image = np.clip(np.moveaxis(image, 0, -1), 0, 1)
    return axes.imshow(image, extent=(x, x + width, y + height, y), aspect="auto", **look)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes `figure` to a png, pdf or svg file, or to a jpg of 1400 px for a web page.

    The file does not say when, where or with what it was made. Raises ValueError for any other format.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    with style.context(["default", str(STYLE)]), replacing(path) as part:
        file = BytesIO()  # Pillow does not notice that a disk is full
        figure.savefig(file, format=path.suffix[1:], **FORMATS[path.suffix])
        part.write_bytes(file.getvalue())
