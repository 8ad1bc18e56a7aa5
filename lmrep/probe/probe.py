"""A stem in front of a stack of transformer blocks, as one module with the output of every block.

Method: the article's "Spatial Learning in Language Model Features". The numbers and choices are in `config.yaml`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lmrep.errors import InputError
from lmrep.probe.stack import Stack
from lmrep.probe.stem import Stem
from lmrep.study.kinds import FAMILIES, STEMS, load
from lmrep.study.spec import Probe as ProbeSpec

CENTRE = 0.5  # pixel value
REFERENCES = 16  # images


class Probe(nn.Module):
    """A frozen stem and the blocks behind it. Pixels are values in [0, 1], not normalised, and not clipped.

    `scale`: a factor of the stem's tokens, or None. `first`: a token [width] before patch 0 that is not the stem's.
    `positions`: added to the tokens last, [token, width].
    """

    first: Tensor | None
    positions: Tensor | None

    def __init__(
        self,
        spec: ProbeSpec,
        stem: Stem,
        blocks: nn.ModuleList,
        scale: float | None = None,
        first: Tensor | None = None,
        positions: Tensor | None = None,
    ):
        super().__init__()
        self.spec, self.stem, self.blocks, self.scale = spec, stem, blocks, scale
        self.register_buffer("first", first)
        self.register_buffer("positions", positions)
        self.eval().requires_grad_(False)

    def in_precision(self, precision: torch.dtype, keep: bool = True) -> "Probe":
        """A probe whose blocks multiply and attend in `precision`. Stem, norms and sums stay float32.

        `keep`: False frees the weights of each block once they are converted; this probe is then of no use.
        """
        blocks = nn.ModuleList()
        for index in range(len(self.blocks)):
            blocks.append(cast(Any, self.blocks[index]).in_precision(precision))
            if not keep:
                self.blocks[index] = nn.Identity()
        return Probe(self.spec, self.stem, blocks, self.scale, self.first, self.positions)

    def tokens(self, images: Tensor) -> Tensor:
        """What enters block 1: images [image, 3, size, size] as tokens [image, token, width]."""
        found: Tensor = self.stem(images - CENTRE if self.spec.centre else images)
        if self.scale is not None:
            found = found * self.scale
        if self.first is not None:
            found = torch.cat([self.first.expand(len(images), 1, -1), found], dim=1)
        return found if self.positions is None else found + self.positions

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

        Every image leaves the pass at its own block, so no block computes outputs that are never used. `layers`
        ascends; 0 is the stem. `tokens`: how many to compute, from the first; None computes all. In a causal stack
        their outputs do not depend on the rest, up to rounding.
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
def token_scale(spec: ProbeSpec, stem: Stem, embeddings: Tensor) -> float:
    """The factor that gives the stem's tokens the RMS that `spec.scale` asks for.

    The RMS of the stem's tokens is that of REFERENCES images of independent pixels, uniform in [0, 1].
    """
    draws = torch.Generator().manual_seed(0)
    pixels = torch.rand(REFERENCES, 3, spec.stem.size, spec.stem.size, generator=draws)
    patches = stem(pixels - CENTRE if spec.centre else pixels)[:, int(spec.stem.first_token == "class") :]
    times = 1.0 if isinstance(spec.scale, str) else spec.scale
    return times * float(embeddings.square().mean().sqrt() / patches.square().mean().sqrt())


def added(spec: ProbeSpec, stem: Stem, stack: Stack) -> dict[str, Any]:
    """What the probe takes from the embeddings of its stack's model: `scale`, `first` and `positions` of a `Probe`."""
    found: dict[str, Any] = {}
    key, embeddings, positions = f"weights.{spec.stack.name}", stack.embeddings, stack.positions
    if embeddings is not None and spec.scale != "as_is":
        found["scale"] = token_scale(spec, stem, embeddings)
    if embeddings is not None and spec.stem.first_token == "bos":
        if spec.stem.bos >= len(embeddings):
            raise InputError(f"{key}.bos: its model has tokens 0 to {len(embeddings) - 1}, not {spec.stem.bos}")
        found["first"] = embeddings[spec.stem.bos].clone()
    if positions is not None:
        if len(positions) < spec.stem.tokens:
            raise InputError(f"{key}: has {len(positions)} positions, but '{spec.name}' has {spec.stem.tokens} tokens")
        found["positions"] = positions[: spec.stem.tokens].clone()
    return found


def load_probe(
    spec: ProbeSpec,
    files: Mapping[str, Path],
    depth: int,
    device: torch.device,
    seed: int = 0,
    trained: bool = True,
) -> Probe:
    """The probe with its first `depth` blocks: trained, or fresh from `seed`.

    Stem and embeddings are always the trained ones, so that trained and untrained stacks see the same tokens.
    `files`: the file or folder of each of `spec.weight_roles(trained)`, by the names of the weights.
    Raises InputError if a file does not hold what the config says.
    """
    paths = {role: files[weights.name] for role, weights in spec.weight_roles(trained).items()}
    made: Stem = load(STEMS[spec.stem.kind].function)(spec.stem, paths.get("stem"))
    found: Stack = load(FAMILIES[spec.stack.family].function)(spec, paths.get("stack"), trained, depth, seed)
    return Probe(spec, made, found.blocks, **added(spec, made, found)).to(device)
