"""The losses that a descent minimises, computed from the outputs of one block.

An objective maps outputs [panel, token, width] to losses [panel]. Losses are sums, not means, as in the author's
scripts; the rates and scales in the config are for sums.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
FLOOR = 0.01  # of the mean variance of neurons, added to each: one that hardly varies is not divided by nothing
Device = torch.device | str  # the device of the outputs: indices are made there once, not copied in every step


def neuron(neurons: Sequence[int], first_patch: int, constant: float, device: Device = "cpu") -> Objective:
    """For panel p: the sum of (constant - activation) of neuron `neurons[p]` over all patches."""
    index = torch.tensor(neurons, device=device)[:, None, None]

    def loss(outputs: Tensor) -> Tensor:
        patches = outputs[:, first_patch:]
        return (constant - patches.gather(2, index.expand(-1, patches.shape[1], 1))).sum(dim=(1, 2))

    return loss


def patch(patches: Sequence[int], first_patch: int, constant: float, device: Device = "cpu") -> Objective:
    """For panel p: the sum of (constant - activation) over all neurons of patch `patches[p]`."""
    panels = torch.arange(len(patches), device=device)
    tokens = torch.tensor(patches, device=device) + first_patch

    def loss(outputs: Tensor) -> Tensor:
        return (constant - outputs[panels, tokens]).sum(dim=1)

    return loss


def distance(outputs: Tensor, targets: Tensor) -> Tensor:
    """The L1 distance [panel] between two outputs [panel, token, width], over all tokens, the class token included."""
    return (outputs - targets).abs().sum(dim=(1, 2))


def match(targets: Tensor, norm: str = "l1", panels: Sequence[str] = ()) -> Objective:
    """The distance to `targets`, the outputs [panel, token, width] of the photographs at this block.

    norm: "l1", the article's, or one of two squared distances, which are smooth, as L-BFGS needs. "l2" is divided by the
    target's sum of squares. "pareto" also divides each neuron's part by the neuron's standard deviation over the tokens
    of the target, as Pareto scaling does (van den Berg et al. 2006): else a few neurons with large activations decide
    alone. The mean token then has a distance of about 1.
    `panels`: the names of the photographs, for a message. Raises FloatingPointError if the divisor of one is zero.
    """
    if norm == "l1":
        return lambda outputs: distance(outputs, targets)
    if norm == "l2":
        squares = (targets**2).sum(dim=(1, 2))
        check_divisor(squares, panels, f"is zero, and distance: {norm} divides by its square")
        return lambda outputs: ((outputs - targets) ** 2).sum(dim=(1, 2)) / squares
    moves = targets - targets[:, :1]  # exactly zero where all tokens are alike
    variances = ((moves - moves.mean(dim=1, keepdim=True)) ** 2).mean(dim=1)
    typical = variances.mean(dim=1)
    check_divisor(typical, panels, f"is the same at all tokens, and distance: {norm} divides by its spread")
    deviations = (variances + FLOOR * typical[:, None]).sqrt()
    whole = targets.shape[1] * deviations.sum(dim=1)
    return lambda outputs: (((outputs - targets) ** 2).sum(dim=1) / deviations).sum(dim=1) / whole


def check_divisor(divisor: Tensor, panels: Sequence[str], lack: str) -> None:
    """Raises FloatingPointError if a distance is divided by zero. divisor: [panel]. `lack`: what those panels lack."""
    if not divisor.all():
        names = {name: None for name, each in zip(panels, divisor.tolist(), strict=False) if not each}  # each once
        raise FloatingPointError(f"the output of {', '.join(names) or 'a photograph'} {lack}")
