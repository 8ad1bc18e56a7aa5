"""Charts of the metrics: accuracy against depth, and where in the image the change went."""

from collections.abc import Mapping
from math import ceil, isqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lmrep.figures.page import MARGIN, PAGE, fold, make_canvas, styled, text_width, title_height
from lmrep.figures.shown import Shown

Row = dict[str, Any]  # of a table: column -> value
Curve = npt.NDArray[np.float64]
MARKERS = "os^DvPX"
DASHES: dict[str, Any] = {"trained": "-", "untrained": (0, (3, 1.5))}  # the line of each kind of weights
PREDICTION = "article's linear\nf' = [3, 2, 1],\nscaled up"


def distinct(rows: list[Row], key: str) -> list[Any]:
    """The values of a column, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def rows_by_run(rows: list[Row], labels: Mapping[str, str]) -> dict[str, list[Row]]:
    """The rows of each run of `labels`, runs in the order of `labels`. Raises ValueError for a run without rows."""
    found = {run: [row for row in rows if row["run"] == run] for run in labels}
    missing = [run for run, chosen in found.items() if not chosen]
    if missing:
        raise ValueError(f"expected rows of every run in the table, got none of {', '.join(missing)}")
    return found


def make_panels(count: int, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """A page with `count` axes below its title, three in a row at most, that share both scales."""
    columns = min(count, 3)
    lines = ceil(count / columns)
    top = title_height(title)
    total = top + 0.46 + height * lines
    figure, _ = make_canvas(total, title)
    figure.set_layout_engine(
        "constrained", rect=(0, 0, 1, 1 - top / total), w_pad=0.06, h_pad=0.05, hspace=0.04, wspace=0.03
    )
    axes = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    for panel in axes[:count]:
        # The lowest of its column may stand above a place left empty.
        panel.tick_params(labelbottom=True)
        panel.grid(True)
    return figure, axes[:count]


def name_panel(axes: Axes, name: str, count: int) -> None:
    """The title of one of `count` axes, on as many lines as its width needs."""
    axes.set_title(fold(name, PAGE / min(count, 3) - 0.6, 8, "bold"))


def add_legend(figure: Figure, keys: list[Line2D]) -> None:
    """A legend below the axes, with as many columns as fit."""
    labels = [str(key.get_label()) for key in keys]
    column = 0.55 + max(text_width(label, 7) for label in labels)  # in, with the line and the space between
    columns = max(1, min(len(keys), int((PAGE - 2 * MARGIN) / column)))
    figure.legend(keys, labels, loc="outside lower center", ncols=columns, handlelength=2.6)


def name_scales(panels: list[Axes], across: str, up: str) -> None:
    """Labels below the lowest axes and left of the leftmost ones."""
    columns = min(len(panels), 3)
    for index, axes in enumerate(panels):
        if index + columns >= len(panels):
            axes.set_xlabel(across)
        if index % columns == 0:
            axes.set_ylabel(up)


def tick_blocks(axes: Axes, layers: list[int]) -> None:
    """Ticks at whole numbers, at every block where there is room."""
    if len(layers) <= 12 and max(layers) <= 12:
        axes.set_xticks(sorted(layers))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 3, 4, 5, 6, 10]))
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)


@styled
def draw_accuracy(shown: Shown) -> Figure:
    """SSIM of the re-created image against the block it was re-created from: axes an image, a line a run.

    Accuracy table: run, probe, weights ("trained" or "untrained"), image, layer, ssim. Each probe has one colour and
    one marker; untrained weights are dashed.
    """
    runs = rows_by_run(shown.tables["accuracy"], shown.labels)
    rows = [row for chosen in runs.values() for row in chosen]
    probes, images = distinct(rows, "probe"), distinct(rows, "image")
    names = {row["probe"]: shown.labels[row["run"]] for row in reversed(rows)}
    figure, panels = make_panels(len(images), 2.1, shown.title)
    for axes, image in zip(panels, images, strict=True):
        for run, chosen in runs.items():
            points = sorted((row["layer"], row["ssim"]) for row in chosen if row["image"] == image)
            if points:
                number, weights = probes.index(chosen[0]["probe"]), chosen[0]["weights"]
                axes.plot(
                    *zip(*points, strict=True), color=f"C{number}", marker=MARKERS[number % len(MARKERS)],
                    linestyle=DASHES[weights], markerfacecolor="white" if weights == "untrained" else None,
                    label=f"{shown.labels[run]}, {weights}", clip_on=False,
                )  # fmt: skip
        name_panel(axes, image.replace("_", " "), len(images))
    lowest = min(row["ssim"] for row in rows)
    panels[0].set_ylim(min(0.0, np.floor(lowest * 10) / 10), 1.0)
    panels[0].set_yticks(np.arange(0, 1.01, 0.2))
    tick_blocks(panels[0], distinct(rows, "layer"))
    name_scales(panels, "block", "SSIM with the target")
    keys = [
        Line2D([], [], color=f"C{number}", marker=MARKERS[number % len(MARKERS)], label=names[probe])
        for number, probe in enumerate(probes)
    ]
    used = distinct(rows, "weights")
    keys += [
        Line2D([], [], color="#555555", linestyle=dashes, label=weights)
        for weights, dashes in DASHES.items()
        if weights in used
    ]
    add_legend(figure, keys)
    return figure


def importance_curve(rows: list[Row]) -> Curve:
    """Change of each patch [patch]: the mean over panels, relative to its mean over patches. Zeros if none changed."""
    patches = 1 + max(row["patch"] for row in rows)
    total, count = np.zeros(patches), np.zeros(patches)
    for row in rows:
        total[row["patch"]] += row["change"]
        count[row["patch"]] += 1
    curve: Curve = total / np.maximum(count, 1)
    return curve / curve.mean() if curve.mean() > 0 else curve


def linear_prediction(patches: int) -> Curve:
    """The article's f' = [n, n - 1, ..., 1] over n patches, scaled to mean 1."""
    return np.arange(patches, 0, -1) * 2 / (patches + 1)


@styled
def draw_importance(shown: Shown) -> Figure:
    """Change against patch, a line a block and axes a run, beside the article's linear prediction.

    Patches table: run, layer, panel, patch (from 0; drawn from 1), change. Each line is divided by its own mean, so
    that blocks can be compared.
    """
    runs = rows_by_run(shown.tables["patches"], shown.labels)
    layers = sorted({row["layer"] for chosen in runs.values() for row in chosen})
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    figure, panels = make_panels(len(runs), 2.2, shown.title)
    most = 0
    for axes, (run, rows) in zip(panels, runs.items(), strict=True):
        for layer, shade in zip(layers, shades, strict=True):
            chosen = [row for row in rows if row["layer"] == layer]
            if chosen:
                curve = importance_curve(chosen)
                axes.plot(np.arange(1, len(curve) + 1), curve, color=shade, linewidth=0.9, label=f"block {layer}")
        patches = 1 + max(row["patch"] for row in rows)
        most = max(most, patches)
        prediction = linear_prediction(patches)
        look: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 2)), "label": PREDICTION}
        axes.plot(np.arange(1, patches + 1), prediction, **look)
        name_panel(axes, shown.labels[run], len(runs))
    panels[0].set_xlim(0, most + 1)
    panels[0].set_ylim(bottom=0)
    side, across = isqrt(most), "patch, row by row"
    if side**2 == most:
        across += f" ({side} to a row)"
        if side > 2:  # a tick at the start of every few rows of patches
            panels[0].set_xticks(np.arange(1, most + 1, side * ceil(side / 7)))
    name_scales(panels, across, "change relative to the block's mean")
    named = {str(line.get_label()): line for axes in panels for line in axes.get_lines()}
    order = [f"block {layer}" for layer in layers] + [PREDICTION]
    figure.legend(
        [named[name] for name in order], order, loc="outside right center", ncols=ceil(len(order) / 14),
        handlelength=2.2,
    )  # fmt: skip
    return figure
