"""Reading a picture file and fitting it to a probe."""

import numpy as np
import pytest
from pictures import PIXELS, png
from PIL import Image as Picture

from lmrep.errors import InputError
from lmrep.inputs.images import load_target, prepare, read_image

RNG = np.random.default_rng(0)


def test_rgb_is_unchanged(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    assert np.array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_transparency_is_put_on_white(tmp_path):
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
    """The weights of bilinear resampling with antialiasing by its definition, [size, length]."""
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
