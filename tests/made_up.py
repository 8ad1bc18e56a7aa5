"""A made-up study of three models, and made-up tables for it, in which every sentence of the article holds or not."""

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import yaml
from conftest import ROOT

from lmrep.metrics.claims.cells import Cell
from lmrep.metrics.claims.samples import SEARCHES, View, is_jittered
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import decide
from lmrep.metrics.claims.ways import searches
from lmrep.study.config import Study, make_study
from lmrep.study.kinds import OBJECTIVES
from lmrep.study.spec import Probe, Run

PATCHES, GRID, COUNT = 121, 11, 20
SEEDS, IMAGES = [0, 1, 2], ["chelsea", "coffee", "moon"]
Array = np.ndarray
Make = Callable[[Run, str, int, int], Any]  # of a run, panel, seed and block


def make_config() -> dict[str, Any]:
    """The miniature's models and descents, with few runs of three seeds each."""
    config = yaml.safe_load((ROOT / "miniature.yaml").read_text())
    config["images"] = {name: {"skimage": name, "fit": "crop"} for name in IMAGES}
    probes = {name: config["probes"][name] for name in ("gpt2", "vit_base", "vit_large", "gpt2_unmasked", "gpt2_bos")}
    probes["gpt2_dct"] = {"label": "DCT", "stem": {"basis": "dct", "patch": 6, "size": 66}, "stack": "gpt2_mini"}
    config["probes"], config["runs"] = probes, {}

    def add(name: str, objective: str, probe: str, descent: str, weights: str = "trained") -> None:
        panels: dict[str, Any] = {"neuron": {"neurons": 4}, "patch": {"patches": 9}, "match": {"images": IMAGES}}
        run = {"objective": objective, "probe": probe, "weights": weights, "layers": [1, 2, 4, 6], "descent": descent}
        config["runs"][name] = run | panels[objective] | {"seeds": SEEDS}

    for model in ("gpt2", "vit_base", "vit_large"):
        for descent in ("plain", "jittered"):
            add(f"{model}_{descent}", "neuron", model, descent)
        add(f"{model}_patches", "patch", model, "plain")
        for descent in ("match", "inverted"):
            add(f"{model}_{descent}", "match", model, descent)
        add(f"{model}_fresh", "match", model, "inverted", "untrained")
    add("gpt2_plain_fresh", "neuron", "gpt2", "plain", "untrained")
    spare = [name for name in probes if name.startswith("gpt2_")]
    for probe in spare:
        add(f"{probe}_plain", "neuron", probe, "plain")
        add(f"{probe}_patches", "patch", probe, "plain")
        add(f"{probe}_inverted", "match", probe, "inverted")
    names = list(config["runs"])
    shown = [name for name in names if config["runs"][name]["probe"] not in spare]
    config["figures"] = {
        "changes": {"kind": "importance", "title": "x", "runs": shown},
        "other": {"kind": "importance", "title": "x", "runs": names, "target": "evidence"},
    }
    used = {config["runs"][name]["descent"] for name in names}
    config["descents"] = {name: descent for name, descent in config["descents"].items() if name in used}
    return config


STUDY = make_study(make_config())


def jolt(*key: object) -> np.random.Generator:
    """Draws that depend on the key alone."""
    return np.random.default_rng(crc32(repr(key).encode()))


def near(values: Any, run: Run, panel: str, seed: int, block: int, spread: float = 0.03) -> Array:
    """Values times 1 within a few percent, alike in every call."""
    values = np.asarray(values, float)
    return values * (1 + spread * jolt(run.name, panel, seed, block).standard_normal(values.shape))


def change(run: Run, panel: str, seed: int, block: int) -> Array:
    """As the article has it: what changes lies before the rest, more so early, in a causal stack."""
    places = np.linspace(0, 1, PATCHES)
    if OBJECTIVES[run.objective].panels == "neurons":
        rate = (9.0 - block) * (0.6 if is_jittered(run) else 1) * run.probe.masked
        return near(np.exp(-rate * places), run, panel, seed, block)
    found = np.full(PATCHES, (0.04 if run.probe.masked else 0.01) * block)
    if run.probe.masked:
        found[int(panel) + 1 :] = 0
    found[int(panel)] = 1.0
    return near(found, run, panel, seed, block)


def accuracy(run: Run, panel: str, seed: int, block: int) -> dict[str, float]:
    best = 0.95 if run.weights == "untrained" else 0.7 if run.probe.masked else 0.9
    ssim = float(near(best - 0.04 * block, run, panel, seed, block, 0.005))
    found = {"ssim": ssim, "ssim_earlier": ssim, "ssim_grey": 0.2, "ssim_start": 0.1}
    return found | {"output_distance_ratio": 0.3, "high_frequency_error": 0.8}


def rows(run: Run, panel: str, seed: int, block: int) -> Array:
    found = np.full(GRID, 0.8)
    found[:3] -= 0.3 * run.probe.masked
    return near(found, run, panel, seed, block)


def candidates(run: Run, panel: str, seed: int, block: int) -> dict[str, Array]:
    draws = jolt(run.name, panel, seed, block)
    start, ssim, distance = draws.uniform(0, 0.3, COUNT), draws.uniform(0, 0.3, COUNT), draws.uniform(5, 9, COUNT)
    start[0], ssim[0], distance[0] = 0.1, 0.6, 1.0
    return {"ssim": ssim, "ssim_start": start, "output_distance": distance}


def correlated(found: Mapping[str, Any]) -> dict[str, Any]:
    """Correlations whose squares are SSIM, where a test does not say others."""
    like = {"correlation": "ssim", "correlation_earlier": "ssim_earlier"}
    missing = {name: other for name, other in like.items() if other in found and name not in found}
    return {**found} | {name: np.sqrt(np.maximum(found[other], 0)) for name, other in missing.items()}


def make_cells(
    study: Study = STUDY, change: Make = change, accuracy: Make = accuracy, rows: Make = rows,
    candidates: Make = candidates,
) -> dict[str, dict[str, dict[Cell, Mapping[str, Array]]]]:  # fmt: skip
    """What `cells.read_cells` would give for each table of a study."""
    found: dict[str, Any] = {name: {} for name in ("patches", "accuracy", "rows", "candidates")}
    for run in study.runs.values():
        panels = list(zip(map(str, run.panels), run.start_seeds, strict=True))
        keys = [(panel, seed, block) for panel, seed in panels for block in run.layers]
        tables: dict[str, Callable[..., Mapping[str, Array]]] = {}
        if not run.matches:
            tables["patches"] = lambda *key: {"change": np.asarray(change(*key), float)}
        else:
            tables["accuracy"] = lambda *key: {
                name: np.array([value]) for name, value in correlated(accuracy(*key)).items()
            }
            tables["rows"] = lambda *key: {"ssim": np.asarray(rows(*key), float)}
            tables["candidates"] = lambda *key: correlated(candidates(*key))
        for table, make in tables.items():
            found[table][run.name] = {Cell(*key): make(run, *key) for key in keys}
    return found


def view_of(cells: Any, probe: str = "gpt2", study: Study = STUDY, **changes: Any) -> View:
    """The main way to ask a model."""
    found: Probe = study.probes[probe]
    search = next(iter(searches(study, found)), SEARCHES[0])
    return View(**{"study": study, "cells": cells, "probe": found, "search": search, **changes})


def verdict(name: str, view: View) -> str:
    claim = CLAIMS[name]
    return decide(claim.rules, list(claim.parts(view)), view.depth)
