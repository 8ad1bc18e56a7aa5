"""A stem in front of a stack of transformer blocks, as one module with the output of every block.

Method: the article's "Spatial Learning in Language Model Features". The numbers and choices are in `config.yaml`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lmrep.probe.block import Block
from lmrep.probe.loading import fresh_blocks, trained_blocks, word_embeddings
from lmrep.probe.stem import Stem
from lmrep.study.kinds import STEMS, load
from lmrep.study.spec import Probe as ProbeSpec

CENTRE = 0.5  # pixel value
REFERENCES = 16  # images


class Probe(nn.Module):
    """A frozen stem and the blocks behind it. Pixels are values in [0, 1], not normalised, and not clipped.

    `scale`: a factor of the stem's tokens, or None. `first`: a token [width] before patch 0 that is not the stem's.
    """

    first: Tensor | None

    def __init__(
        self,
        spec: ProbeSpec,
        stem: Stem,
        blocks: nn.ModuleList,
        scale: float | None = None,
        first: Tensor | None = None,
    ):
        super().__init__()
        self.spec, self.stem, self.blocks, self.scale = spec, stem, blocks, scale
        self.register_buffer("first", first)
        self.eval().requires_grad_(False)

    def in_precision(self, precision: torch.dtype) -> "Probe":
        """A probe whose blocks multiply and attend in `precision`. Stem, norms and sums stay float32."""
        blocks = (cast(Block, block).in_precision(precision) for block in self.blocks)
        return Probe(self.spec, self.stem, nn.ModuleList(blocks), self.scale, self.first)

    def tokens(self, images: Tensor) -> Tensor:
        """What enters block 1: images [image, 3, size, size] as tokens [image, token, width]."""
        found: Tensor = self.stem(images - CENTRE if self.spec.centre else images)
        if self.scale is not None:
            found = found * self.scale
        if self.first is not None:
            found = torch.cat([self.first.expand(len(images), 1, -1), found], dim=1)
        return found

    def forward(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The outputs [image, token, width] of the blocks `layers`, in that order; from 1, and 0 is the stem.

        images: [image, 3, size, size].
        """
        tokens = self.tokens(images)
        outputs = {0: tokens}
        for layer in range(1, max(layers) + 1):
            tokens = self.blocks[layer - 1](tokens)
            if layer in layers:
                outputs[layer] = tokens
        return [outputs[layer] for layer in layers]

    def outputs_of_own_layer(self, images: Tensor, layers: Sequence[int], tokens: int | None = None) -> list[Tensor]:
        """Images [layer, panel, 3, size, size] to one output [panel, token, width] a layer, in one pass.

        Every image leaves the pass at its own block, so that no block computes what nobody reads. `layers` ascends;
        0 is the stem. `tokens`: how many to compute, from the first; None computes all. In a causal stack their
        outputs do not depend on the rest, up to rounding.
        """
        panels, outputs = images.shape[1], []
        stream = self.tokens(images.flatten(0, 1))[:, :tokens]
        for layer in range(max(layers) + 1):
            if layer:
                stream = self.blocks[layer - 1](stream)
            if layer in layers:
                outputs.append(stream[:panels])
                stream = stream[panels:]
        return outputs


@torch.no_grad()
def token_scale(spec: ProbeSpec, stem: Stem, words: Tensor) -> float:
    """The factor that gives the stem's tokens the RMS that `spec.scale` asks for.

    The RMS of the stem's tokens is that of REFERENCES images of independent pixels, uniform in [0, 1].
    """
    draws = torch.Generator().manual_seed(0)
    pixels = torch.rand(REFERENCES, 3, spec.stem.size, spec.stem.size, generator=draws)
    patches = stem(pixels - CENTRE if spec.centre else pixels)[:, int(spec.stem.first_token == "class") :]
    times = 1.0 if isinstance(spec.scale, str) else spec.scale
    return times * float(words.square().mean().sqrt() / patches.square().mean().sqrt())


def load_probe(
    spec: ProbeSpec,
    stem: Path | None,
    stack: Path | None,
    depth: int,
    device: torch.device,
    seed: int = 0,
    embeddings: Path | None = None,
) -> Probe:
    """The probe with its first `depth` blocks: trained, from the file `stack`, or fresh from `seed` without one.

    The stem is always the trained one, so that trained and untrained stacks see the same tokens. `stem`: its weight
    file, None for a basis. `embeddings`: the stack's file, if `spec.reads_embeddings`; by default `stack`.
    Raises InputError if a file does not hold what the config says.
    """
    if stack:
        blocks = trained_blocks(spec.stack, stack, depth, spec.masked)
    else:
        blocks = fresh_blocks(spec.stack, seed, depth, spec.masked)
    made: Stem = load(STEMS[spec.stem.kind].function)(spec.stem, stem)
    scale, first, words_file = None, None, embeddings or stack
    if spec.reads_embeddings and words_file:
        words = word_embeddings(spec.stack, words_file)
        scale = None if spec.scale == "as_is" else token_scale(spec, made, words)
        first = words[spec.stem.bos].clone() if spec.stem.first_token == "bos" else None
    return Probe(spec, made, blocks, scale, first).to(device)
