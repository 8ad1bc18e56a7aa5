"""The article's sentences and their verdicts: sentences down, models across, a mark and a number in each cell."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.figures.claim_rows import (
    ARROW,
    GAP,
    LINE,
    MARK,
    NARROW,
    NUMBER,
    PAD,
    PLACE,
    SMALL,
    SMALL_LINE,
    TEXT,
    Cell,
    Detail,
    Row,
    column_widths,
    fit_rows,
    fold_once,
)  # fmt: skip
from lmrep.figures.page import GREY, MARGIN, PAGE, TALLEST, make_canvas, styled, text_width, title_height
from lmrep.figures.shown import Shown
from lmrep.metrics.claims.statistics import LEVEL
from lmrep.metrics.claims.verdicts import CAUSES, FAILS, HOLDS, OPEN
from lmrep.metrics.claims.words import GATE, models_of, tally_text

MARKS: dict[str, dict[str, Any]] = {  # shape, face, edge: they differ without colour too
    HOLDS: {"marker": "o", "markerfacecolor": "#0072B2", "markeredgecolor": "#0072B2"},
    FAILS: {"marker": "X", "markerfacecolor": "#D55E00", "markeredgecolor": "#D55E00"},
    OPEN: {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "#555555"},
}
TINTS = {HOLDS: "#dcebf5", FAILS: "#fae3d6", OPEN: "#f4f4f4"}  # behind a cell
FAINT = "#8a8a8a"  # of the marks of a model that is there for contrast
NAME, NAME_LINE = 7.5, 0.125  # of models and places: pt, and in for a line
HEADS = 1.4, 1.7  # in, of the models' names where they stand upright: the second if the first gives one over two lines
FOOT = 0.43  # in, the legend and the count of the verdicts


def draw_mark(axes: Axes, verdict: str, x: float, y: float, contrast: bool = False) -> None:
    """The mark of a verdict, with its centre at (x, y) in."""
    look = dict(MARKS[verdict])
    if contrast:
        look |= {"markeredgecolor": FAINT} | ({} if verdict == OPEN else {"markerfacecolor": FAINT})
    axes.plot([x], [y], linestyle="", markersize=5.5, markeredgewidth=1.0, **look)


def draw_cell(axes: Axes, cell: Cell | None, corner: tuple[float, float], width: float, height: float) -> None:
    """A cell whose upper left corner is at (x, y) in; a dash where the sentence is not tested on the model."""
    x, y = corner
    if cell is None:
        axes.text(x + width / 2, y + height / 2, "\N{EN DASH}", size=TEXT, color=GREY, ha="center", va="center")
        return
    if not cell.contrast:
        axes.add_patch(
            Rectangle((x + 0.015, y + 0.01), width - 0.03, height - 0.02, color=TINTS[cell.verdict], linewidth=0)
        )
    y += PAD
    draw_mark(axes, cell.verdict, x + MARK / 2 + 0.02, y + LINE / 2, cell.contrast)
    if cell.number:
        look: dict[str, Any] = {"color": GREY} if cell.contrast else {"weight": "bold"}
        axes.text(x + MARK + 0.03, y, cell.number, size=TEXT, va="top", **look)
        right = x + MARK + 0.03 + text_width(cell.number, TEXT, look.get("weight", "normal")) + GAP
        axes.text(right, y + 0.005, cell.beside, size=SMALL, color=GREY, va="top")
        y += LINE
    for index, line in enumerate(cell.below):
        axes.text(x + MARK + 0.03, y + SMALL_LINE * index + 0.005, line, size=SMALL, color=GREY, va="top")


def draw_row(axes: Axes, row: Row, models: Sequence[str], y: float) -> None:
    """A sentence at y in from the top, and its cells."""
    wide, narrow = column_widths(len(models))
    axes.text(MARGIN + NUMBER - 0.05, y + PAD, f"{row.number}", size=TEXT, color=GREY, ha="right", va="top")
    for index, line in enumerate(row.sentence):
        axes.text(MARGIN + NUMBER, y + PAD + LINE * index, line, size=TEXT, va="top")
    down = y + PAD + LINE * len(row.sentence)
    for index, line in enumerate(row.rule):
        axes.text(MARGIN + NUMBER, down + SMALL_LINE * index + 0.005, line, size=SMALL, color=GREY, va="top")
    for index, model in enumerate(models):
        draw_cell(axes, row.cells.get(model), (MARGIN + wide + index * narrow, y), narrow, row.height)


def draw_key(axes: Axes, text: str, y: float) -> None:
    """The legend on one line at y in: a mark and a word for each verdict, and the rest in words."""
    x = MARGIN
    for verdict in MARKS:
        draw_mark(axes, verdict, x + 0.05, y)
        axes.text(x + 0.14, y, verdict, size=SMALL, va="center_baseline")
        x += 0.24 + text_width(verdict, SMALL)
    axes.text(x, y, text, size=SMALL, color=GREY, va="center_baseline")


def fold_heads(models: Sequence[str], narrow: float) -> list[str]:
    """The models' names in lines that fit columns `narrow` in wide; upright, two lines do."""
    short, long = HEADS if narrow < NARROW else (narrow - 0.06,) * 2
    heads = [fold_once(model, short, NAME, "bold") for model in models]
    return heads if all(head.count("\n") < 2 for head in heads) else [fold_once(m, long, NAME, "bold") for m in models]


def draw_heads(axes: Axes, heads: Sequence[str], bottom: float) -> None:
    """The models' names over their columns, ending at `bottom` in; upright over columns of marks."""
    wide, narrow = column_widths(len(heads))
    for index, head in enumerate(heads):
        place = MARGIN + wide + index * narrow + 0.03, bottom
        upright = 90 * (narrow < NARROW)
        axes.text(*place, head, size=NAME, weight="bold", va="baseline", rotation=upright, linespacing=1.1)


def key_text(rows: Sequence[Row], detail: Detail, slim: bool) -> str:
    """What the signs of a page mean, besides the marks."""
    causes = "" if detail.intervals else f" the {CAUSES}"  # no room for both
    key = ["grey: for contrast", "\N{EN DASH} not tested", f"{ARROW} depends on{causes}"]
    small = [line for row in rows for cell in row.cells.values() for line in cell.below]
    key += [f"{GATE}: a precondition"] * any(GATE in line for line in small)
    key += [f"[{LEVEL:.0%} interval]"] * (detail.intervals and not slim)
    return "     ".join(key)


@styled
def draw_claims(shown: Shown) -> Figure:
    """The verdicts of `shown.claims`, entries of claims.json: a row a sentence, by its place, and a column a model.

    A cell has the mark of its verdict, the number that decides it and what that counts, below it the number's interval,
    rule and block, and what the verdict depends on. It is grey where the sentence is not about the model, and a dash
    where it is not tested. Below a sentence is its rule, the first of several. Where a page is too short for all of
    that, DETAILS says what goes first; where it is too narrow, only marks stay.

    Raises ValueError without entries, and for more models or sentences than fit a page.
    """
    if not shown.claims:
        raise ValueError("expected claims, got none")
    models = models_of(shown.claims)
    _, narrow = column_widths(len(models))
    slim = narrow < NARROW
    heads = fold_heads(models, narrow)
    tall = max(text_width(line, NAME, "bold") if slim else NAME_LINE * (head.count("\n") + 1)
               for head in heads for line in head.splitlines())  # fmt: skip
    top = title_height(shown) + 0.04 + tall + 0.04
    rows, detail = fit_rows(shown, len(models), TALLEST - top - FOOT - MARGIN)
    height = top + sum(row.height for row in rows) + PLACE * len({row.place for row in rows}) + FOOT + MARGIN
    figure, axes = make_canvas(height, shown)
    draw_heads(axes, heads, top - 0.045)
    y = top
    for place, group in groupby(rows, key=lambda row: row.place):
        axes.plot([MARGIN, PAGE - MARGIN], [y + 0.01, y + 0.01], color=GREY, linewidth=0.6)
        axes.text(MARGIN, y + 0.05, place, size=NAME, weight="bold", va="top")
        y += PLACE
        for row in group:
            draw_row(axes, row, models, y)
            y += row.height
    axes.plot([MARGIN, PAGE - MARGIN], [y + 0.03, y + 0.03], color=GREY, linewidth=0.6)
    draw_key(axes, key_text(rows, detail, slim), y + 0.16)
    axes.text(MARGIN, y + 0.31, tally_text(shown.claims), size=SMALL, color=GREY, va="center_baseline")
    return figure
