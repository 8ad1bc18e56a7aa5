"""What the files of a run say of it: written with its arrays, and held against the study when they are read."""

from collections.abc import Iterable
from typing import Any

from lmrep.study.kinds import OBJECTIVES
from lmrep.study.spec import Probe, Run

Facts = dict[str, Any]  # as JSON has them


def run_facts(run: Run) -> Facts:
    """What a run file says of its run. The probe's name is left out: no number depends on it."""
    return {
        "run": run.name,
        "objective": run.objective,
        "weights": run.weights,
        "layers": list(run.layers),
        "panels": list(run.panels),
        "size": run.probe.stem.size,
        "grid": run.probe.stem.grid,
        "seeds": {"run": run.seed} | ({"panels": list(run.panel_seeds)} if run.panel_seeds else {}),
        "optimiser": run.descent.optimiser,
        "passes": run.descent.steps,
    }


def trace_facts(probe: Probe, layers: Iterable[int]) -> Facts:
    """What a trace says of its probe.

    `layers`; `size` and `patch` (px); `grid` (patches in a row); `first_token`, what comes before patch 0: class, bos
    or none; `basis`, whether the stem is a basis, without weights; `depth` and `causal` of the stack.
    """
    return {
        "layers": list(layers),
        "size": probe.stem.size,
        "patch": probe.stem.patch,
        "grid": probe.stem.grid,
        "first_token": probe.stem.first_token,
        "basis": probe.stem.weights is None,
        "depth": probe.stack.depth,
        "causal": probe.masked,
    }


def maximised(runs: Iterable[Run]) -> Facts:
    """The neurons and the patches that runs maximise."""
    found: dict[str, list[Any]] = {"neurons": [], "patches": []}
    for run in runs:
        found.get(OBJECTIVES[run.objective].panels, []).extend(run.panels)
    return found
