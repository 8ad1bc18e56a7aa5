"""Image sources on this machine: files, zips, shipped pictures, drawings, and the script that fetches them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import yaml
from pictures import PIXELS, png, refusal, sha256, zipped
from PIL import Image as Picture

from lmrep.inputs import drawings
from lmrep.inputs.drawings import draw_tesla_coil
from lmrep.inputs.image_sources import fetch_image
from lmrep.inputs.images import read_image
from lmrep.inputs.shipped import SHIPPED, load_skimage
from lmrep.study.sources import Image

ROOT = Path(__file__).parents[3]
RNG = np.random.default_rng(0)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "images" / "dog.png"


def test_a_fetched_image_is_lossless_repeatable_and_replaces_an_older_one(tmp_path, output):
    source = tmp_path / "a.png"
    source.write_bytes(png())
    assert fetch_image(Image("dog", path=str(source)), output) == (20, 12)
    first = output.read_bytes()
    fetch_image(Image("dog", path=str(source)), output)
    assert output.read_bytes() == first
    assert np.array_equal(read_image(output), PIXELS)
    assert [path.name for path in output.parent.iterdir()] == ["dog.png"]


def test_a_local_zip_has_pins_like_a_url(tmp_path, output):
    source = tmp_path / "a.zip"
    source.write_bytes(zipped(a=png()))
    fetch_image(Image("dog", path=str(source), sha256=sha256(source.read_bytes()), member="folder/a.png"), output)
    assert np.array_equal(read_image(output), PIXELS)


def test_files_that_are_missing_or_no_pictures(tmp_path, output):
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
    monkeypatch.setitem(drawings.DRAWINGS, "tesla_coil", lambda: draw_tesla_coil(48))
    fetch_image(Image("dog", drawing="tesla_coil"), output)
    assert np.array_equal(read_image(output), draw_tesla_coil(48))
    assert refusal(Image("cat", drawing="lamp"), output.with_name("x") / "cat.png").startswith(
        "images.cat.drawing: 'lamp'"
    )


@pytest.mark.parametrize(("field", "value"), [(8, 99), (6, 1)], ids=["an unknown compression", "encrypted"])
def test_a_zip_that_python_cannot_read_is_refused(tmp_path, output, field, value):
    data = bytearray(zipped(a=png()))
    for header, offset in ((b"PK\x03\x04", field), (b"PK\x01\x02", field + 2)):  # the member's own, the directory's
        data[data.index(header) + offset] = value
    (tmp_path / "a.zip").write_bytes(data)
    message = refusal(Image("dog", path=str(tmp_path / "a.zip"), member="folder/a.png"), output)
    assert "expected a readable zip with 'folder/a.png'" in message


def test_the_script_logs_the_source_and_size_or_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    job = """
import json, runpy, sys
from types import SimpleNamespace
config, output, log = sys.argv[2:]
names = SimpleNamespace(kept="dog-0a1b2c3d")
job = SimpleNamespace(config=json.loads(config), wildcards=names, output=[output], log=[log])
runpy.run_path(sys.argv[1], {"snakemake": job})
"""
    config = yaml.safe_load((ROOT / "miniature.yaml").read_text())

    def run(**image: str) -> tuple[subprocess.CompletedProcess, str]:
        told = json.dumps({**config, "images": {**config["images"], "dog": image}})
        arguments = [ROOT / "scripts" / "fetch_image.py", told, tmp_path / "o.png", tmp_path / "log"]
        command = [sys.executable, "-c", job, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        return done, (tmp_path / "log").read_text()

    done, log = run(path=str(tmp_path / "a.png"), fit="crop")
    assert (done.returncode, log) == (0, f"dog: path {tmp_path}/a.png, 20 x 12 px\n"), done.stderr
    done, log = run(skimage="kidney")
    assert done.returncode == 1 and done.stderr == log and log.count("\n") == 1
    assert log.startswith("lmrep: images.dog.skimage: 'kidney'")
