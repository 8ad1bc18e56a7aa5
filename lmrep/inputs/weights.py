"""Weight files from the hub: downloaded, verified, and put where the study wants them."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from lmrep.errors import InputError
from lmrep.files import replacing
from lmrep.inputs.hub import Mismatch, cached_file, check, download, forget, hub_url
from lmrep.study.spec import Weights

__all__ = ["fetch", "hub_url", "is_at_hand", "lock_key"]


def is_at_hand(weights: Weights) -> bool:
    """Tells whether `fetch` works without a network: the hub's cache holds the file."""
    return cached_file(weights) is not None


def fetch(weights: Weights, path: Path, lock: Path) -> dict[str, str | int]:
    """Puts the verified file of the hub at `path`; on an error, `path` stays as it was.

    The file's sha256 must be the one in the config. `lock` records every file from the hub, as JSON
    {"repo@revision/file": {"sha256", "bytes"}}; a file without a pin must have the sha256 recorded there. If `lock`
    has no entry either, it must have the sha256 that the hub announces (it does for large files).

    Returns {"sha256": hex digits, "bytes": size}. Raises InputError if the file is not available or has another
    size or hash than expected; the file is then deleted from the hub's cache.
    """
    source, announced = _obtain(weights, lock)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            with suppress(OSError):  # another file system, or one without hard links: copied below
                os.link(source.resolve(), part)
            if not part.exists():
                shutil.copyfile(source, part)
            return _verify(weights, part, lock, announced)
    except Mismatch as error:
        forget(source)
        advice = f"delete {source}" if source.exists() else "deleted from the cache; the next run downloads it again"
        raise InputError(f"{error} ({advice})") from None
    except OSError as error:
        raise InputError(f"weights.{weights.name}: cannot write {path}: {error.strerror or error}") from None


def _obtain(weights: Weights, lock: Path) -> tuple[Path, str]:
    """Returns the file in the hub's cache, downloaded if necessary, and the sha256 that the hub announces, or ""."""
    cached = cached_file(weights)
    if cached and (weights.sha256 or lock_key(weights) in _entries(lock)):
        return cached, ""
    try:
        return download(weights)
    except InputError:
        if cached:  # nothing to compare it with: trusted as it is
            return cached, ""
        raise


def _verify(weights: Weights, part: Path, lock: Path, announced: str) -> dict[str, str | int]:
    """Returns the size and hash of `part`; raises Mismatch if they are not the expected ones."""
    size = part.stat().st_size
    check(weights, "size in bytes", weights.bytes or size, size)
    with part.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    found: dict[str, str | int] = {"sha256": sha256, "bytes": size}
    if weights.sha256:
        check(weights, "sha256", weights.sha256.lower(), sha256)
    if not weights.sha256 and lock_key(weights) not in _entries(lock):
        check(weights, "sha256", announced or sha256, sha256, " (announced by the hub)")
    check(weights, "sha256", _recorded(weights, found, lock), sha256, f" (recorded in {lock})")
    return found


def lock_key(weights: Weights) -> str:
    """Returns the name of the file's entry in the lock file."""
    return f"{weights.repo}@{weights.revision}/{weights.file}"


def _entries(lock: Path) -> dict[str, dict[str, str | int]]:
    """Reads the lock file; raises InputError if it has another form."""
    try:
        entries = json.loads(lock.read_text()) if lock.exists() else {}
        if all(isinstance(entry["sha256"], str) for entry in entries.values()):
            return dict(entries)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    expected = 'JSON {"repo@revision/file": {"sha256": ..., "bytes": ...}}'
    raise InputError(f"{lock}: expected {expected}; correct or delete it")


def _recorded(weights: Weights, found: dict[str, str | int], lock: Path) -> str:
    """Returns the sha256 that `lock` records for this file; records `found` if there is none."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock.with_name(f".{lock.name}.lock")):  # jobs that fetch other files write it too
        entries = _entries(lock)
        if (key := lock_key(weights)) not in entries:
            entries[key] = found
            with replacing(lock) as part:
                part.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
    return str(entries[key]["sha256"]).lower()
