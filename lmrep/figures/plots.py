"""Charts as pages: several axes below one title, what is written around them, and a legend."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from lmrep.figures.page import MARGIN, PAGE, fold, make_canvas, text_width, title_height
from lmrep.figures.shown import Shown
from lmrep.figures.words import block_name
from lmrep.metrics.tsv import Row

COLUMNS = 3  # axes side by side, at most
MARKERS = "os^DvPX"
TICKS = 0.09  # of the scale of blocks, between two ticks at least


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


def make_plots(
    count: int, height: float | Sequence[float], shown: Shown, columns: int = COLUMNS, sharey: bool = True
) -> tuple[Figure, list[Axes]]:
    """A page with `count` axes below its title, `columns` in a row at most, that share the scale across.

    height: of a row of axes with the text around it, in; or one for each row.
    """
    columns = min(count, columns)
    lines = ceil(count / columns)
    heights = [height] * lines if isinstance(height, float | int) else list(height)
    top = title_height(shown)
    total = top + 0.46 + sum(heights)
    figure, _ = make_canvas(total, shown)
    figure.set_layout_engine(
        "constrained", rect=(0, 0, 1, 1 - top / total), w_pad=0.06, h_pad=0.05, hspace=0.04, wspace=0.03
    )
    grid = figure.subplots(lines, columns, sharex=True, sharey=sharey, squeeze=False, height_ratios=heights)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    for plot in axes[:count]:
        # The lowest of its column may stand above a place left empty.
        plot.tick_params(labelbottom=True)
        plot.grid(True)
    return figure, axes[:count]


def name_plot(axes: Axes, name: str, count: int) -> None:
    """The title of one of `count` axes in a row, on as many lines as its width needs."""
    axes.set_title(fold(name, PAGE / min(count, COLUMNS) - 0.6, 8, "bold"))


def add_legend(figure: Figure, keys: Sequence[Artist]) -> None:
    """A legend below the axes, with as many columns as fit."""
    labels = [str(key.get_label()) for key in keys]
    column = 0.55 + max(text_width(label, 7) for label in labels)  # in, with the line and the space between
    columns = max(1, min(len(keys), int((PAGE - 2 * MARGIN) / column)))
    columns = ceil(len(keys) / ceil(len(keys) / columns))  # about as many entries in each
    figure.legend(keys, labels, loc="outside lower center", ncols=columns, handlelength=2.6)


def name_scales(plots: list[Axes], across: str, up: str, columns: int = COLUMNS) -> None:
    """Labels below the lowest axes and left of the leftmost ones."""
    columns = min(len(plots), columns)
    for index, axes in enumerate(plots):
        if index + columns >= len(plots):
            axes.set_xlabel(across)
        if index % columns == 0:
            axes.set_ylabel(up)


def tick_blocks(axes: Axes, layers: Sequence[int]) -> None:
    """A tick at each of `layers`, numbered at both ends and between where there is room. Block 0 is called the stem."""
    layers = sorted({*layers})
    first, last = layers[0], layers[-1]
    apart, ticks = TICKS * (last - first), [last]
    for layer in reversed(layers[1:-1]):
        if ticks[-1] - layer >= apart and layer - first >= apart * (1.35 if first == 0 else 1):  # "stem" is a long name
            ticks.append(layer)
    axes.set_xticks(sorted({first, *ticks}))
    axes.set_xticks(layers, minor=True)
    axes.xaxis.set_major_formatter(lambda block, _: block_name(block).removeprefix("block "))
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)


def scale_ratios(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic scale up, with plain numbers, that shows all of `values` and 1. Values of 0 or less are ignored."""
    found = [value for value in values if value > 0] + [1.0]
    low, high = min(found) / 1.1, max(found) * 1.1
    axes.set_yscale("log")
    near = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5)
    fine = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 10, 15, 20)
    wide = tuple(step * 10.0**power for power in range(-3, 3) for step in (1, 2, 5))
    coarse = tuple(10.0**power for power in range(-6, 7))
    spread = high / low
    steps = near if spread < 3 else fine if spread < 20 else wide if spread < 500 else coarse
    axes.yaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(min(low, 0.9), max(high, 1.3))
