"""A run group by group: the descent of each, and the distances of what it reaches."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lmrep.descent import objectives
from lmrep.descent.checkpoint import Checkpoint
from lmrep.descent.descend import Progress, descend
from lmrep.descent.plan import Group, Plan
from lmrep.descent.priors import generator, normal
from lmrep.descent.rates import Begin, first_rates
from lmrep.probe.probe import Probe
from lmrep.progress import Report
from lmrep.study.kinds import OBJECTIVES, load
from lmrep.study.spec import Run

# The author's yardstick of a representation: is the output nearer to the photograph's than that of the
# photograph shifted by normal noise of this standard deviation (pixel values)?
SHIFT = 1 / 18
DISTANCE_ARRAYS = ("output_distance", "shifted_output_distance")  # of a match


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


def distances(outputs: Sequence[Tensor], target_outputs: Sequence[Tensor]) -> Tensor:
    """L1 distances [layer, panel] of outputs to the targets', both [panel, token, width] for each layer."""
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
    report: Report,
    checkpoint: Checkpoint | None,
    clock: Callable[[], float],
) -> dict[str, Tensor]:
    """Descends on all layers and panels with `quick`, group by group, and measures the results with `probe`.

    `quick` is the probe in the plan's precision, `probe` the one in float32.
    """
    layers, panels = len(run.layers), len(run.panels)
    size, steps = run.descent.octaves[-1].size, run.descent.steps
    results = {"images": torch.zeros(layers, panels, 3, size, size), "loss": torch.zeros(steps, layers, panels)}
    if targets is not None:
        results |= {name: torch.zeros(layers, panels) for name in DISTANCE_ARRAYS}
        results["earlier"] = torch.zeros_like(results["images"])
        shifted = targets + shift_noise(run).to(targets.device)

    # Neighbouring groups share panels. Three are kept: the photographs in both precisions, and the shifted ones.
    @lru_cache(maxsize=3)
    def outputs_at_all_layers(by: Probe, photographs: Tensor, first: int, end: int) -> list[Tensor]:
        outputs: list[Tensor] = by(photographs[first:end], run.layers)
        return outputs

    def outputs_of(by: Probe, photographs: Tensor, group: Group) -> list[Tensor]:
        return outputs_at_all_layers(by, photographs, group.panels.start, group.panels.stop)[group.layers]

    def begin(group: Group) -> Begin:
        blocks = list(run.layers[group.layers])
        # In the descent's own precision: rounding then moves both outputs alike.
        outputs = [None] * len(blocks) if targets is None else outputs_of(quick, targets, group)
        images = start[group.panels].expand(len(blocks), -1, -1, -1, -1)
        return images, blocks, make_objectives(run, plan, group.panels, outputs)

    begun, done = 0, None
    if checkpoint and checkpoint.state:
        begun = checkpoint.group
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
            step = plan.steps_before(run, index, len(progress.losses))
            report(step, progress.losses[-1].mean().item())
            if checkpoint and checkpoint.is_due():
                state = results | to_state(progress)
                checkpoint.write({name: tensor.cpu().numpy() for name, tensor in state.items()}, index, step)

        images, losses, earlier = descend(
            quick, first, blocks, goals, run.descent, run.seed, group.tokens, done, note,
            None if rates is None else rates[rows], clock,
        )  # fmt: skip
        done = None
        results["images"][rows, columns], results["loss"][:, rows, columns] = images.cpu(), losses.cpu()
        if targets is not None:
            results["earlier"][rows, columns] = earlier.cpu()
            report(plan.steps_before(run, index, steps), None)
            outputs = outputs_of(probe, targets, group)
            reached, moved = probe.outputs_of_own_layer(images, blocks), outputs_of(probe, shifted, group)
            for name, others in zip(DISTANCE_ARRAYS, (reached, moved), strict=True):
                results[name][rows, columns] = distances(others, outputs).cpu()
    if targets is not None:
        results["shifted"] = shifted.cpu()
    return results | {"loss": results["loss"].mean(dim=2).T}
