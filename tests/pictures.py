"""What tests of image sources share: pictures, zips, refusals."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from lmrep.errors import InputError
from lmrep.inputs.image_sources import fetch_image
from lmrep.study.sources import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def png(pixels: np.ndarray = PIXELS) -> bytes:
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"folder/{name}.png", data)
    return stream.getvalue()


def refusal(image: Image, output: Path) -> str:
    """Returns the one line that refuses `image`, and checks that no file remains."""
    with pytest.raises(InputError) as caught:
        fetch_image(image, output)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"images.{image.name}")
    assert not output.parent.exists() or not list(output.parent.iterdir())
    return message
