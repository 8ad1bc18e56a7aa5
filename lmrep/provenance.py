"""What made a file: library versions and content hashes, nothing that differs between equal builds on one machine."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "numpy", "safetensors", "scipy")


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """The installed version of every library that computes a run's numbers. `more`: those of its models."""
    return {name: version(name) for name in (*LIBRARIES, *more)}


def file_sha256(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_files(path: Path) -> tuple[Path, ...]:
    """The files that a model is loaded from: `path` itself, or those in a folder of that name, sorted by name."""
    if not path.is_dir():
        return (path,)
    wanted = ("config.json", "*.safetensors", "*.safetensors.index.json")
    found = {file for pattern in wanted for file in path.glob(pattern) if not file.name.startswith(".")}
    return tuple(sorted(found))


def weight_hashes(name: str, path: Path) -> dict[str, str]:
    """The sha256 of each file of a model: {name: hex} for one file, {"name/config.json": hex, ...} for a folder."""
    if not path.is_dir():
        return {name: file_sha256(path)}
    return {f"{name}/{file.name}": file_sha256(file) for file in model_files(path)}
