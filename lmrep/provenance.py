"""What made a file: versions, device, hashes. Nothing that differs between two equal builds on one machine."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "numpy", "safetensors")


def versions() -> dict[str, str]:
    """The installed version of every library that a run's numbers go through."""
    return {name: version(name) for name in LIBRARIES}


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def import_this_checkout() -> None:
    """Makes every process started from here on import this very lmrep, before one that may be installed."""
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
