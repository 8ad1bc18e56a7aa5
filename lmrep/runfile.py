"""Run files and traces: named float32 arrays and one JSON of facts under the metadata key `lmrep`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from lmrep.errors import InputError
from lmrep.replacing import replacing


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
