"""The tables of a study: a row for each measured image, row of patches or patch, as tab-separated files."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmrep.errors import InputError
from lmrep.files import ArrayFile
from lmrep.metrics.measures import converged, patch_changes, ssim_by_row
from lmrep.study.kinds import METRICS, load

Row = dict[str, Any]
YES_NO = {"yes": True, "no": False}  # how a table writes a bool


@dataclass(frozen=True)
class Table:
    """A kind of table: the types of its columns (str, int, float or bool), in order, and what makes a run's rows."""

    columns: Mapping[str, type]
    rows: Callable[[ArrayFile], Iterator[Row]]


def accuracy(run: ArrayFile) -> Iterator[Row]:
    """The rows of accuracy.tsv for a run file, by panel and layer: every metric of `kinds.METRICS`.

    None for a run without targets: nothing says what its images should be. Raises InputError for a run file of an
    older version.
    """
    metrics = {name: (load(metric.function), metric.takes) for name, metric in METRICS.items()}
    for panel, seed, image in _photographs(run):
        for place, layer in enumerate(run.facts["layers"]):
            offered = {
                "image": run["images"][place, panel], "earlier": run["earlier"][place, panel],
                "initial": run["initial"][place, panel],
                "target": run["targets"][panel], "shifted": run["shifted"][panel],
                "output_distance": run["output_distance"][place, panel],
                "shifted_output_distance": run["shifted_output_distance"][place, panel],
            }  # fmt: skip
            row = {key: run.facts[key] for key in ("run", "probe", "weights", "optimiser", "passes")}
            row |= {"seed": seed, "image": image, "layer": layer}
            row |= {name: metric(*(offered[key] for key in takes)) for name, (metric, takes) in metrics.items()}
            yield row | {"converged": converged(row["ssim"], row["ssim_earlier"], row["output_distance_ratio"])}


def patch_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of rows.tsv for a run file, by panel, layer and row of patches (0 is the top); none without targets."""
    for panel, seed, image in _photographs(run):
        for place, layer in enumerate(run.facts["layers"]):
            means = ssim_by_row(run["images"][place, panel], run["targets"][panel], run.facts["grid"])
            for number, mean in enumerate(means):
                row = {"run": run.facts["run"], "seed": seed, "image": image, "layer": layer}
                yield row | {"row": number, "ssim": float(mean)}


def patches(run: ArrayFile) -> Iterator[Row]:
    """The rows of patches.tsv for any run file, by layer, panel and patch."""
    seeds = panel_seeds(run)
    for place, layer in enumerate(run.facts["layers"]):
        for index, panel in enumerate(run.facts["panels"]):
            changes = patch_changes(run["images"][place, index], run["initial"][place, index], run.facts["grid"])
            for patch, change in enumerate(changes):
                row = {"run": run.facts["run"], "layer": layer, "panel": panel, "patch": patch}
                yield row | {"change": float(change), "seed": seeds[index]}


def _photographs(run: ArrayFile) -> Iterator[tuple[int, int, str]]:
    """The panels of a run that has targets, each as its index, the seed of its start and the name of its photograph."""
    if "targets" not in run.arrays:
        return
    missing = sorted({"earlier", "shifted"} - set(run.arrays))
    if missing:
        raise InputError(
            f"runs.{run.facts['run']}: its run file is of an older version and has no {', '.join(missing)}; "
            "expected both: delete the file and build it again"
        )
    panels = run.facts["panels"]
    yield from zip(range(len(panels)), panel_seeds(run), panels, strict=True)


def panel_seeds(run: ArrayFile) -> list[int]:
    """The seed of each panel's start."""
    seeds = run.facts["seeds"]
    return list(seeds.get("panels") or [seeds["run"]] * len(run.facts["panels"]))


TABLES = {
    "accuracy": Table(
        {"run": str, "probe": str, "weights": str, "seed": int, "image": str, "layer": int, "optimiser": str,
         "passes": int, "converged": bool} | dict.fromkeys(METRICS, float),
        accuracy,
    ),
    "rows": Table({"run": str, "seed": int, "image": str, "layer": int, "row": int, "ssim": float}, patch_rows),
    "patches": Table(
        {"run": str, "layer": int, "panel": str, "patch": int, "change": float, "seed": int}, patches
    ),
}  # fmt: skip


def write_table(path: Path, table: Table, rows: Iterable[Row]) -> None:
    """Writes a tab-separated table.

    Floats have 9 digits, enough to give back a float32 exactly. Bools are yes or no.
    """
    with open(path, "w", newline="") as file:
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

    Raises InputError for other columns, and for a value that is not of its column's type. NaN is not a number here;
    infinity is, since equal images have an infinite PSNR.
    """
    with open(path, newline="") as file:
        lines = csv.DictReader(file, delimiter="\t")
        if lines.fieldnames != list(table.columns):
            raise InputError(f"{path}: columns are {lines.fieldnames}, expected {list(table.columns)}")
        found = []
        for line in lines:
            try:
                found.append({column: _value(line[column], kind, column) for column, kind in table.columns.items()})
            except ValueError as error:
                raise InputError(f"{path}: line {lines.line_num}: {error}") from None
        return found


def _value(text: str | None, kind: type, column: str) -> Any:
    try:
        value = YES_NO[text or ""] if kind is bool else kind(text or "")
    except (KeyError, ValueError):
        value = math.nan
    if text is None or value != value:  # only NaN differs from itself
        expected = {bool: "yes or no", int: "a whole number", str: "a text"}.get(kind, "a number")
        raise ValueError(f"{column} is {text!r}, expected {expected}")
    return value
