"""Whole-file writes, and run files.

A run file is one safetensors file: named float32 arrays, and a JSON of facts about them in its metadata.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lmrep.errors import InputError

Array = npt.NDArray[np.float32]

OF_PANELS = ("targets", "shifted")  # arrays of a run file that have no layers


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to, and renames it to `path` at the end.

    If the body raises, `path` stays as it was. Each call has a temporary name of its own, so two processes never write
    into the same file. Temporary files of killed processes are removed.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        yield part
        with _ignore_if_replaced(path):
            with open(part, "rb") as written:
                os.fsync(written.fileno())  # without it, a host that crashes may keep the name and lose the content
            os.replace(part, path)
    finally:
        for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}.part"):
            left.unlink(missing_ok=True)


@contextmanager
def _ignore_if_replaced(path: Path) -> Iterator[None]:
    """Ignores a missing temporary file if `path` exists: another process has just written `path` and cleaned up."""
    try:
        yield
    except FileNotFoundError:
        if not path.exists():
            raise


@dataclass(frozen=True)
class ArrayFile:
    """The content of a run file: arrays by name, and facts (JSON values)."""

    arrays: dict[str, Array]
    facts: dict[str, Any]

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


def write_arrays(path: Path, arrays: Mapping[str, npt.ArrayLike], facts: dict[str, Any]) -> None:
    """Writes `arrays` (as float32, in C order) and `facts` (JSON values) to one safetensors file."""
    tensors = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
    with replacing(path) as part:
        # save_file would make a file that only its owner can read, which is no use on a cluster's shared disk.
        part.write_bytes(save(tensors, metadata={"lmrep": json.dumps(facts, sort_keys=True)}))


def read_arrays(path: Path | str) -> ArrayFile:
    """Reads a file that `write_arrays` wrote. Raises InputError for a missing file or any other kind of file."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["lmrep"])
            names = list(file.keys())
            other = [name for name in names if file.get_slice(name).get_dtype() != "F32"]
            if other:
                raise ValueError(f"not float32: {', '.join(other)}")
            return ArrayFile({name: file.get_tensor(name) for name in names}, facts)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a run file") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{path}: expected a file of float32 arrays with lmrep's metadata ({error})") from None


def merge_layers(shards: Sequence[ArrayFile]) -> ArrayFile:
    """Joins files that each hold some layers of one run. The result lists the devices of all of them.

    Raises InputError if any other fact differs between them.
    """
    layers = [layer for shard in shards for layer in shard.facts["layers"]]
    order = np.argsort(layers)
    arrays = {
        name: shards[0][name] if name in OF_PANELS else np.concatenate([shard[name] for shard in shards])[order]
        for name in shards[0].arrays
    }
    merged = {"layers": sorted(layers), "device": ", ".join(sorted({shard.facts["device"] for shard in shards}))}
    settings = {"layers": merged["layers"]}
    facts = [{**shard.facts, **merged, "settings": {**shard.facts["settings"], **settings}} for shard in shards]
    for other in facts[1:]:
        unlike = sorted(key for key in {*facts[0], *other} if facts[0].get(key) != other.get(key))
        if unlike:
            raise InputError(
                f"runs.{facts[0]['run']}: its jobs ran with different {', '.join(unlike)}; expected the same in all"
            )
    return ArrayFile(arrays, facts[0])
