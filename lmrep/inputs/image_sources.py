"""Sources of target images: each is fetched, verified, and written as a lossless PNG at its own size."""

import re
import tempfile
from pathlib import Path

from PIL import Image as Picture

from lmrep.errors import OFFLINE_HINT, InputError, one_line
from lmrep.files import replacing
from lmrep.inputs.drawings import draw
from lmrep.inputs.images import Pixels, decode_file
from lmrep.inputs.shipped import shipped_pixels
from lmrep.study.spec import SOURCES, Image

# https anywhere, plain http on this machine only
ADDRESS = re.compile(r"(?:https://([\w.-]+)|http://(127\.0\.0\.1|localhost))(?::\d+)?/")
TIMEOUT = (10, 20)  # s: to connect, between two packets


def download(url: str, sha256: str, folder: Path) -> Path:
    """Downloads a file to `folder` and returns its path; raises InputError if it fails or has another sha256."""
    import pooch
    import requests
    from requests.exceptions import ProxyError

    address = ADDRESS.match(url)
    if not address:
        raise InputError(f"{url}: expected an https:// address")
    if len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef"):
        raise InputError(f"{url}: expected its sha256, 64 hexadecimal digits, beside the url, found '{sha256}'")
    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(progressbar=True, chunk_size=1 << 16, timeout=TIMEOUT)
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", "download", folder, downloader=fetch))
    except requests.RequestException as error:
        reason = one_line(error)
        if error.response is not None:
            reason = f"the host answered {error.response.status_code} {error.response.reason}"
        elif type(error) in (requests.ConnectionError, requests.ConnectTimeout, requests.ReadTimeout, ProxyError):
            reason = f"no connection to {address[1] or address[2]}; {OFFLINE_HINT}"
        raise InputError(f"{url}: expected the file: {reason}") from None
    except ValueError as error:  # the hash differs; pooch has deleted the file
        raise InputError(f"{url}: not kept: {one_line(error).partition('. Deleted')[0]}") from None


def obtain(image: Image) -> Pixels:
    """Returns the original, uint8 [height, width, 3]."""
    if image.skimage:
        return shipped_pixels(image.skimage)
    if image.drawing:
        return draw(image.drawing)
    if image.path:
        return decode_file(Path(image.path), image, image.path)
    with tempfile.TemporaryDirectory(prefix="lmrep-") as folder:
        return decode_file(download(image.url, image.sha256, Path(folder)), image, image.url)


def fetch_image(image: Image, path: Path) -> tuple[int, int]:
    """Writes the original of `image` to `path` as an 8-bit RGB PNG; on an error, `path` stays as it was.

    Returns (width, height) in px. Every InputError starts with the key, `images.<name>.<source>`.
    """
    given = [source for source in SOURCES if getattr(image, source)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise InputError(f"images.{image.name}: expected exactly one of {', '.join(SOURCES)}, found {found}")
    try:
        pixels = obtain(image)
    except InputError as error:
        raise InputError(f"images.{image.name}.{given[0]}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        Picture.fromarray(pixels).save(part, "PNG")
    return pixels.shape[1], pixels.shape[0]
