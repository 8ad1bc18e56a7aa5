"""The frozen pre-norm transformer block that GPT-2 and ViTs share, made fast for a descent on its input.

Tests compare it with the blocks of transformers and timm. Those are slower: importing them takes longer than many
runs, and their attention takes most of a step's time beyond the matrix products (benchmarks/speed.md).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.probe.packed import packed

PRODUCTS = ("qkv", "proj", "fc1", "fc2")  # the linear layers of a block


def fuses_attention(device: torch.device, precision: torch.dtype) -> bool:
    """Whether attention uses torch's fused kernel. On a CPU that kernel is slow in bfloat16 (benchmarks/speed.md)."""
    return device.type == "cuda" or precision == torch.float32


def attention(queries: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
    """softmax(queries keys^T) values. All are [image, head, token, channel]; the queries are already scaled.

    `causal`: each token sees only itself and the tokens before it.
    """
    if fuses_attention(queries.device, queries.dtype):
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=causal, scale=1.0)
    scores = queries @ keys.mT
    if causal:
        scores = scores + torch.full_like(scores[0, 0], -torch.inf).triu(1)
    return scores.softmax(dim=-1) @ values


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). Norms and sums are float32; products and softmax may be bfloat16.

    `gelu`: "tanh" (GPT-2's approximation) or "none" (exact). The weights of `qkv` include the scale of the queries.
    """

    def __init__(self, width: int, heads: int, causal: bool, gelu: str, epsilon: float):
        super().__init__()
        self.heads, self.causal, self.gelu, self.precision = heads, causal, gelu, torch.float32
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def in_precision(self, precision: torch.dtype) -> "Block":
        """A copy with products in `precision`. It converts and packs the weights once, not in every step."""
        twin = copy.deepcopy(self)
        for name in PRODUCTS:
            setattr(twin, name, packed(getattr(twin, name).to(precision)))
        twin.precision = precision
        return twin

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens [image, token, width] to tokens of the same shape, float32."""
        parts = self.qkv(self.norm1(tokens).to(self.precision)).chunk(3, dim=-1)
        # Each [image, head, token, channel]. Their gradients are joined along a row, in one copy.
        queries, keys, values = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = attention(queries, keys, values, self.causal)
        tokens = tokens + self.proj(mixed.transpose(1, 2).flatten(2))
        hidden = self.fc1(self.norm2(tokens).to(self.precision))
        output: Tensor = tokens + self.fc2(F.gelu(hidden, approximate=self.gelu))
        return output
