"""A run group by group: the descent of each, and the distances of what it reaches."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lmrep.descent import objectives
from lmrep.descent.checkpoint import Watch
from lmrep.descent.descend import Progress, descend
from lmrep.descent.plan import Group, Plan
from lmrep.descent.priors import generator, normal
from lmrep.descent.rates import Begin, first_rates
from lmrep.probe.probe import Probe
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


def empty_results(run: Run) -> dict[str, Tensor]:
    """The arrays that the groups of a run fill: [layer, panel, ...] each, but `loss` [step, layer, panel]."""
    layers, panels, size = len(run.layers), len(run.panels), run.descent.octaves[-1].size
    images = torch.zeros(layers, panels, 3, size, size)
    results = {"images": images, "loss": torch.zeros(run.descent.steps, layers, panels)}
    if run.matches:
        results |= {name: torch.zeros(layers, panels) for name in DISTANCE_ARRAYS}
        results["earlier"] = torch.zeros_like(images)
    return results


def outputs_by_group(run: Run) -> Callable[[Probe, Tensor, Group], list[Tensor]]:
    """Makes the function that gives a probe's outputs [panel, token, width] of photographs, for each layer of a group.

    Neighbouring groups share panels. Three are kept: the photographs in both precisions, and the shifted ones.
    """

    @lru_cache(maxsize=3)
    def at_all_layers(probe: Probe, photographs: Tensor, first: int, end: int) -> list[Tensor]:
        outputs: list[Tensor] = probe(photographs[first:end], run.layers)
        return outputs

    def at_own_layers(probe: Probe, photographs: Tensor, group: Group) -> list[Tensor]:
        return at_all_layers(probe, photographs, group.panels.start, group.panels.stop)[group.layers]

    return at_own_layers


@torch.no_grad()
def descend_in_groups(
    run: Run, probe: Probe, quick: Probe, plan: Plan, start: Tensor, targets: Tensor | None, watch: Watch
) -> dict[str, Tensor]:
    """Descends on all layers and panels with `quick`, group by group, and measures the results with `probe`.

    `quick` is the probe in the plan's precision, `probe` the one in float32. `start` [panel, 3, first size, the same];
    `targets` [panel, 3, size, size], of a match only. Returns the arrays of `empty_results`, `loss` as [layer, step];
    of a match also `shifted`, of a descent with `first_step` also `rates`.
    """
    outputs_of, steps, checkpoint = outputs_by_group(run), run.descent.steps, watch.checkpoint
    shifted = None if targets is None else targets + shift_noise(run).to(targets.device)

    def begin(group: Group) -> Begin:
        layers = run.layers[group.layers]
        # In the descent's own precision: rounding then moves both outputs alike.
        outputs = [None] * len(layers) if targets is None else outputs_of(quick, targets, group)
        images = start[group.panels].expand(len(layers), -1, -1, -1, -1)
        return images, layers, make_objectives(run, plan, group.panels, outputs)

    results, begun, done = empty_results(run), 0, None
    if checkpoint and checkpoint.state:
        found = {name: torch.from_numpy(array) for name, array in checkpoint.state.arrays.items()}
        results = {name: array for name, array in found.items() if not name.startswith("group_")}
        begun, done = checkpoint.group, from_state(found, plan)
    elif run.descent.first_step:
        results["rates"] = first_rates(quick, run, plan, begin)
    rates = results["rates"].to(plan.device) if run.descent.first_step else None
    for index, group in enumerate(plan.groups[begun:], start=begun):

        def note(progress: Progress, index: int = index) -> None:
            step = plan.steps_before(run, index, len(progress.losses))
            watch.report(step, progress.losses[-1].mean().item())
            if checkpoint and checkpoint.is_due():
                state = results | to_state(progress)
                checkpoint.write({name: tensor.cpu().numpy() for name, tensor in state.items()}, index, step)

        own_rates, at = None if rates is None else rates[group.layers], (group.layers, group.panels)
        images, losses, earlier = descend(
            quick, *begin(group), run.descent, run.seed, group.tokens, done, note, own_rates, watch.clock
        )
        done = None
        results["images"][at], results["loss"][:, *at] = images.cpu(), losses.cpu()
        if targets is not None and shifted is not None:
            results["earlier"][at] = earlier.cpu()
            watch.report(plan.steps_before(run, index, steps), None)
            outputs, moved = (outputs_of(probe, photographs, group) for photographs in (targets, shifted))
            reached = probe.outputs_of_own_layer(images, run.layers[group.layers])
            for name, others in zip(DISTANCE_ARRAYS, (reached, moved), strict=True):
                results[name][at] = distances(others, outputs).cpu()
    if shifted is not None:
        results["shifted"] = shifted.cpu()
    return results | {"loss": results["loss"].mean(dim=2).T}
