"""A ViT's stem in front of a stack of GPT-2 or ViT blocks, as one module with the outputs of its blocks.

Method: the article's "Spatial Learning in Language Model Features"; numbers and choices in `config.yaml`.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.probe.families import check_shapes, fresh_blocks, read_tensors, trained_blocks
from lmrep.study.spec import Probe as ProbeSpec

CHANNELS = 3


class Stem(nn.Module):
    """Cuts images [image, 3, size, size] into tokens [image, token, width], a class token first if there is one."""

    def __init__(self, spec: ProbeSpec, path: Path):
        super().__init__()
        weights = spec.stem
        self.patch = weights.patch
        width, pixels = weights.width, CHANNELS * weights.patch**2
        names = {"patch_embed.proj.weight": "kernels", "patch_embed.proj.bias": "bias"}
        names |= {"cls_token": "class_token", "pos_embed": "position"}
        shapes = {
            "kernels": (width, CHANNELS, self.patch, self.patch), "bias": (width,),
            "class_token": (1, 1, width), "position": (1, weights.patches + 1, width),
        }  # fmt: skip
        tensors = read_tensors(weights, path, names.get)
        check_shapes(weights, tensors, shapes)
        if not spec.patch_convolution:
            del tensors["kernels"], tensors["bias"]
            assert width == pixels, "checked with the study"
        if not spec.class_token:
            del tensors["class_token"]
        if not spec.position_embedding:
            del tensors["position"]
        for name in names.values():
            self.register_buffer(name, tensors.get(name))

    def forward(self, images: Tensor) -> Tensor:
        count, _, side, _ = images.shape
        grid = side // self.patch
        # [image, 3, row, y, column, x] -> [image, patch, pixel]: a convolution whose stride is its kernel is a
        # matrix product of the patches, and that has a deterministic gradient on every device.
        tokens = images.reshape(count, CHANNELS, grid, self.patch, grid, self.patch)
        tokens = tokens.permute(0, 2, 4, 1, 3, 5).reshape(count, grid**2, CHANNELS * self.patch**2)
        if self.kernels is not None:
            tokens = F.linear(tokens, self.kernels.flatten(1), self.bias)
        if self.position is not None:
            tokens = tokens + self.position[:, 1:]
        if self.class_token is not None:
            first = self.class_token if self.position is None else self.class_token + self.position[:, :1]
            tokens = torch.cat([first.expand(count, -1, -1), tokens], dim=1)
        return tokens


class Probe(nn.Module):
    """A frozen stem and the blocks behind it. Pixels are values in [0, 1], not normalised, and not clipped."""

    def __init__(self, spec: ProbeSpec, stem: Stem, blocks: nn.ModuleList):
        super().__init__()
        self.spec, self.stem, self.blocks = spec, stem, blocks
        self.eval().requires_grad_(False)

    def in_precision(self, precision: torch.dtype) -> "Probe":
        """A probe whose blocks' products and softmax are in `precision`; stem, norms and sums stay float32."""
        return Probe(self.spec, self.stem, nn.ModuleList(block.in_precision(precision) for block in self.blocks))

    def forward(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The outputs [image, token, width] of the blocks `layers` (ascending, from 1; 0 is the stem)."""
        tokens, outputs = self.stem(images), {}
        for layer in range(max(layers) + 1):
            if layer:
                tokens = self.blocks[layer - 1](tokens)
            if layer in layers:
                outputs[layer] = tokens
        return [outputs[layer] for layer in layers]

    def outputs_of_own_layer(self, images: Tensor, layers: Sequence[int], tokens: int | None = None) -> list[Tensor]:
        """Images [layer, panel, 3, size, size] to one output [panel, token, width] a layer, in one pass.

        Every image leaves the pass at the block it is meant for, so that no block works for nothing.
        `layers` ascends and begins at 1 or later. `tokens`: how many there are from the first, if not all; in a
        causal stack the outputs of these are the same without the rest, but for rounding.
        """
        panels, outputs = images.shape[1], []
        stream = self.stem(images.flatten(0, 1))[:, :tokens]
        for layer in range(1, max(layers) + 1):
            stream = self.blocks[layer - 1](stream)
            if layer in layers:
                outputs.append(stream[:panels])
                stream = stream[panels:]
        return outputs


def load_probe(
    spec: ProbeSpec, stem: Path, stack: Path | None, depth: int, device: torch.device, seed: int = 0
) -> Probe:
    """The probe with its first `depth` blocks: trained, from the file `stack`, or without one fresh from `seed`.

    The stem is always the trained one, so that trained and untrained stacks see the same tokens.
    Raises InputError where a file does not hold what the config says.
    """
    blocks = trained_blocks(spec.stack, stack, depth) if stack else fresh_blocks(spec.stack, seed, depth)
    return Probe(spec, Stem(spec, stem), blocks).to(device)
