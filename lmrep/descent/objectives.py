"""What a descent lowers: one number a panel, from the outputs of one block.

Each function takes outputs [panel, token, width] and returns losses [panel]. Sums, not means, as in the
author's scripts: rates and scales in the config are for these.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
Device = torch.device | str  # that of the outputs: an index made here is not sent there at every step


def neuron(neurons: Sequence[int], first_patch: int, constant: float, device: Device = "cpu") -> Objective:
    """sum(C - activation) of panel p's neuron `neurons[p]` over all patches."""

    index = torch.tensor(neurons, device=device)[:, None, None]

    def loss(outputs: Tensor) -> Tensor:
        patches = outputs[:, first_patch:]
        return (constant - patches.gather(2, index.expand(-1, patches.shape[1], 1))).sum(dim=(1, 2))

    return loss


def patch(patches: Sequence[int], first_patch: int, constant: float, device: Device = "cpu") -> Objective:
    """sum(C - activation) of all neurons of panel p's patch `patches[p]`."""

    panels = torch.arange(len(patches), device=device)
    tokens = torch.tensor(patches, device=device) + first_patch

    def loss(outputs: Tensor) -> Tensor:
        return (constant - outputs[panels, tokens]).sum(dim=1)

    return loss


def distance(outputs: Tensor, targets: Tensor) -> Tensor:
    """L1 distance [panel] between two outputs [panel, token, width], over all tokens, the class token's too."""
    return (outputs - targets).abs().sum(dim=(1, 2))


def match(targets: Tensor) -> Objective:
    """L1 distance to the photographs' own outputs [panel, token, width] at this block."""
    return lambda outputs: distance(outputs, targets)
