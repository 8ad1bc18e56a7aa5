import hashlib
import io
import json
import socket
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image as Picture

from lmrep.inputs.drawings import draw_tesla_coil
from lmrep.errors import InputError
from lmrep.inputs.image_sources import SHIPPED, fetch_image, load_skimage
from lmrep.inputs.images import load_target, prepare, read_image
from lmrep.study.spec import Image

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def png(pixels: np.ndarray = PIXELS) -> bytes:
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder served over HTTP; `site(name, bytes)` puts a file there and returns its URL."""
    monkeypatch.setenv("NO_PROXY", "*")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()

    def publish(name: str, data: bytes | None = None) -> str:
        if data is not None:
            (folder / name).write_bytes(data)
        return f"http://127.0.0.1:{server.server_port}/{name}"

    yield publish
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where downloads are kept until they are checked."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "images" / "dog.png"


def refusal(image: Image, output: Path) -> str:
    """The one line that refuses `image`; nothing is left behind."""
    with pytest.raises(InputError) as caught:
        fetch_image(image, output)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"images.{image.name}")
    assert not output.parent.exists() or not list(output.parent.iterdir())
    return message


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"folder/{name}.png", data)
    return stream.getvalue()


# What a file may hold


def test_rgb_comes_back_as_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert np.array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_transparency_lies_on_white(tmp_path):
    alpha = RNG.integers(0, 256, (12, 20, 1), dtype=np.uint8)
    Picture.fromarray(np.concatenate([PIXELS, alpha], -1)).save(tmp_path / "a.png")
    share = alpha / 255.0
    assert np.abs(read_image(tmp_path / "a.png") - (PIXELS * share + 255 * (1 - share))).max() <= 1


def test_grey_fills_three_channels(tmp_path):
    grey = PIXELS[..., 0]
    Picture.fromarray(grey).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, -1))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_become_eight(tmp_path, name):
    grey = np.array([[0, 256, 257], [32768, 65534, 65535]], dtype=np.uint16)
    Picture.fromarray(grey).save(tmp_path / name)
    expected = np.round(grey / 65535 * 255).astype(np.uint8)
    assert np.array_equal(read_image(tmp_path / name), np.stack([expected] * 3, -1))


def test_palette_with_a_transparent_entry(tmp_path):
    picture = Picture.new("P", (4, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for x, entry in enumerate([0, 1, 2, 1]):
        picture.putpixel((x, 0), entry)
    picture.save(tmp_path / "a.png", transparency=2)
    assert read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [40, 50, 60], [255] * 3, [40, 50, 60]]]


@pytest.mark.parametrize(("orientation", "turned"), [(3, np.rot90(PIXELS, 2)), (6, np.rot90(PIXELS, -1))])
def test_exif_orientation_is_honoured(tmp_path, orientation, turned):
    exif = Picture.Exif()
    exif[0x0112] = orientation
    Picture.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), turned)


def test_floating_point_pixels_are_refused(tmp_path):
    Picture.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: .*8 or 16 bits"):
        read_image(tmp_path / "a.tif")


# To a probe's size


def triangle_weights(length: int, size: int) -> np.ndarray:
    """[size, length] weights of bilinear resampling with antialiasing, written from its definition."""
    scale = max(length / size, 1.0)
    centres = (np.arange(size)[:, None] + 0.5) * length / size
    weights = np.clip(1 - abs(np.arange(length) + 0.5 - centres) / scale, 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (5, 9)])
@pytest.mark.parametrize("fit", ["resize", "crop"])
def test_prepare_is_antialiased_bilinear(shape, fit):
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = prepare(pixels, 16, fit)
    if fit == "crop":
        side = min(shape)
        top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    rows, columns = triangle_weights(pixels.shape[0], 16), triangle_weights(pixels.shape[1], 16)
    expected = np.einsum("ih,hwc,jw->cij", rows, pixels / 255.0, columns)
    assert found.shape == (3, 16, 16) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(found - expected).max() < 1.6 / 255  # two roundings to 8 bits


def test_an_unknown_fit_is_refused():
    with pytest.raises(InputError, match="expected resize or crop, found 'stretch'"):
        prepare(PIXELS, 8, "stretch")


def test_load_target_reads_and_prepares(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert np.array_equal(load_target(tmp_path / "a.png", 8, "crop"), prepare(PIXELS, 8, "crop"))


# Local sources


def test_a_fetched_image_is_lossless_repeatable_and_replaces_an_older_one(tmp_path, output):
    source = tmp_path / "a.png"
    source.write_bytes(png())
    assert fetch_image(Image("dog", path=str(source)), output) == (20, 12)
    first = output.read_bytes()
    fetch_image(Image("dog", path=str(source)), output)
    assert output.read_bytes() == first
    assert np.array_equal(read_image(output), PIXELS)
    assert [path.name for path in output.parent.iterdir()] == ["dog.png"]


def test_a_local_zip_takes_the_pins_of_a_url(tmp_path, output):
    source = tmp_path / "a.zip"
    source.write_bytes(zipped(a=png()))
    fetch_image(Image("dog", path=str(source), sha256=sha256(source.read_bytes()), member="folder/a.png"), output)
    assert np.array_equal(read_image(output), PIXELS)


def test_missing_broken_and_foreign_files(tmp_path, output):
    message = refusal(Image("dog", path=str(tmp_path / "no.png")), output)
    assert message == f"images.dog.path: {tmp_path}/no.png: expected an image file: No such file or directory"
    source = tmp_path / "a.png"
    source.write_text("not a picture")
    assert f"images.dog.path: {source}: not an image" in refusal(Image("dog", path=str(source)), output)
    assert "expected sha256 000" in refusal(Image("dog", path=str(source), sha256="000"), output)
    assert "Is a directory" in refusal(Image("dog", path=str(tmp_path)), output)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF"])
def test_truncated_images(tmp_path, output, kind):
    stream = io.BytesIO()
    Picture.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, kind)
    whole = stream.getvalue()
    source = tmp_path / "cut"
    for share in (0.02, 0.5, 0.9):
        source.write_bytes(whole[: int(len(whole) * share)])
        assert str(source) in refusal(Image("dog", path=str(source)), output)


def test_exactly_one_source(output):
    assert refusal(Image("dog"), output).endswith("skimage, path, url, drawing, found none")
    assert "found skimage and drawing" in refusal(Image("dog", skimage="cat", drawing="tesla_coil"), output)


@pytest.mark.parametrize("name", ["camera", "coffee", "stereo_motorcycle", "logo", "horse"])
def test_shipped_pictures(output, name):
    fetch_image(Image("dog", skimage=name), output)
    pixels = load_skimage(name)
    assert pixels.dtype == np.float32 and pixels.shape[2] == 3
    assert np.array_equal(read_image(output), np.round(pixels * 255).astype(np.uint8))


def test_no_shipped_picture_needs_a_download(monkeypatch):
    monkeypatch.setattr(skimage.data._fetchers, "_image_fetcher", None)
    for name in SHIPPED:
        assert load_skimage(name).max() <= 1


@pytest.mark.parametrize("name", ["kidney", "data_dir", "binary_blobs", "nothing"])
def test_other_scikit_image_names(output, name):
    message = refusal(Image("dog", skimage=name), output)
    assert message.startswith(f"images.dog.skimage: '{name}' is not a picture that scikit-image ships: astronaut,")


def test_a_drawing(output, monkeypatch):
    monkeypatch.setitem(sys.modules["lmrep.drawings"].DRAWINGS, "tesla_coil", lambda: draw_tesla_coil(48))
    fetch_image(Image("dog", drawing="tesla_coil"), output)
    assert np.array_equal(read_image(output), draw_tesla_coil(48))
    assert refusal(Image("cat", drawing="lamp"), output.with_name("x") / "cat.png").startswith(
        "images.cat.drawing: 'lamp'"
    )


# Sources behind a URL


def test_a_pinned_file(site, scratch, output, capsys):
    url = site("dog.png", png())
    fetch_image(Image("dog", url=url, sha256=sha256(png()).upper()), output)
    assert np.array_equal(read_image(output), PIXELS)
    assert not list(scratch.iterdir())
    assert "100%" in capsys.readouterr().err


def test_a_member_of_a_zip(site, scratch, output):
    data = zipped(a=b"other", b=png())
    image = Image("dog", "", "", site("dog.zip", data), sha256(data), "folder/b.png", sha256(png()))
    fetch_image(image, output)
    assert np.array_equal(read_image(output), PIXELS)


def test_a_wrong_hash_leaves_nothing(site, scratch, output):
    data = zipped(a=png())
    url = site("dog.zip", data)
    message = refusal(Image("dog", url=url, sha256="0" * 64, member="folder/a.png"), output)
    assert message.startswith(f"images.dog.url: {url}: not kept: ")
    assert "expected sha256:" + "0" * 64 in message and sha256(data) in message
    assert not list(scratch.iterdir())


def test_members_that_are_not_there_or_not_the_pinned_ones(site, scratch, output):
    data = zipped(a=png())
    url = site("dog.zip", data)
    message = refusal(Image("dog", url=url, sha256=sha256(data), member="b.png"), output)
    assert message == f"images.dog.url: {url}: expected a member 'b.png', found folder/a.png"
    image = Image("dog", url=url, sha256=sha256(data), member="folder/a.png", member_sha256="0" * 64)
    message = refusal(image, output)
    assert message == f"images.dog.url: {url}: folder/a.png: expected sha256 {'0' * 64}, found {sha256(png())}"
    url = site("dog.png", png())
    image = Image("dog", url=url, sha256=sha256(png()), member="a.png")
    assert f"{url}: expected a readable zip with 'a.png'" in refusal(image, output)


@pytest.mark.parametrize(("field", "value"), [(8, 99), (6, 1)], ids=["an unknown compression", "encrypted"])
def test_a_zip_that_python_cannot_read_is_refused(tmp_path, output, field, value):
    data = bytearray(zipped(a=png()))
    for header, offset in ((b"PK\x03\x04", field), (b"PK\x01\x02", field + 2)):  # the member's own, the directory's
        data[data.index(header) + offset] = value
    (tmp_path / "a.zip").write_bytes(data)
    message = refusal(Image("dog", path=str(tmp_path / "a.zip"), member="folder/a.png"), output)
    assert "expected a readable zip with 'folder/a.png'" in message


def test_a_file_that_is_gone(site, scratch, output):
    url = site("gone.png")
    message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert message == f"images.dog.url: {url}: expected the file: the host answered 404 File not found"
    assert not list(scratch.iterdir())


def test_an_unreachable_host_points_to_the_miniature_study(scratch, output, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dog.png"
        message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert f"{url}: expected the file: no connection to 127.0.0.1; " in message
    assert message.endswith(
        "without a network, build the miniature study: snakemake --cores all figures --configfile miniature.yaml"
    )


def test_a_download_that_breaks_off_leaves_nothing(scratch, output, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_in_part():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + png()[:100])

        thread = threading.Thread(target=answer_in_part)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/dog.png"
        assert f"{url}: expected the file" in refusal(Image("dog", url=url, sha256=sha256(png())), output)
        thread.join()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.png",
        "file:///a.png",
        "ftp://example.org/a.png",
        "a.png",
        "https://[/",
        "http://localhost.example.org/a.png",
    ],
)
def test_only_https_leaves_the_machine(output, url):
    message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert message == f"images.dog.url: {url}: expected an https:// address"


@pytest.mark.parametrize("pin", ["", "abc", "g" * 64])
def test_a_url_needs_its_hash(output, pin):
    assert "expected its sha256, 64 hex" in refusal(Image("dog", url="https://example.org/a.png", sha256=pin), output)


# The script


def test_the_script_logs_source_and_size_or_the_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    job = """
import json, runpy, sys
from types import SimpleNamespace
image, output, log = sys.argv[2:]
job = SimpleNamespace(log=[log], output=[output], params=SimpleNamespace(image=image))
runpy.run_path(sys.argv[1], {"snakemake": job})
"""

    def run(**image: str) -> tuple[subprocess.CompletedProcess, str]:
        arguments = [ROOT / "scripts" / "fetch_image.py", json.dumps(image), tmp_path / "o.png", tmp_path / "log"]
        command = [sys.executable, "-c", job, *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        return done, (tmp_path / "log").read_text()

    done, log = run(name="dog", path=str(tmp_path / "a.png"), fit="crop")
    assert (done.returncode, log) == (0, f"dog: path {tmp_path}/a.png, 20 x 12 px\n"), done.stderr
    done, log = run(name="dog", skimage="kidney")
    assert done.returncode == 1 and done.stderr == log and log.count("\n") == 1
    assert log.startswith("lmrep: images.dog.skimage: 'kidney'")
