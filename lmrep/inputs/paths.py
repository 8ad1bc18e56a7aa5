"""Where a build keeps what it fetches. Different contents have different names, so a file is never out of date.

Snakemake then has no reason to fetch a file again, and a fetch never reruns a finished run.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lmrep.inputs.pins import lock_key
from lmrep.provenance import model_files
from lmrep.study.sources import DEFAULT_FILE, Image, Pin, Weights
from lmrep.study.spec import Run

RESOURCES = Path("resources")  # in the folder of the build
LOCK = Path("weights.lock.json")  # the hash of every file that was fetched


def short(text: str) -> str:
    """8 hex digits that tell texts apart in a file name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def file_pins(weights: Weights) -> tuple[Pin, ...]:
    """Every file of an entry: those to fetch, or the local ones. A folder's only sha256 is of model.safetensors."""
    if not weights.path:
        return weights.pins
    path = Path(weights.path)
    files = model_files(path)
    hashes = weights.sha256
    if not isinstance(hashes, Mapping):
        hashes = {DEFAULT_FILE if path.is_dir() else path.name: hashes}
    return tuple(Pin(weights.name, file.name, path=str(file), sha256=hashes.get(file.name, "")) for file in files)


def pin_path(weights: Weights, pin: Pin) -> Path:
    """One file of an entry: a local one where it lies, a fetched one below `weights_path`."""
    path = weights_path(weights)
    return Path(pin.path) if pin.path else path / PurePosixPath(pin.file).name if len(weights.pins) > 1 else path


def weights_files(weights: Weights) -> tuple[Path, ...]:
    """All files of an entry, local or fetched."""
    return tuple(pin_path(weights, pin) for pin in file_pins(weights))


def weights_path(weights: Weights) -> Path:
    """What a loader takes: the file, or the folder that holds several. The name of a fetched one tells its origin."""
    if weights.path:
        return Path(weights.path)
    pins = weights.pins
    name = f"{weights.name}-{short(' '.join(map(lock_key, pins)))}"
    return RESOURCES / "weights" / (name if len(pins) > 1 else f"{name}{PurePosixPath(pins[0].file).suffix}")


def paths_of(run: Run) -> dict[str, Path]:
    """What the loader of a run takes: `weights_path` of each of its weights, by name."""
    return {weights.name: weights_path(weights) for weights in run.weight_files}


def original_path(image: Image, content: str, code: str) -> Path:
    """The lossless original of an image, by its name, its content and the digest of the code that reads or draws it."""
    return RESOURCES / "images" / f"{image.name}-{short(f'{content} {code}')}.png"
