"""Whether a local file is a weight file at all, by its first bytes: before any job starts, and without its tensors."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lmrep.errors import InputError, one_line
from lmrep.study.sources import CONFIG_FILE, CONFIG_SIZES, GGUF, Weights


def check_header(path: Path, key: str) -> None:
    """Raises InputError, naming `key`, unless the file is what its name says: safetensors, GGUF or a JSON object.

    The header of a safetensors file must fit the file's size.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as file:
                if not file.keys():
                    raise ValueError("it has no tensors")
        elif path.suffix == GGUF:
            with path.open("rb") as file:
                if file.read(4) != b"GGUF":
                    raise ValueError("it does not begin with GGUF")
        elif path.suffix == ".json" and not isinstance(json.loads(path.read_bytes()), dict):
            raise ValueError("it is not an object")
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        kind = {".json": "JSON"}.get(path.suffix, path.suffix[1:])
        raise InputError(f"{key}: {path}: expected a whole {kind} file ({one_line(error)})") from None


def check_sizes(weights: Weights, path: Path) -> None:
    """Raises InputError where a model's config.json names another size than the study's config.

    A model may have other keys for its sizes: the library knows them, when a job loads it.
    """
    config = json.loads(path.read_bytes())
    for ours, theirs in CONFIG_SIZES.items():
        said, found = getattr(weights, ours), config.get(theirs)
        if said and isinstance(found, int) and found != said:
            raise InputError(f"weights.{weights.name}.{ours}: expected {found}, as its {CONFIG_FILE} says, not {said}")
