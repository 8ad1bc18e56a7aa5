"""The tables of a study: a row for each measured image or patch, as tab-separated files."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmrep.errors import InputError
from lmrep.files import ArrayFile
from lmrep.metrics.measures import patch_changes
from lmrep.study.kinds import METRICS, load

Row = dict[str, Any]
ACCURACY: dict[str, type] = {"run": str, "probe": str, "weights": str, "seed": int, "image": str, "layer": int}
TABLES: dict[str, dict[str, type]] = {
    "accuracy": ACCURACY | dict.fromkeys(METRICS, float),
    "patches": {"run": str, "layer": int, "panel": str, "patch": int, "change": float},
}


def accuracy(run: ArrayFile) -> Iterator[Row]:
    """The rows of accuracy.tsv for a run file, by image and layer: every metric of `kinds.METRICS`.

    None for a run without targets: nothing says what its images should be.
    """
    if "targets" not in run.arrays:
        return
    metrics = {name: (load(metric.function), metric.takes) for name, metric in METRICS.items()}
    for panel, image in enumerate(run.facts["panels"]):
        for place, layer in enumerate(run.facts["layers"]):
            offered = {
                "image": run["images"][place, panel], "target": run["targets"][panel],
                "output_distance": run["output_distance"][place, panel],
                "shifted_output_distance": run["shifted_output_distance"][place, panel],
            }  # fmt: skip
            row = {key: run.facts[key] for key in ("run", "probe", "weights")}
            row |= {"seed": run.facts["seeds"]["run"], "image": image, "layer": layer}
            yield row | {name: metric(*(offered[key] for key in takes)) for name, (metric, takes) in metrics.items()}


def patches(run: ArrayFile) -> Iterator[Row]:
    """The rows of patches.tsv for any run file, by layer, panel and patch."""
    for place, layer in enumerate(run.facts["layers"]):
        for index, panel in enumerate(run.facts["panels"]):
            changes = patch_changes(run["images"][place, index], run["initial"][place, index], run.facts["grid"])
            for patch, change in enumerate(changes):
                row = {"run": run.facts["run"], "layer": layer, "panel": panel, "patch": patch}
                yield row | {"change": float(change)}


def write_table(path: Path, columns: Mapping[str, type], rows: Iterable[Row]) -> None:
    """Writes a tab-separated table. Floats have 9 digits, enough to give back a float32 exactly."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(columns)
        for row in rows:
            values = (row[column] for column in columns)
            table.writerow(f"{value:.9g}" if isinstance(value, float) else value for value in values)


def read_table(path: Path, columns: Mapping[str, type]) -> list[Row]:
    """The rows of a table, with values of the types in `columns`. Raises InputError for other columns."""
    with open(path, newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        if table.fieldnames != list(columns):
            raise InputError(f"{path}: columns are {table.fieldnames}, expected {list(columns)}")
        return [{column: kind(row[column]) for column, kind in columns.items()} for row in table]
