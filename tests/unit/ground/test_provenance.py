"""Library versions and content hashes."""

import hashlib

import numpy as np

from lmrep.provenance import file_sha256, model_files, versions, weight_hashes


def test_a_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_those_installed():
    assert versions()["numpy"] == np.__version__ and all(versions().values())


def test_the_hashes_of_a_models_files(tmp_path):
    for name in ("model.safetensors", "config.json", "model.safetensors.index.json", "notes.txt", ".x.safetensors"):
        (tmp_path / name).write_bytes(b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert weight_hashes("gpt2", tmp_path / "model.safetensors") == {"gpt2": sha256}
    names = ["config.json", "model.safetensors", "model.safetensors.index.json"]
    assert [path.name for path in model_files(tmp_path)] == names
    assert weight_hashes("bert", tmp_path) == {f"bert/{name}": sha256 for name in names}
