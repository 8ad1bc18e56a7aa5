"""Charts of where in the image the change went, patch by patch and as ratios of rows."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from math import ceil, isqrt, nan
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lmrep.figures.curves import DASHES, FLOOR, Look, by_block
from lmrep.figures.page import GREY, styled
from lmrep.figures.plots import (
    MARKERS,
    add_legend,
    make_plots,
    name_plot,
    name_scales,
    rows_by_run,
    scale_ratios,
    tick_blocks,
)
from lmrep.figures.shown import Shown
from lmrep.figures.words import block_name
from lmrep.metrics.measures import row_means
from lmrep.metrics.tsv import Row

Curve = npt.NDArray[np.float64]
PREDICTION = "article's linear\nf' = [3, 2, 1],\nscaled up"
BAND, SHADE = "band: the middle\nhalf of the images", 0.18
FEWEST = 3  # images that a band or a bar is made of
LINES = 4  # a run, at most: more cannot be told apart
STYLES: tuple[Any, ...] = (
    "-",
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
)  # shades alone hardly tell neighbouring blocks apart
BARS = 0.015  # of the range of blocks, between the points of two runs
ASIDE = 0.7  # of the way between two blocks, for the points of all runs


def importance_curve(rows: Sequence[Row]) -> Curve:
    """Change of each patch [patch] of one image, relative to their mean. Zeros if none changed."""
    curve = np.zeros(len(rows))
    curve[[row["patch"] for row in rows]] = [row["change"] for row in rows]
    return curve / curve.mean() if curve.mean() > 0 else curve


def image_curves(rows: Sequence[Row]) -> list[Curve]:
    """`importance_curve` of each single image of a block."""
    images: dict[tuple[Any, Any], list[Row]] = {}
    for row in rows:
        images.setdefault((row["panel"], row["seed"]), []).append(row)
    return [importance_curve(chosen) for chosen in images.values()]


def some_blocks(rows: Sequence[Row]) -> list[int]:
    """The blocks of a run that get a line: first, last and those evenly between, LINES at most."""
    blocks = list(by_block(rows))
    places = np.linspace(0, len(blocks) - 1, min(LINES, len(blocks))).round().astype(int)
    return [blocks[place] for place in places]


def linear_prediction(patches: int) -> Curve:
    """The article's f' = [n, n - 1, ..., 1] over n patches, scaled to mean 1."""
    return np.arange(patches, 0, -1) * 2 / (patches + 1)


@styled
def draw_importance(shown: Shown) -> Figure:
    """Change against patch, a line for each block and axes for each run, beside the article's linear prediction.

    Patches table: run, layer, panel, seed, patch (from 0; drawn from 1), change. Each image's changes are divided by
    their mean, so that images and blocks can be compared, on a logarithmic scale. A line is the median of a block's
    images, and a band spans their quartiles, where there are at least 3. Of many blocks, some are drawn: see
    `some_blocks`.
    """
    runs = rows_by_run(shown.tables["patches"], shown.labels)
    layers = sorted({layer for chosen in runs.values() for layer in some_blocks(chosen)})
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    looks = dict(zip(layers, zip(shades, cycle(STYLES), strict=False), strict=True))
    figure, plots = make_plots(len(runs), 2.2, shown)
    most = 0
    values: list[float] = []
    for axes, (run, rows) in zip(plots, runs.items(), strict=True):
        blocks = by_block(rows)
        for layer in some_blocks(rows):
            chosen, (shade, dashes) = blocks[layer], looks[layer]
            images = image_curves(chosen)
            curve = np.median(images, axis=0)
            numbers = np.arange(1, len(curve) + 1)
            if len(images) >= FEWEST:
                low, high = np.percentile(images, [25, 75], axis=0)
                axes.fill_between(numbers, low, high, color=shade, alpha=SHADE, linewidth=0)
                values += [*low, *high]
            look: dict[str, Any] = {"color": shade, "linestyle": dashes, "linewidth": 0.9}
            axes.plot(numbers, curve, label=block_name(layer), **look)
            values += [*curve]
        patches = 1 + max(row["patch"] for row in rows)
        most = max(most, patches)
        prediction = linear_prediction(patches)
        look = {"color": "black", "linestyle": (0, (4, 2)), "label": PREDICTION}
        axes.plot(np.arange(1, patches + 1), prediction, **look)
        values.append(prediction[0])  # its end, far below, may leave the page
        name_plot(axes, shown.labels[run], len(runs))
    plots[0].set_xlim(0, most + 1)
    scale_ratios(plots[0], values)
    side, across = isqrt(most), "patch, row by row"
    if side**2 == most:
        across += f" ({side} to a row)"
        if side > 2:  # a tick at the start of every few rows of patches
            plots[0].set_xticks(np.arange(1, most + 1, side * ceil(side / 7)))
    name_scales(plots, across, "median change (1: the image's mean)")
    named: dict[str, Artist] = {str(line.get_label()): line for axes in plots for line in axes.get_lines()}
    order = [block_name(layer) for layer in layers] + [PREDICTION]
    if any(axes.collections for axes in plots):
        named[BAND] = Patch(color=GREY, alpha=SHADE, linewidth=0)
        order.append(BAND)
    figure.legend(
        [named[name] for name in order], order, loc="outside right center", ncols=ceil(len(order) / 14),
        handlelength=2.2,
    )  # fmt: skip
    return figure


def row_ratio(curve: Curve) -> float:
    """Mean change of the first row of patches over that of the last; not a number if the last did not change."""
    first, last = row_means(curve)
    return float(first / last) if last > 0 else nan


def first_ratio(curve: Curve) -> float:
    """Change of the first patch over the mean of all; not a number if none changed."""
    return float(curve[0] / curve.mean()) if curve.mean() > 0 else nan


RATIOS = {"change of row 1 / last row": row_ratio, "change of patch 1 / mean": first_ratio}


def read_ratios(rows: Sequence[Row], name: str) -> dict[int, list[float]]:
    """One of RATIOS of each single image of each block, from a run's rows of the patches table; only those above 0."""
    return {
        layer: [ratio for ratio in map(RATIOS[name], image_curves(chosen)) if ratio > 0]
        for layer, chosen in by_block(rows).items()
    }


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean of ratios on a logarithmic scale, as claims have it; not a number without any."""
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else nan


def quartiles(ratios: Mapping[int, Sequence[float]]) -> dict[int, tuple[float, float]]:
    """The quartiles of each block's ratios; blocks of fewer than FEWEST are left out."""
    found = {layer: np.percentile(there, [25, 75]) for layer, there in ratios.items() if len(there) >= FEWEST}
    return {layer: (float(low), float(high)) for layer, (low, high) in found.items()}


def draw_ratios(axes: Axes, runs: Mapping[str, Sequence[Row]], looks: Mapping[str, Look], name: str) -> list[Artist]:
    """One of RATIOS against block, a line a run, with a grey line at 1 and a logarithmic scale.

    A point is the geometric mean of single images, and its bar spans their quartiles. Where there are several runs, the
    points of a block stand side by side. Returns the entry of the bars in a legend, if there are any.
    """
    axes.axhline(1, color=FLOOR, linewidth=1.5, alpha=0.5, zorder=1, label="1")
    values: list[float] = []
    layers = sorted({row["layer"] for rows in runs.values() for row in rows})
    nearest = min((after - before for before, after in pairwise(layers)), default=1)
    apart = min(BARS * (layers[-1] - layers[0]), nearest * ASIDE / len(runs))
    for index, (run, rows) in enumerate(runs.items()):
        ratios, aside, look = read_ratios(rows, name), apart * (index - (len(runs) - 1) / 2), looks[run]
        if bars := quartiles(ratios):
            low, high = zip(*bars.values(), strict=True)
            axes.vlines([layer + aside for layer in bars], low, high, color=look.colour, linewidth=0.8, zorder=1.5)
            values += [*low, *high]
        means = [geometric_mean(there) for there in ratios.values()]
        width, size = look.sizes
        axes.plot(
            [layer + aside for layer in ratios], means, color=look.colour, marker=look.marker, linestyle=look.dashes,
            linewidth=width, markersize=size, markeredgewidth=0.4, markeredgecolor="white", label=run, clip_on=False,
        )  # fmt: skip
        values += means
    scale_ratios(axes, values)
    key = Line2D([], [], color=GREY, linewidth=0.8, label="bar: the middle half of the images")
    return [key] if axes.collections else []


@styled
def draw_causality(shown: Shown) -> Figure:
    """Change of row 1 / last row, and of patch 1 / mean, against block: a line for each run.

    Patches table: run, layer, panel, patch, change, as in `draw_importance`. A colour and a marker for each label
    of `shown.labels`; untrained weights (of `shown.weights`) are dashed.
    """
    runs = rows_by_run(shown.tables["patches"], shown.labels)
    names = {run: ", ".join(filter(None, (shown.labels[run], shown.weights.get(run)))) for run in runs}
    labels = list(dict.fromkeys(shown.labels.values()))
    looks: dict[str, Look] = {}
    for run in runs:
        number = labels.index(shown.labels[run])
        dashes = DASHES[shown.weights.get(run) or "trained"]
        looks[run] = Look(f"C{number % 7}", MARKERS[number % len(MARKERS)], dashes, (0.9, 3.6))
    figure, plots = make_plots(len(RATIOS), 2.1, shown, sharey=False)
    for axes, name in zip(plots, RATIOS, strict=True):
        bars = draw_ratios(axes, runs, looks, name)
        axes.set_title(name.capitalize())
    tick_blocks(plots[0], sorted({row["layer"] for rows in runs.values() for row in rows}))
    name_scales(plots, "block", "ratio (1: no order)")
    add_legend(figure, [*(looks[run].key(names[run]) for run in runs), *bars])
    return figure
