"""Weight files with numbers that are none, or of types that are no floating-point numbers."""

import pytest
import torch
from architectures import write_model
from safetensors.torch import load_file, save_file
from tiny import GPT2, VIT, probe_of, write_gpt2, write_vit

from lmrep.errors import InputError
from lmrep.probe import library_model, transformers_stack
from lmrep.probe.loading import load_stack
from lmrep.probe.stem import ViTStem
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem

pytestmark = pytest.mark.models
FLOATS = (torch.float64, torch.float16, torch.bfloat16)
OTHERS = (torch.int8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)
NAMES = {
    torch.int8: "I8",
    torch.int64: "I64",
    torch.bool: "BOOL",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
}
NONE = (float("nan"), float("inf"), -float("inf"))


@pytest.fixture
def gpt2(tmp_path):
    """`gpt2(change)` loads a file after `change(tensors)`."""
    path = tmp_path / "mine.safetensors"
    write_gpt2(path)
    tensors = load_file(path)

    def load(change, depth=GPT2.depth):
        change(tensors)
        save_file(tensors, path)
        return load_stack(probe_of(VIT, GPT2), path, True, depth, 0)

    load.path = path
    return load


def becomes(key, dtype):
    return lambda tensors: tensors.update({key: tensors[key].to(dtype)})


def holds(key, value):
    return lambda tensors: tensors[key].view(-1).__setitem__(3, value)


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_point_numbers_of_16_to_64_bits_are_read(gpt2, dtype):
    stack = gpt2(becomes("h.1.mlp.c_fc.weight", dtype))
    assert all(parameter.dtype == torch.float32 for parameter in stack.blocks.parameters())


@pytest.mark.parametrize("dtype", OTHERS)
def test_other_numbers_are_refused(gpt2, dtype):
    with pytest.raises(InputError) as error:
        gpt2(becomes("h.1.mlp.c_fc.weight", dtype))
    told = f"is of type {str(dtype).removeprefix('torch.')}, expected float32, float64, float16 or bfloat16"
    assert str(error.value) == f"weights.tiny_gpt2: {gpt2.path}: tensor 'h.1.mlp.c_fc.weight' {told}"


@pytest.mark.parametrize("value", NONE)
def test_nan_and_infinity_are_refused_where_they_are_used(gpt2, value):
    spoil = holds("h.2.ln_1.bias", value)
    assert gpt2(spoil, depth=2).blocks
    with pytest.raises(
        InputError, match=rf"^weights\.tiny_gpt2: {gpt2.path}: tensor 'h\.2\.ln_1\.bias' holds NaN or inf"
    ):
        gpt2(spoil)


def test_a_number_too_large_for_float32_is_refused(gpt2):
    def change(tensors):
        becomes("h.0.ln_1.bias", torch.float64)(tensors)
        holds("h.0.ln_1.bias", 1e300)(tensors)

    with pytest.raises(InputError, match=r"tensor 'h\.0\.ln_1\.bias' holds NaN or infinity, expected finite numbers"):
        gpt2(change)


def test_a_vits_file_is_held_to_it_too(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_vit(path)
    tensors = load_file(path)
    tensors["pos_embed"][0, 1, 2] = torch.nan
    save_file(tensors, path)
    with pytest.raises(InputError, match=rf"^weights\.tiny_vit: {path}: tensor 'pos_embed' holds NaN"):
        ViTStem(probe_of(VIT, GPT2).stem, path)


@pytest.mark.parametrize("shared", [True, False], ids=["each block twice", "some blocks each way"])
def test_a_file_with_both_names_is_refused(gpt2, shared):
    def change(tensors):
        for key in [key for key in tensors if key.startswith("h.1.")]:
            tensors[f"transformer.{key}"] = tensors[key].clone() if shared else tensors.pop(key)

    with pytest.raises(InputError) as error:
        gpt2(change)
    line = str(error.value)
    assert line.startswith(f"weights.tiny_gpt2: {gpt2.path}: expected ") and "'transformer.' before their names" in line


@pytest.fixture
def library(tmp_path):
    """`library(change)` loads a GPT-2 through transformers after `change(tensors)`."""
    path = tmp_path / "model.safetensors"
    write_model(tmp_path, "gpt2")
    tensors = load_file(path)

    def load(change):
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})
        weights = Weights("mine", "transformers", width=48, depth=3, causal=True)
        spec = Probe("tiny", "Tiny", Stem("basis", 16, 4, 48, None, {"basis": "dct"}, first_token="none"), weights)
        return transformers_stack.load_stack(spec, tmp_path, True, 3, 0)

    load.path, load.key = path, next(key for key in tensors if key.endswith("h.1.mlp.c_fc.weight"))
    return load


@pytest.mark.parametrize("dtype", FLOATS)
def test_transformers_reads_floating_point_numbers(library, dtype):
    assert len(library(becomes(library.key, dtype)).blocks) == 3


@pytest.mark.parametrize("dtype", OTHERS)
def test_transformers_does_not_convert_other_numbers_silently(library, dtype):
    with pytest.raises(InputError) as error:
        library(becomes(library.key, dtype))
    told = f"is of type {NAMES[dtype]}, expected float32, float64, float16 or bfloat16"
    assert str(error.value) == f"weights.mine: {library.path}: tensor '{library.key}' {told}"


@pytest.mark.parametrize("value", NONE)
def test_nan_and_infinity_through_transformers_are_refused(library, value):
    with pytest.raises(InputError) as error:
        library(holds(library.key, value))
    told = "tensor 'h.1.mlp.c_fc.weight' holds NaN or infinity, expected finite numbers of float32"
    assert str(error.value) == f"weights.mine: {library.path.parent}: {told}"


def test_old_masks_of_other_types_are_no_weights(library):
    masks = {library.key.replace("mlp.c_fc.weight", "attn.bias"): torch.ones(1, 1, 64, 64).bool()}
    assert len(library(lambda tensors: tensors.update(masks)).blocks) == 3
    assert library_model.NOT_WEIGHTS.search("bert.embeddings.position_ids")
