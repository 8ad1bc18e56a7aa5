"""What a family's loader gives: the blocks of a stack, and what its model adds to tokens."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Stack:
    """The first blocks of a model, frozen, and its embeddings where the probe asks for them.

    blocks: each maps tokens [image, token, width] to the same shape, float32, and has `in_precision(precision)`, which
    returns a copy that multiplies in that precision. embeddings: those of tokens [token, width], as they enter block 1.
    positions: the position embeddings [position, width].
    """

    blocks: nn.ModuleList
    embeddings: Tensor | None = None
    positions: Tensor | None = None
