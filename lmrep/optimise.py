"""The descent on the input, and nothing else. The numbers and their source: `descents` in config.yaml."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmrep.objectives import Objective
from lmrep.priors import between, blur, resize, window
from lmrep.probe import Probe
from lmrep.spec import Descent


def input_gradient(
    probe: Probe, images: Tensor, layers: Sequence[int], objectives: Sequence[Objective]
) -> tuple[Tensor, Tensor]:
    """Gradients like `images` [layer, panel, 3, size, size] and losses [layer, panel], in one pass for all layers.

    Images do not meet in the network, so that the gradient of the summed loss is each image's own.
    """
    images = images.detach().requires_grad_()
    outputs = probe.outputs_of_own_layer(images, layers)
    losses = torch.stack([objective(output) for objective, output in zip(objectives, outputs, strict=True)])
    (gradient,) = torch.autograd.grad(losses.sum(), images)
    return gradient, losses.detach()


def descend(
    probe: Probe,
    start: Tensor,
    layers: Sequence[int],
    objectives: Sequence[Objective],
    descent: Descent,
    seed: int,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[Tensor, Tensor]:
    """Descends from `start` [layer, panel, 3, size, size]; one objective a layer.

    Returns the images [layer, panel, 3, last octave's size, the same] as optimised, not clipped, and the losses
    [step, layer, panel] before each step. `report(step, mean loss)` is called after each.
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
            gradient, loss = input_gradient(probe, crop, layers, objectives)
            crop = crop - between(octave.rate, place, octave.steps) * descent.scale * gradient
            if octave.sigma:
                sigma = between(octave.sigma, place, octave.steps)
                crop = blur(crop.flatten(0, 1), sigma).unflatten(0, panels)
            images[..., rows, columns] = crop
            losses.append(loss)
            mean = loss.mean().item()
            if not torch.isfinite(loss).all():
                raise FloatingPointError(f"the loss is {mean} at step {step}: a lower rate or scale is needed")
            report(step, mean)
            step += 1
    if not torch.isfinite(images).all():
        raise FloatingPointError(f"an image is not finite after step {step - 1}: a lower rate or scale is needed")
    return images, torch.stack(losses)
