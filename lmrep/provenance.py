"""What made a file: library versions and content hashes, nothing that differs between equal builds on one machine."""

import hashlib
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "numpy", "safetensors")


def versions() -> dict[str, str]:
    """The installed version of every library that computes a run's numbers."""
    return {name: version(name) for name in LIBRARIES}


def file_sha256(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
