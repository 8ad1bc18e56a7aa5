"""The Hugging Face hub: what a download needs, by public functions of huggingface_hub alone.

Downloads go into the hub's usual cache; HF_HOME, HF_ENDPOINT and HF_TOKEN are honoured. The functions import
huggingface_hub themselves: the import takes half a second, and most jobs do not need it.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lmrep.errors import OFFLINE_HINT, InputError, one_line
from lmrep.inputs.network import PASSING, Bar, TooSlow, check_proxies, minimum_rate
from lmrep.inputs.pins import check
from lmrep.study.sources import Pin

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata
    from tqdm import tqdm

ETAG_SECONDS = 8  # for the hub to answer a request for metadata
PATIENCE_SECONDS = 12  # no new try after this long: without a network, a job ends within half a minute
TRIES = 3


def hub_address() -> str:
    """Returns the hub's address, without the password that HF_ENDPOINT may carry. Raises InputError for other text."""
    try:
        endpoint = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    except ValueError:  # it may hold a password, so it is not quoted
        raise InputError("HF_ENDPOINT: expected the https:// address of a hub") from None
    return endpoint._replace(netloc=endpoint.netloc.rpartition("@")[2]).geturl().rstrip("/")


def hub_url(pin: Pin) -> str:
    """Returns the file's address on the hub, for messages."""
    return f"{hub_address()}/{pin.repo}/resolve/{quote(pin.revision, safe='')}/{quote(pin.file)}"


def cached_file(pin: Pin) -> Path | None:
    """Returns the file at this revision in the hub's cache, or None if it is not there."""
    hub_address()  # huggingface_hub reads HF_ENDPOINT too, and fails at its import
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(pin.repo, pin.file, revision=pin.revision)
    except ValueError as error:  # no repository or file can have this name
        raise InputError(f"weights.{pin.name}: {one_line(error)}") from None
    return Path(found) if isinstance(found, str) else None


def cached_etag(cached: Path) -> str:
    """Returns the etag that the hub's cache names a file's content by, or "" if its disk has no links."""
    return cached.readlink().name if cached.is_symlink() else ""  # the last link leads to Xet's own name


def forget(cached: Path) -> None:
    """Deletes a file from the hub's cache, in all revisions that share its content."""
    from huggingface_hub import scan_cache_dir

    cache, content = scan_cache_dir(), cached.resolve()
    files = {file for repo in cache.repos for revision in repo.revisions for file in revision.files}
    with suppress(OSError):  # a read-only cache
        cache.delete_files(*(file for file in files if file.file_path.resolve() == content)).execute()


def download(pin: Pin) -> tuple[Path, str]:
    """Downloads the file to the hub's cache.

    Returns its path there, and the etag that the hub announces. Raises InputError on any failure.
    """
    from huggingface_hub import errors

    check_proxies()
    httpx, what = _httpx(), f"{pin.file} of {pin.repo}"
    try:
        offer = _offer(pin)
        with _at_minimum_rate(f"weights.{pin.name}") as bar:
            path = _store(pin, bar)
        return path, offer.etag or ""
    except TooSlow as error:
        line = f"delivers {what} too slowly: it {error}"
    except errors.GatedRepoError:
        line = f"gives {what} only to approved accounts: accept its terms on its page, then set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        line = f"has no repository {pin.repo} (for {pin.file}), or hides it: a private one needs HF_TOKEN"
    except errors.RevisionNotFoundError:
        line = f"has no revision {pin.revision} of {pin.repo} (for {pin.file})"
    except errors.RemoteEntryNotFoundError:
        line = f"has no {what} at revision {pin.revision}"
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        advice = "set HF_TOKEN to a token that may read it" if code in (401, 403) else "try again later"
        line = f"answered {code} when asked for {what}: {advice}"
    except errors.FileMetadataError:
        line = f"does not answer like a hub when asked for {what}: check HF_ENDPOINT and the proxy"
    except errors.OfflineModeIsEnabled:
        line = f"is not asked for {what} because HF_HUB_OFFLINE is set; {OFFLINE_HINT}"
    except (httpx.HTTPError, httpx.InvalidURL, errors.LocalEntryNotFoundError) as error:
        # Only these may show their reason: the text of others may quote a header, and so a token.
        shown = isinstance(error, httpx.ConnectError | httpx.TimeoutException | httpx.ProxyError)
        reason = one_line(error) if shown else type(error).__name__
        line = f"cannot be reached for {what} ({reason}); {OFFLINE_HINT}"
    except (OSError, RuntimeError) as error:  # RuntimeError: any failure of the Xet client
        if isinstance(error, OSError) and error.strerror:
            line = f"offers {what}, but the cache cannot store it: {error.strerror}"
        else:  # what follows " (" or a scheme may be a signed address
            reason = re.split(r" \(|\w+://", one_line(error))[0].strip() or type(error).__name__
            line = f"did not deliver {what}: {reason}"
    raise InputError(f"weights.{pin.name}: {hub_address()} {line}")


def _store(pin: Pin, bar: "type[tqdm[Any]]") -> Path:
    """Downloads the file to the hub's cache. huggingface_hub itself gives up at the first 5xx answer."""
    from huggingface_hub import errors, hf_hub_download

    tried = 1
    while True:
        try:
            stored = hf_hub_download(
                pin.repo, pin.file, revision=pin.revision, etag_timeout=ETAG_SECONDS, tqdm_class=bar
            )
            return Path(stored)
        except errors.HfHubHTTPError as error:
            if error.response.status_code < 500 or tried == TRIES:
                raise
        time.sleep(tried)
        tried += 1


def _httpx() -> ModuleType:
    """Returns the module whose errors huggingface_hub raises: httpx2 in 2.x, httpx before."""
    from huggingface_hub.errors import HfHubHTTPError

    return import_module(HfHubHTTPError.__bases__[0].__module__.partition(".")[0])


def _offer(pin: Pin) -> "HfFileMetadata":
    """Returns the etag and size that the hub announces for the file; retries for a few seconds.

    Asked first because hf_hub_download itself retries for minutes without a network.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    url, start = hf_hub_url(pin.repo, pin.file, revision=pin.revision), time.monotonic()
    for tried in range(1, TRIES + 1):
        try:
            offer = get_hf_file_metadata(url, timeout=ETAG_SECONDS)
            break
        except (_httpx().TransportError, errors.HfHubHTTPError) as error:
            response = getattr(error, "response", None)  # of an HfHubHTTPError
            asked = response.headers.get("Retry-After", "") if response is not None else ""
            wait = int(asked) if asked.isdecimal() else tried
            final = response is not None and response.status_code not in PASSING
            if final or tried == TRIES or time.monotonic() - start + wait > PATIENCE_SECONDS:
                raise
            time.sleep(wait)
    if not (offer.etag and offer.commit_hash and offer.size):
        raise errors.FileMetadataError
    if not re.fullmatch(r"\w[\w.:+=~-]*", offer.etag):  # huggingface_hub makes it the name of a file
        raise InputError(
            f"weights.{pin.name}: {hub_url(pin)}: expected the file's hash as its etag, not {offer.etag!r}"
        )
    check(pin, hub_url(pin), "size in bytes", pin.bytes or offer.size, offer.size)
    return offer


@contextmanager
def _at_minimum_rate(name: str) -> Iterator[type[Bar]]:
    """Raises TooSlow if a download in its body is slow. Yields the bar for it; its lines start with `name`."""
    from huggingface_hub import get_session

    by_xet = [0]  # bytes
    bodies: list[Any] = []  # responses over plain HTTP; the last one is being read

    class HubBar(Bar):
        def __init__(self, *, desc: str = "", **given: Any) -> None:
            step = desc.partition(": ")[2]  # Xet's two bars are called "<file>: <step>", the other "<end of url>"
            self.of_xet = bool(step)
            super().__init__(desc=f"{name} ({step})" if step else name, **given)

        def update(self, n: float | None = 1) -> bool | None:
            by_xet[0] += int(n or 0) * self.of_xet
            return super().update(n)

    def received() -> int | None:
        if by_xet[0]:
            return by_xet[0]
        return bodies[-1].num_bytes_downloaded if bodies and not bodies[-1].is_closed else None

    hooks = get_session().event_hooks["response"]
    hooks.append(bodies.append)
    try:
        with minimum_rate(received):
            yield HubBar
    finally:
        hooks.remove(bodies.append)
