"""The measures against independent ways of computing them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lmrep.metrics.measures import output_distance_ratio, patch_changes, psnr, ssim

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


def test_the_ratio_is_in_parts_of_the_shifted_photographs_distance():
    assert output_distance_ratio(1.0, 4.0) == 0.25
