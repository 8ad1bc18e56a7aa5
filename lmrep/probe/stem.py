"""Stems: how an image becomes tokens. A new one is a class here and a line in `study.kinds`."""

from math import pi
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.probe.loading import check_shapes, read_tensors
from lmrep.study.kinds import BASES, load
from lmrep.study.spec import Stem as StemSpec

CHANNELS = 3
BASIS_SEED = 0  # of the random basis, in every run


class Stem(nn.Module):
    """Turns images [image, 3, size, size] into tokens [image, token, width], patches row by row.

    A subclass takes (spec, path of its weight file or None) and defines `forward`. If `spec.first_token` is "class", it
    puts a token of its own before patch 0. Pixels are values in [0, 1]; they are neither normalised nor clipped.
    """

    kernels: Tensor | None  # [width, 3, patch, patch], if each neuron of a token is a filter of its patch

    def __init__(self, spec: StemSpec):
        super().__init__()
        self.spec = spec
        self.register_buffer("kernels", None)

    def patches(self, images: Tensor) -> Tensor:
        """The pixels of each patch, [image, patch, 3 x patch x patch], channel first."""
        count, patch = len(images), self.spec.patch
        grid = images.shape[-1] // patch
        # [image, 3, row, y, column, x] -> [image, patch, pixel]
        cut = images.reshape(count, CHANNELS, grid, patch, grid, patch)
        return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, grid**2, CHANNELS * patch**2)

    def forward(self, images: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} is no stem: expected a forward of its own")


class ViTStem(Stem):
    """The patch embedding of a vision transformer in timm's format, by the probe's options.

    patch_convolution: the trained convolution; without it, a token is the pixels of its patch. position_embedding:
    added to every token, the class token included.
    """

    bias: Tensor | None
    class_token: Tensor | None
    position: Tensor | None

    def __init__(self, spec: StemSpec, path: Path | None):
        super().__init__(spec)
        if spec.weights is None or path is None:
            raise ValueError("expected the weight file of a ViT's stem")
        width, patch = spec.width, spec.patch
        names = {"patch_embed.proj.weight": "kernels", "patch_embed.proj.bias": "bias"}
        names |= {"cls_token": "class_token", "pos_embed": "position"}
        shapes: dict[str, tuple[int, ...]] = {
            "kernels": (width, CHANNELS, patch, patch), "bias": (width,),
            "class_token": (1, 1, width), "position": (1, spec.patches + 1, width),
        }  # fmt: skip
        tensors = read_tensors(spec.weights, path, names.get)
        check_shapes(spec.weights, tensors, shapes)
        convolves, placed = spec.options["patch_convolution"], spec.options["position_embedding"]
        kept = {"kernels": convolves, "bias": convolves, "class_token": spec.first_token == "class", "position": placed}
        for name, keeps in kept.items():
            self.register_buffer(name, tensors[name] if keeps else None)

    def forward(self, images: Tensor) -> Tensor:
        # A convolution whose stride is its kernel is a matrix product of the patches, and that has a deterministic
        # gradient on every device.
        tokens = self.patches(images)
        if self.kernels is not None:
            tokens = F.linear(tokens, self.kernels.flatten(1), self.bias)
        if self.position is not None:
            tokens = tokens + self.position[:, 1:]
        if self.class_token is not None:
            first = self.class_token if self.position is None else self.class_token + self.position[:, :1]
            tokens = torch.cat([first.expand(len(images), -1, -1), tokens], dim=1)
        return tokens


def dct_kernels(patch: int, width: int) -> Tensor:
    """The 2-D DCT-II of each channel as float64 kernels [width, 3, patch, patch], lowest frequencies first.

    Frequency (v, u) is v half cycles down and u across the patch. The order is by v^2 + u^2, then v; at each frequency
    come red, green and blue. A width below 3 x patch^2 cuts the list; a larger one ends in kernels of zeros.
    Source: Ahmed, Natarajan, Rao, "Discrete Cosine Transform", IEEE Transactions on Computers C-23(1), 1974.
    """
    steps = torch.arange(patch, dtype=torch.float64)
    waves = torch.cos(pi / patch * steps[:, None] * (steps + 0.5)) * (2 / patch) ** 0.5  # [frequency, pixel]
    waves[0] /= 2**0.5
    order = sorted(((v, u) for v in range(patch) for u in range(patch)), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
    kernels = torch.zeros(max(width, CHANNELS * patch**2), CHANNELS, patch, patch, dtype=torch.float64)
    for index, (v, u) in enumerate(order):
        for channel in range(CHANNELS):
            kernels[CHANNELS * index + channel, channel] = torch.outer(waves[v], waves[u])
    return kernels[:width]


def random_kernels(patch: int, width: int) -> Tensor:
    """A random orthonormal frame as float64 kernels [width, 3, patch, patch], from BASIS_SEED alone.

    Its columns, one a pixel, are uniform among all orthonormal ones: the Q of a normal matrix, with the signs that make
    the diagonal of R positive (Mezzadri, "How to generate random matrices from the classical compact groups", Notices
    of the AMS 54(5), 2007). `width`: at least 3 x patch^2.
    """
    rng = torch.Generator().manual_seed(BASIS_SEED)
    draws = torch.randn(width, CHANNELS * patch**2, generator=rng, dtype=torch.float64)
    frame, triangle = torch.linalg.qr(draws)
    signed: Tensor = frame * triangle.diagonal().sign()
    return signed.reshape(width, CHANNELS, patch, patch)


class BasisStem(Stem):
    """The coordinates of a patch's pixels in an orthonormal basis, one of `kinds.BASES`. It has no weights and no bias.

    With a width of 3 x patch^2 or more nothing is lost: dot products of patches are those of their tokens. A smaller
    width keeps the lowest frequencies.
    """

    kernels: Tensor

    def __init__(self, spec: StemSpec, path: Path | None = None):
        super().__init__(spec)
        made: Tensor = load(BASES[str(spec.options["basis"])].function)(spec.patch, spec.width)
        self.kernels = made.float()

    def forward(self, images: Tensor) -> Tensor:
        return F.linear(self.patches(images), self.kernels.flatten(1))

    def inverted(self, tokens: Tensor) -> Tensor:
        """The images [image, 3, size, size] of tokens [image, token, width], by the transpose; what is lost stays 0."""
        grid, patch = self.spec.grid, self.spec.patch
        pixels = (tokens @ self.kernels.flatten(1)).reshape(len(tokens), grid, grid, CHANNELS, patch, patch)
        return pixels.permute(0, 3, 1, 4, 2, 5).reshape(len(tokens), CHANNELS, grid * patch, grid * patch)

    def lost_power(self, images: Tensor) -> Tensor:
        """The share [image] of the sum of squared pixel values that the stem loses, in [0, 1]; of a black image 0.

        images: [image, 3, size, size], as they enter the stem: minus 0.5 if the probe centres.
        """
        lost = (images - self.inverted(self(images))).square().sum(dim=(1, 2, 3))
        return lost / images.square().sum(dim=(1, 2, 3)).clamp_min(torch.finfo(images.dtype).tiny)
