"""Target images as a probe sees them: read from a file and fitted to the probe's size."""

import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageOps, UnidentifiedImageError

from lmrep.errors import InputError, one_line
from lmrep.inputs.archives import open_member
from lmrep.study.sources import Image

Pixels = npt.NDArray[np.uint8]
LARGEST = 1 << 28  # bytes of a zip's member, which may be a bomb
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, zlib.error)


def to_rgb(picture: Picture.Image) -> Pixels:
    """Returns uint8 [height, width, 3]: turned as EXIF says, transparency on white, 16 bits rounded to 8."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        grey = np.asarray(picture)
        if picture.mode == "F" or grey.min() < 0 or grey.max() > 65535:
            raise ValueError("its pixels are not of 8 or 16 bits")
        return np.stack([((grey.astype(np.int64) + 128) // 257).astype(np.uint8)] * 3, -1)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Picture.alpha_composite(Picture.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


def decode(data: bytes, label: str) -> Pixels:
    """Decodes an image file to uint8 [height, width, 3]; raises InputError, starting with `label`, if it cannot."""
    try:
        with Picture.open(io.BytesIO(data)) as picture:
            return to_rgb(picture)
    except UnidentifiedImageError:
        raise InputError(f"{label}: not an image, expected one that Pillow can read (PNG, JPEG, ...)") from None
    except MemoryError:
        raise InputError(f"{label}: expected an image that fits into memory") from None
    except (*DECODING_ERRORS, Picture.DecompressionBombError) as error:
        raise InputError(f"{label}: expected a whole, readable image: {one_line(error)}") from None


def read_bytes(path: Path, label: str) -> bytes:
    """Reads a file; raises InputError, starting with `label`, if it cannot."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{label}: expected an image file: {error.strerror}") from None


def read_image(path: Path) -> Pixels:
    """Returns the picture at `path` as uint8 [height, width, 3]; raises InputError if it is missing or unreadable."""
    return decode(read_bytes(path, str(path)), str(path))


def check_sha256(data: bytes, expected: str, label: str) -> None:
    """Raises InputError, starting with `label`, unless `expected` is empty or the sha256 of `data`."""
    found = hashlib.sha256(data).hexdigest()
    if expected and found != expected.lower():
        raise InputError(f"{label}: expected sha256 {expected}, found {found}")


def decode_file(path: Path, image: Image, label: str) -> Pixels:
    """Returns the picture in a local file, or in its zip member, after a check of the hashes in `image`."""
    data = read_bytes(path, label)
    check_sha256(data, image.sha256, label)
    if image.member:
        with open_member(io.BytesIO(data), image.member, label) as file:
            data = file.read(LARGEST + 1)
        label = f"{label}: {image.member}"
        if len(data) > LARGEST:
            raise InputError(f"{label}: expected a photograph of at most {LARGEST >> 20} MiB")
        check_sha256(data, image.member_sha256, label)
    return decode(data, label)


def prepare(pixels: Pixels, size: int, fit: str) -> npt.NDArray[np.float32]:
    """Resizes uint8 [height, width, 3] to float32 [3, size, size] in [0, 1], bilinear with antialiasing.

    fit="resize" squeezes the whole image into the square; "crop" takes the centre square first. Raises InputError
    for any other `fit`.
    """
    if fit not in ("resize", "crop"):
        raise InputError(f"fit: expected resize or crop, found '{fit}'")
    if fit == "crop":
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    resized = Picture.fromarray(pixels).resize((size, size), Picture.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / np.float32(255))


def load_target(path: Path, size: int, fit: str) -> npt.NDArray[np.float32]:
    """Returns the picture at `path` as a probe sees it, float32 [3, size, size] in [0, 1]; raises as `read_image`."""
    return prepare(read_image(path), size, fit)
