"""Files that appear whole or not at all, and run files: named float32 arrays with a JSON of facts."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from secrets import token_hex

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from lmrep.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; on an error, `path` stays as it was.

    Its name is this process's own: another that was thought dead cannot write into it. What killed processes left is
    removed.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        yield part
        with suppress_if_replaced(path):
            with open(part, "rb") as written:
                os.fsync(written.fileno())  # else a host that goes down may leave the name with nothing behind it
            os.replace(part, path)
    finally:
        for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}.part"):
            left.unlink(missing_ok=True)


@contextmanager
def suppress_if_replaced(path: Path) -> Iterator[None]:
    """Lets the part be gone where another process took it for left over: one that has just written `path`."""
    try:
        yield
    except FileNotFoundError:
        if not path.exists():
            raise


@dataclass(frozen=True)
class ArrayFile:
    arrays: dict[str, np.ndarray]
    facts: dict

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


def write_arrays(path: Path, arrays: dict[str, np.ndarray], facts: dict) -> None:
    """Writes `arrays` (C order, float32) and `facts` (JSON values) to one safetensors file."""
    arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
    with replacing(path) as part:
        # Not save_file: that makes a file which only its owner may read, no use on a cluster's shared disk.
        part.write_bytes(save(arrays, metadata={"lmrep": json.dumps(facts, sort_keys=True)}))


def read_arrays(path: Path) -> ArrayFile:
    """What `write_arrays` wrote. Raises InputError for a file that is not one of ours."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["lmrep"])
            return ArrayFile({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{path}: expected a safetensors file with lmrep's metadata ({error})") from None
    except Exception as error:  # safetensors raises its own class, which it does not share a base with
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None


def merge_layers(shards: Sequence[ArrayFile]) -> ArrayFile:
    """One run from files that each hold some of its layers.

    Raises InputError where they were not made alike; of devices, the merged file names all.
    """
    layers = [layer for shard in shards for layer in shard.facts["layers"]]
    order = np.argsort(layers)
    arrays = {
        name: shards[0][name] if name == "targets" else np.concatenate([shard[name] for shard in shards])[order]
        for name in shards[0].arrays
    }
    merged = {"layers": sorted(layers), "device": ", ".join(sorted({shard.facts["device"] for shard in shards}))}
    settings = {"layers": merged["layers"]}
    facts = [{**shard.facts, **merged, "settings": {**shard.facts["settings"], **settings}} for shard in shards]
    for other in facts[1:]:
        unlike = sorted(key for key in {*facts[0], *other} if facts[0].get(key) != other.get(key))
        if unlike:
            raise InputError(f"runs.{facts[0]['run']}: its jobs were made with different {', '.join(unlike)}")
    return ArrayFile(arrays, facts[0])
