"""How losses and gradients change images: plain gradient descent and Adam, on many images at once. L-BFGS is in `lbfgs`
and `preconditioned`.

Every image is a problem of its own: nothing here mixes two images. A new optimiser is a class here and a line in
`study.kinds`. Shapes: images and gradients [layer, panel, 3, size, size], losses [layer, panel].
"""

from typing import Protocol

import torch
from torch import Tensor

from lmrep.study.spec import Descent

State = dict[str, Tensor]
Rate = float | Tensor  # of one step; a tensor has one of each layer, [layer, 1, 1, 1, 1]


class Optimiser(Protocol):
    """An optimiser is made from (descent, state); `state` is empty at the start, or that of a run that is resumed.

    `arrays`: the names in `state` after the first step. All its arrays begin with [layer, panel].
    """

    arrays: tuple[str, ...]
    state: State

    def step(self, images: Tensor, losses: Tensor, gradient: Tensor, rate: Rate, step: int | Tensor) -> Tensor:
        """The images of the next pass, from those of this one and their losses and gradients.

        `rate`: of this step, if the descent has rates. `step`: how many steps came before; on a GPU both are tensors,
        and from the second step of a descent on, the operations must not depend on what they hold.
        """
        ...

    def reached(self, images: Tensor) -> Tensor:
        """The result so far. `images`: those of the next pass."""
        ...

    def losses(self, losses: Tensor) -> Tensor:
        """What to record after a step, of the losses of its pass."""
        ...


class Gradient:
    """Plain gradient descent, as in the article's scripts: image - rate x scale x gradient."""

    arrays: tuple[str, ...] = ()

    def __init__(self, descent: Descent, state: State):
        self.scale, self.state = descent.scale, state

    def step(self, images: Tensor, losses: Tensor, gradient: Tensor, rate: Rate, step: int | Tensor) -> Tensor:
        return images - rate * self.scale * gradient

    def reached(self, images: Tensor) -> Tensor:
        return images

    def losses(self, losses: Tensor) -> Tensor:
        return losses


class Adam(Gradient):
    """Adam (Kingma and Ba 2015, algorithm 1) with its authors' constants. `rate`: about a pixel's change in a step."""

    arrays = ("mean", "square")
    betas, epsilon = (0.9, 0.999), 1e-8

    def step(self, images: Tensor, losses: Tensor, gradient: Tensor, rate: Rate, step: int | Tensor) -> Tensor:
        for name, beta, value in zip(self.arrays, self.betas, (gradient, gradient**2), strict=True):
            before = self.state.get(name, torch.zeros_like(images))
            self.state[name] = beta * before + (1 - beta) * value
        mean, square = (
            self.state[name] / (1 - beta ** (step + 1)) for name, beta in zip(self.arrays, self.betas, strict=True)
        )
        return images - rate * mean / (square.sqrt() + self.epsilon)
