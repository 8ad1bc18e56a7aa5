"""Where a model family's file has the tensors of a block, and how its library initialises them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn


def init_gpt2(weight: Tensor, part: str, depth: int, rng: torch.Generator) -> None:
    """As transformers' GPT2PreTrainedModel: the more blocks add to the residual stream, the less each adds."""
    nn.init.normal_(weight, std=0.02 / sqrt(2 * depth) if part in ("proj", "fc2") else 0.02, generator=rng)


def init_vit(weight: Tensor, part: str, depth: int, rng: torch.Generator) -> None:
    """As timm's VisionTransformer."""
    nn.init.trunc_normal_(weight, std=0.02, generator=rng)


@dataclass(frozen=True)
class Layout:
    """Where the weight file of a family has the tensors of a block, and how a fresh block is initialised."""

    init: Callable[[Tensor, str, int, torch.Generator], None]  # of one product: (weight, part, depth, generator)
    prefix: str  # of a block's number in the file
    names: Mapping[str, str]  # a part of Block -> the file's name for it
    gelu: str
    epsilon: float  # of the norms
    transposed: bool = False  # the file has its products as [in, out]
    outer: str = ""  # before the prefix, in some checkpoints
    not_weights: tuple[str, ...] = ()  # tensors beside the weights, by how their names end
    embeddings: str = ""  # [token, width], of the tokens
    positions: str = ""  # [position, width]


# The family's name and attention are in study.kinds.
LAYOUTS = {
    "gpt2": Layout(
        init_gpt2,
        "h.",
        {
            "norm1": "ln_1", "qkv": "attn.c_attn", "proj": "attn.c_proj",
            "norm2": "ln_2", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj",
        },
        gelu="tanh",
        epsilon=1e-5,
        transposed=True,
        # Checkpoints of the causal language model say transformer.h.0, those of the bare model h.0.
        outer="transformer.",
        # Causal masks, which older versions of transformers saved beside the weights.
        not_weights=(".attn.bias", ".attn.masked_bias"),
        embeddings="wte.weight",
        positions="wpe.weight",
    ),
    "vit": Layout(
        init_vit,
        "blocks.",
        {
            "norm1": "norm1", "qkv": "attn.qkv", "proj": "attn.proj",
            "norm2": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
        },
        gelu="none",
        epsilon=1e-6,
    ),
}  # fmt: skip
