"""Photographs that are not what they say."""

import io
import resource
import zipfile
import zlib
from pathlib import Path

import counts
import numpy as np
import pytest
from pictures import PIXELS, png, zipped
from PIL import Image as Picture

from lmrep.inputs.image_sources import fetch_image
from lmrep.study.sources import Image


def encoded(kind: str, picture: Picture.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (picture or Picture.fromarray(PIXELS)).save(stream, kind, **options)
    return stream.getvalue()


def bomb(side: int) -> bytes:
    """A PNG whose header says side x side px."""
    data = bytearray(png())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def zip_bomb(size: int) -> bytes:
    """A zip of some MB whose member a.png has `size` zeros."""
    packer, chunk = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 24)
    first = packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first * (size // len(chunk)) + packer.flush()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", body)
    data = bytearray(stream.getvalue())
    for header, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the method, then (10 bytes on) the two sizes
        start = data.index(header) + place
        data[start : start + 2] = (8).to_bytes(2, "little")
        data[start + 14 : start + 18] = size.to_bytes(4, "little")
    return bytes(data)


frames = [Picture.fromarray(np.roll(PIXELS, shift, 0)) for shift in range(3)]
grey16 = Picture.fromarray(np.arange(240, dtype=np.uint16).reshape(12, 20) * 256)
# name -> (content, member, what the line contains; None: accepted)
PHOTOGRAPHS: dict[str, tuple[bytes, str, tuple[str, ...] | None]] = {
    "empty": (b"", "", ("not an image",)),
    "a text": (b"not a picture", "", ("not an image",)),
    "a cut PNG": (png()[:-200], "", ("whole",)),
    "a cut JPEG": (encoded("JPEG")[:-300], "", ("whole",)),
    "a cut WebP": (encoded("WEBP")[:-300], "", ("image",)),
    "a PNG of 60,000 px": (bomb(60_000), "", ("whole",)),
    "a PNG of 10^9 px a side": (bomb(10**9), "", ("image",)),
    "a PNG of no px": (bomb(0), "", ("image",)),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", ("not an image",)),
    "floats": (encoded("TIFF", Picture.fromarray(np.full((4, 4), np.nan, np.float32))), "", ("8 or 16 bits",)),
    "another member": (zipped(a=png()), "folder/b.png", ("folder/b.png", "folder/a.png")),
    "a folder as member": (zipped(a=png()), "folder/", ("folder/",)),
    "a member that is no picture": (zipped(a=b"text"), "folder/a.png", ("folder/a.png", "not an image")),
    "no zip": (png(), "a.png", ("readable zip",)),
    "a cut zip": (zipped(a=png())[:-40], "folder/a.png", ("readable zip",)),
    "a PNG of 13,000 px, a few kB": (encoded("PNG", Picture.new("L", (13_000, 13_000))), "", ("memory",)),
    "a zip bomb": (zip_bomb(3 << 30), "a.png", ("a.png",)),
    "CMYK": (encoded("JPEG", Picture.fromarray(PIXELS).convert("CMYK")), "", None),
    "16 bits": (encoded("PNG", grey16), "", None),
    "one bit": (encoded("PNG", Picture.fromarray(PIXELS).convert("1")), "", None),
    "an animated GIF": (encoded("GIF", frames[0], save_all=True, append_images=frames[1:]), "", None),
    "a zip": (zipped(a=png()), "folder/a.png", None),
}  # fmt: skip


@pytest.fixture
def little_memory():
    """800 MB more than this process has: what a photograph may take."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 800 * 2**20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", PHOTOGRAPHS)
def test_a_photograph(tmp_path, little_memory, case):
    data, member, says = PHOTOGRAPHS[case]
    source, output = tmp_path / "wrong suffix.txt", tmp_path / "images" / "dog.png"
    source.write_bytes(data)
    image = Image("dog", path=str(source), member=member)
    says = says if says is None else ("images.dog.path", str(source), *says)
    wrong = counts.judge(
        "photographs", case, lambda: fetch_image(image, output), says, left=lambda: list(output.parent.glob("*"))
    )
    assert not wrong, "\n".join(wrong)
