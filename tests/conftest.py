"""What tests share: tiny weight files, and probes on them, made once."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory):
    """Weight files by name, and the libraries' own models that they were written from."""
    import tiny

    folder = tmp_path_factory.mktemp("weights")
    files = {name: folder / f"{name}.safetensors" for name in ("tiny_gpt2", "tiny_vit", "tiny_wide")}
    models = {
        "tiny_gpt2": tiny.write_gpt2(files["tiny_gpt2"]),
        "tiny_vit": tiny.write_vit(files["tiny_vit"]),
        "tiny_wide": tiny.write_vit(files["tiny_wide"], tiny.WIDE),
    }
    return files, models


@pytest.fixture(scope="session")
def gpt2_probe(tiny_files):
    import tiny
    import torch

    from lmrep.probe import load_probe

    files, _ = tiny_files
    spec = tiny.tiny_run("neuron", (0,)).probe
    return load_probe(spec, files["tiny_vit"], files["tiny_gpt2"], 3, torch.device("cpu"))
