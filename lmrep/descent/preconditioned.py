"""L-BFGS that expects smooth images. Kept apart: its edits rerun no other optimiser's runs."""

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from lmrep.descent.lbfgs import LBFGS
from lmrep.descent.optimisers import State
from lmrep.study.spec import Descent


@lru_cache
def spectrum(size: int, exponent: float, device: torch.device, precision: torch.dtype) -> tuple[Tensor, Tensor]:
    """The orthonormal cosine transform [frequency, pixel] of a row of pixels, and weights [frequency, frequency]."""
    cosines = dct(np.eye(size), norm="ortho", axis=0)
    cycles = np.hypot.outer(np.arange(size), np.arange(size)) / 2  # across the image
    transform, weights = (
        torch.from_numpy(array).to(device, precision) for array in (cosines, np.maximum(cycles, 1) ** -exponent)
    )
    return transform, weights


class PreconditionedLBFGS(LBFGS):
    """L-BFGS whose first guess of the inverse Hessian falls with the spatial frequency f of the pixels, as 1/f.

    A photograph differs from a grey start mostly at low frequencies: its amplitudes fall about as 1/f (Field 1987).
    With this guess the search moves through smooth images first, and fills with a smooth guess what the output hardly
    determines. Calvetti and Somersalo (2005) call this a priorconditioner. The weight is milder than the 1/f^2 of a
    photograph's power; benchmarks/preconditioner.md compares exponents. The loss and its lowest points stay the same.
    Which of them the search ends in may change, and so may the image before it has converged. Frequencies are those of
    a cosine transform (DCT-II), in cycles across the image; below one cycle all weigh the same.
    """

    def __init__(self, descent: Descent, state: State, exponent: float = 1.0):
        super().__init__(descent, state)
        self.exponent = exponent

    def precondition(self, gradient: Tensor) -> Tensor:
        transform, weights = spectrum(gradient.shape[-1], self.exponent, gradient.device, gradient.dtype)
        smoothed: Tensor = transform.mT @ (weights * (transform @ gradient @ transform.mT)) @ transform
        return smoothed
