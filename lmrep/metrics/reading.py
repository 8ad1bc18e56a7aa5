"""Reads run files, tables and traces, and refuses any that were edited, cut short, or belong to another run.

A figure drawn from half a table looks like any other, so nothing is measured or drawn before it is whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from lmrep.errors import InputError, one_line
from lmrep.files import ArrayFile, Shape, check_arrays, read_arrays
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import Row, check_rows, read_table
from lmrep.study.facts import maximised, run_facts, trace_facts
from lmrep.study.spec import Run

PICTURES: Shape = ("layers", "panels", 3, "side", "side")
PANELS: Shape = ("panels", 3, "side", "side")
ARRAYS: dict[str, Shape] = {
    "images": PICTURES, "initial": ("layers", "panels", 3, "first side", "first side"), "baseline": PANELS,
    "loss": ("layers", "passes"),
}  # fmt: skip
OF_MATCH: dict[str, Shape] = {
    "targets": PANELS, "shifted": PANELS, "earlier": PICTURES,
    "output_distance": ("layers", "panels"), "shifted_output_distance": ("layers", "panels"),
}  # fmt: skip
TRACE: dict[str, Shape] = {
    "image": (3, "size", "size"), "tokens": ("tokens", "width"), "activations": ("layers", "tokens", "width"),
}  # fmt: skip
KERNELS: dict[str, Shape] = {"kernels": ("width", 3, "patch", "patch")}  # of a trace, if the stem has filters


@contextmanager
def made_again(path: Path) -> Iterator[None]:
    """Adds to an InputError of a file that a build has made how to make it again."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}; delete {path} and build again") from None


def check_facts(file: ArrayFile, expected: dict[str, Any], of: str) -> None:
    unlike = [name for name, value in expected.items() if file.facts.get(name) != value]
    if unlike:
        found = ", ".join(f"{name} {file.facts.get(name)!r:.60}" for name in unlike)
        raise InputError(f"{file.path}: has {found}, which is not what {of} says")


def read_run(path: Path, run: Run) -> ArrayFile:
    """The run file of `run`, a run of the study or some of its layers.

    Raises InputError for a file that is not readable, of another run, or without one of its arrays, finite and in its
    shape. The name of the probe may be another: no number depends on it.
    """
    descent = run.descent
    sizes = {
        "layers": len(run.layers), "panels": len(run.panels), "passes": descent.steps,
        "side": descent.octaves[-1].size, "first side": descent.octaves[0].size,
    }  # fmt: skip
    shapes = ARRAYS | (OF_MATCH if run.matches else {}) | ({"rates": ("layers",)} if descent.first_step else {})
    with made_again(path):
        file = read_arrays(path)
        check_facts(file, run_facts(run), f"runs.{run.name}")
        check_arrays(file, shapes, sizes)
    return file


def read_trace(path: Path, runs: Sequence[Run]) -> ArrayFile:
    """The trace of a figure of `runs`, which are all of one probe. Raises InputError as `read_run` does."""
    spec, layers = runs[0].probe, list(runs[0].layers)
    facts = trace_facts(spec, layers) | maximised(runs)
    sizes = {
        "size": spec.stem.size, "patch": spec.stem.patch, "layers": len(layers), "tokens": spec.stem.tokens,
        "width": spec.stack.width,
    }  # fmt: skip
    with made_again(path):
        file = read_arrays(path)
        check_facts(file, facts, f"runs.{runs[0].name}")
        check_arrays(file, TRACE | (KERNELS if "kernels" in file.arrays else {}), sizes)
    return file


def read_inputs(found: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, Any]:
    """All that a figure of `runs` reads, as `lmrep.figures.shown.Shown` holds it: `runs`, `tables`, `trace`, `claims`.

    `found`: "runs" and names of TABLES -> paths, one a run; "trace", "claims" -> a path. A figure has some of them.
    """
    paths = {kind: list(map(Path, found.get(kind) or [])) for kind in ("runs", *TABLES)}
    each = {kind: list(zip(files, runs, strict=True)) if files else [] for kind, files in paths.items()}
    rows = {name: [read_run_table(path, name, run) for path, run in each[name]] for name in TABLES}
    return {
        "runs": {run.name: read_run(path, run) for path, run in each["runs"]},
        "tables": {name: list(chain.from_iterable(parts)) for name, parts in rows.items()},
        "trace": read_trace(Path(found["trace"]), runs) if found.get("trace") else None,
        "claims": read_claims(Path(found["claims"])) if found.get("claims") else (),
    }


OF_CLAIM = {
    "claim", "sentence", "place", "study", "model", "contrast", "against", "statistic", "rule", "values", "intervals",
    "number", "interval", "block", "panels", "seeds", "decided_by", "parts", "run", "verdict", "reason", "depends_on",
    "others", "other_numbers", "firmness", "figure",
}  # fmt: skip


def read_claims(path: Path) -> list[dict[str, Any]]:
    """The entries of a claims.json. Raises InputError for any other file."""
    with made_again(path):
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected claims as JSON ({one_line(error)})") from None
        if not isinstance(entries, list) or not all(isinstance(e, dict) and e.keys() >= OF_CLAIM for e in entries):
            raise InputError(f"{path}: expected a list of claims, as this version writes them")
    return entries


def read_run_table(path: Path, table: str, run: Run) -> list[Row]:
    """The rows of one of TABLES for `run`.

    Raises InputError, naming the rows, if the table has a row of another run, a row twice, or lacks one.
    """
    with made_again(path):
        rows = read_table(path, TABLES[table])
        own = {
            "run": run.name, "probe": run.probe.name, "weights": run.weights, "optimiser": run.descent.optimiser,
            "passes": run.descent.steps,
        }  # fmt: skip
        for name in (name for name in own if name in TABLES[table].columns):
            unlike = [line for line, row in enumerate(rows, start=2) if row[name] != own[name]]
            if unlike:
                found = rows[unlike[0] - 2][name]
                raise InputError(f"{path}: line {unlike[0]}: {name} is {found!r}, expected {own[name]!r}")
        check_rows(path, TABLES[table], rows, [run])
    return rows
