"""Whole-file writes, and run files.

A run file is one safetensors file: named float32 arrays, and a JSON of facts about them in its metadata.
"""

import errno
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lmrep.errors import InputError, MachineError, one_line

Array = npt.NDArray[np.float32]
Shape = tuple[str | int, ...]  # of an array: axes with a size, or with a name

OF_PANELS = ("targets", "shifted", "baseline")  # arrays of a run file that have no layers


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to, and renames it to `path` at the end.

    If the body raises, `path` stays as it was. Each call has a temporary name of its own, so two processes never write
    into the same file. Temporary files of killed processes are removed. An OSError of the write, such as a full disk's,
    names `path`.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        yield part
        with _ignore_if_replaced(path):
            with open(part, "rb") as written:
                os.fsync(written.fileno())  # without it, a host that crashes may keep the name and lose the content
            os.replace(part, path)
    except OSError as error:
        if error.filename and os.fspath(error.filename) != str(part):  # of another file, which the body reads
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or one_line(error), str(path)) from error
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
    path: str = ""  # where it was read

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


def write_arrays(path: Path, arrays: Mapping[str, npt.ArrayLike], facts: dict[str, Any]) -> None:
    """Writes `arrays` (as float32, in C order) and `facts` (JSON values) to one safetensors file."""
    tensors = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
    with replacing(path) as part:
        part.touch()
        rights = part.stat().st_mode
        try:
            save_file(tensors, part, metadata={"lmrep": json.dumps(facts, sort_keys=True)})  # no copy of the arrays
        except SafetensorError as error:
            raise OSError(errno.EIO, one_line(error)) from error
        with suppress(FileNotFoundError):  # another process has just written `path` and cleaned up
            part.chmod(rights)  # it would be its owner's alone, which is no use on a cluster's shared disk


def read_arrays(path: Path | str, wanted: Collection[str] | None = None) -> ArrayFile:
    """Reads a file that `write_arrays` wrote: all its arrays, or those of the names in `wanted`.

    Raises InputError for a missing file or any other kind of file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["lmrep"])
            names = list(file.keys())
            other = [name for name in names if file.get_slice(name).get_dtype() != "F32"]
            if other:
                raise ValueError(f"not float32: {', '.join(other)}")
            if not isinstance(facts, dict):
                raise ValueError("its metadata is no JSON object")
            read = [name for name in names if wanted is None or name in wanted]
            return ArrayFile({name: file.get_tensor(name) for name in read}, facts, str(path))
    except FileNotFoundError:
        raise MachineError(f"{path}: no such file; expected a run file") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({one_line(error)})") from None
    except (KeyError, ValueError, OSError, RecursionError) as error:
        reason = one_line(error)
        raise InputError(f"{path}: expected a file of float32 arrays with lmrep's metadata ({reason})") from None


def check_arrays(file: ArrayFile, shapes: Mapping[str, Shape], sizes: Mapping[str, int]) -> None:
    """Raises InputError unless a file has the arrays of `shapes`, each of its shape and finite.

    An axis is a number or a name. Axes of the same name have the same size, the one in `sizes` if it is there.
    """
    known = dict(sizes)
    for name, shape in shapes.items():
        if name not in file.arrays:
            raise InputError(f"{file.path}: has no {name}")
        found = list(file[name].shape)
        if len(found) == len(shape):
            for axis, size in zip(shape, found, strict=True):
                known.setdefault(str(axis), size)
        wanted = [axis if isinstance(axis, int) else known.get(axis, axis) for axis in shape]
        if found != wanted:
            axes, expected = (", ".join(map(str, values)) for values in (shape, wanted))
            raise InputError(f"{file.path}: its {name} [{axes}] have the shape {found}, expected [{expected}]")
        if not np.isfinite(file[name]).all():
            raise InputError(f"{file.path}: its {name} are not all finite")


def merge_layers(shards: Sequence[ArrayFile], layers: Collection[int] = ()) -> ArrayFile:
    """Joins files that each hold some layers of one run. The result lists the devices of all of them.

    `layers`: those that the run has, if that is known.
    Raises InputError if a layer is there twice or missing, or if anything but layers and devices differs between files.
    """
    first, found = shards[0], [layer for shard in shards for layer in shard.facts["layers"]]
    for index, shard in enumerate(shards):
        again = {layer for before in shards[:index] for layer in before.facts["layers"]} & {*shard.facts["layers"]}
        unlike = _differences(first, shard)
        if again:
            raise InputError(f"{shard.path}: has layers {sorted(again)} again; expected each in one file")
        if unlike:
            raise InputError(f"{shard.path}: has other {', '.join(unlike)} than {first.path}; expected the same in all")
    missing = sorted({*layers} - {*found})
    if missing:
        raise InputError(f"{first.path} and the files beside it: have no layers {missing}")
    order = np.argsort(found)
    arrays = {
        name: first[name] if name in OF_PANELS else np.concatenate([shard[name] for shard in shards])[order]
        for name in first.arrays
    }
    device = ", ".join(sorted({shard.facts["device"] for shard in shards}))
    settings = {**first.facts["settings"], "layers": sorted(found)}
    return ArrayFile(arrays, {**first.facts, "layers": sorted(found), "device": device, "settings": settings})


def _differences(one: ArrayFile, other: ArrayFile) -> list[str]:
    """The facts and arrays in which two files of one run differ, besides what each has of its own."""
    alike = [
        {**file.facts, "layers": None, "device": None, "settings": {**file.facts["settings"], "layers": None}}
        for file in (one, other)
    ]
    facts = {key for key in {*alike[0], *alike[1]} if alike[0].get(key) != alike[1].get(key)}
    arrays = {*one.arrays} ^ {*other.arrays}
    # A baseline follows from the settings; two devices may round it differently.
    shared = [name for name in OF_PANELS[:-1] if name in one.arrays and name in other.arrays]
    arrays |= {name for name in shared if not np.array_equal(one[name], other[name])}
    return sorted(facts | arrays)
