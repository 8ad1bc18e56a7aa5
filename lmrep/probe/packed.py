"""Fast CPU products with weights that never change. The one adapter for torch.ops.mkldnn."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ONEDNN = torch.ops.mkldnn  # torch.compile uses these operations for frozen models; they have no public name
OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")


def _pack(weight: Tensor) -> Tensor:
    """A weight [out, in] in the processor's own layout."""
    packed_weight: Tensor = ONEDNN._reorder_linear_weight(weight, None)
    return packed_weight


def _product(rows: Tensor, packed_weight: Tensor, bias: Tensor | None) -> Tensor:
    """rows weight^T + bias, with a weight from `_pack`."""
    product: Tensor = ONEDNN._linear_pointwise(rows, packed_weight, bias, "none", [], "")
    return product


class Product(torch.autograd.Function):
    """rows weight^T + bias. Its backward pass computes the gradient of the rows only."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, transposed: Tensor, bias: Tensor | None) -> Tensor:
        ctx.transposed = transposed
        return _product(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _product(gradient, ctx.transposed, None), None, None, None


class PackedLinear(nn.Module):
    """A frozen linear layer that packs its weights once, for the forward and for the backward pass.

    nn.Linear packs them in every call (benchmarks/speed.md). The results equal those of nn.Linear up to rounding. It
    takes twice the memory, and packed weights cannot be copied, moved, saved or converted.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach()
        self.bias = None if linear.bias is None else linear.bias.detach()
        self.packed = _pack(weight)
        self.transposed = _pack(weight.T.contiguous())

    def forward(self, rows: Tensor) -> Tensor:
        """Maps rows [..., input channel] to [..., output channel]."""
        product: Tensor = Product.apply(rows, self.packed, self.transposed, self.bias)
        return product


def packs(linear: nn.Linear) -> bool:
    """Whether torch can pack this layer's weights here. It needs oneDNN and a CPU that supports their precision."""
    onednn = torch.backends.mkldnn.is_available()
    known = onednn and all(hasattr(ONEDNN, name) for name in OPERATIONS)
    if linear.weight.device.type != "cpu" or not known:
        return False
    precision = linear.weight.dtype
    return precision == torch.float32 or (precision == torch.bfloat16 and bool(ONEDNN._is_mkldnn_bf16_supported()))


def packed(linear: nn.Linear) -> nn.Module:
    """The layer with packed weights, or the layer itself if torch cannot pack them here."""
    return PackedLinear(linear) if packs(linear) else linear
