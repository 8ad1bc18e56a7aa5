"""One run from end to end: probe, targets, start, descent, and the facts that go into its file."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmrep.descent import objectives
from lmrep.descent.checkpoint import Checkpoint
from lmrep.descent.descend import descend
from lmrep.descent.plan import Plan
from lmrep.descent.priors import generator, normal, start_noise
from lmrep.probe.probe import Probe, load_probe
from lmrep.provenance import file_sha256, versions
from lmrep.study.spec import Run

# The author's yardstick of a representation: is the output nearer to the photograph's than that of the
# photograph shifted by normal noise of this standard deviation (pixel values)?
SHIFT = 1 / 18
DISTANCES = ("output_distance", "shifted_output_distance")  # of a match


def make_objectives(run: Run, plan: Plan, panels: slice, target_outputs: list[Tensor]) -> list[objectives.Objective]:
    """One for each of `target_outputs`, the outputs [panel, token, width] of a group's photographs at its layers."""
    if run.objective == "match":
        return [objectives.match(outputs) for outputs in target_outputs]
    kind = {"neuron": objectives.neuron, "patch": objectives.patch}[run.objective]
    return [kind(run.panels[panels], run.probe.first_patch, run.descent.constant, plan.device)] * len(target_outputs)


def distances(probe: Probe, images: Tensor, layers: list[int], target_outputs: list[Tensor]) -> Tensor:
    """L1 distances [layer, panel] of the outputs of images [layer, panel, 3, size, size] to the targets'."""
    outputs = probe.outputs_of_own_layer(images, layers)
    return torch.stack([objectives.distance(o, t) for o, t in zip(outputs, target_outputs, strict=True)])


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
    """The descents of all layers and panels by `quick`, one group after the other, and what `probe` measures on them.

    `quick`: the probe in the plan's precision; `probe`: in float32.
    """
    layers, panels = len(run.layers), len(run.panels)
    size, steps = run.descent.octaves[-1].size, run.descent.steps
    results = {"images": torch.zeros(layers, panels, 3, size, size), "loss": torch.zeros(steps, layers, panels)}
    if targets is not None:
        results |= {name: torch.zeros(layers, panels) for name in DISTANCES}
    begun, done = 0, None
    if checkpoint and checkpoint.state:
        begun = (checkpoint.step - 1) // steps
        found = {name: torch.from_numpy(array) for name, array in checkpoint.state.arrays.items()}
        done = found["group_images"].to(plan.device), found["group_loss"].to(plan.device)
        results = {name: found[name] for name in results}
    for index, group in enumerate(plan.groups[begun:], start=begun):
        rows, columns = group.layers, group.panels
        blocks = list(run.layers[rows])
        # In the descent's own precision, so that what rounding does to both outputs cancels.
        goal_outputs = [torch.empty(0)] * len(blocks) if targets is None else quick(targets[columns], blocks)
        goals = make_objectives(run, plan, columns, goal_outputs)
        begin = start[columns].expand(len(blocks), -1, -1, -1, -1)

        def note(images: Tensor, loss: Tensor, index: int = index) -> None:
            step = index * steps + len(loss)
            report(step, loss[-1].mean().item())
            if checkpoint and (checkpoint.is_due() or step == steps * len(plan.groups)):
                state = results | {"group_images": images, "group_loss": loss}
                checkpoint.write({name: tensor.cpu().numpy() for name, tensor in state.items()}, step)

        with torch.enable_grad():
            found, history = descend(quick, begin, blocks, goals, run.descent, run.seed, group.tokens, done, note)
        done = None
        results["images"][rows, columns], results["loss"][:, rows, columns] = found.cpu(), history.cpu()
        if targets is not None:
            outputs = probe(targets[columns], blocks)
            results["output_distance"][rows, columns] = distances(probe, found, blocks, outputs).cpu()
            noise = [
                normal(tuple(targets.shape[1:]), 0.0, SHIFT, generator(run.seed, "shift", panel))
                for panel in range(panels)[columns]
            ]
            moved = (targets[columns] + torch.stack(noise).to(targets.device)).expand_as(begin)
            results["shifted_output_distance"][rows, columns] = distances(probe, moved, blocks, outputs).cpu()
    return results | {"loss": results["loss"].mean(dim=2).T}


def describe(run: Run, files: Mapping[str, Path], plan: Plan) -> dict:
    """The facts of a run's file: what it is, and what made it."""
    return {
        "run": run.name,
        "objective": run.objective,
        "probe": run.probe.name,
        "weights": run.weights,
        "layers": list(run.layers),
        "panels": list(run.panels),
        "settings": run.settings(),
        "seeds": {"run": run.seed},
        "versions": versions(),
        "device": torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else "cpu",
        "precision": str(plan.precision).removeprefix("torch."),
        "weight_files": {name: file_sha256(files[name]) for name in run.weight_files},
    }


def state_arrays(run: Run) -> set[str]:
    """The names of what a run's state holds."""
    return {"images", "loss", "group_images", "group_loss", *(DISTANCES if run.objective == "match" else ())}


def conditions(facts: Mapping, plan: Plan, targets: np.ndarray | None, code: str) -> dict:
    """All that a run's state is good for no other than: what `describe` says, and what else moves a last digit."""
    processor = {name: value for name, value in torch.cpu.get_capabilities().items() if not name.startswith("num_")}
    return {
        **facts,
        "passes": repr(plan.groups),
        "photographs": hashlib.sha256(b"" if targets is None else targets.tobytes()).hexdigest(),
        "threads": torch.get_num_threads(),
        # Of a run on a GPU, the processor decides nothing.
        "processor": None if plan.device.type == "cuda" else [torch.backends.cpu.get_cpu_capability(), processor],
        "code": code,
    }


def perform(
    run: Run,
    files: Mapping[str, Path],
    targets: np.ndarray | None,
    plan: Plan,
    report: Callable[[int, float], None] = lambda steps, loss: None,
    checkpoint: Checkpoint | None = None,
) -> dict[str, np.ndarray]:
    """A run's arrays, as `runfile.write_arrays` takes them.

    `files`: the weight file of the probe's stem and, if the stack is a trained one, of its stack, by their names.
    `targets`: for a `match` run the photographs [panel, 3, size, size] in [0, 1], else None.
    `report(steps, loss)`: called now and then, with how many steps of all groups were taken.
    `checkpoint`: gone on from, if it has a state, and written now and then.
    Arrays: `images` [layer, panel, 3, height, width], `initial` [layer, panel, 3, first size, the same], `loss`
    [layer, step] (mean over panels, before the step); for `match` also `targets`, and `output_distance` and
    `shifted_output_distance` [layer, panel] (L1, of the result and of the photograph shifted by noise of SHIFT).
    """
    stem, stack = files[run.probe.stem.name], files[run.probe.stack.name] if run.weights == "trained" else None
    probe = load_probe(run.probe, stem, stack, max(run.layers), plan.device, run.seed)
    quick = probe.in_precision(plan.precision)
    if plan.precision == torch.float32:
        probe = quick  # and one copy of the weights less
    size = run.descent.octaves[0].size
    start = torch.stack([start_noise(run.descent.start, size, run.seed, panel) for panel in range(len(run.panels))])
    photographs = None if targets is None else torch.from_numpy(targets).to(plan.device)
    results = descend_in_groups(run, probe, quick, plan, start.to(plan.device), photographs, report, checkpoint)
    arrays = {name: tensor.numpy() for name, tensor in results.items()}
    arrays["initial"] = start.expand(len(run.layers), -1, -1, -1, -1).numpy()
    return arrays if targets is None else arrays | {"targets": targets}
