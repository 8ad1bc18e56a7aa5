"""What a descent assumes of images: start noise, blur, jitter, octaves.

Every draw has a generator of its own, seeded from what it is for, so that a draw does not depend on which
draws came before it: a run that is split or taken up again makes the same ones.
"""

import hashlib

import torch
from torch import Tensor
from torch.nn import functional as F

from lmrep.study.spec import Octave

BLUR_KERNEL = 3  # px, as in the author's scripts


def generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """A CPU generator for draw `index` of a `purpose`; the same on every device."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def normal(shape: tuple[int, ...], mean: float, deviation: float, rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng) * deviation + mean


def start_noise(start: tuple[str, float, float], size: int, seed: int, panel: int) -> Tensor:
    """[3, size, size] for one panel: ("uniform", low, high) or ("normal", mean, deviation), in pixel values.

    It is the same at every layer, so that layers differ by what they do with it.
    """
    kind, first, second = start
    rng = generator(seed, "start", panel)
    if kind == "uniform":
        return torch.rand((3, size, size), generator=rng) * (second - first) + first
    return normal((3, size, size), first, second, rng)


def between(ends: tuple[float, float], step: int, steps: int) -> float:
    """Linear from the first of `steps` steps to the last."""
    return ends[0] + (ends[1] - ends[0]) * step / max(steps - 1, 1)


def window(octave: Octave, size: int, seed: int, step: int) -> tuple[slice, slice]:
    """The rows and columns that a step updates: a random crop of the probe's `size` px, or the whole image."""
    spare = octave.size - size
    top, left = torch.randint(spare + 1, (2,), generator=generator(seed, "jitter", step)).tolist()
    return slice(top, top + size), slice(left, left + size)


def blur(images: Tensor, sigma: float) -> Tensor:
    """A 3 x 3 Gaussian of `sigma` px over images [image, 3, height, width]; edges are reflected."""
    from torchvision.transforms.functional import gaussian_blur  # takes a second to import, and few runs blur

    return gaussian_blur(images, [BLUR_KERNEL, BLUR_KERNEL], [sigma, sigma])


def resize(images: Tensor, size: int) -> Tensor:
    """Images [image, 3, height, width] at `size` px, bilinear."""
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
