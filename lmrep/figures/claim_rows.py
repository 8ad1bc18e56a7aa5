"""The table of claims as text: what each cell says, and how much small print a page has room for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from lmrep.figures.page import MARGIN, PAGE, fold, text_width
from lmrep.figures.shown import Shown
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.words import (
    NONE,
    by_claim,
    claim_numbers,
    count_text,
    interval_text,
    number_of,
    number_text,
    other_rules,
    own_rule,
    unit_of,
)  # fmt: skip

ARROW = "\N{LEFT RIGHT ARROW}"  # before what a verdict depends on
MINUS = "\N{MINUS SIGN}"
TEXT, SMALL = 6.5, 6.0  # pt: of sentences and numbers, and of what is said below and beside them
LINE, SMALL_LINE = 0.108, 0.096  # in, a line of each
NUMBER = 0.2  # in, left of a sentence, for its number
MARK = 0.17  # in, left of a number, for its mark
GAP, BETWEEN = 0.05, 0.15  # in, right of a number, and right of a sentence
WIDE, NARROW, SLIM = 1.32, 0.68, 0.3  # in, of a model's column: at most, at least with numbers, and with marks alone
LEAST = 2.2  # in, of the column of sentences
PAD, PLACE = 0.03, 0.185  # in: above and below the text of a row; the height of a place's heading

fold_once = lru_cache(maxsize=4096)(fold)  # the same text is tried again with less small print


class Detail(NamedTuple):
    """Which small print a page has.

    `rules`: below each sentence. `words`: what a verdict depends on, and the block of its number.
    """

    rules: bool
    intervals: bool
    words: bool


DETAILS = (
    Detail(True, True, True), Detail(False, True, True), Detail(False, True, False), Detail(False, False, False),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """How one model's verdict on one sentence is shown: its number, and the small print beside it and below it.

    `contrast`: the sentence is not about the model.
    """

    verdict: str
    contrast: bool
    number: str
    beside: str
    below: Sequence[str]

    @property
    def height(self) -> float:
        return LINE * bool(self.number) + SMALL_LINE * len(self.below)


@dataclass(frozen=True)
class Row:
    """One sentence, its rule in small print below it, and a cell for each model that it is tested on."""

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


def lines_of(texts: Sequence[str], width: float) -> Iterator[str]:
    """Small print in lines of at most `width` in. A text is cut only if it is longer than a line."""
    line = ""
    for text in filter(None, texts):
        longer = f"{line}  {text}".strip()
        if text_width(longer, SMALL) <= width:
            line = longer
            continue
        if line:
            yield line
        *whole, line = fold_once(text, width, SMALL).splitlines()
        yield from whole
    if line:
        yield line


def read_cell(entry: Mapping[str, Any], width: float, detail: Detail) -> Cell:
    """An entry of claims.json in a column `width` in wide; without a number, small print takes its place."""
    depends = f"{ARROW} {', '.join(entry['depends_on'])}" if entry["depends_on"] else ""
    if width < NARROW:
        return Cell(entry["verdict"], entry["contrast"], depends[:1], "", [])
    depends, room = depends if detail.words else depends[:1], width - MARK - 0.06
    if entry["number"] is None:
        return Cell(entry["verdict"], entry["contrast"], "", "", list(lines_of([NONE, depends], room)))
    number = number_text(entry["number"], 2).replace("-", MINUS)
    below = [interval_text(entry["interval"], 2).replace("-", MINUS)] if detail.intervals else []
    below.append(number_of(entry, detail.words))
    beside, unit = "", unit_of(entry)
    for text in filter(None, (unit, depends)):
        longer = f"{beside}  {text}".strip()
        if text_width(number, TEXT, "bold") + GAP + text_width(longer, SMALL) <= room:
            beside = longer
        else:
            below.insert(0 if text == unit else len(below), text)
    return Cell(entry["verdict"], entry["contrast"], number, beside, list(lines_of(below, room)))


def read_rows(shown: Shown, models: int, detail: Detail) -> list[Row]:
    """The rows of a page with so many models."""
    wide, narrow = column_widths(models)
    numbers, rows = claim_numbers(), []
    for name, entries in by_claim(shown.claims).items():
        claim, more = CLAIMS[name], other_rules(name)
        rule = f"{own_rule(name)}".replace("-", MINUS) + (f" ({count_text(more, 'more rule')})" if more else "")
        rows.append(Row(
            numbers[name], claim.place, fold_once(claim.sentence, wide - NUMBER - BETWEEN, TEXT).splitlines(),
            fold_once(rule, wide - NUMBER - BETWEEN, SMALL).splitlines() if detail.rules else [],
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
