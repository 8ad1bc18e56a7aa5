"""What a diagram is drawn with: words and arrows at a place, patches and kernels as pictures, a stack cut short."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from lmrep.figures.page import GREY

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Sheet:
    """Where to draw. Lengths in inches, y downwards."""

    axes: Axes
    top: float  # the upper edge of every part
    lines: int  # of text between a part's name and its upper edge

    def head(self, place: tuple[float, float], name: str, detail: str) -> None:
        """The name of a part and a few lines about it, above it. place: the part's left edge and width."""
        first = self.top + 0.015 - 0.1 * self.lines
        self.axes.text(place[0], first - 0.115, name, size=7.5, weight="bold")
        for line, text in enumerate(detail.splitlines()):
            self.axes.text(place[0], first + 0.1 * line, text, size=6, color=GREY)

    def note(self, x: float, down: float, text: str, **look: Any) -> None:
        plain: dict[str, Any] = {"size": 6, "color": GREY, "va": "top", "linespacing": 1.2}
        self.axes.text(x, self.top + down, text, **plain | look)

    def arrow(self, start: float, end: float, down: float) -> None:
        head = "-|>,head_width=0.16,head_length=0.3"
        look: dict[str, Any] = {"arrowstyle": head, "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        y = self.top + down
        self.axes.annotate("", (end, y), (start, y), arrowprops=look)


def by(*counts: object) -> str:
    """Sizes with a multiplication sign between them, such as 3 x 16 x 16."""
    return " \N{MULTIPLICATION SIGN} ".join(str(count) for count in counts)


def raster(image: Array, patch: int) -> Array:
    """An image [3, size, size] as its patches [patch, 3, p, p], row by row."""
    side = image.shape[-1] // patch
    cut = image.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4)
    return cut.reshape(side**2, 3, patch, patch)


def spread(values: Array) -> Array:
    """A kernel's weights, stretched to [0, 1]."""
    span = np.ptp(values)
    stretched: Array = (values - values.min()) / (span if span > 0 else 1)
    return stretched


def stack_slots(depth: int, block: int) -> list[int | None]:
    """The blocks to draw: all of a short stack, else the first two, `block` and the last. None: a gap."""
    shown = sorted({1, 2, block, depth} if depth > 6 else range(1, depth + 1))
    slots: list[int | None] = []
    for number in shown:
        if slots and number > shown[shown.index(number) - 1] + 1:
            slots.append(None)
        slots.append(number)
    return slots
