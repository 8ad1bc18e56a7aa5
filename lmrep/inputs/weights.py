"""Weight files: from a local path or the hub to where the study wants them, verified.

Downloads live in the hub's usual cache (HF_HOME); HF_ENDPOINT and HF_TOKEN are honoured as everywhere.
`huggingface_hub` is imported where it is used: it takes half a second, and most jobs never ask for it.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, urlsplit

from filelock import FileLock
from tqdm import tqdm

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.progress import SECONDS_BETWEEN_LINES, Lines
from lmrep.files import replacing
from lmrep.study.spec import Weights

ETAG_SECONDS = 8  # that the hub has to answer
PATIENCE_SECONDS = 12  # no new try after these: without a network, the job ends within half a minute
TRIES = 3


class Mismatch(InputError):
    """A file of another size or hash than expected."""


def hub_host() -> str:
    """The hub's address, without the password that HF_ENDPOINT may carry."""
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    return endpoint._replace(netloc=endpoint.netloc.rpartition("@")[2]).geturl().rstrip("/")


def hub_url(weights: Weights) -> str:
    """Where the hub serves the file, for messages."""
    return f"{hub_host()}/{weights.repo}/resolve/{quote(weights.revision, safe='')}/{quote(weights.file)}"


def is_at_hand(weights: Weights) -> bool:
    """Whether `fetch` needs no network: the local path exists, or the hub's cache holds the file."""
    return Path(weights.path).is_file() if weights.path else _cached(weights) is not None


def fetch(weights: Weights, path: Path, lock: Path) -> dict:
    """Brings the weight file to `path`, whole and verified or not at all.

    A file from the hub with no `sha256` in the config is held to the one recorded in `lock`, a JSON file
    {"repo@revision/file": {"sha256", "bytes"}}, where its first download is recorded.

    Returns {"sha256": hex digits, "bytes": size}. Raises InputError if the file cannot be had, or has
    another size or hash than expected; what was downloaded is then deleted from the hub's cache.
    """
    if weights.path and not Path(weights.path).is_file():
        raise InputError(f"weights.{weights.name}.path: {weights.path}: expected a file, found none")
    source = Path(weights.path) if weights.path else _cached(weights) or _from_hub(weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            if not weights.path:
                with suppress(OSError):  # another file system, or one without hard links: copied below
                    os.link(source.resolve(), part)
            if not part.exists():
                shutil.copyfile(source, part)
            return _verify(weights, part, lock)
    except Mismatch as error:
        if weights.path:
            raise
        _forget(source)
        raise InputError(f"{error} (deleted from the cache: the next run downloads it anew)") from None
    except OSError as error:
        raise InputError(f"weights.{weights.name}: cannot write {path}: {error.strerror or error}") from None


def _compare(weights: Weights, kind: str, expected: object, found: object, note: str = "") -> None:
    if found != expected:
        where = weights.path or hub_url(weights)
        raise Mismatch(f"weights.{weights.name}: {where}: {kind} is {found}, expected {expected}{note}")


def _verify(weights: Weights, part: Path, lock: Path) -> dict:
    """The size and hash of `part`; raises Mismatch where they differ from the expected ones."""
    size = part.stat().st_size
    _compare(weights, "size in bytes", weights.bytes or size, size)
    with part.open("rb") as stream:
        found = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": size}
    expected, note = weights.sha256.lower(), ""
    if not expected and not weights.path:  # an unpinned local file may change: the workflow sees that itself
        expected, note = _recorded(weights, found, lock), f" (recorded in {lock})"
    _compare(weights, "sha256", expected or found["sha256"], found["sha256"], note)
    return found


def _recorded(weights: Weights, found: dict, lock: Path) -> str:
    """The hash that `lock` holds for this file; `found` is written there if it holds none."""
    key = f"{weights.repo}@{weights.revision}/{weights.file}"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock.with_name(f".{lock.name}.lock")):  # jobs that fetch other files write it too
        try:
            entries = json.loads(lock.read_text()) if lock.exists() else {}
            if key in entries:
                return entries[key]["sha256"].lower()
            text = json.dumps({**entries, key: found}, indent=2, sort_keys=True) + "\n"
        except (ValueError, KeyError, TypeError, AttributeError):
            expected = 'JSON {"repo@revision/file": {"sha256": ..., "bytes": ...}}'
            raise InputError(f"{lock}: expected {expected}; correct it, or delete it to record anew") from None
        with replacing(lock) as part:
            part.write_text(text)
    return found["sha256"]


def _cached(weights: Weights) -> Path | None:
    """The file in the hub's cache, at this revision."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(weights.repo, weights.file, revision=weights.revision)
    except ValueError as error:  # of a name that no repository or file can have
        raise InputError(f"weights.{weights.name}: {' '.join(str(error).split())}") from None
    return Path(found) if isinstance(found, str) else None


def _forget(cached: Path) -> None:
    """Deletes a file from the hub's cache: the snapshot's link and the blob behind it, nothing outside."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache, entry = os.path.abspath(HF_HUB_CACHE), Path(os.path.abspath(cached))
    with suppress(OSError):  # a read-only cache: every later run verifies again
        while entry.is_relative_to(cache) and os.path.lexists(entry):
            target = os.path.abspath(entry.parent / os.readlink(entry)) if entry.is_symlink() else ""
            entry.unlink()
            entry = Path(target)


def _httpx():
    """The module whose errors huggingface_hub raises: httpx up to its 1.x, httpx2 since."""
    from huggingface_hub.errors import HfHubHTTPError

    return import_module(HfHubHTTPError.__bases__[0].__module__.partition(".")[0])


def _from_hub(weights: Weights) -> Path:
    """Downloads the file to the hub's cache; raises InputError if the hub does not give it."""
    from huggingface_hub import errors

    httpx, what = _httpx(), f"{weights.file} of {weights.repo}"
    try:
        return _download(weights)
    except errors.GatedRepoError:
        line = f"gives {what} only to those let in: accept its terms there, then set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        line = f"has no repository {weights.repo} (for {weights.file}), or hides it: a private one needs HF_TOKEN"
    except errors.RevisionNotFoundError:
        line = f"has no revision {weights.revision} of {weights.repo} (for {weights.file})"
    except errors.RemoteEntryNotFoundError:
        line = f"has no {what} at revision {weights.revision}"
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        advice = "set HF_TOKEN to a token that may read it" if code in (401, 403) else "try again later"
        line = f"answered {code} when asked for {what}: {advice}"
    except errors.FileMetadataError:
        line = f"does not answer as a hub does when asked for {what}: see HF_ENDPOINT and the proxy"
    except errors.OfflineModeIsEnabled:
        line = f"is not asked for {what}, as HF_HUB_OFFLINE is set; {OFFLINE_HINT}"
    except (httpx.HTTPError, httpx.InvalidURL, errors.LocalEntryNotFoundError) as error:
        # Only these tell their reason: the text of others may quote a header, and so a token.
        told = isinstance(error, httpx.ConnectError | httpx.TimeoutException | httpx.ProxyError)
        reason = (told and " ".join(str(error).split())) or type(error).__name__
        line = f"cannot be reached for {what} ({reason}); {OFFLINE_HINT}"
    except OSError as error:
        line = f"gives {what}, but the cache cannot keep it: {error.strerror or error}"
    raise InputError(f"weights.{weights.name}: {hub_host()} {line}")


def _offer(url: str) -> tuple[str, int]:
    """The etag and the size in bytes that the hub announces for a file; tries a few times, but gives up soon.

    huggingface_hub's own tries go on for minutes where packets are dropped.
    """
    from huggingface_hub import errors, get_hf_file_metadata

    start = time.monotonic()
    for tried in range(1, TRIES + 1):
        try:
            offer = get_hf_file_metadata(url, timeout=ETAG_SECONDS)
            break
        except (_httpx().TransportError, errors.HfHubHTTPError) as error:
            final = isinstance(error, errors.HfHubHTTPError) and error.response.status_code < 500
            if final or tried == TRIES or time.monotonic() - start > PATIENCE_SECONDS:
                raise
            time.sleep(tried)
    if not (offer.etag and offer.commit_hash and offer.size):
        raise errors.FileMetadataError
    return offer.etag, offer.size


def _download(weights: Weights) -> Path:
    """The file as `hf_hub_download` gives it, once this has filled the cache's blob.

    hf_hub_download alone starts from nothing after an interruption (it deletes what it had); this part of a
    blob stays, named by its etag, and the next run asks for the rest only.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    etag, size = _offer(url := hf_hub_url(weights.repo, weights.file, revision=weights.revision))
    _compare(weights, "size in bytes", weights.bytes or size, size)  # before a gigabyte comes in vain
    folder = repo_folder_name(repo_id=weights.repo, repo_type="model")
    blob = Path(HF_HUB_CACHE, folder, "blobs", etag)
    part = blob.with_name(f"{etag}.lmrep.incomplete")
    guard = Path(HF_HUB_CACHE, ".locks", folder, f"{etag}.lock")  # the one that hf_hub_download takes
    seconds, form = SECONDS_BETWEEN_LINES, "{desc}: {n_fmt}B of {total_fmt}B, {elapsed} gone, {remaining} left"
    bar = partial(tqdm, file=Lines(sys.stderr), mininterval=seconds, maxinterval=seconds, bar_format=form)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    options = {"headers": headers, "displayed_filename": f"weights.{weights.name}", "tqdm_class": bar}
    blob.parent.mkdir(parents=True, exist_ok=True)
    guard.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(guard):
        while not blob.exists():
            had = part.stat().st_size if part.exists() else 0
            try:
                if had < size:
                    with part.open("ab") as stream:
                        http_get(url, stream, resume_size=had, **options)
            except _httpx().TransportError:
                if part.stat().st_size <= had:  # a whole try that brought nothing
                    raise
                continue
            os.replace(part, blob)
    found = blob.stat().st_size
    if found != size:
        blob.unlink()
    _compare(weights, "size in bytes", size, found)
    return Path(hf_hub_download(weights.repo, weights.file, revision=weights.revision, etag_timeout=ETAG_SECONDS))
