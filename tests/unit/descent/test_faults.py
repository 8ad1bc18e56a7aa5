"""What stops a descent is one line that names the run, the block and the photograph; other errors stay as they are."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import tiny
import torch
from conftest import ROOT

from lmrep import api
from lmrep.descent.faults import told
from lmrep.descent.groups import make_objectives
from lmrep.descent.plan import PRODUCTS, make_plan
from lmrep.errors import InputError, MachineError

LINE = r"^runs\.a: the device is out of memory: try a smaller memory$"
FULL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
)


@pytest.mark.parametrize("error", FULL, ids=["allocator", "context", "library"])
def test_a_full_card_is_told_as_one(error):
    with pytest.raises(MachineError, match=LINE), told("runs.a", "a smaller memory"):
        raise error


def test_a_full_host_is_told_as_one():
    with pytest.raises(MachineError, match=LINE), told("runs.a", "a smaller memory"):
        torch.empty(2**60, dtype=torch.uint8)


def test_a_full_card_while_weights_are_loaded_is_no_misfit():
    """A loader takes any error of a library for a model that does not fit, and hides it."""
    with pytest.raises(MachineError, match=LINE), told("runs.a", "a smaller memory"):
        try:
            raise FULL[0]
        except torch.OutOfMemoryError as error:
            raise InputError(f"weights.a: a model of type 'llama' does not fit ({error})") from None
    with pytest.raises(InputError, match="does not fit"), told("runs.a", ""):
        try:
            raise ValueError("wrong shapes")
        except ValueError as error:
            raise InputError(f"weights.a: a model of type 'llama' does not fit ({error})") from None


def test_a_descent_that_diverges_is_bad_input_and_another_error_is_a_mistake_of_ours():
    with pytest.raises(InputError, match=r"^runs\.a: the loss is nan$"), told("runs.a", ""):
        raise FloatingPointError("the loss is nan")
    with pytest.raises(RuntimeError, match="sizes differ"), told("runs.a", ""):
        raise RuntimeError("sizes differ")


def test_a_photograph_without_an_output_is_named_with_its_block():
    run = tiny.tiny_run("match", ("cat", "coil"), layers=(1, 3))
    run = replace(run, descent=replace(run.descent, distance="l2"))
    there = torch.ones(2, 17, 48)
    outputs = [there, torch.stack([there[0], torch.zeros(17, 48)])]
    plan = make_plan(run, torch.device("cpu"))
    assert len(make_objectives(run, plan, (1, 3), slice(0, 2), [there, there])) == 2
    with pytest.raises(FloatingPointError, match=r"^block 3: the output of coil is zero"):
        make_objectives(run, plan, (1, 3), slice(0, 2), outputs)


@pytest.mark.parametrize("asked", ["highest", "high", "medium"])
def test_a_notebooks_own_setting_of_products_comes_back(asked):
    before = torch.get_float32_matmul_precision(), [backend.fp32_precision for backend in PRODUCTS]
    try:
        torch.set_float32_matmul_precision(asked)
        own = [backend.fp32_precision for backend in PRODUCTS]
        with api.settled(torch.get_num_threads()):
            assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cuda.matmul.allow_tf32
        assert torch.get_float32_matmul_precision() == asked
        assert [backend.fp32_precision for backend in PRODUCTS] == own
    finally:
        torch.set_float32_matmul_precision(before[0])
        for backend, precision in zip(PRODUCTS, before[1], strict=True):
            backend.fp32_precision = precision


def test_float32_products_are_whole_whatever_a_notebook_asked_for():
    """On processors with bfloat16, `medium` rounds the factors."""
    before = [backend.fp32_precision for backend in PRODUCTS]
    one, two = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = (one.double() @ two.double()).float()
    try:
        for backend in PRODUCTS:
            backend.fp32_precision = "tf32"
        PRODUCTS[1].fp32_precision = "bf16"
        with api.settled(torch.get_num_threads()):
            assert [backend.fp32_precision for backend in PRODUCTS] == ["ieee", "ieee"]
            torch.testing.assert_close(one @ two, exact, rtol=1e-5, atol=1e-5)
        assert [backend.fp32_precision for backend in PRODUCTS] == ["tf32", "bf16"]
    finally:
        for backend, precision in zip(PRODUCTS, before, strict=True):
            backend.fp32_precision = precision


def test_torch_can_read_its_older_setting_where_the_environment_asks_for_tf32():
    settled = "import torch; from lmrep.descent.plan import settle; settle(1); "
    told = "print(torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)"
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    command = [sys.executable, "-c", settled + told]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["highest", "False"]
