"""One run from end to end: probe, targets, start, descent, and the facts that go into its file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.checkpoint import UNWATCHED, Watch
from lmrep.descent.groups import descend_in_groups
from lmrep.descent.match import DISTANCE_ARRAYS
from lmrep.descent.optimisers import Optimiser
from lmrep.descent.plan import Plan
from lmrep.descent.priors import baseline, start_noise
from lmrep.probe.probe import Probe, load_probe
from lmrep.provenance import versions, weight_hashes
from lmrep.study.facts import run_facts
from lmrep.study.kinds import FAMILIES, OPTIMISERS, load
from lmrep.study.spec import Run, identity

Arrays = dict[str, npt.NDArray[np.float32]]


def describe(run: Run, files: Mapping[str, Path], plan: Plan) -> dict[str, Any]:
    """The facts of a run's file: what the run is, and what made it.

    `files`: the file or folder of each of `run.weight_files`, by the names of the weights.
    """
    hashes = [weight_hashes(weights.name, files[weights.name]) for weights in run.weight_files]
    return run_facts(run) | {
        "probe": run.probe.name,
        "settings": identity(run),
        "versions": versions(FAMILIES[run.probe.stack.family].libraries),
        "device": torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else "cpu",
        "precision": str(plan.precision).removeprefix("torch."),
        "weight_files": {name: digest for each in hashes for name, digest in each.items()},
    }


def state_arrays(run: Run) -> set[str]:
    """The names of the arrays in a run's state."""
    optimiser: type[Optimiser] = load(OPTIMISERS[run.descent.optimiser].function)  # type: ignore[assignment]  # a class
    arrays = {"images", "loss", "group_images", "group_loss", "group_earlier"}
    arrays |= {f"group_optimiser_{name}" for name in optimiser.arrays}
    arrays |= {"rates"} if run.descent.first_step else set()
    return arrays | ({"earlier", *DISTANCE_ARRAYS} if run.matches else set())


def conditions(
    run: Run, facts: Mapping[str, Any], plan: Plan, targets: npt.NDArray[np.float32] | None, code: str
) -> dict[str, Any]:
    """Everything that the last digits of a saved state depend on: the facts of `describe`, and the machine."""
    content = {
        role: [digest for name, digest in facts["weight_files"].items() if name.partition("/")[0] == weights.name]
        for role, weights in run.weight_roles.items()
    }
    processor = {name: value for name, value in torch.cpu.get_capabilities().items() if not name.startswith("num_")}
    named = {"run": "", "probe": "", "weight_files": content}  # names change no number
    return {
        **facts,
        **named,
        "groups": repr(plan.groups),
        "photographs": hashlib.sha256(b"" if targets is None else targets.tobytes()).hexdigest(),
        "threads": torch.get_num_threads(),
        # Also of a run on a GPU: start noise, bases and fresh blocks are made on the processor.
        "processor": [torch.backends.cpu.get_cpu_capability(), processor],
        "code": code,
    }


def perform_with(
    probe: Probe,
    quick: Probe,
    run: Run,
    targets: npt.NDArray[np.float32] | None,
    plan: Plan,
    watch: Watch = UNWATCHED,
) -> Arrays:
    """The arrays of a run, as `files.write_arrays` takes them.

    `probe` and `quick`: the run's probe in float32 and in the plan's precision, with at least its blocks.
    `targets`: for a match the photographs [panel, 3, size, size] in [0, 1], else None.
    Arrays: `images` [layer, panel, 3, height, width], `initial` [layer, panel, 3, first size, the same], `baseline`
    [panel, 3, height, width] (see `priors.baseline`), `loss` [layer, step] (mean over panels, before the step, or the
    best so far); for a match also `targets`, `shifted` [panel, 3, height, width], the photographs with noise of SHIFT,
    `earlier`, the images after three quarters of the steps, and `output_distance` and `shifted_output_distance` [layer,
    panel] (L1, of the result and of `shifted`); for a descent with `first_step` also `rates` [layer]: the octaves'
    rates are multiples of these.
    Raises FloatingPointError if a loss or an image is not finite, or if `first_step` finds a gradient of zero.
    """
    keep_freed_memory()  # only now, so that memory freed while loading the weights goes back to the system
    size = run.descent.octaves[0].size
    draws = zip(run.start_seeds, run.panel_names, strict=True)
    start = torch.stack([start_noise(run.descent.start, size, seed, name) for seed, name in draws])
    photographs = None if targets is None else torch.from_numpy(targets).to(plan.device)
    there = start.to(plan.device)
    results = descend_in_groups(run, probe, quick, plan, there, photographs, watch)
    results["baseline"] = baseline(there, run.descent.octaves, run.probe.stem.size, run.seed).cpu()
    arrays = {name: tensor.numpy() for name, tensor in results.items()}
    arrays["initial"] = start.expand(len(run.layers), -1, -1, -1, -1).numpy()
    return arrays if targets is None else arrays | {"targets": targets}


def perform(
    run: Run,
    files: Mapping[str, Path],
    targets: npt.NDArray[np.float32] | None,
    plan: Plan,
    watch: Watch = UNWATCHED,
) -> Arrays:
    """The arrays of a run, from its weight files: see `perform_with`.

    `files`: the file or folder of each of `run.weight_files`, by the names of the weights.
    Raises InputError if one of them is not as the config says.
    """
    probe = load_probe(run.probe, files, max(run.layers), plan.device, run.seed, run.weights == "trained")
    one = plan.precision == torch.float32  # the descent's probe also measures: two would be alike
    quick = probe.in_precision(plan.precision, keep=not one)
    probe = quick if one else probe
    return perform_with(probe, quick, run, targets, plan, watch)
