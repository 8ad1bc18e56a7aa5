"""What a pinned file is called, what is recorded of it, and how a file is compared with its pin."""

import json
from pathlib import Path

from lmrep.errors import InputError
from lmrep.study.sources import Pin


class Mismatch(InputError):
    """A file has another size or hash than expected."""


def lock_key(pin: Pin) -> str:
    """Returns the name of the file's entry in the lock file."""
    return f"{pin.wheel}/{pin.file}" if pin.wheel else f"{pin.repo}@{pin.revision}/{pin.file}"


def read_lock(lock: Path) -> dict[str, dict[str, str | int]]:
    """Returns the entries of the lock file, none if it is not there; raises InputError if it has another form."""
    try:
        entries = json.loads(lock.read_text()) if lock.exists() else {}
        if all(isinstance(entry["sha256"], str) for entry in entries.values()):
            return dict(entries)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    expected = 'JSON {"repo@revision/file": {"sha256": ..., "bytes": ...}}'
    raise InputError(f"{lock}: expected {expected}; correct or delete it")


def check(pin: Pin, where: str, kind: str, expected: object, found: object, note: str = "") -> None:
    """Raises Mismatch, naming `where` the file comes from, if it is not as expected."""
    if found != expected:
        raise Mismatch(f"weights.{pin.name}: {where}: {kind} is {found}, expected {expected}{note}")
