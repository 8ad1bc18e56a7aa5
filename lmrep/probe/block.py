"""A pre-norm transformer block, frozen: what GPT-2's and a ViT's have in common, made to be descended through.

Tests hold it to the blocks of transformers and timm. It is not theirs, since importing those takes longer than many a
run, and their attention most of a step's time beyond the matrix products (benchmarks/speed.md).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.probe.packed import packed

PRODUCTS = ("qkv", "proj", "fc1", "fc2")  # of a block, with weights


def fuses_attention(device: torch.device, precision: torch.dtype) -> bool:
    """Whether attention is torch's fused kernel, which on a CPU is slow in bfloat16 (benchmarks/speed.md)."""
    return device.type == "cuda" or precision == torch.float32


def attention(queries: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
    """softmax(queries keys^T) values, each [image, head, token, channel]; the queries are scaled already.

    `causal`: a token sees itself and those before it.
    """
    if fuses_attention(queries.device, queries.dtype):
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=causal, scale=1.0)
    scores = queries @ keys.mT
    if causal:
        scores = scores + torch.full_like(scores[0, 0], -torch.inf).triu(1)
    return scores.softmax(dim=-1) @ values


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). Norms and sums are float32, products and softmax may be bfloat16.

    gelu: "tanh" (GPT-2's approximation) or "none" (exact). `qkv` gives queries that are scaled already.
    """

    def __init__(self, width: int, heads: int, causal: bool, gelu: str, epsilon: float):
        super().__init__()
        self.heads, self.causal, self.gelu, self.precision = heads, causal, gelu, torch.float32
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def in_precision(self, precision: torch.dtype) -> "Block":
        """A copy with products in `precision`: weights are converted, and laid out, here and not at every step."""
        twin = copy.deepcopy(self)
        for name in PRODUCTS:
            setattr(twin, name, packed(getattr(twin, name).to(precision)))
        twin.precision = precision
        return twin

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [image, token, width] to the same, float32."""
        qkv = self.qkv(self.norm1(tokens).to(self.precision)).unflatten(-1, (3, self.heads, -1))
        mixed = attention(*qkv.permute(2, 0, 3, 1, 4), self.causal)  # [image, head, token, channel]
        tokens = tokens + self.proj(mixed.transpose(1, 2).flatten(2))
        hidden = self.fc1(self.norm2(tokens).to(self.precision))
        return tokens + self.fc2(F.gelu(hidden, approximate=self.gelu))
