"""The descent on the input, and nothing else. The numbers and their source: `descents` in config.yaml."""

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from lmrep.objectives import Objective
from lmrep.priors import between, blur, resize, window
from lmrep.probe import Probe
from lmrep.spec import Descent

CHECK_EVERY = 20  # steps: to read a loss is to wait for the device


def input_gradient(
    probe: Probe,
    images: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    tokens: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradients like `images` [layer, panel, 3, size, size] and losses [layer, panel], in one pass for all layers.

    Images do not meet in the network, so that the gradient of the summed loss is each image's own.
    `tokens`: as `Probe.outputs_of_own_layer` has it.
    """
    images = images.detach().requires_grad_()
    outputs = probe.outputs_of_own_layer(images, layers, tokens)
    losses = torch.stack([objective(output) for objective, output in zip(objectives, outputs, strict=True)])
    (gradient,) = torch.autograd.grad(losses.sum(), images)
    return gradient, losses.detach()


def check_finite(losses: Sequence[Tensor], steps: int) -> None:
    """Of the last of `steps` steps' losses; raises FloatingPointError at the first that is not finite."""
    means = torch.stack([loss.mean() for loss in losses]).tolist()
    for step, mean in enumerate(means, start=steps - len(means)):
        if not isfinite(mean):
            raise FloatingPointError(f"the loss is {mean} at step {step}: a lower rate or scale is needed")


def descend(
    probe: Probe,
    start: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    descent: Descent,
    seed: int,
    tokens: int | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[Tensor, Tensor]:
    """Descends from `start` [layer, panel, 3, size, size]; one objective a layer.

    Returns the images [layer, panel, 3, last octave's size, the same] as optimised, not clipped, and the losses
    [step, layer, panel] before each step. `tokens`: how many matter to the objectives, from the first, if not all.
    `report(step, mean loss)` is called now and then.
    Raises FloatingPointError at the first step whose loss, or at the end if an image, is not finite.
    """
    images, losses, step = start.clone(), [], 0
    panels = images.shape[:2]
    for octave in descent.octaves:
        if images.shape[-1] != octave.size:
            images = resize(images.flatten(0, 1), octave.size).unflatten(0, panels)
        for place in range(octave.steps):
            rows, columns = window(octave, probe.spec.stem.size, seed, step)
            crop = images[..., rows, columns]
            gradient, loss = input_gradient(probe, crop, layers, objectives, tokens)
            crop = crop - between(octave.rate, place, octave.steps) * descent.scale * gradient
            if octave.sigma:
                sigma = between(octave.sigma, place, octave.steps)
                crop = blur(crop.flatten(0, 1), sigma).unflatten(0, panels)
            images[..., rows, columns] = crop
            losses.append(loss)
            step += 1
            if step % CHECK_EVERY == 0 or step == descent.steps:
                check_finite(losses[-CHECK_EVERY:], step)
                report(step - 1, loss.mean().item())
    if not torch.isfinite(images).all():
        raise FloatingPointError(f"an image is not finite after step {step - 1}: a lower rate or scale is needed")
    return images, torch.stack(losses)
