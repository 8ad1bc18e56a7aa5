"""Whether a local file is a weight file at all, by its first bytes: before any job starts, and without its tensors."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lmrep.errors import InputError, one_line
from lmrep.study.sources import GGUF


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
