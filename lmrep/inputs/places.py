"""Where a build keeps what it fetches. A name tells the content apart, so a file is never out of date.

Snakemake then has no reason to fetch a file again, and a fetch never reruns a finished run.
"""

import hashlib
from pathlib import Path

from lmrep.inputs.weights import lock_key
from lmrep.study.spec import Image, Weights

RESOURCES = Path("resources")  # in the folder of the build
LOCK = Path("weights.lock.json")  # the hash of every file that came from the hub


def short(text: str) -> str:
    """8 hex digits that tell texts apart in a file name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def weights_place(weights: Weights) -> Path:
    """A local weight file where it lies; one from the hub by its name, repository, commit and file."""
    if weights.path:
        return Path(weights.path)
    return RESOURCES / "weights" / f"{weights.name}-{short(lock_key(weights))}.safetensors"


def image_place(image: Image, content: str, code: str) -> Path:
    """The lossless original of an image, by its name, its content and the digest of the code that reads or draws it."""
    return RESOURCES / "images" / f"{image.name}-{short(f'{content} {code}')}.png"
