"""How a gradient changes an image. A new optimiser is a class here and a line in `study.kinds`."""

from torch import Tensor

from lmrep.study.spec import Descent


class Gradient:
    """Plain gradient descent, as in the article's scripts: image - rate x scale x gradient."""

    def __init__(self, descent: Descent):
        self.scale = descent.scale

    def step(self, images: Tensor, gradient: Tensor, rate: float) -> Tensor:
        """The next images, from images and gradients of the same shape; `rate`: of this step."""
        return images - rate * self.scale * gradient
