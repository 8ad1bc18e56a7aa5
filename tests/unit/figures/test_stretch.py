"""Faint pictures: what counts as faint, by how much its change is multiplied, and what a note says of it."""

import numpy as np
import pytest
from small_runs import PATCH, SIDE, SIZE, feature_run

from lmrep.figures.stretch import FACTORS, VISIBLE, Picture, factor_note, read_pictures, stretch_factor, typical_change

START = np.full((3, SIZE, SIZE), 0.5)


def changed(*changes):
    """A picture whose first patches differ from the start by `changes`."""
    image = START.copy()
    for patch, change in enumerate(changes):
        row, column = (PATCH * place for place in divmod(patch, SIDE))
        image[:, row : row + PATCH, column : column + PATCH] += change
    return image


@pytest.mark.parametrize(("changes", "typical"), [
    ([0.03] * 9, 0.03), ([0.4], 0.4), ([0.4, 0.03], 0.4), ([0.4, 0.05, 0.06], 0.06), ([], 0.0),
])  # fmt: skip
def test_the_typical_change_leaves_out_patches_that_hardly_changed(changes, typical):
    assert typical_change(changed(*changes), START, SIDE) == pytest.approx(typical)


@pytest.mark.parametrize(("change", "factor"), [
    (1.0, 1), (0.08, 1), (0.07, 2), (0.02, 5), (0.01, 10), (0.005, 20), (0.003, 50), (1e-9, 50), (0.0, 1),
])  # fmt: skip
def test_the_factor_is_the_largest_that_keeps_the_change_in_range(change, factor):
    assert stretch_factor(change) == factor
    assert factor == 1 or (factor * change <= VISIBLE and factor in FACTORS)


def test_a_picture_that_is_not_faint_is_the_image_itself():
    run = feature_run(layers=(1,), panels=(0, 1))
    run["images"][0, 1] = run["baseline"][1]
    assert all(picture.drawn is picture.image for picture in read_pictures(run, 0))


def test_the_start_is_not_multiplied():
    start = np.random.default_rng(0).uniform(0.5, 0.6, START.shape)
    np.testing.assert_allclose(Picture(start + 0.01, start, 5).drawn, start + 0.05)
    np.testing.assert_array_equal(Picture(start, start, 50).drawn, start)


@pytest.mark.parametrize(("factors", "note"), [
    ([1], ""), ([5], "change ×5"), ([1, 1], ""), ([2, 10, 5], "change ×2 to ×10"), ([1, 2], "change ×1 to ×2"),
])  # fmt: skip
def test_a_note_tells_the_factors(factors, note):
    assert factor_note([Picture(START, START, factor) for factor in factors]) == note
