"""A pre-norm transformer block, frozen: what GPT-2's and a ViT's have in common, made to be descended through.

Tests hold it to the blocks of transformers and timm. It is not theirs, since importing those takes longer than many a
run, and their attention most of a step's time beyond the matrix products (benchmarks/speed.md).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fuses_attention(device: torch.device, precision: torch.dtype) -> bool:
    """Whether attention is torch's fused kernel, which on a CPU is slow in bfloat16 (benchmarks/speed.md)."""
    return device.type == "cuda" or precision == torch.float32


def attention(queries: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
    """softmax(queries keys^T) values, each [image, head, token, channel]; the queries are scaled already.

    `causal`: a token sees itself and those before it.
    """
    if fuses_attention(queries.device, queries.dtype):
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=causal, scale=1.0)
    # The softmax is float32 throughout: mixed types take a slow way there.
    scores = (queries @ keys.mT).float()
    if causal:
        tokens = scores.shape[-1]
        scores += torch.full((tokens, tokens), -torch.inf, device=scores.device).triu(1)
    return scores.softmax(dim=-1).to(values.dtype) @ values


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). Norms and sums are float32, products may be bfloat16.

    gelu: "tanh" (GPT-2's approximation) or "none" (exact). `qkv` gives queries that are scaled already.
    """

    def __init__(self, width: int, heads: int, causal: bool, gelu: str, epsilon: float):
        super().__init__()
        self.heads, self.causal, self.gelu = heads, causal, gelu
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def in_precision(self, precision: torch.dtype) -> "Block":
        """With products in `precision`, a copy if they are not: weights are converted here, and not at every step."""
        if self.qkv.weight.dtype == precision:
            return self
        twin = copy.deepcopy(self)
        for product in (twin.qkv, twin.proj, twin.fc1, twin.fc2):
            product.to(precision)
        return twin

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [image, token, width] to the same, float32."""
        precision = self.qkv.weight.dtype
        qkv = self.qkv(self.norm1(tokens).to(precision)).unflatten(-1, (3, self.heads, -1))
        mixed = attention(*qkv.permute(2, 0, 3, 1, 4), self.causal)  # [image, head, token, channel]
        tokens = tokens + self.proj(mixed.transpose(1, 2).flatten(2))
        hidden = self.fc1(self.norm2(tokens).to(precision))
        return tokens + self.fc2(F.gelu(hidden, approximate=self.gelu))
