"""The losses that a descent minimises, computed from the outputs of one block.

An objective maps outputs [panel, token, width] to losses [panel]. Losses are sums, not means, as in the author's
scripts; the rates and scales in the config are for sums.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
FLOOR = 0.1  # of the mean size: neither factor of a weight is above 11 times that of a mean size
ROUNDING = 1e-10  # tokens that differ by this part of their squares are alike
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

    norm: "l1", the article's, or one of two squared distances, which are smooth, as L-BFGS needs. "l2" is relative to
    the target's sum of squares. "pareto" weighs each square by `pareto_weights`, so that a few large activations do not
    decide nearly alone, and is relative to the weighted squares of the target's difference from its mean token: with
    that token at every place, it is 1.
    `panels`: the names of the photographs, for a message. Raises FloatingPointError if a divisor is zero, and
    ValueError for another norm.
    """
    if norm == "l1":
        return lambda outputs: distance(outputs, targets)
    squares = (targets**2).sum(dim=(1, 2))
    if norm == "l2":
        check_divisor(squares == 0, panels, f"is zero, and distance: {norm} divides by its square")
        return lambda outputs: ((outputs - targets) ** 2).sum(dim=(1, 2)) / squares
    if norm == "pareto":
        spread = targets - targets.mean(dim=1, keepdim=True)
        alike = (spread**2).sum(dim=(1, 2)) <= ROUNDING * squares
        check_divisor(alike, panels, f"is the same at all tokens, and distance: {norm} divides by its spread")
        weights = pareto_weights(spread)
        whole = (weights * spread**2).sum(dim=(1, 2))
        return lambda outputs: (weights * (outputs - targets) ** 2).sum(dim=(1, 2)) / whole
    raise ValueError(f"distance {norm!r}: expected l1, l2 or pareto")


def pareto_weights(spread: Tensor) -> Tensor:
    """Weights [panel, token, width] of squared errors: 1 / (size of the neuron x size of the token in such units).

    spread: outputs minus their mean token, [panel, token, width] too. The size of a neuron is its RMS over tokens, plus
    FLOOR of the mean of these. The size of a token is the RMS over its neurons, each divided by the neuron's size, plus
    FLOOR of the mean of these. To divide a squared error by a size, not by the square of it, is Pareto scaling (van den
    Berg et al. 2006).
    """
    neurons = (spread**2).mean(dim=1, keepdim=True).sqrt()
    neurons = neurons + FLOOR * neurons.mean(dim=2, keepdim=True)
    tokens = ((spread / neurons) ** 2).mean(dim=2, keepdim=True).sqrt()
    tokens = tokens + FLOOR * tokens.mean(dim=1, keepdim=True)
    return 1 / (neurons * tokens)


def check_divisor(zero: Tensor, panels: Sequence[str], fault: str) -> None:
    """Raises FloatingPointError, naming the panels, where a distance would divide by zero. zero: [panel], bool."""
    if zero.any():
        names = {name: None for name, each in zip(panels, zero.tolist(), strict=False) if each}  # each once
        raise FloatingPointError(f"the output of {', '.join(names) or 'a photograph'} {fault}")
