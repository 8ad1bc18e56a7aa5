"""The losses that a descent minimises, computed from the outputs of one block.

An objective maps outputs [panel, token, width] to losses [panel]. Losses are sums, not means, as in the author's
scripts; the rates and scales in the config are for sums.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
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

    norm: "l1", the article's, or "l2", the squared distance divided by the target's sum of squares: it is smooth, as
    L-BFGS needs. `panels`: the names of the photographs, for a message. Raises FloatingPointError for "l2" if the
    output of one is zero.
    """
    if norm == "l1":
        return lambda outputs: distance(outputs, targets)
    squares = (targets**2).sum(dim=(1, 2))
    if not squares.all():
        names = {name: None for name, square in zip(panels, squares.tolist(), strict=False) if not square}  # each once
        found = ", ".join(names) or "a photograph"
        raise FloatingPointError(f"the output of {found} is zero, and distance: l2 divides by its square")
    return lambda outputs: ((outputs - targets) ** 2).sum(dim=(1, 2)) / squares
