"""Stems: how an image becomes tokens. A new one is a class here and a line in `study.kinds`."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.probe.loading import check_shapes, read_tensors
from lmrep.study.spec import Stem as StemSpec

CHANNELS = 3


class Stem(nn.Module):
    """Turns images [image, 3, size, size] into tokens [image, token, width], patches row by row.

    A subclass takes (spec, path of its weight file) and defines `forward`. If `spec.first_token` is "class", it puts a
    token of its own before patch 0. Pixels are values in [0, 1]; they are neither normalised nor clipped.
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

    def __init__(self, spec: StemSpec, path: Path):
        super().__init__(spec)
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
