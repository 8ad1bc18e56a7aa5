"""One run from end to end: probe, targets, start, descent, and the facts that go into its file."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmrep.descent import objectives
from lmrep.descent.checkpoint import Checkpoint
from lmrep.descent.descend import Progress, descend
from lmrep.descent.optimisers import Optimiser
from lmrep.descent.plan import Group, Plan
from lmrep.descent.priors import generator, normal, start_noise
from lmrep.descent.rates import Begin, first_rates
from lmrep.probe.probe import Probe, load_probe
from lmrep.provenance import versions, weight_hashes
from lmrep.study.kinds import FAMILIES, OBJECTIVES, OPTIMISERS, load
from lmrep.study.spec import Run, identity

Arrays = dict[str, npt.NDArray[np.float32]]
# The author's yardstick of a representation: is the output nearer to the photograph's than that of the
# photograph shifted by normal noise of this standard deviation (pixel values)?
SHIFT = 1 / 18
DISTANCES = ("output_distance", "shifted_output_distance")  # of a match


def make_objectives(
    run: Run, plan: Plan, panels: slice, target_outputs: Sequence[Tensor | None]
) -> list[objectives.Objective]:
    """One objective for each layer of a group.

    target_outputs: for each layer, the photographs' outputs [panel, token, width]; None for objectives without.
    """
    kind = OBJECTIVES[run.objective]
    offered = {
        "panels": run.panels[panels], "first_patch": run.probe.stem.first_patch, "constant": run.descent.constant,
        "distance": run.descent.distance, "device": plan.device,
    }  # fmt: skip
    make = load(kind.function)
    return [make(*({**offered, "targets": targets}[name] for name in kind.takes)) for targets in target_outputs]


def distances(probe: Probe, images: Tensor, layers: Sequence[int], target_outputs: Sequence[Tensor]) -> Tensor:
    """L1 distances [layer, panel] of the outputs of images [layer, panel, 3, size, size] to the targets'."""
    outputs = probe.outputs_of_own_layer(images, layers)
    return torch.stack([objectives.distance(o, t) for o, t in zip(outputs, target_outputs, strict=True)])


def shift_noise(run: Run) -> Tensor:
    """The yardstick's noise [panel, 3, size, size] of a match: the same for all seeds of an image."""
    shape = (3, run.probe.stem.size, run.probe.stem.size)
    names = run.panel_names
    return torch.stack([normal(shape, 0.0, SHIFT, generator(run.seed, "shift", name)) for name in names])


def to_state(progress: Progress) -> dict[str, Tensor]:
    """A group's descent under way, as arrays of a state file."""
    arrays = {"images": progress.images, "loss": progress.losses, "earlier": progress.earlier}
    arrays |= {f"optimiser_{name}": tensor for name, tensor in progress.state.items()}
    return {f"group_{name}": tensor for name, tensor in arrays.items()}


def from_state(found: Mapping[str, Tensor], plan: Plan) -> Progress:
    """What `to_state` made arrays of."""
    prefix, group = "group_optimiser_", {name: tensor.to(plan.device) for name, tensor in found.items()}
    state = {name.removeprefix(prefix): tensor for name, tensor in group.items() if name.startswith(prefix)}
    return Progress(group["group_images"], group["group_loss"], state, group["group_earlier"])


@torch.no_grad()
def descend_in_groups(
    run: Run,
    probe: Probe,
    quick: Probe,
    plan: Plan,
    start: Tensor,
    targets: Tensor | None,
    report: Callable[[int, float], None],
    checkpoint: Checkpoint | None,
) -> dict[str, Tensor]:
    """Descends on all layers and panels with `quick`, group by group, and measures the results with `probe`.

    `quick` is the probe in the plan's precision, `probe` the one in float32.
    """
    layers, panels = len(run.layers), len(run.panels)
    size, steps = run.descent.octaves[-1].size, run.descent.steps
    results = {"images": torch.zeros(layers, panels, 3, size, size), "loss": torch.zeros(steps, layers, panels)}
    if targets is not None:
        results |= {name: torch.zeros(layers, panels) for name in DISTANCES}
        results["earlier"] = torch.zeros_like(results["images"])
        shifted = targets + shift_noise(run).to(targets.device)

    def begin(group: Group) -> Begin:
        blocks = list(run.layers[group.layers])
        # In the descent's own precision: rounding then moves both outputs alike.
        outputs = [None] * len(blocks) if targets is None else quick(targets[group.panels], blocks)
        images = start[group.panels].expand(len(blocks), -1, -1, -1, -1)
        return images, blocks, make_objectives(run, plan, group.panels, outputs)

    begun, done = 0, None
    if checkpoint and checkpoint.state:
        begun = (checkpoint.step - 1) // steps
        found = {name: torch.from_numpy(array) for name, array in checkpoint.state.arrays.items()}
        done = from_state(found, plan)
        results = {name: array for name, array in found.items() if not name.startswith("group_")}
    elif run.descent.first_step:
        results["rates"] = first_rates(quick, run, plan, begin)
    rates = results["rates"].to(plan.device) if run.descent.first_step else None
    for index, group in enumerate(plan.groups[begun:], start=begun):
        rows, columns = group.layers, group.panels
        first, blocks, goals = begin(group)

        def note(progress: Progress, index: int = index) -> None:
            step = index * steps + len(progress.losses)
            report(step, progress.losses[-1].mean().item())
            if checkpoint and (checkpoint.is_due() or step == steps * len(plan.groups)):
                state = results | to_state(progress)
                checkpoint.write({name: tensor.cpu().numpy() for name, tensor in state.items()}, step)

        images, losses, earlier = descend(
            quick, first, blocks, goals, run.descent, run.seed, group.tokens, done, note,
            None if rates is None else rates[rows],
        )  # fmt: skip
        done = None
        results["images"][rows, columns], results["loss"][:, rows, columns] = images.cpu(), losses.cpu()
        if targets is not None:
            results["earlier"][rows, columns] = earlier.cpu()
            outputs = probe(targets[columns], blocks)
            results["output_distance"][rows, columns] = distances(probe, images, blocks, outputs).cpu()
            moved = shifted[columns].expand_as(first)
            results["shifted_output_distance"][rows, columns] = distances(probe, moved, blocks, outputs).cpu()
    if targets is not None:
        results["shifted"] = shifted.cpu()
    return results | {"loss": results["loss"].mean(dim=2).T}


def describe(run: Run, files: Mapping[str, Path], plan: Plan) -> dict[str, Any]:
    """The facts of a run's file: what the run is, and what made it.

    `files`: the file or folder of each of `run.weight_files`, by the names of the weights.
    """
    hashes = [weight_hashes(weights.name, files[weights.name]) for weights in run.weight_files]
    return {
        "run": run.name,
        "objective": run.objective,
        "probe": run.probe.name,
        "weights": run.weights,
        "layers": list(run.layers),
        "panels": list(run.panels),
        "size": run.probe.stem.size,
        "grid": run.probe.stem.grid,
        "settings": identity(run),
        "seeds": {"run": run.seed} | ({"panels": list(run.panel_seeds)} if run.panel_seeds else {}),
        "optimiser": run.descent.optimiser,
        "passes": run.descent.steps,
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
    return arrays | ({"earlier", *DISTANCES} if run.matches else set())


def conditions(
    facts: Mapping[str, Any], plan: Plan, targets: npt.NDArray[np.float32] | None, code: str
) -> dict[str, Any]:
    """Everything that a saved state depends on, to the last digit: the facts of `describe`, and the machine."""
    processor = {name: value for name, value in torch.cpu.get_capabilities().items() if not name.startswith("num_")}
    named = {"run": "", "probe": "", "weight_files": sorted(facts["weight_files"].values())}  # names change no number
    return {
        **facts,
        **named,
        "groups": repr(plan.groups),
        "photographs": hashlib.sha256(b"" if targets is None else targets.tobytes()).hexdigest(),
        "threads": torch.get_num_threads(),
        # A run on a GPU does not depend on the processor.
        "processor": None if plan.device.type == "cuda" else [torch.backends.cpu.get_cpu_capability(), processor],
        "code": code,
    }


def say_nothing(steps: int, loss: float) -> None:
    """Reports nothing."""


def perform_with(
    probe: Probe,
    quick: Probe,
    run: Run,
    targets: npt.NDArray[np.float32] | None,
    plan: Plan,
    report: Callable[[int, float], None] = say_nothing,
    checkpoint: Checkpoint | None = None,
) -> Arrays:
    """The arrays of a run, as `files.write_arrays` takes them.

    `probe` and `quick`: the run's probe in float32 and in the plan's precision, with its blocks at least.
    `targets`: for a match the photographs [panel, 3, size, size] in [0, 1], else None.
    `report(steps, loss)`: called now and then with the steps taken so far, over all groups.
    `checkpoint`: the run resumes from its state, if it has one, and writes a new one now and then.
    Arrays: `images` [layer, panel, 3, height, width], `initial` [layer, panel, 3, first size, the same], `loss`
    [layer, step] (mean over panels, before the step, or the best so far); for a match also `targets`, `shifted` [panel,
    3, height, width], the photographs with noise of SHIFT, `earlier`, the images after three quarters of the steps, and
    `output_distance` and `shifted_output_distance` [layer, panel] (L1, of the result and of `shifted`); for a descent
    with `first_step` also `rates` [layer], which the octaves' rates are in parts of.
    Raises FloatingPointError if a loss or an image is not finite, or if `first_step` finds a gradient of zero.
    """
    size = run.descent.octaves[0].size
    draws = zip(run.start_seeds, run.panel_names, strict=True)
    start = torch.stack([start_noise(run.descent.start, size, seed, name) for seed, name in draws])
    photographs = None if targets is None else torch.from_numpy(targets).to(plan.device)
    results = descend_in_groups(run, probe, quick, plan, start.to(plan.device), photographs, report, checkpoint)
    arrays = {name: tensor.numpy() for name, tensor in results.items()}
    arrays["initial"] = start.expand(len(run.layers), -1, -1, -1, -1).numpy()
    return arrays if targets is None else arrays | {"targets": targets}


def perform(
    run: Run,
    files: Mapping[str, Path],
    targets: npt.NDArray[np.float32] | None,
    plan: Plan,
    report: Callable[[int, float], None] = say_nothing,
    checkpoint: Checkpoint | None = None,
) -> Arrays:
    """The arrays of a run, from its weight files: see `perform_with`.

    `files`: the file or folder of each of `run.weight_files`, by the names of the weights.
    Raises InputError if one of them is not as the config says.
    """
    stem = files[run.probe.stem.weights.name] if run.probe.stem.weights else None
    stack, trained = files.get(run.probe.stack.name), run.weights == "trained"
    probe = load_probe(run.probe, stem, stack, max(run.layers), plan.device, run.seed, trained)
    quick = probe.in_precision(plan.precision)
    if plan.precision == torch.float32:
        probe = quick  # saves one copy of the weights
    return perform_with(probe, quick, run, targets, plan, report, checkpoint)
