"""What the regime of a stem's tokens does: accuracy and the order of the change, a line a probe."""

from matplotlib.figure import Figure

from lmrep.figures.charts import FRAME, TALL, method_keys, scale_ssim
from lmrep.figures.curves import BOLD, DASHES, Look, draw_curve, draw_floors, mark_keys
from lmrep.figures.importance import RATIOS, draw_ratios
from lmrep.figures.page import styled
from lmrep.figures.plots import MARKERS, add_legend, distinct, make_plots, name_plot, rows_by_run, tick_blocks
from lmrep.figures.shown import Shown

REST = (0.9, 3.2)  # pt: of the lines of all probes except the first, and of their markers


@styled
def draw_regime(shown: Shown) -> Figure:
    """SSIM against block, with axes for each image, and change of row 1 / last row against block; a line for each run.

    A run with rows in the accuracy table is on the left, any other run of `shown.labels` (with rows in the patches
    table) on the right. Runs of one label have one colour and marker. The first label is what the others are compared
    with, bold and black. Untrained weights (of `shown.weights`) are dashed. Images that not all runs on the left have
    are left out.

    Raises ValueError unless both sides have a run, or where the runs on the left have no image in common.
    """
    measured = {row["run"] for row in shown.tables["accuracy"]}
    sides = [{run: label for run, label in shown.labels.items() if (run in measured) == left} for left in (True, False)]
    if not all(sides):
        raise ValueError(f"expected runs that match photographs and runs that do not, got {', '.join(shown.labels)}")
    matches = rows_by_run(shown.tables["accuracy"], sides[0])
    orders = rows_by_run(shown.tables["patches"], sides[1])
    rows = [row for chosen in matches.values() for row in chosen]
    images = [
        image for image in distinct(rows, "image") if all(image in distinct(m, "image") for m in matches.values())
    ]
    rows = [row for row in rows if row["image"] in images]
    labels = list(dict.fromkeys(shown.labels.values()))
    if not rows:
        raise ValueError(f"expected an image that all of {', '.join(matches)} have in common, got none")
    styles = {
        label: Look("black", MARKERS[0], sizes=BOLD) if number == 0
        else Look(f"C{(number - 1) % 6}", MARKERS[number % len(MARKERS)], sizes=REST)
        for number, label in enumerate(labels)
    }  # fmt: skip
    looks: dict[str, Look] = {}
    for run, label in shown.labels.items():
        base = styles[label]
        looks[run] = Look(base.colour, base.marker, DASHES[shown.weights.get(run) or "trained"], base.sizes)
    figure, plots = make_plots(len(images) + 1, TALL, shown, sharey=False)
    for axes, image in zip(plots, images, strict=False):
        scale_ssim(axes, rows)
        for run, chosen in matches.items():
            shares = [row for row in chosen if row["image"] == image]
            if shares:
                draw_curve(axes, shares, looks[run], shown.labels[run], 3.0 - 0.1 * labels.index(shown.labels[run]))
        draw_floors(axes, [row for row in rows if row["image"] == image], TALL - FRAME)
        name_plot(axes, image.replace("_", " "), len(plots))
        axes.set_ylabel("SSIM with the target")
    ratio = next(iter(RATIOS))
    bars = draw_ratios(plots[-1], orders, looks, ratio)
    name_plot(plots[-1], "Order of the change", len(plots))
    plots[-1].set_ylabel(ratio)
    for axes in plots:
        axes.set_xlabel("block")
    tick_blocks(plots[0], sorted({row["layer"] for table in (matches, orders) for r in table.values() for row in r}))
    keys = [styles[label].key(label) for label in labels]
    add_legend(figure, [*keys, *method_keys(rows, shown), *mark_keys(rows), *bars])
    return figure
