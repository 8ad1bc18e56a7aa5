"""A run group by group: the descent of each, and the distances of what it reaches."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lmrep.descent.checkpoint import Checkpoint, Watch
from lmrep.descent.descend import Progress, descend
from lmrep.descent.match import DISTANCE_ARRAYS, Match
from lmrep.descent.objectives import Objective
from lmrep.descent.plan import Group, Plan
from lmrep.descent.rates import Begin, first_rates
from lmrep.probe.probe import Probe
from lmrep.study.kinds import OBJECTIVES, load
from lmrep.study.spec import Run

Results = dict[str, Tensor]


def make_objectives(
    run: Run, plan: Plan, layers: Sequence[int], panels: slice, target_outputs: Sequence[Tensor | None]
) -> list[Objective]:
    """One objective for each of `layers`, of some panels.

    target_outputs: for each layer, the photographs' outputs [panel, token, width]; None for objectives without targets.
    Raises FloatingPointError, naming the block, for outputs that an objective cannot aim at.
    """
    kind = OBJECTIVES[run.objective]
    offered = {
        "panels": run.panels[panels], "first_patch": run.probe.stem.first_patch, "constant": run.descent.constant,
        "distance": run.descent.distance, "device": plan.device,
    }  # fmt: skip
    make, objectives = load(kind.function), []
    for layer, targets in zip(layers, target_outputs, strict=True):
        try:
            objectives.append(make(*({**offered, "targets": targets}[name] for name in kind.takes)))
        except FloatingPointError as error:
            raise FloatingPointError(f"block {layer}: {error}") from None
    return objectives


def begin(run: Run, plan: Plan, probe: Probe, start: Tensor, match: Match | None, group: Group) -> Begin:
    """What the descent of a group begins with. `start`: [panel, 3, first size, the same], of all panels."""
    layers = run.layers[group.layers]
    # In the descent's own precision: rounding then moves both outputs alike.
    outputs = match.outputs(probe, match.photographs, group) if match else [None] * len(layers)
    images = start[group.panels].expand(len(layers), -1, -1, -1, -1)
    return images, layers, make_objectives(run, plan, layers, group.panels, outputs)


def empty_results(run: Run) -> Results:
    """The arrays that the groups of a run fill: [layer, panel, ...] each, but `loss` [step, layer, panel]."""
    layers, panels, size = len(run.layers), len(run.panels), run.descent.octaves[-1].size
    images = torch.zeros(layers, panels, 3, size, size)
    results = {"images": images, "loss": torch.zeros(run.descent.steps, layers, panels)}
    if run.matches:
        results |= {name: torch.zeros(layers, panels) for name in DISTANCE_ARRAYS}
        results["earlier"] = torch.zeros_like(images)
    return results


def to_state(progress: Progress) -> Results:
    """A group's descent under way, as arrays of a state file."""
    arrays = {"images": progress.images, "loss": progress.losses, "earlier": progress.earlier}
    arrays |= {f"optimiser_{name}": tensor for name, tensor in progress.state.items()}
    return {f"group_{name}": tensor for name, tensor in arrays.items()}


def from_state(found: Mapping[str, Tensor]) -> Progress:
    """The descent that `to_state` turned into arrays, still on the CPU: a card may have no room for its state twice."""
    prefix = "group_optimiser_"
    state = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    return Progress(found["group_images"], found["group_loss"], state, found["group_earlier"])


def resume(run: Run, checkpoint: Checkpoint | None) -> tuple[Results, int, Progress | None]:
    """The results so far, the group to go on with, and its descent under way. Without a state: the start of a run."""
    if not (checkpoint and checkpoint.state):
        return empty_results(run), 0, None
    found = {name: torch.from_numpy(array) for name, array in checkpoint.state.arrays.items()}
    results = {name: array for name, array in found.items() if not name.startswith("group_")}
    return results, checkpoint.group, from_state(found)


def follow(run: Run, plan: Plan, watch: Watch, results: Results, index: int) -> Callable[[Progress], None]:
    """Makes the function that tells how far the descent of group `index` is, and saves a state when one is due."""

    def report(progress: Progress) -> None:
        step = plan.steps_before(run, index, len(progress.losses))
        watch.report(step, progress.losses[-1].mean().item())
        if watch.checkpoint and watch.checkpoint.is_due():
            state = results | to_state(progress)
            watch.checkpoint.write({name: tensor.cpu().numpy() for name, tensor in state.items()}, index, step)

    return report


@torch.no_grad()
def descend_in_groups(
    run: Run, probe: Probe, quick: Probe, plan: Plan, start: Tensor, targets: Tensor | None, watch: Watch
) -> Results:
    """Descends on all layers and panels with `quick`, group by group, and measures the results with `probe`.

    `quick` is the probe in the plan's precision, `probe` the one in float32. `start` [panel, 3, first size, the same];
    `targets` [panel, 3, size, size], of a match only. Returns the arrays of `empty_results`, `loss` as [layer, step];
    of a match also `shifted`, of a descent with `first_step` also `rates`.
    """
    match = None if targets is None else Match(run, targets)
    begun = partial(begin, run, plan, quick, start, match)
    results, first, done = resume(run, watch.checkpoint)
    if run.descent.first_step and "rates" not in results:
        results["rates"] = first_rates(quick, run, plan, begun)
    rates = results["rates"].to(plan.device) if run.descent.first_step else None
    for index, group in enumerate(plan.groups[first:], start=first):
        own_rates, at = None if rates is None else rates[group.layers], (group.layers, group.panels)
        report = follow(run, plan, watch, results, index)
        images, losses, earlier = descend(
            quick, *begun(group), run.descent, run.seed, group.tokens, done, report, own_rates, watch.clock
        )
        done = None
        results["images"][at], results["loss"][:, *at] = images.cpu(), losses.cpu()
        if match:
            results["earlier"][at] = earlier.cpu()
            watch.report(plan.steps_before(run, index, run.descent.steps), None)
            for name, found in match.distances(probe, images, group).items():
                results[name][at] = found.cpu()
    if match:
        results["shifted"] = match.shifted.cpu()
    return results | {"loss": results["loss"].mean(dim=2).T}
