"""What a descent assumes about images: start noise, blur, jitter, octaves.

Each draw has its own generator, seeded by what the draw is for. A draw does not depend on earlier draws, so a run that
is split, resumed or extended makes the same ones.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lmrep.study.spec import Octave

BLUR_KERNEL = 3  # px, as in the author's scripts


def generator(seed: int, purpose: str, name: str | int) -> torch.Generator:
    """A CPU generator for one draw, the same for a run on any device.

    `purpose`: "start", "jitter" and so on. `name`: what the draw is for: "neuron 5", "chelsea", a step number.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def normal(shape: tuple[int, ...], mean: float, deviation: float, rng: torch.Generator) -> Tensor:
    """Normal noise of `shape`, on the CPU."""
    return torch.randn(shape, generator=rng) * deviation + mean


def start_noise(start: tuple[str, float, float], size: int, seed: int, name: str) -> Tensor:
    """The start image [3, size, size] of one panel, in pixel values.

    `start`: ("uniform", low, high) or ("normal", mean, deviation). `name`: what the panel is, such as "neuron 5".
    All layers start from the same image, so their results differ only by what the layers do.
    """
    kind, first, second = start
    rng = generator(seed, "start", name)
    if kind == "uniform":
        return torch.rand((3, size, size), generator=rng) * (second - first) + first
    return normal((3, size, size), first, second, rng)


def between(ends: tuple[float, float], step: int, steps: int) -> float:
    """The value at `step` of a line from ends[0] at the first of `steps` steps to ends[1] at the last."""
    return ends[0] + (ends[1] - ends[0]) * step / max(steps - 1, 1)


def window(octave: Octave, size: int, seed: int, step: int) -> tuple[slice, slice]:
    """The rows and columns that a step updates: a random crop of `size` px, the whole image if it has that size."""
    spare = octave.size - size
    top, left = torch.randint(spare + 1, (2,), generator=generator(seed, "jitter", step)).tolist()
    return slice(top, top + size), slice(left, left + size)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Blurs images [image, 3, height, width] by a 3 x 3 Gaussian of `sigma` > 0 px, edges reflected; same shape out."""
    from torchvision.transforms.functional import gaussian_blur  # the import takes a second, and few runs blur

    blurred: Tensor = gaussian_blur(images, [BLUR_KERNEL, BLUR_KERNEL], [sigma, sigma])
    return blurred


def baseline(start: Tensor, octaves: Sequence[Octave], size: int, seed: int) -> Tensor:
    """What the octaves' resizing and blur alone make of start images [panel, 3, first size, the same].

    Both are linear, so a descent's image minus this is what its gradients brought. Without blur and larger octaves it
    is the start. `size`: of a crop. `seed`: of the jitter.
    Returns images [panel, 3, last size, the same].
    """
    images, before = start.clone(), 0
    for octave in octaves:
        if images.shape[-1] != octave.size:
            images = resize(images, octave.size)
        if octave.sigma:
            for index in range(octave.steps):
                rows, columns = window(octave, size, seed, before + index)
                sigma = between(octave.sigma, index, octave.steps)
                images[..., rows, columns] = blur(images[..., rows, columns], sigma)
        before += octave.steps
    return images


def resize(images: Tensor, size: int) -> Tensor:
    """Resizes images [image, 3, height, width] to `size` x `size` px: bilinear, antialiased."""
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
