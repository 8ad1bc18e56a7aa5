"""Charts of the metrics: accuracy against depth, and where in the image the change went."""

from math import ceil

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lmrep.figures.page import PAGE, fold_title, styled

MARKERS = "os^DvPX"
STRAIGHT = {"trained": "-", "untrained": (0, (3, 1.5))}  # the line of each kind of weights
PREDICTION = "article's linear\nf' = [3, 2, 1],\nscaled up"


def distinct(rows: list[dict], key: str) -> list:
    """The values of a column, each once, in the order in which they come."""
    return list(dict.fromkeys(row[key] for row in rows))


def make_panels(count: int, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """A page-wide figure with `count` axes, three in a row at most, that share both scales."""
    columns = min(count, 3)
    lines = ceil(count / columns)
    figure = Figure(figsize=(PAGE, 0.75 + height * lines), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.05, hspace=0.04, wspace=0.03)
    axes = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for spare in axes[count:]:
        spare.remove()
    for panel in axes[:count]:
        # The lowest of its column may stand above a place left empty.
        panel.tick_params(labelbottom=True)
        panel.grid(True)
    figure.suptitle(fold_title(title), x=0.08 / PAGE, ha="left")
    return figure, axes[:count]


def name_scales(panels: list[Axes], across: str, up: str) -> None:
    """Labels below the lowest axes and left of the leftmost ones."""
    columns = min(len(panels), 3)
    for index, axes in enumerate(panels):
        if index + columns >= len(panels):
            axes.set_xlabel(across)
        if index % columns == 0:
            axes.set_ylabel(up)


def tick_blocks(axes: Axes, layers: list[int]) -> None:
    """Whole numbers only, all of them where there is room."""
    if len(layers) <= 12 and max(layers) <= 12:
        axes.set_xticks(sorted(layers))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 3, 4, 5, 6, 10]))
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)


@styled
def draw_accuracy(rows: list[dict], labels: dict[str, str], title: str) -> Figure:
    """SSIM of the re-created image against the block it was re-created from, axes an image.

    rows: of accuracy.tsv: probe, weights ("trained" or "untrained"), image, layer, ssim. labels: of the probes.
    """
    probes, images = distinct(rows, "probe"), distinct(rows, "image")
    figure, panels = make_panels(len(images), 2.1, title)
    for axes, image in zip(panels, images, strict=True):
        for number, probe in enumerate(probes):
            for weights, straight in STRAIGHT.items():
                points = sorted(
                    (row["layer"], row["ssim"])
                    for row in rows
                    if (row["image"], row["probe"], row["weights"]) == (image, probe, weights)
                )
                if points:
                    axes.plot(
                        *zip(*points, strict=True), color=f"C{number}", marker=MARKERS[number % len(MARKERS)],
                        linestyle=straight, markerfacecolor="white" if weights == "untrained" else None,
                        label=f"{labels[probe]}, {weights}", clip_on=False,
                    )  # fmt: skip
        axes.set_title(image.replace("_", " "))
    lowest = min(row["ssim"] for row in rows)
    panels[0].set_ylim(min(0.0, np.floor(lowest * 10) / 10), 1.0)
    panels[0].set_yticks(np.arange(0, 1.01, 0.2))
    tick_blocks(panels[0], distinct(rows, "layer"))
    name_scales(panels, "block", "SSIM with the target")
    keys = [
        Line2D([], [], color=f"C{number}", marker=MARKERS[number % len(MARKERS)], label=labels[probe])
        for number, probe in enumerate(probes)
    ]
    used = distinct(rows, "weights")
    keys += [
        Line2D([], [], color="#555555", linestyle=straight, label=weights)
        for weights, straight in STRAIGHT.items()
        if weights in used
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 6), handlelength=2.6)
    return figure


def importance_curve(rows: list[dict]) -> np.ndarray:
    """Change of each patch [patch], the mean over panels, relative to its mean over patches (0 if none changed)."""
    patches = 1 + max(row["patch"] for row in rows)
    total, count = np.zeros(patches), np.zeros(patches)
    for row in rows:
        total[row["patch"]] += row["change"]
        count[row["patch"]] += 1
    curve = total / np.maximum(count, 1)
    return curve / curve.mean() if curve.mean() > 0 else curve


def linear_prediction(patches: int) -> np.ndarray:
    """The article's f' = [n, n - 1, ..., 1] over n patches, scaled to mean 1."""
    return np.arange(patches, 0, -1) * 2 / (patches + 1)


@styled
def draw_importance(rows: list[dict], runs: dict[str, str], title: str) -> Figure:
    """Change against patch, a line a block and axes a run, beside the article's linear prediction.

    rows: of patches.tsv: run, layer, panel, patch (from 0; drawn from 1), change. runs: the runs to draw, in
    order, and their labels. Each line is divided by its own mean, so that blocks can be compared.
    """
    layers = sorted({row["layer"] for row in rows if row["run"] in runs})
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(layers)))
    figure, panels = make_panels(len(runs), 2.2, title)
    for axes, (run, label) in zip(panels, runs.items(), strict=True):
        for layer, shade in zip(layers, shades, strict=True):
            chosen = [row for row in rows if row["run"] == run and row["layer"] == layer]
            if chosen:
                curve = importance_curve(chosen)
                axes.plot(np.arange(1, len(curve) + 1), curve, color=shade, linewidth=0.9, label=f"block {layer}")
        patches = 1 + max(row["patch"] for row in rows if row["run"] == run)
        axes.plot(
            np.arange(1, patches + 1),
            linear_prediction(patches),
            color="black",
            linestyle=(0, (4, 2)),
            label=PREDICTION,
        )
        axes.set_title(label)
    patches = 1 + max(row["patch"] for row in rows if row["run"] in runs)
    panels[0].set_xlim(0, patches + 1)
    panels[0].set_ylim(bottom=0)
    side = round(patches**0.5)
    if side**2 == patches and side > 2:  # a tick at the start of every few rows of patches
        panels[0].set_xticks(np.arange(1, patches + 1, side * ceil(side / 7)))
    name_scales(panels, f"patch, row by row ({side} to a row)", "change relative to the block's mean")
    named = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    order = [f"block {layer}" for layer in layers] + [PREDICTION]
    handles = [named[name] for name in order if name in named]
    figure.legend(handles=handles, loc="outside right center", ncols=ceil(len(handles) / 14), handlelength=2.2)
    return figure
