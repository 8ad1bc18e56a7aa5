"""SSIM against block as a line with a band over seeds, marks of lower bounds, and the floors beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path

from lmrep.figures.page import GREY
from lmrep.figures.words import FLOORS, is_bound
from lmrep.metrics.tsv import Row

DASHES: dict[str, Any] = {"trained": "-", "untrained": (0, (3, 1.5))}  # the line of each kind of weights
BOLD, THIN, PLAIN = (1.8, 4.2), (0.6, 2.2), (1.2, 3.5)  # pt: of a line, of its markers
FLOOR = "#8a8a8a"
LINE = 0.1  # in, between two labels of floors
CLEAR = 5.0  # pt, of a caret beyond its marker, above and below
CARET = Path([(-0.36, 0.62), (0, 1), (0.36, 0.62)])  # a head above a marker: "at least"


@dataclass(frozen=True)
class Look:
    """How a run's line is drawn."""

    colour: str
    marker: str
    dashes: Any = "-"
    sizes: tuple[float, float] = PLAIN

    def key(self, label: str) -> Line2D:
        """Its entry in a legend."""
        width, size = self.sizes
        look: dict[str, Any] = {"linewidth": width, "markersize": size, "marker": self.marker or None}
        return Line2D([], [], color=self.colour, linestyle=self.dashes, label=label, **look)


@dataclass(frozen=True)
class Point:
    """SSIM at one block, over the seeds of a run."""

    layer: int
    mean: float
    low: float
    high: float
    bound: bool  # whether the descent of any seed has not converged


def by_block(rows: Sequence[Row]) -> dict[int, list[Row]]:
    """The rows of each block of a run, in ascending order."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["layer"], []).append(row)
    return dict(sorted(found.items()))


def read_points(rows: Sequence[Row]) -> list[Point]:
    """The points of one line and image, by block."""
    points: list[Point] = []
    for layer, seeds in by_block(rows).items():
        ssim = [row["ssim"] for row in seeds]
        points.append(Point(layer, float(np.mean(ssim)), min(ssim), max(ssim), any(map(is_bound, seeds))))
    return points


def draw_curve(axes: Axes, rows: Sequence[Row], look: Look, label: str, zorder: float = 2.0) -> None:
    """The line of one image: the mean over seeds, a band from the lowest to the highest, marks of bounds."""
    points = read_points(rows)
    width, size = look.sizes
    layers = [point.layer for point in points]
    plain: dict[str, Any] = {"color": look.colour, "clip_on": False, "markersize": size, "zorder": zorder}
    axes.plot(
        layers, [point.mean for point in points], linestyle=look.dashes, linewidth=width, marker=look.marker,
        markeredgewidth=0.5, label=label, **plain,
    )  # fmt: skip
    if any(point.low < point.high for point in points):
        low, high = [point.low for point in points], [point.high for point in points]
        axes.fill_between(layers, low, high, color=look.colour, alpha=0.25, linewidth=0, zorder=zorder - 0.5)
    bounds = [(point.layer, point.mean) for point in points if point.bound]
    if bounds:
        plain["zorder"] = zorder + 2  # above the lines of other runs
        open_marker: dict[str, Any] = {"linestyle": "", "markerfacecolor": "white", "label": "lower bounds"}
        axes.plot(*zip(*bounds, strict=True), marker=look.marker, markeredgewidth=0.8, **plain | open_marker)
        axes.plot(
            *zip(*bounds, strict=True), marker=CARET, linestyle="", fillstyle="none", markeredgewidth=0.8,
            label="carets", **plain | {"markersize": size + CLEAR},
        )  # fmt: skip


def draw_floors(axes: Axes, rows: Sequence[Row], height: float) -> None:
    """A grey line at the mean of each floor over `rows`, named at the right of the axes.

    height: of the axes, in. Names of floors that are close together move apart.
    """
    low, high = axes.get_ylim()
    apart = LINE * (high - low) / height
    floors = sorted((float(np.mean([row[column] for row in rows])), name) for column, name in FLOORS.items())
    places: list[float] = []
    for value, _ in floors:
        places.append(max(value, places[-1] + apart) if places else value)
    limit = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - apart
    for (value, name), place in zip(floors, places, strict=True):
        axes.axhline(value, color=FLOOR, linewidth=0.8, linestyle=(0, (1, 1)), zorder=1, label=name)
        axes.text(1.015, place, name, size=6, color=GREY, va="center", transform=axes.get_yaxis_transform())


def mark_keys(rows: Sequence[Row]) -> list[Artist]:
    """Legend entries of the band and of the mark of a lower bound, if `rows` have any."""
    keys: list[Artist] = []
    seeds = {tuple(row[key] for key in ("probe", "weights", "optimiser", "seed")) for row in rows}
    if len(seeds) > len({line[:-1] for line in seeds}):
        keys.append(Patch(color=GREY, alpha=0.25, linewidth=0, label="band: lowest to highest seed"))
    if any(map(is_bound, rows)):
        name = "not converged: it may rise further"
        size = PLAIN[1]
        both = Path.make_compound_path(Path.circle(radius=size / (size + CLEAR)), CARET)
        look: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 0.8, "markersize": size + CLEAR}
        keys.append(Line2D([], [], color=GREY, linestyle="", marker=both, label=name, **look))
    return keys
