"""What the claims read of a study's tables: which runs, which columns, and their values by image."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lmrep.metrics.claims.statistics import Array
from lmrep.study.config import Study
from lmrep.study.spec import Run


class Cell(NamedTuple):
    """One optimised image of a run."""

    panel: str
    seed: int
    block: int


Cells = Mapping[Cell, Mapping[str, Array]]  # columns of a table; one value, or one for each patch, row or candidate


@dataclass(frozen=True)
class Columns:
    """What claims read of a table: the column that names the panel, those with values, and what numbers the rows."""

    panel: str
    values: tuple[str, ...]
    number: str = ""
    of_matches: bool = True  # of the runs that match photographs, or of the others


READ = {
    "patches": Columns("panel", ("change",), "patch", of_matches=False),
    "accuracy": Columns(
        "image",
        ("ssim", "ssim_earlier", "ssim_grey", "ssim_start", "correlation", "correlation_earlier",
         "output_distance_ratio", "high_frequency_error"),
    ),
    "rows": Columns("image", ("ssim",), "row"),
    "candidates": Columns("image", ("ssim", "ssim_start", "correlation", "output_distance"), "candidate"),
}  # fmt: skip


def runs_read(study: Study, table: str) -> list[Run]:
    """The runs whose rows of one of READ the claims look at."""
    runs = [study.runs[name] for name in study.runs_of("evidence")]
    return [run for run in runs if run.matches is READ[table].of_matches]


def read_cells(table: str, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Cells]:
    """The rows of one of READ, by run and image. Numbered rows of an image stand in order, as its table has them."""
    columns = READ[table]
    images: defaultdict[tuple[str, Cell], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        images[row["run"], Cell(str(row[columns.panel]), row["seed"], row["layer"])].append(row)
    found: defaultdict[str, dict[Cell, dict[str, Array]]] = defaultdict(dict)
    for (run, cell), own in images.items():
        found[run][cell] = {name: np.array([row[name] for row in own]) for name in columns.values}
    return found
