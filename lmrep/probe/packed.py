"""Products with weights that never change, on a CPU."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ONEDNN = torch.ops.mkldnn  # what torch.compile has a frozen model use; these operations have no public name
OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")


class Product(torch.autograd.Function):
    """rows weight^T + bias, and the gradient of the rows alone."""

    @staticmethod
    def forward(ctx, rows: Tensor, weight: Tensor, transposed: Tensor, bias: Tensor) -> Tensor:
        ctx.transposed = transposed
        return ONEDNN._linear_pointwise(rows, weight, bias, "none", [], "")

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return ONEDNN._linear_pointwise(gradient, ctx.transposed, None, "none", [], ""), None, None, None


class PackedLinear(nn.Module):
    """A frozen linear layer whose weights are laid out for the processor once, there and back.

    nn.Linear does that anew in every call (benchmarks/speed.md). Its numbers are nn.Linear's but for rounding, and it
    takes twice its memory. It stays where it is: laid out weights can be neither copied, moved, saved nor converted.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight, self.bias = linear.weight.detach(), linear.bias.detach()
        self.packed = ONEDNN._reorder_linear_weight(weight, None)
        self.transposed = ONEDNN._reorder_linear_weight(weight.T.contiguous(), None)

    def forward(self, rows: Tensor) -> Tensor:
        """[..., channel] to [..., channel]."""
        return Product.apply(rows, self.packed, self.transposed, self.bias)


def packs(linear: nn.Linear) -> bool:
    """Whether torch can lay out this layer's weights here: oneDNN on a CPU that has their precision."""
    known = torch.backends.mkldnn.is_available() and all(hasattr(ONEDNN, name) for name in OPERATIONS)
    if linear.weight.device.type != "cpu" or not known:
        return False
    precision = linear.weight.dtype
    return precision == torch.float32 or (precision == torch.bfloat16 and ONEDNN._is_mkldnn_bf16_supported())


def packed(linear: nn.Linear) -> nn.Module:
    """The same layer, its weights laid out beforehand where that can be."""
    return PackedLinear(linear) if packs(linear) else linear
