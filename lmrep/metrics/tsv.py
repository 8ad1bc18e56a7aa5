"""Tab-separated files of rows: what a table has in it, written and read back whole."""

import csv
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmrep.errors import InputError, one_line
from lmrep.files import ArrayFile, replacing
from lmrep.study.spec import Run

Row = dict[str, Any]
Key = tuple[Any, ...]
YES_NO = {"yes": True, "no": False}  # how a table writes a bool
NAMED = 3  # rows that a message names


@dataclass(frozen=True)
class Table:
    """A kind of table: its columns, what makes the rows of a run, and which rows those are."""

    columns: Mapping[str, type]  # str, int, float or bool, in order
    rows: Callable[[ArrayFile], Iterator[Row]]  # of a run file
    keys: tuple[str, ...]  # the columns that tell the rows of a run apart
    wanted: Callable[[Run], Iterable[Key]]  # the keys of every row of a run
    unbounded: Collection[str] = ()  # the columns that may be infinite


def write_table(path: Path, table: Table, rows: Iterable[Row]) -> None:
    """Writes a tab-separated table.

    Floats have 9 digits, enough to give back a float32 exactly. Bools are yes or no.
    """
    with replacing(path) as part, open(part, "w", newline="") as file:
        lines = csv.writer(file, delimiter="\t", lineterminator="\n")
        lines.writerow(table.columns)
        for row in rows:
            lines.writerow(_text(row[column]) for column in table.columns)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def read_table(path: Path, table: Table) -> list[Row]:
    """The rows of a table, with values of the types in its columns.

    Raises InputError for a file that is no table of this kind: missing, of other columns, or with a value that is not
    of its column's type. NaN is not a number here. Infinity is one only in an unbounded column.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = csv.reader(file, delimiter="\t", strict=True)
            names = next(lines, [])
            if names != list(table.columns):
                raise InputError(f"{path}: columns are {names}, expected {list(table.columns)}")
            rows = [(lines.line_num, values) for values in lines]
    except OSError as error:
        raise InputError(f"{path}: expected a readable table ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a table of tab-separated text ({one_line(error)})") from None
    return _rows(path, table, rows)


def _rows(path: Path, table: Table, rows: Sequence[tuple[int, list[str]]]) -> list[Row]:
    """The rows of a table, from those of its file with the numbers of their lines."""
    for line, values in rows:
        if len(values) != len(table.columns):
            raise InputError(f"{path}: line {line}: has {len(values)} values, expected {len(table.columns)}")
    columns = []
    for place, (column, kind) in enumerate(table.columns.items()):
        texts = [values[place] for _, values in rows]
        found = {text: _value(text, kind, column in table.unbounded) for text in set(texts)}  # most are in many rows
        columns.append([found[text] for text in texts])
        if None in found.values():
            at = columns[-1].index(None)
            expected = {bool: "yes or no", int: "a whole number", str: "a text"}.get(kind, "a number")
            raise InputError(f"{path}: line {rows[at][0]}: {column} is {texts[at]!r}, expected {expected}")
    return [dict(zip(table.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _value(text: str, kind: type, unbounded: bool) -> Any:
    """The value that a text of a column stands for, or None."""
    try:
        value = YES_NO[text] if kind is bool else kind(text)
    except (KeyError, ValueError):
        return None
    return value if (_is_number(value, unbounded) if kind is float else text and _text(value) == text) else None


def _is_number(value: float, unbounded: bool) -> bool:
    return math.isfinite(value) or (value == math.inf and unbounded)


def check_rows(path: Path, table: Table, rows: Iterable[Row], runs: Sequence[Run]) -> None:
    """Raises InputError, naming the rows, if those of `runs` lack one, have one too many or have one twice."""
    counts = Counter(tuple(map(row.__getitem__, table.keys)) for row in rows)
    wanted = [key for run in runs for key in table.wanted(run)]
    owner = f"runs.{runs[0].name}" if len(runs) == 1 else "the study"
    refuse_rows(path, "has no row of", table.keys, [key for key in wanted if key not in counts])
    refuse_rows(path, f"has rows that are not in {owner}:", table.keys, sorted({*counts} - {*wanted}))
    refuse_rows(path, "has two rows of", table.keys, [key for key, count in counts.items() if count > 1])


def refuse_rows(path: Path, problem: str, keys: Sequence[str], rows: Collection[Key]) -> None:
    """Raises InputError that names some of `rows`, if there are any."""
    if rows:
        named = [", ".join(f"{key} {value}" for key, value in zip(keys, row, strict=True)) for row in rows]
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        raise InputError(f"{path}: {problem} {'; '.join(named[:NAMED])}{more}")
