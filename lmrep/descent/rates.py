"""Rates from the first gradient: at a rate of 1, the first step changes the pixels of each layer by `first_step`."""

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from lmrep.descent.descend import check_finite, input_gradient
from lmrep.descent.objectives import Objective
from lmrep.descent.plan import Group, Plan
from lmrep.descent.priors import window
from lmrep.probe.probe import Probe
from lmrep.study.kinds import OPTIMISERS, load
from lmrep.study.spec import Run

Begin = tuple[Tensor, Sequence[int], Sequence[Objective]]  # start images of a group, its layers and their objectives


def first_changes(probe: Probe, run: Run, begin: Begin, tokens: int | None) -> Tensor:
    """Mean squares [layer, panel] of the change of pixels in a first step at rate 1, in float64.

    The blur after a step does not count. Of a larger image, the pixels are those of the step's crop.
    Raises FloatingPointError if the mean loss is not finite.
    """
    start, layers, objectives = begin
    rows, columns = window(run.descent.octaves[0], probe.spec.stem.size, run.seed, 0)
    crop = start[..., rows, columns]
    gradient, losses = input_gradient(probe, crop, layers, objectives, tokens)
    check_finite(losses[None], 0)
    optimiser = load(OPTIMISERS[run.descent.optimiser].function)(run.descent, {})
    before = crop.double()  # float32 would lose a change much smaller than the pixels
    after: Tensor = optimiser.step(before, losses.double(), gradient.double(), 1.0, 0)
    return (after - before).square().mean(dim=(2, 3, 4))


def first_rates(probe: Probe, run: Run, plan: Plan, begin: Callable[[Group], Begin]) -> Tensor:
    """The rates [layer] of a run with `first_step`, float32 on the CPU: see `Descent.first_step`.

    The root mean square of a layer's change is over all its panels, so it does not depend on the groups of `plan`,
    except for rounding. `begin` says what the descent of a group begins with.
    Raises FloatingPointError for a layer without a rate, because its first gradient is zero or not finite.
    """
    squares = torch.zeros(len(run.layers), len(run.panels), dtype=torch.float64)
    for group in plan.groups:
        squares[group.layers, group.panels] = first_changes(probe, run, begin(group), group.tokens).cpu()
    rates = (run.descent.first_step / squares.mean(dim=1).sqrt()).float()
    for layer, square, rate in zip(run.layers, squares.sum(dim=1).tolist(), rates.tolist(), strict=True):
        if not (square and isfinite(square) and isfinite(rate)):
            found = "zero" if isfinite(square) else "not finite"
            raise FloatingPointError(f"the first gradient of layer {layer} is {found}: first_step needs another start")
    return rates
