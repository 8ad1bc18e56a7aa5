"""Charts of accuracy: how similar a re-created image is to its target, by block, run and image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lmrep.figures.curves import BOLD, DASHES, PLAIN, THIN, Look, draw_curve, draw_floors, mark_keys
from lmrep.figures.page import GREY, styled
from lmrep.figures.plots import (
    COLUMNS,
    MARKERS,
    add_legend,
    distinct,
    make_plots,
    name_plot,
    name_scales,
    rows_by_run,
    tick_blocks,
)
from lmrep.figures.shown import Shown
from lmrep.figures.words import FLOORS, method_text
from lmrep.metrics.tsv import Row
from lmrep.study.kinds import ARTICLE

TALL, SHORT = 2.1, 1.35  # in, a row of axes: of trained blocks, of untrained ones that have axes of their own
FRAME = 0.5  # in, of a row of axes, the text above and below them


class Line(NamedTuple):
    """Whose line it is."""

    probe: str
    weights: str
    optimiser: str


def scale_ssim(axes: Axes, rows: Sequence[Row]) -> None:
    """From 0, or from the lowest value or floor if it is below 0, to just above 1, so that markers at 1 stay inside."""
    lowest = min(row[column] for row in rows for column in ("ssim", *FLOORS))
    axes.set_ylim(min(0.0, np.floor(lowest * 10) / 10), 1.05)
    axes.set_yticks(np.arange(0, 1.01, 0.2))


def method_keys(rows: Sequence[Row], shown: Shown) -> list[Artist]:
    """Legend entries of the descents: the article's thin and the others bold, or only words if there is one kind."""
    article = [row for row in rows if row["optimiser"] == ARTICLE]
    others = [row for row in rows if row["optimiser"] != ARTICLE]
    if not (article and others):
        return [Line2D([], [], linestyle="", label=f"all lines: {method_text(rows, shown.distances)}")]
    return [
        Look(GREY, "", sizes=BOLD).key(method_text(others, shown.distances)),
        Look(GREY, "", sizes=THIN).key(method_text(article, shown.distances)),
    ]


def read_lines(rows: Sequence[Row]) -> dict[Line, list[Row]]:
    """Rows of the accuracy table by probe, weights and optimiser: several runs may give one line its seeds or blocks.

    Raises ValueError where two runs of one line have the same image, block and seed.
    """
    found: dict[Line, list[Row]] = {}
    seen: dict[tuple[Line, str, int, int], str] = {}
    for row in rows:
        line = Line(row["probe"], row["weights"], row["optimiser"])
        picture = line, row["image"], row["layer"], row["seed"]
        other = seen.setdefault(picture, row["run"])
        if other != row["run"]:
            where = f"{row['image']}, block {row['layer']}, seed {row['seed']}"
            raise ValueError(f"{other} and {row['run']}: expected each picture of a line once, got two of {where}")
        found.setdefault(line, []).append(row)
    return found


def line_looks(lines: Sequence[Line]) -> dict[Line, Look]:
    """The look of each line: a colour and a marker a probe, dashes for untrained weights.

    Where lines of the article's descent and others meet, the article's are thin and the others bold.
    """
    probes = list(dict.fromkeys(line.probe for line in lines))
    mixed = len({line.optimiser == ARTICLE for line in lines}) > 1
    looks: dict[Line, Look] = {}
    for line in lines:
        number = probes.index(line.probe)
        sizes = PLAIN if not mixed else THIN if line.optimiser == ARTICLE else BOLD
        looks[line] = Look(f"C{number % 7}", MARKERS[number % len(MARKERS)], DASHES[line.weights], sizes)
    return looks


@styled
def draw_accuracy(shown: Shown) -> Figure:
    """SSIM of the re-created image against the block it was re-created from, with axes for each image.

    Accuracy table: run, probe, weights ("trained" or "untrained"), seed, image, layer, optimiser, passes, converged,
    ssim and the floors. A line is of one probe, weights and optimiser, from one run or several: its mean over seeds, in
    a band from the lowest to the highest. Each probe has one colour and one marker; untrained weights are dashed. Lines
    of the article's optimiser are thin and the others bold, if there are both; untrained blocks then have axes of their
    own. Points that have not converged are marked as lower bounds. Floors are the means over all rows of an image.

    Raises ValueError for a run without rows, and where two runs have the same picture of a line.
    """
    rows = [row for chosen in rows_by_run(shown.tables["accuracy"], shown.labels).values() for row in chosen]
    lines = read_lines(rows)
    names = {row["probe"]: shown.labels[row["run"]] for row in reversed(rows)}
    images, weights = distinct(rows, "image"), [name for name in DASHES if name in distinct(rows, "weights")]
    looks = line_looks(list(lines))
    apart = len(weights) > 1 and any(look.sizes == BOLD for look in looks.values())
    columns = min(len(images), COLUMNS)
    down = -(-len(images) // columns)
    shares = [[name] for name in weights] if apart else [weights]  # the weights in each group of axes
    heights = [height for height, _ in zip((TALL, SHORT), shares, strict=False) for _ in range(down)]
    spare = [""] * (columns * down - len(images)) if apart else []  # so that the next weights begin a row
    places = [(share, image) for share in shares for image in images + spare]
    figure, plots = make_plots(len(places), heights, shown, columns)
    scale_ssim(plots[0], rows)
    for index, (axes, (share, image)) in enumerate(zip(plots, places, strict=True)):
        if not image:
            axes.remove()
            continue
        for line, look in looks.items():
            chosen = [row for row in lines[line] if row["image"] == image and line.weights in share]
            if chosen:
                label = f"{names[line.probe]}, {line.weights}"
                draw_curve(axes, chosen, look, label, 2.0 if look.sizes == THIN else 3.0)
        draw_floors(axes, [row for row in rows if row["image"] == image], heights[index // columns] - FRAME)
        name_plot(axes, image.replace("_", " ") + (f", {share[0]} blocks" if apart else ""), columns)
    tick_blocks(plots[0], distinct(rows, "layer"))
    name_scales(plots, "block", "SSIM with the target", columns)
    plain = {line.probe: Look(look.colour, look.marker) for line, look in looks.items()}
    keys: list[Artist] = [look.key(names[probe]) for probe, look in plain.items()]
    keys += [
        Line2D([], [], color=GREY, linestyle=DASHES[name], label=name) for name in weights if weights != ["trained"]
    ]
    add_legend(figure, [*keys, *method_keys(rows, shown), *mark_keys(rows)])
    return figure
