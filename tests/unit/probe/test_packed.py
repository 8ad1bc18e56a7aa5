"""Products with packed weights, compared with torch's own, and the contract with torch.ops.mkldnn."""

from unittest.mock import Mock, patch

import pytest
import torch
from torch import nn

from lmrep.probe import packed
from lmrep.probe.block import PRODUCTS

pytestmark = pytest.mark.models
PRECISIONS = [torch.float32, torch.bfloat16]
# The signatures that packed.py calls, as torch 2.15 prints them.
SIGNATURES = {
    "_reorder_linear_weight": "(Tensor self, int? batch_size=None) -> Tensor",
    "_linear_pointwise": "(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, str? algorithm) -> Tensor",
    "_is_mkldnn_bf16_supported": "() -> bool",
}
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


def layer(precision: torch.dtype) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(48, 80).to(precision).requires_grad_(False)


@needs_onednn
@pytest.mark.parametrize("name", packed.OPERATIONS)
def test_torch_still_has_the_private_operations(name):
    operation = getattr(torch.ops.mkldnn, name, None)
    assert operation, f"this torch lacks mkldnn::{name}: packed.py would leave all layers unpacked, and steps be slower"
    assert str(operation.default._schema).startswith(f"mkldnn::{name}{SIGNATURES[name]}"), "see packed.py"


@needs_onednn
def test_layers_are_packed_where_onednn_is_available():
    assert packed.packs(layer(torch.float32))


@needs_onednn
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (3, 17, 48)])
def test_a_packed_layer_and_its_gradient_equal_torchs_own(precision, shape):
    linear = layer(precision)
    if precision == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has no bfloat16 on this processor")
    rng = torch.Generator().manual_seed(1)
    rows = torch.randn(shape, generator=rng).to(precision).requires_grad_()
    # Not contiguous, like the gradient that attention's backward pass returns.
    gradient = torch.randn(*shape[:-1], 80, generator=rng).to(precision).mT.contiguous().mT
    found = []
    for product in (linear, packed.packed(linear)):
        output = product(rows)
        found.append((output.detach(), *torch.autograd.grad(output, rows, gradient)))
    assert isinstance(product, packed.PackedLinear)
    for ours, theirs in zip(*reversed(found), strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        assert torch.equal(product(rows), found[1][0])


@needs_onednn
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_layer_without_bias_is_packed_too(precision):
    linear = layer(precision)
    linear.bias = None
    if not packed.packs(linear):
        pytest.skip("oneDNN does not have this precision on this processor")
    rows = torch.randn(7, 48, generator=torch.Generator().manual_seed(1)).to(precision)
    torch.testing.assert_close(packed.packed(linear)(rows), linear(rows))


@needs_onednn
def test_a_block_in_a_precision_has_packed_products(gpt2_probe):
    for name in PRODUCTS:
        assert isinstance(getattr(gpt2_probe.in_precision(torch.float32).blocks[0], name), packed.PackedLinear)
        assert isinstance(getattr(gpt2_probe.blocks[0], name), nn.Linear)


def test_a_layer_stays_as_it_is_if_torch_cannot_pack_it():
    linear = layer(torch.float32)
    assert packed.packed(linear.to("meta")).weight is linear.weight
    with patch.object(torch.backends.mkldnn, "is_available", lambda: False):
        assert not packed.packs(layer(torch.float32))
    with (
        patch.object(torch.backends.mkldnn, "is_available", lambda: True),
        patch.object(packed, "ONEDNN", Mock(_is_mkldnn_bf16_supported=lambda: False)),
    ):
        assert [packed.packs(layer(p)) for p in (torch.float32, torch.bfloat16, torch.float64)] == [True, False, False]
    with patch.object(packed, "OPERATIONS", ("_operation_of_another_version",)):
        assert not packed.packs(layer(torch.float32))
