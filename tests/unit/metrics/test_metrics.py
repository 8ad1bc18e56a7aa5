"""The measures against independent ways of computing them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lmrep.errors import InputError
from lmrep.metrics.measures import (
    ACCURACY_COLUMNS,
    PATCHES_COLUMNS,
    accuracy,
    patch_changes,
    patches,
    psnr,
    read_table,
    ssim,
    write_table,
)
from lmrep.files import ArrayFile, read_arrays, write_arrays

RNG = np.random.default_rng(0)


@pytest.fixture
def pair():
    target = RNG.random((3, 24, 24), dtype=np.float32)
    return np.clip(target + RNG.normal(0, 0.2, target.shape), -0.5, 1.5).astype(np.float32), target


def ssim_by_formula(a, b):
    """Equation 13 of Wang et al. (2004), with a Gaussian window cut at 3.5 sigma, away from the edges."""
    a, b = a.astype(np.float64), b.astype(np.float64)

    def mean(x):
        return gaussian_filter(x, 1.5, truncate=3.5)

    c1, c2 = 0.01**2, 0.03**2
    var_a, var_b = mean(a * a) - mean(a) ** 2, mean(b * b) - mean(b) ** 2
    cov = mean(a * b) - mean(a) * mean(b)
    top = (2 * mean(a) * mean(b) + c1) * (2 * cov + c2)
    return (top / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (var_a + var_b + c2)))[5:-5, 5:-5].mean()


def test_ssim_is_the_papers_formula_on_clipped_images(pair):
    image, target = pair
    expected = np.mean([ssim_by_formula(np.clip(i, 0, 1), t) for i, t in zip(image, target, strict=True)])
    assert ssim(image, target) == pytest.approx(expected, abs=1e-5)
    assert ssim(target, target) == 1
    assert ssim(image, target) == ssim(np.clip(image, 0, 1), target)


def test_psnr_is_decibels_of_the_mean_square(pair):
    image, target = pair
    error = ((np.clip(image, 0, 1).astype(float) - target) ** 2).mean()
    assert psnr(image, target) == pytest.approx(-10 * np.log10(error), abs=1e-4)
    assert psnr(target, target) == np.inf


def test_changes_are_the_root_mean_square_of_each_patch():
    start = RNG.random((3, 12, 12), dtype=np.float32)
    image = start.copy()
    image[:, 4:8, 8:12] += 0.5  # row 1, column 2 of 3 x 3
    image[0, 0, 0] += 1.0
    changes = patch_changes(image, start, 3)
    assert changes[5] == pytest.approx(0.5, rel=1e-5)
    assert changes[0] == pytest.approx(np.sqrt(1 / 48), rel=1e-5)
    assert (np.delete(changes, [0, 5]) == 0).all()


def test_changes_of_a_grown_image_are_from_the_grown_start():
    start = np.full((3, 6, 6), 0.5, np.float32)
    image = np.full((3, 16, 16), 0.5, np.float32)  # 16 px do not divide by 3
    image[:, :, 11:] = 0.9
    assert patch_changes(image, start, 3) == pytest.approx([0, 0, 0.4] * 3, abs=1e-6)


def make_run(objective, panels):
    images = RNG.random((2, len(panels), 3, 12, 12), dtype=np.float32)
    arrays = {"images": images, "initial": np.zeros_like(images), "targets": images[0]}
    arrays |= {"output_distance": np.array([[1, 2.0]] * 2), "shifted_output_distance": np.array([[4, 4.0]] * 2)}
    facts = {"run": "r", "objective": objective, "probe": "p", "weights": "trained", "layers": [2, 5], "panels": panels}
    return ArrayFile(arrays, facts | {"settings": {"probe": {"stem": {"size": 12, "patch": 4}}}})


def test_accuracy_has_a_row_for_each_image_and_layer():
    rows = list(accuracy(make_run("match", ["cat", "coil"])))
    assert [(row["image"], row["layer"]) for row in rows] == [("cat", 2), ("cat", 5), ("coil", 2), ("coil", 5)]
    assert [row["output_distance_ratio"] for row in rows] == [0.25, 0.25, 0.5, 0.5]
    assert rows[0]["ssim"] == 1 and rows[1]["ssim"] < 1


def test_patches_has_a_row_for_each_layer_panel_and_patch():
    rows = list(patches(make_run("neuron", [3, 8])))
    assert len(rows) == 2 * 2 * 9
    assert [rows[0][key] for key in ("run", "layer", "panel", "patch")] == ["r", 2, 3, 0]
    assert [rows[-1][key] for key in ("layer", "panel", "patch")] == [5, 8, 8]


def test_a_table_gives_back_what_was_written(tmp_path):
    rows = list(accuracy(make_run("match", ["cat", "coil"])))
    write_table(tmp_path / "t.tsv", ACCURACY_COLUMNS, rows)
    back = read_table(tmp_path / "t.tsv", ACCURACY_COLUMNS)
    assert [row["image"] for row in back] == [row["image"] for row in rows]
    assert [row["ssim"] for row in back] == pytest.approx([row["ssim"] for row in rows], rel=1e-8)
    write_table(tmp_path / "u.tsv", ACCURACY_COLUMNS, back)
    assert (tmp_path / "t.tsv").read_bytes() == (tmp_path / "u.tsv").read_bytes()
    with pytest.raises(InputError, match=r"t\.tsv: columns are"):
        read_table(tmp_path / "t.tsv", PATCHES_COLUMNS)


def test_array_files_keep_arrays_and_facts_with_equal_bytes(tmp_path):
    arrays = {"images": RNG.random((2, 3)), "loss": np.arange(3)}
    for name in "ab":
        write_arrays(tmp_path / name, arrays, {"panels": ["x"], "layers": [1]})
    back = read_arrays(tmp_path / "a")
    assert back.facts == {"panels": ["x"], "layers": [1]}
    assert back["images"].dtype == np.float32
    np.testing.assert_array_equal(back["images"], arrays["images"].astype(np.float32))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_file_that_is_not_ours_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_arrays(tmp_path / "bad")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path / "absent")
