"""The article's sentences and their verdicts: sentences down, models across, a mark and a number in each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.figures.page import GREY, MARGIN, PAGE, TALLEST, fold, make_canvas, styled, text_width, title_height
from lmrep.figures.shown import Shown
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import CAUSES, FAILS, HOLDS, OPEN
from lmrep.metrics.claims.words import (
    GATE,
    NONE,
    by_claim,
    claim_numbers,
    count_text,
    interval_text,
    models_of,
    number_of,
    number_text,
    other_rules,
    own_rule,
    tally_text,
)  # fmt: skip

MARKS: dict[str, dict[str, Any]] = {  # shape, face, edge: they differ without colour too
    HOLDS: {"marker": "o", "markerfacecolor": "#0072B2", "markeredgecolor": "#0072B2"},
    FAILS: {"marker": "X", "markerfacecolor": "#D55E00", "markeredgecolor": "#D55E00"},
    OPEN: {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "#555555"},
}
TINTS = {HOLDS: "#dcebf5", FAILS: "#fae3d6", OPEN: "#f4f4f4"}  # behind a cell
FAINT = "#8a8a8a"  # of the marks of a model that is there for contrast
ARROW = "\N{LEFT RIGHT ARROW}"  # before what a verdict depends on
MINUS = "\N{MINUS SIGN}"

NAME, TEXT, SMALL = 7.5, 6.5, 6.0  # pt: of models and places, of sentences and numbers, of what is said below them
NAME_LINE, LINE, SMALL_LINE = 0.125, 0.108, 0.096  # in, a line of each
NUMBER = 0.2  # in, left of a sentence, for its number
MARK = 0.17  # in, left of a number, for its mark
WIDE, NARROW, SLIM = 1.06, 0.68, 0.3  # in, of a model's column: at most, at least with numbers, and with marks alone
HEAD = 1.4  # in, of a model's name, where it stands upright
LEAST = 2.2  # in, of the column of sentences
PAD, PLACE = 0.03, 0.185  # in: above and below the text of a row; the height of a place's heading
FOOT = 0.43  # in, the legend and the count of the verdicts

fold_once = lru_cache(maxsize=4096)(fold)  # the same text is tried again with less small print


class Detail(NamedTuple):
    """Which small print a page has: the rule below each sentence, intervals, and what a verdict depends on in words."""

    rules: bool
    intervals: bool
    causes: bool


DETAILS = Detail(True, True, True), Detail(False, True, True), Detail(False, True, False), Detail(False, False, False)


@dataclass(frozen=True)
class Cell:
    """How one model's verdict on one sentence is shown: its number, and the small print below it.

    `contrast`: the sentence is not about the model.
    """

    verdict: str
    contrast: bool
    number: str
    small: Sequence[str]

    @property
    def height(self) -> float:
        return LINE * bool(self.number) + SMALL_LINE * len(self.small)


@dataclass(frozen=True)
class Row:
    """One sentence, its rule in small print below it, and a cell for each model that it is asked of."""

    number: int
    place: str
    sentence: Sequence[str]
    rule: Sequence[str]
    cells: Mapping[str, Cell]

    @property
    def height(self) -> float:
        words = LINE * len(self.sentence) + SMALL_LINE * len(self.rule)
        return max(words, *(cell.height for cell in self.cells.values())) + 2 * PAD


def most_models() -> int:
    """How many models fit a page."""
    return int((PAGE - 2 * MARGIN - LEAST) / SLIM)


def column_widths(models: int) -> tuple[float, float]:
    """Inches of the column of sentences and of each model's. Raises ValueError for more models than fit a page."""
    room = PAGE - 2 * MARGIN
    width = min(WIDE, (room - LEAST) / models)
    if width < SLIM:
        raise ValueError(f"expected at most {most_models()} models, got {models}")
    width = width if width >= NARROW else SLIM
    return room - models * width, width


def read_cell(entry: Mapping[str, Any], width: float, detail: Detail) -> Cell:
    """An entry of claims.json in a column `width` in wide; without a number, small print takes its place."""
    depends = f"{ARROW} {', '.join(entry['depends_on'])}" if entry["depends_on"] else ""
    if width < NARROW:
        return Cell(entry["verdict"], entry["contrast"], depends[:1], [])
    if entry["number"] is None:
        number, small = "", [NONE]
    else:
        number, small = number_text(entry["number"], 2), [interval_text(entry["interval"], 2)] * detail.intervals
        of = number_of(entry)
        small.append(of if detail.intervals else GATE * of.startswith(GATE))
    small.append(depends if detail.causes else depends[:1])
    lines = [fold_once(text.replace("-", MINUS), width - MARK - 0.06, SMALL) for text in small if text]
    return Cell(entry["verdict"], entry["contrast"], number.replace("-", MINUS), "\n".join(lines).splitlines())


def read_rows(shown: Shown, models: int, detail: Detail) -> list[Row]:
    """The rows of a page with so many models."""
    wide, narrow = column_widths(models)
    numbers, rows = claim_numbers(), []
    for name, entries in by_claim(shown.claims).items():
        claim, more = CLAIMS[name], other_rules(name)
        rule = f"{own_rule(name)}".replace("-", MINUS) + (f" ({count_text(more, 'more rule')})" if more else "")
        rows.append(Row(
            numbers[name], claim.place, fold_once(claim.sentence, wide - NUMBER - 0.1, TEXT).splitlines(),
            fold_once(rule, wide - NUMBER - 0.1, SMALL).splitlines() if detail.rules else [],
            {model: read_cell(entry, narrow, detail) for model, entry in entries.items()},
        ))  # fmt: skip
    return rows


def fit_rows(shown: Shown, models: int, room: float) -> tuple[list[Row], Detail]:
    """Rows no higher than `room` in together, with as much small print as that leaves, and how much that is.

    Raises ValueError where even the sentences alone are higher.
    """
    for detail in DETAILS:
        rows = read_rows(shown, models, detail)
        if sum(row.height for row in rows) + PLACE * len({row.place for row in rows}) <= room:
            return rows, detail
    raise ValueError(f"expected fewer sentences, got {len(rows)}: they are higher than a page")


def draw_mark(axes: Axes, verdict: str, x: float, y: float, contrast: bool = False) -> None:
    """The mark of a verdict, with its centre at (x, y) in."""
    look = dict(MARKS[verdict])
    if contrast:
        look |= {"markeredgecolor": FAINT} | ({} if verdict == OPEN else {"markerfacecolor": FAINT})
    axes.plot([x], [y], linestyle="", markersize=5.5, markeredgewidth=1.0, **look)


def draw_cell(axes: Axes, cell: Cell | None, corner: tuple[float, float], width: float, height: float) -> None:
    """A cell whose upper left corner is at (x, y) in; a dash where the sentence is not asked of the model."""
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
        y += LINE
    for index, line in enumerate(cell.small):
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


@styled
def draw_claims(shown: Shown) -> Figure:
    """The verdicts of `shown.claims`, entries of claims.json: a row a sentence, by its place, and a column a model.

    A cell has the mark of its verdict, the number that decides it, the number's interval, rule and block below it, and
    what the verdict depends on. It is grey where the sentence is not about the model, and a dash where it is not asked.
    Below a sentence is its rule, the first of several. Where a page is too short for all of that, DETAILS says what
    goes first; where it is too narrow, only marks stay.

    Raises ValueError without entries, and for more models or sentences than fit a page.
    """
    if not shown.claims:
        raise ValueError("expected claims, got none")
    models = models_of(shown.claims)
    wide, narrow = column_widths(len(models))
    slim = narrow < NARROW
    heads = [fold_once(model, HEAD if slim else narrow - 0.06, NAME, "bold") for model in models]
    tall = max(text_width(line, NAME, "bold") if slim else NAME_LINE * (head.count("\n") + 1)
               for head in heads for line in head.splitlines())  # fmt: skip
    top = title_height(shown) + 0.04 + tall + 0.04
    rows, detail = fit_rows(shown, len(models), TALLEST - top - FOOT - MARGIN)
    height = top + sum(row.height for row in rows) + PLACE * len({row.place for row in rows}) + FOOT + MARGIN
    figure, axes = make_canvas(height, shown)
    for index, head in enumerate(heads):
        place = MARGIN + wide + index * narrow + 0.03, top - 0.045
        axes.text(*place, head, size=NAME, weight="bold", va="baseline", rotation=90 * slim, linespacing=1.1)
    y = top
    for place, group in groupby(rows, key=lambda row: row.place):
        axes.plot([MARGIN, PAGE - MARGIN], [y + 0.01, y + 0.01], color=GREY, linewidth=0.6)
        axes.text(MARGIN, y + 0.05, place, size=NAME, weight="bold", va="top")
        y += PLACE
        for row in group:
            draw_row(axes, row, models, y)
            y += row.height
    axes.plot([MARGIN, PAGE - MARGIN], [y + 0.03, y + 0.03], color=GREY, linewidth=0.6)
    causes = "" if detail.intervals else f" the {CAUSES}"  # no room for both
    key = ["grey: for contrast", "\N{EN DASH} not asked", f"{ARROW} depends on{causes}"]
    small = [line for row in rows for cell in row.cells.values() for line in cell.small]
    key += [f"{GATE}: a precondition"] * any(line.startswith(GATE) for line in small)
    key += ["[95 % interval]"] * (detail.intervals and not slim)
    draw_key(axes, "     ".join(key), y + 0.16)
    axes.text(MARGIN, y + 0.31, tally_text(shown.claims), size=SMALL, color=GREY, va="center_baseline")
    return figure
