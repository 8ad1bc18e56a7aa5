"""What the claims read of a study's tables: which runs, which columns, and their values by image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lmrep.study.config import Study
from lmrep.study.spec import Run

Array = npt.NDArray[np.float64]


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
        "image", ("ssim", "ssim_earlier", "ssim_grey", "ssim_start", "output_distance_ratio", "high_frequency_error")
    ),
    "rows": Columns("image", ("ssim",), "row"),
    "candidates": Columns("image", ("ssim", "output_distance"), "candidate"),
}


def runs_read(study: Study, table: str) -> list[Run]:
    """The runs whose rows of one of READ the claims look at."""
    runs = [study.runs[name] for name in study.runs_of("evidence")]
    return [run for run in runs if run.matches is READ[table].of_matches]


def read_cells(table: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Cells]:
    """The rows of one of READ, by run and image. Numbered rows of an image stand in order, as its table has them."""
    columns = READ[table]
    found: dict[str, dict[Cell, dict[str, list[float]]]] = {}
    for row in rows:
        cells = found.setdefault(row["run"], {})
        cell = cells.setdefault(Cell(str(row[columns.panel]), row["seed"], row["layer"]), {})
        for column in columns.values:
            cell.setdefault(column, []).append(row[column])
    return {
        run: {cell: {name: np.array(values) for name, values in entry.items()} for cell, entry in cells.items()}
        for run, cells in found.items()
    }
