"""The descent on the input, and nothing else. The numbers and their source: `descents` in config.yaml."""

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from lmrep.descent.objectives import Objective
from lmrep.descent.priors import between, blur, resize, window
from lmrep.probe.probe import Probe
from lmrep.study.kinds import OPTIMISERS, load
from lmrep.study.spec import Descent

CHECK_EVERY = 20  # steps: to read a loss is to wait for the device


@torch.enable_grad()
def input_gradient(
    probe: Probe,
    images: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradients like `images` [layer, panel, 3, size, size] and losses [layer, panel], in one pass for all layers.

    Images do not meet in the network, so the gradient of the summed loss is each image's own.
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
            raise FloatingPointError(f"the loss is {mean} at step {step}: a lower rate or scale is needed")


def ignore(images: Tensor, losses: Tensor) -> None:
    """Reports nothing."""


def descend(
    probe: Probe,
    start: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    descent: Descent,
    seed: int,
    tokens: int | None = None,
    done: tuple[Tensor, Tensor] | None = None,
    report: Callable[[Tensor, Tensor], None] = ignore,
) -> tuple[Tensor, Tensor]:
    """Descends from `start` [layer, panel, 3, size, size]; one objective a layer.

    Returns the images [layer, panel, 3, last octave's size, the same] as optimised, not clipped, and the losses
    [step, layer, panel] before each step. `tokens`: how many matter to the objectives, from the first; None: all.
    `report(images, losses)` is called now and then with the images so far and the losses of the steps taken. Both,
    passed as `done`, resume the descent, and the result equals that of an unbroken one bit by bit.
    Raises FloatingPointError at the first step whose loss is not finite, or at the end if an image is not.
    """
    panels = start.shape[:2]
    images, losses, first = start.clone(), start.new_empty(descent.steps, *panels), 0
    if done is not None:
        images, first = done[0].clone(), len(done[1])
        losses[:first] = done[1]
    optimiser = load(OPTIMISERS[descent.optimiser].function)(descent)
    steps = [(octave, place) for octave in descent.octaves for place in range(octave.steps)]
    for step, (octave, place) in enumerate(steps[first:], start=first):
        if images.shape[-1] != octave.size:
            images = resize(images.flatten(0, 1), octave.size).unflatten(0, panels)
        rows, columns = window(octave, probe.spec.stem.size, seed, step)
        crop = images[..., rows, columns]
        gradient, losses[step] = input_gradient(probe, crop, layers, objectives, tokens)
        crop = optimiser.step(crop, gradient, between(octave.rate, place, octave.steps))
        if octave.sigma:
            sigma = between(octave.sigma, place, octave.steps)
            crop = blur(crop.flatten(0, 1), sigma).unflatten(0, panels)
        images[..., rows, columns] = crop
        taken = step + 1
        if taken % CHECK_EVERY == 0 or taken == descent.steps:
            unchecked = max(first, (step // CHECK_EVERY) * CHECK_EVERY)
            check_finite(losses[unchecked:taken], unchecked)
            report(images, losses[:taken])
    if not torch.isfinite(images).all():
        raise FloatingPointError(
            f"an image is not finite after step {descent.steps - 1}: a lower rate or scale is needed"
        )
    return images, losses
