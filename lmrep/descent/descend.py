"""The descent on the input, and nothing else. The numbers and their source: `descents` in config.yaml."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from time import monotonic

import torch
from torch import Tensor

from lmrep.descent.graph import repeating
from lmrep.descent.objectives import Objective
from lmrep.descent.optimisers import Rate, State
from lmrep.descent.priors import between, blur, resize, window
from lmrep.probe.probe import Probe
from lmrep.progress import ignore
from lmrep.study.kinds import OPTIMISERS, load
from lmrep.study.spec import Descent

SECONDS_BETWEEN_CHECKS = 1.0  # to read a loss is to wait for the device
EARLIER = 0.75  # of the steps: a descent has converged if little changes after these


@torch.enable_grad()
def input_gradient(
    probe: Probe,
    images: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradients like `images` [layer, panel, 3, size, size] and losses [layer, panel], in one pass for all layers.

    Images in a batch do not interact, so the gradient of the summed loss is each image's own.
    `tokens`: see `Probe.outputs_of_own_layer`.
    """
    images = images.detach().requires_grad_()
    outputs = probe.outputs_of_own_layer(images, layers, tokens)
    losses = torch.stack([objective(output) for objective, output in zip(objectives, outputs, strict=True)])
    (gradient,) = torch.autograd.grad(losses.sum(), images)
    return gradient, losses.detach()


def check_finite(losses: Tensor, first: int) -> None:
    """Raises FloatingPointError at the first step whose mean loss is not finite.

    losses: [step, layer, panel], of the steps from `first` on.
    """
    for step, mean in enumerate(losses.mean(dim=(1, 2)).tolist(), start=first):
        if not isfinite(mean):
            if step:
                raise FloatingPointError(f"the loss is {mean} at step {step}: a lower rate or scale is needed")
            raise FloatingPointError(f"the loss of the start is {mean}: expected another start, precision or weights")


@dataclass(frozen=True)
class Progress:
    """A descent under way: all that it needs to resume, and to end as if it had never stopped."""

    images: Tensor  # of the next pass
    losses: Tensor  # [step, layer, panel], of the steps taken
    state: State  # of the optimiser
    earlier: Tensor  # the result after three quarters of the steps; before that, the start


def copies(state: State, device: torch.device) -> State:
    """A copy of an optimiser's state on a device, which the descent will change."""
    return {name: tensor.to(device, copy=True) for name, tensor in state.items()}


def descend(
    probe: Probe,
    start: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    descent: Descent,
    seed: int,
    tokens: int | None = None,
    done: Progress | None = None,
    report: Callable[[Progress], None] = ignore,
    rates: Tensor | None = None,
    clock: Callable[[], float] = monotonic,
) -> tuple[Tensor, Tensor, Tensor]:
    """Descends from `start` [layer, panel, 3, size, size]; one objective a layer.

    Returns the images [layer, panel, 3, last octave's size, the same] as optimised, not clipped; the losses
    [step, layer, panel], before each step or, if the optimiser searches, the best so far; and the images after three
    quarters of the steps. `tokens`: how many matter to the objectives, from the first; None: all.
    `report(progress)` is called after the first step, then every SECONDS_BETWEEN_CHECKS by `clock`, and after the last
    step. Its argument, passed as `done`, resumes the descent, and the result equals that of an unbroken one bit for
    bit, whenever the calls are made. `rates` [layer]: the octaves' rates are multiples of these; None: of 1.
    Raises FloatingPointError at the first step whose loss is not finite, or at the end if an image is not.
    """
    panels = start.shape[:2]
    images, earlier, losses, first = start.clone(), start, start.new_empty(descent.steps, *panels), 0
    state: State = {}
    if done is not None:
        images, earlier = (tensor.to(start.device, copy=True) for tensor in (done.images, done.earlier))
        first, state = len(done.losses), copies(done.state, start.device)
        losses[:first] = done.losses
    optimiser = load(OPTIMISERS[descent.optimiser].function)(descent, state)

    def take(crop: Tensor, rate: Rate, step: int | Tensor) -> tuple[Tensor, Tensor]:
        gradient, found = input_gradient(probe, crop, layers, objectives, tokens)
        return optimiser.step(crop, found, gradient, rate, step), optimiser.losses(found)

    unchecked, checked = first, -inf  # the first step not yet checked, and the time of the last check
    steps = [(octave, index) for octave in descent.octaves for index in range(octave.steps)]
    with repeating(take, optimiser, start.device) as take_step:
        for step, (octave, index) in enumerate(steps[first:], start=first):
            if images.shape[-1] != octave.size:
                images = resize(images.flatten(0, 1), octave.size).unflatten(0, panels)
            rows, columns = window(octave, probe.spec.stem.size, seed, step)
            rate: Rate = between(octave.rate, index, octave.steps)
            if rates is not None:
                rate = rate * rates[:, None, None, None, None]
            crop, losses[step] = take_step(images[..., rows, columns], rate, step)
            if octave.sigma:
                sigma = between(octave.sigma, index, octave.steps)
                crop = blur(crop.flatten(0, 1), sigma).unflatten(0, panels)
            images[..., rows, columns] = crop
            del crop  # a graph's own memory, which a traceback would keep
            taken = step + 1
            if taken == ceil(EARLIER * descent.steps):
                earlier = optimiser.reached(images).clone()
            if clock() - checked >= SECONDS_BETWEEN_CHECKS or taken == descent.steps:
                check_finite(losses[unchecked:taken], unchecked)
                report(Progress(images, losses[:taken], optimiser.state, earlier))
                unchecked, checked = taken, clock()
    images = optimiser.reached(images)
    if not torch.isfinite(images).all():
        raise FloatingPointError(
            f"an image is not finite after step {descent.steps - 1}: a lower rate or scale is needed"
        )
    return images, losses, earlier
