"""Target images as a probe sees them: read from a file, cut to the probe's size."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps

from lmrep.errors import InputError

DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, zlib.error)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def to_rgb(picture: Picture.Image) -> np.ndarray:
    """The upright picture as uint8 [height, width, 3]: EXIF turn applied, transparency on white, 16 bits to 8."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        grey = np.asarray(picture).astype(np.int64)
        if picture.mode == "F" or grey.min() < 0 or grey.max() > 65535:
            raise ValueError("its pixels are not of 8 or 16 bits")
        return np.stack([((grey + 128) // 257).astype(np.uint8)] * 3, -1)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Picture.alpha_composite(Picture.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


def decode(data: bytes, label: str) -> np.ndarray:
    """An image file's bytes as uint8 [height, width, 3]; InputError, beginning with `label`, if they are none."""
    try:
        with Picture.open(io.BytesIO(data)) as picture:
            return to_rgb(picture)
    except Picture.UnidentifiedImageError:
        raise InputError(f"{label}: not an image, expected one that Pillow can read (PNG, JPEG, ...)") from None
    except (*DECODING_ERRORS, Picture.DecompressionBombError) as error:
        raise InputError(f"{label}: expected a whole, readable image: {one_line(error)}") from None


def read_bytes(path: Path, label: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{label}: expected an image file: {error.strerror}") from None


def read_image(path: Path) -> np.ndarray:
    """The picture at `path` as uint8 [height, width, 3]; InputError if it is missing, broken or no image."""
    return decode(read_bytes(path, str(path)), str(path))


def prepare(pixels: np.ndarray, size: int, fit: str) -> np.ndarray:
    """uint8 [height, width, 3] as float32 [3, size, size] in [0, 1], bilinear with antialiasing.

    fit="resize" squeezes the whole image into the square; "crop" cuts the centre square out first.
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


def load_target(path: Path, size: int, fit: str) -> np.ndarray:
    """The picture at `path` as a probe sees it, float32 [3, size, size] in [0, 1]; errors as `read_image`."""
    return prepare(read_image(path), size, fit)
