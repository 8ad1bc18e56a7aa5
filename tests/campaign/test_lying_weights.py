"""Weight files that are not what they say: refused when the study is read, or at the latest when they are loaded."""

import os
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import counts
import gguf
import numpy as np
import pytest
import tiny
import torch
from mutants import STUDIES, changed, study_of
from safetensors.torch import load_file, save
from test_broken_configs import here  # noqa: F401

from lmrep.probe.probe import load_probe
from lmrep.probe.transformers_stack import load_stack
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem

pytestmark = pytest.mark.models
Tensors = dict[str, torch.Tensor]


def header(text: bytes, length: int | None = None, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(dtype: str, shape: list[int], ends: list[int]) -> bytes:
    return f'{{"h.0.ln_1.weight": {{"dtype": "{dtype}", "shape": {shape}, "data_offsets": {ends}}}}}'.encode()


# Files that are no safetensors at all, made of a good one: refused before any job starts.
BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "seven bytes": lambda good: good[:7],
    "a cut header": lambda good: good[:99],
    "a cut body": lambda good: good[:-1],
    "half": lambda good: good[: len(good) // 2],
    "more behind": lambda good: good + b"more",
    "a header of 2^63 bytes": lambda good: header(good[8:], 2**63),
    "a header of 2^64 - 1 bytes": lambda good: header(good[8:], 2**64 - 1),
    "a header of 1 GB": lambda good: header(good[8:], 10**9),
    "a header that is no JSON": lambda good: header(b"{not json}"),
    "a header that is a list": lambda good: header(b"[]"),
    "a header in another encoding": lambda good: header("{}".encode("utf-16")),
    "an empty header": lambda good: header(b"{}"),
    "no header": lambda good: header(b""),
    "offsets beyond the end": lambda good: header(entry("F32", [4], [0, 16]), body=bytes(8)),
    "offsets backwards": lambda good: header(entry("F32", [4], [16, 0]), body=bytes(16)),
    "a shape of 2^62": lambda good: header(entry("F32", [2**31, 2**31], [0, 16]), body=bytes(16)),
    "an unknown type": lambda good: header(entry("F33", [4], [0, 16]), body=bytes(16)),
    "a pickle": lambda good: pickle.dumps({"h.0.ln_1.weight": [0.0] * 99}),
    "an archive of torch": lambda good: b"PK\x03\x04" + good,
    "a web page": lambda good: b"<!DOCTYPE html><html>not found</html>",
    "a pointer of git LFS": lambda good: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n",
    "zeros": lambda good: bytes(len(good)),
}  # fmt: skip
BLOCK = "h.1.mlp.c_fc.weight"  # [48, 192] of the tiny GPT-2


def with_value(value: float) -> Callable[[Tensors], Tensors]:
    def spoil(tensors: Tensors) -> Tensors:
        tensors[BLOCK][3, 5] = value
        return tensors

    return spoil


def as_type(dtype: torch.dtype, *names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        name: tensor.to(dtype) if name in names or not names else tensor for name, tensor in tensors.items()
    }


# Tensors that the blocks of the tiny GPT-2 cannot have, and what the line contains; None: accepted.
TENSORS: dict[str, tuple[Callable[[Tensors], Tensors], tuple[str, ...] | None]] = {
    "whole": (lambda t: t, None),
    "float16": (as_type(torch.float16), None),
    "bfloat16": (as_type(torch.bfloat16), None),
    "float64": (as_type(torch.float64), None),
    "a head": (lambda t: t | {"lm_head.weight": torch.ones(11, 48)}, None),
    "transformer. before each": (lambda t: {f"transformer.{name}": tensor for name, tensor in t.items()}, None),
    **{
        f"one tensor of {dtype}": (as_type(dtype, BLOCK), ("mlp.c_fc.weight",))
        for dtype in (torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)
    },
    "all int8": (as_type(torch.int8), ("int8",)),
    "NaN": (with_value(torch.nan), ("mlp.c_fc.weight",)),
    "inf": (with_value(torch.inf), ("mlp.c_fc.weight",)),
    "-inf": (with_value(-torch.inf), ("mlp.c_fc.weight",)),
    "float64 beyond float32": (lambda t: as_type(torch.float64, BLOCK)(t) | {BLOCK: t[BLOCK].double() * 1e300}, ()),
    "both prefixes": (lambda t: t | {f"transformer.{name}": tensor * 2 for name, tensor in t.items()}, ("h.",)),
    "both prefixes of one": (lambda t: t | {f"transformer.{BLOCK}": t[BLOCK] * 2}, (BLOCK,)),
    "a missing tensor": (lambda t: {name: each for name, each in t.items() if name != BLOCK}, ("c_fc", "missing")),
    "a missing block": (lambda t: {name: each for name, each in t.items() if "h.1." not in name}, ("missing",)),
    "another shape": (lambda t: t | {BLOCK: torch.ones(48, 191)}, ("c_fc", "[48, 191]")),
    "turned": (lambda t: t | {BLOCK: t[BLOCK].T.contiguous()}, ("c_fc", "[192, 48]")),
    "an axis less": (lambda t: t | {BLOCK: t[BLOCK][0]}, ("c_fc",)),
    "a number": (lambda t: t | {BLOCK: torch.tensor(1.0)}, ("c_fc",)),
    "no numbers": (lambda t: t | {BLOCK: torch.ones(0, 192)}, ("c_fc",)),
    "a tensor more in a block": (lambda t: t | {"h.1.attn.extra": torch.ones(3)}, ("extra",)),
    "another model's": (lambda t: {f"layers.{name}": tensor for name, tensor in t.items()}, ("missing",)),
    "embeddings of another width": (lambda t: t | {"wte.weight": torch.ones(11, 47)}, ("wte.weight",)),
    "embeddings of bools": (lambda t: t | {"wte.weight": torch.ones(11, 48, dtype=torch.bool)}, ("wte.weight",)),
    "embeddings with NaN": (lambda t: t | {"wte.weight": torch.full((11, 48), torch.nan)}, ("wte.weight",)),
    "no embeddings": (lambda t: {name: each for name, each in t.items() if name != "wte.weight"}, ("wte.weight",)),
}  # fmt: skip


@pytest.fixture
def load(tiny_files, tmp_path):
    """Loads a probe on the tiny GPT-2 whose weights are at `tmp_path / "model.safetensors"`."""
    files, _ = tiny_files
    spec = tiny.probe_of(tiny.VIT, replace(tiny.GPT2, bos=1), first_token="bos")
    path = tmp_path / "model.safetensors"
    return lambda stem=files["tiny_vit"]: load_probe(
        spec, {"tiny_vit": stem, "tiny_gpt2": path}, 3, torch.device("cpu")
    )


def configured(path: Path) -> None:
    """What a dry run does with local weights at `path`."""
    config = changed(STUDIES["miniature"], ("weights", "gpt2_mini", "path"), str(path))
    del config["weights"]["gpt2_mini"]["sha256"]
    study_of(config)


@pytest.mark.parametrize("case", BYTES)
def test_a_file_that_is_no_weight_file(tiny_files, tmp_path, load, case):
    files, _ = tiny_files
    path = tmp_path / "model.safetensors"
    path.write_bytes(BYTES[case](files["tiny_gpt2"].read_bytes()))
    wrong = counts.judge("weights", f"{case}, read", lambda: configured(path), ("weights.gpt2_mini", str(path)))
    wrong += counts.judge("weights", f"{case}, loaded", load, ("weights.tiny_gpt2",))
    wrong += counts.judge("weights", f"{case}, as stem", lambda: load(path), ("weights.tiny_vit",))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", TENSORS)
def test_a_file_with_other_tensors(tiny_files, tmp_path, load, case):
    files, _ = tiny_files
    spoil, says = TENSORS[case]
    (tmp_path / "model.safetensors").write_bytes(save(spoil(load_file(files["tiny_gpt2"]))))
    wrong = counts.judge("weights", case, load, says if says is None else ("weights.tiny_gpt2", *says))
    assert not wrong, "\n".join(wrong)


PLACES: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "nothing": lambda path: None,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("gone")),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "without permission": lambda path: (path.write_bytes(b"x"), path.chmod(0)),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_path_that_is_no_file(tmp_path, load, case):
    path = tmp_path / "model.safetensors"
    PLACES[case](path)
    wrong = counts.judge("weights", f"{case}, read", lambda: configured(path), ("weights.gpt2_mini", str(path)))
    if case not in ("a pipe", "a device"):  # a study that has them is refused
        wrong += counts.judge("weights", f"{case}, loaded", load, ("weights.tiny_gpt2", str(path)))
    assert not wrong, "\n".join(wrong)


def write_gguf(path: Path, spoil: Callable[[dict], dict] = dict, **changes: int) -> bytes:
    """A tiny llama of random numbers in a GGUF file, and its bytes."""
    shapes = {"token_embd": (31, 48), "output_norm": (48,)}
    for block in range(2):
        parts = {name: (48, 48) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        parts |= {"attn_norm": (48,), "ffn_norm": (48,), "ffn_gate": (72, 48), "ffn_up": (72, 48), "ffn_down": (48, 72)}
        shapes |= {f"blk.{block}.{name}": shape for name, shape in parts.items()}
    rng = np.random.default_rng(0)
    tensors = spoil({f"{name}.weight": rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()})
    sizes = {
        "context_length": 64, "embedding_length": 48, "block_count": 2, "feed_forward_length": 72, "head_count": 4,
        "head_count_kv": 4, "layer_norm_rms_eps": 1e-5, "rope_dimension_count": 12, "vocab_size": 31,
    }  # fmt: skip
    writer = gguf.GGUFWriter(str(path), "llama")
    for name, value in {**sizes, **changes}.items():
        getattr(writer, f"add_{name}")(value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


FFN = "blk.1.ffn_up.weight"
GGUF_TENSORS: dict[str, tuple[Callable[[dict], dict], Mapping[str, int], tuple[str, ...] | None]] = {
    "whole": (dict, {}, None),
    "NaN": (lambda t: t | {FFN: np.full_like(t[FFN], np.nan)}, {}, ("NaN",)),
    "inf in the embeddings": (lambda t: t | {"token_embd.weight": t["token_embd.weight"] * np.inf}, {}, ()),
    "a missing tensor": (lambda t: {name: each for name, each in t.items() if name != FFN}, {}, ("missing",)),
    "another shape": (lambda t: t | {FFN: t[FFN][:70]}, {}, ()),
    "another width": (dict, {"embedding_length": 96}, ("width",)),
    "another depth": (dict, {"block_count": 1}, ("depth",)),
    "no heads": (dict, {"head_count": 0}, ()),
    "2^31 blocks": (dict, {"block_count": 2**31}, ()),
}
GGUF_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda good: b"",
    "three bytes": lambda good: good[:3],
    "only its magic": lambda good: good[:4],
    "a cut header": lambda good: good[:60],
    "half": lambda good: good[: len(good) // 2],
    "another magic": lambda good: b"GGML" + good[4:],
    "version 99": lambda good: good[:4] + struct.pack("<I", 99) + good[8:],
    "2^60 tensors": lambda good: good[:8] + struct.pack("<Q", 2**60) + good[16:],
    "2^60 keys": lambda good: good[:16] + struct.pack("<Q", 2**60) + good[24:],
    "zeros behind the header": lambda good: good[:24] + bytes(len(good) - 24),
    "safetensors": lambda good: header(b"{}"),
}
MODEL = Weights("llama", "transformers", 48, 2, causal=True)
BASIS = Stem("basis", 16, 4, 48, None, {"basis": "dct"}, first_token="none")


@pytest.mark.parametrize("case", [*GGUF_TENSORS, *GGUF_BYTES])
def test_a_gguf_file(tmp_path, case):
    path = tmp_path / "model.gguf"
    if case in GGUF_TENSORS:
        spoil, changes, says = GGUF_TENSORS[case]
        write_gguf(path, spoil, **changes)
    else:
        path.write_bytes(GGUF_BYTES[case](write_gguf(tmp_path / "good.gguf")))
        says = (str(path),)
    spec = Probe("p", "P", BASIS, MODEL, scale="embeddings")
    says = says if says is None else ("weights.llama", *says)
    wrong = counts.judge("GGUF", case, lambda: load_stack(spec, path, True, 2, 0), says, seconds=30)
    assert not wrong, "\n".join(wrong)
