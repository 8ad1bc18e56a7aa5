"""Sources of target images: each is fetched, verified, and written as a lossless PNG at its own size."""

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as Picture

from lmrep.errors import OFFLINE_HINT, InputError, one_line
from lmrep.files import replacing
from lmrep.inputs.drawings import draw
from lmrep.inputs.images import Pixels, decode_file
from lmrep.inputs.network import PASSING, Bar, TooSlow, check_proxy, minimum_rate, proxy_of, shown, variable_of
from lmrep.inputs.shipped import shipped_pixels
from lmrep.study.sources import SOURCES, Image

if TYPE_CHECKING:
    from requests import RequestException, Response

TIMEOUT = (10, 15)  # s: to connect, between two packets
CHUNK = 1 << 13  # bytes; a slow host fills it before the rate is judged
TRIES, PATIENCE_SECONDS = 3, 15  # and no new try after this long: a download that fails ends within half a minute


def download(url: str, sha256: str, folder: Path) -> Path:
    """Downloads a file to `folder` and returns its path; raises InputError if it fails or has another sha256.

    A failure that may pass is tried again for some seconds.
    """
    import requests

    label = shown(url)
    if proxy := proxy_of(url):
        check_proxy(variable_of(url.partition(":")[0]), proxy)
    tried, start = 0, time.monotonic()
    while True:
        try:
            return _retrieve(url, sha256, folder)
        except requests.RequestException as error:
            tried, wait = tried + 1, _wait(error, tried + 1)
            if tried == TRIES or time.monotonic() - start + wait > PATIENCE_SECONDS:
                raise InputError(f"{label}: expected the file: {_reason(error, url)}") from None
        except TooSlow as error:
            raise InputError(f"{label}: expected the file: the host {error}") from None
        except OSError as error:  # RequestException is one, so this comes after it
            raise InputError(f"{label}: cannot be stored: {error.strerror or one_line(error)}") from None
        except ValueError as error:  # the hash differs; pooch has deleted the file
            raise InputError(f"{label}: not kept: {one_line(error).partition('. Deleted')[0]}") from None
        time.sleep(wait)


def _retrieve(url: str, sha256: str, folder: Path) -> Path:
    """Downloads the file once; raises what requests does, or ValueError if the hash differs."""
    import pooch

    responses: list[Response] = []  # of a redirect, then the one with the file

    def remember(response: "Response", *_: object, **__: object) -> None:
        responses.append(response)

    def received() -> int | None:
        return responses[-1].raw.tell() if responses and not responses[-1].raw.closed else None

    pooch.get_logger().setLevel("WARNING")
    with Bar(desc=shown(url).rpartition("/")[2]) as bar, minimum_rate(received):
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT, hooks={"response": remember})
        return Path(pooch.retrieve(url, f"sha256:{sha256}", "download", folder, downloader=fetch))


def _wait(error: "RequestException", tried: int) -> float:
    """The seconds before another try, after `tried` of them; infinite if none can help."""
    from requests.exceptions import ChunkedEncodingError, ConnectionError, SSLError, Timeout
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    broken = isinstance(error, ChunkedEncodingError | ConnectionError | Timeout) and not isinstance(error, SSLError)
    if error.response is None:
        return tried if broken else float("inf")
    if error.response.status_code not in PASSING:
        return float("inf")
    try:
        return Retry().get_retry_after(error.response.raw) or tried
    except InvalidHeader:
        return tried


def _reason(error: "RequestException", url: str) -> str:
    """Why a download failed, for a message."""
    from requests.exceptions import ConnectionError, ConnectTimeout, HTTPError, ProxyError, ReadTimeout

    if isinstance(error, HTTPError):
        asked = error.response.headers.get("Retry-After", "")
        later = f", and asks to wait {asked} s" if asked.isdigit() else ""
        return f"the host answered {error.response.status_code} {error.response.reason}{later}"
    if type(error) in (ConnectionError, ConnectTimeout, ReadTimeout, ProxyError):
        return f"no connection to {shown(url).split('/')[2]}; {OFFLINE_HINT}"
    return re.sub(r"//\S*@|\?\S*", "", one_line(error))  # no password, and no query, which may be a signature


def obtain(image: Image) -> Pixels:
    """Returns the original, uint8 [height, width, 3]."""
    if image.skimage:
        return shipped_pixels(image.skimage)
    if image.drawing:
        return draw(image.drawing)
    if image.path:
        return decode_file(Path(image.path), image, image.path)
    with tempfile.TemporaryDirectory(prefix="lmrep-") as folder:
        return decode_file(download(image.url, image.sha256, Path(folder)), image, shown(image.url))


def fetch_image(image: Image, path: Path) -> tuple[int, int]:
    """Writes the original of `image` to `path` as an 8-bit RGB PNG; on an error, `path` stays as it was.

    Returns (width, height) in px. Every InputError starts with the key, `images.<name>.<source>`.
    """
    source = next(source for source in SOURCES if getattr(image, source))
    try:
        pixels = obtain(image)
    except InputError as error:
        raise InputError(f"images.{image.name}.{source}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        Picture.fromarray(pixels).save(part, "PNG")
    return pixels.shape[1], pixels.shape[0]
