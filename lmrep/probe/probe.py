"""A stem in front of a stack of transformer blocks, as one module with the output of every block.

Method: the article's "Spatial Learning in Language Model Features". The numbers and choices are in `config.yaml`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lmrep.probe.block import Block
from lmrep.probe.loading import fresh_blocks, trained_blocks
from lmrep.probe.stem import Stem
from lmrep.study.kinds import STEMS, load
from lmrep.study.spec import Probe as ProbeSpec


class Probe(nn.Module):
    """A frozen stem and the blocks behind it. Pixels are values in [0, 1], not normalised, and not clipped."""

    def __init__(self, spec: ProbeSpec, stem: Stem, blocks: nn.ModuleList):
        super().__init__()
        self.spec, self.stem, self.blocks = spec, stem, blocks
        self.eval().requires_grad_(False)

    def in_precision(self, precision: torch.dtype) -> "Probe":
        """A probe whose blocks multiply and attend in `precision`. Stem, norms and sums stay float32."""
        blocks = (cast(Block, block).in_precision(precision) for block in self.blocks)
        return Probe(self.spec, self.stem, nn.ModuleList(blocks))

    def forward(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The outputs [image, token, width] of the blocks `layers`, in that order; from 1, and 0 is the stem.

        images: [image, 3, size, size].
        """
        tokens = self.stem(images)
        outputs = {0: tokens}
        for layer in range(1, max(layers) + 1):
            tokens = self.blocks[layer - 1](tokens)
            if layer in layers:
                outputs[layer] = tokens
        return [outputs[layer] for layer in layers]

    def outputs_of_own_layer(self, images: Tensor, layers: Sequence[int], tokens: int | None = None) -> list[Tensor]:
        """Images [layer, panel, 3, size, size] to one output [panel, token, width] a layer, in one pass.

        Every image leaves the pass at its own block, so that no block computes what nobody reads. `layers` ascends
        and begins at 1 or later. `tokens`: how many to compute, from the first; None computes all. In a causal stack
        their outputs do not depend on the rest, up to rounding.
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
    """The probe with its first `depth` blocks: trained, from the file `stack`, or fresh from `seed` without one.

    The stem is always the trained one, so that trained and untrained stacks see the same tokens.
    Raises InputError if a file does not hold what the config says.
    """
    blocks = trained_blocks(spec.stack, stack, depth) if stack else fresh_blocks(spec.stack, seed, depth)
    made: Stem = load(STEMS[spec.stem.kind].function)(spec.stem, stem)
    return Probe(spec, made, blocks).to(device)
