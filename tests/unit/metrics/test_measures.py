"""The measures against independent ways of computing them."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import convolve1d, gaussian_filter
from skimage import color
from skimage.color.colorconv import xyz_from_rgb as FROM_RGB

from lmrep.metrics import measures
from lmrep.metrics.measures import (
    best_grey,
    converged,
    correlation,
    flip,
    high_frequency_error,
    largest_changes,
    output_distance_ratio,
    patch_changes,
    patch_shares,
    psnr,
    ssim,
    ssim_by_row,
    ssim_grey,
    ssim_map,
)

RNG = np.random.default_rng(0)


@pytest.fixture
def pair():
    target = RNG.random((3, 24, 24), dtype=np.float32)
    return np.clip(target + RNG.normal(0, 0.2, target.shape), -0.5, 1.5).astype(np.float32), target


def ssim_map_by_formula(a, b):
    """Equation 13 of Wang et al. (2004), with a Gaussian window cut at 3.5 sigma."""
    a, b = a.astype(np.float64), b.astype(np.float64)

    def mean(x):
        return gaussian_filter(x, 1.5, truncate=3.5)

    c1, c2 = 0.01**2, 0.03**2
    var_a, var_b = mean(a * a) - mean(a) ** 2, mean(b * b) - mean(b) ** 2
    cov = mean(a * b) - mean(a) * mean(b)
    top = (2 * mean(a) * mean(b) + c1) * (2 * cov + c2)
    return top / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (var_a + var_b + c2))


def maps_by_formula(image, target):
    return np.stack([ssim_map_by_formula(np.clip(i, 0, 1), t) for i, t in zip(image, target, strict=True)])


def test_ssim_is_the_papers_formula_on_clipped_images(pair):
    image, target = pair
    assert ssim(image, target) == pytest.approx(maps_by_formula(image, target)[:, 5:-5, 5:-5].mean(), abs=1e-5)
    assert ssim(target, target) == 1
    assert ssim(image, target) == ssim(np.clip(image, 0, 1), target)


def test_the_map_is_the_papers_formula_and_ssim_its_mean_without_the_border(pair):
    image, target = pair
    local = ssim_map(image, target)
    assert local.shape == image.shape
    np.testing.assert_allclose(local, maps_by_formula(image, target), atol=1e-5)
    border = measures.BORDER
    assert local[:, border:-border, border:-border].mean() == pytest.approx(ssim(image, target), abs=1e-6)


def test_rows_are_means_over_the_pixels_of_each_row_of_patches(pair):
    image, target = pair
    local = maps_by_formula(image, target)
    equal = ssim_by_row(image, target, 4)
    assert equal == pytest.approx([local[:, 6 * row : 6 * row + 6].mean() for row in range(4)], abs=1e-5)
    assert equal.mean() == pytest.approx(local.mean(), abs=1e-5)
    bounds = [0, 5, 10, 14, 19, 24]  # 24 px do not divide by 5
    unequal = ssim_by_row(image, target, 5)
    expected = [local[:, a:b].mean() for a, b in pairwise(bounds)]
    assert unequal == pytest.approx(expected, abs=1e-5)


def test_rows_tell_where_an_image_is_spoilt():
    target = RNG.random((3, 48, 48), dtype=np.float32)
    image = target.copy()
    image[:, :12] = 0.5
    first, second, third, last = ssim_by_row(image, target, 4)
    assert first < 0.2 and second < 1 and third == pytest.approx(1) and last == pytest.approx(1)


@pytest.mark.parametrize("scale", [1.0, 0.05])  # the second is as dark as the tesla coil
def test_the_best_grey_beats_every_other_level(scale):
    noise = RNG.random((3, 20, 20))
    target = (scale * gaussian_filter(noise, (0, 3, 3)) ** 2).astype(np.float32)
    grey, best = best_grey(target)
    levels = {level: ssim(np.full_like(target, level), target) for level in np.linspace(0, 1, 2001, dtype=np.float32)}
    assert best == pytest.approx(max(levels.values()), abs=1e-3)
    assert grey == pytest.approx(max(levels, key=levels.get), abs=1.5e-3)
    assert best == ssim(np.full_like(target, grey), target) == ssim_grey(target)


def test_the_best_grey_of_a_flat_image_is_its_own_level():
    assert best_grey(np.full((3, 16, 16), 0.3, np.float32)) == pytest.approx((0.3, 1), abs=1e-6)
    assert best_grey(np.full((3, 16, 16), 1.7, np.float32)) == pytest.approx((1, 1), abs=1e-6)  # clipped


def test_targets_of_equal_size_have_greys_of_their_own():
    dark, bright = (RNG.uniform(low, low + 0.2, (3, 16, 16)).astype(np.float32) for low in (0.1, 0.7))
    assert [round(best_grey(target)[0], 1) for target in (dark, bright, dark)] == [0.2, 0.8, 0.2]


@pytest.mark.parametrize(("moved", "expected"), [(0.0099, True), (-0.0099, True), (0.0101, False), (-0.5, False)])
def test_a_descent_has_converged_if_neither_likeness_moves_by_a_hundredth(moved, expected):
    assert converged([0.6, 0.7], [0.6 + moved, 0.7], 0.5) is expected
    assert converged([0.6, 0.7], [0.6, 0.7 + moved], 0.5) is expected
    assert not converged([0.6, 0.7], [0.6 + moved, 0.7], 1.0)  # it gave up


def test_psnr_is_decibels_of_the_mean_square(pair):
    image, target = pair
    error = ((np.clip(image, 0, 1).astype(float) - target) ** 2).mean()
    assert psnr(image, target) == pytest.approx(-10 * np.log10(error), abs=1e-4)
    assert psnr(target, target) == np.inf


def flip_by_formulas(test, reference, degree=0.7 * 3840 / 0.7 * np.pi / 180):
    """LDR-FLIP by the formulas of Andersson et al. (2020), on scikit-image's colour spaces. Images [h, w, 3], sRGB."""
    white = color.xyz_tristimulus_values(illuminant="D65", observer="2")

    def blurred(image, *kernels):
        for axis, kernel in enumerate(kernels):
            image = convolve1d(image, kernel, axis=axis, mode="nearest")
        return image

    def opponent(image):  # YCxCz, a linear kind of L*a*b*
        x, y, z = np.moveaxis(color.rgb2xyz(image) / white, -1, 0)
        return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    def seen(channels):  # contrast sensitivity (section 4.1), then L*a*b* with the Hunt effect
        away = np.arange(-25, 26) / degree
        filtered = []
        for channel, parts in zip(channels, ([(1, 0.0047)], [(1, 0.0053)], [(34.1, 0.04), (13.5, 0.025)]), strict=True):
            lines = [np.exp(-(np.pi**2) * away**2 / b) for _, b in parts]
            weights = [a * np.sqrt(np.pi / b) for a, b in parts]
            total = sum(weight * line.sum() ** 2 for weight, line in zip(weights, lines, strict=True))
            terms = [w * blurred(channel, line, line) / total for w, line in zip(weights, lines, strict=True)]
            filtered.append(sum(terms))
        y = (filtered[0] + 16) / 116
        xyz = np.stack([y + filtered[1] / 500, y, y - filtered[2] / 200], -1) * white
        return hunt(np.clip(xyz @ np.linalg.inv(FROM_RGB).T, 0, 1))

    def hunt(linear):
        lightness, a, b = np.moveaxis(color.xyz2lab(linear @ FROM_RGB.T), -1, 0)
        return np.stack([lightness, 0.01 * lightness * a, 0.01 * lightness * b])

    def distance(a, b):  # HyAB, to the power of .7
        return (abs(a[0] - b[0]) + np.hypot(a[1] - b[1], a[2] - b[2])) ** 0.7

    def features(channels):  # edges and points (section 4.2)
        sigma = 0.5 * 0.082 * degree
        x = np.arange(-np.ceil(3 * sigma), np.ceil(3 * sigma) + 1)
        bell = np.exp(-(x**2) / (2 * sigma**2))
        for kernel in (-x * bell, (x**2 / sigma**2 - 1) * bell):
            kernel = np.where(kernel > 0, kernel / kernel[kernel > 0].sum(), -kernel / kernel[kernel < 0].sum())
            light, smooth = (channels[0] + 16) / 116, bell / bell.sum()
            yield np.hypot(blurred(light, kernel, smooth), blurred(light, smooth, kernel))

    first, second = opponent(test), opponent(reference)
    colours = distance(seen(first), seen(second))
    most = distance(hunt(np.array([0.0, 1, 0])), hunt(np.array([0.0, 0, 1])))
    knee = 0.4 * most
    colours = np.where(colours < knee, 0.95 * colours / knee, 0.95 + 0.05 * (colours - knee) / (most - knee))
    differences = [abs(a - b) for a, b in zip(features(first), features(second), strict=True)]
    return (colours ** (1 - np.sqrt(np.maximum(*differences) / np.sqrt(2)))).mean()


def test_flip_is_the_papers_formulas_on_clipped_images():
    target = gaussian_filter(RNG.random((3, 40, 32)), (0, 2, 2))
    target = ((target - target.min()) / np.ptp(target)).astype(np.float32)
    images = [target + RNG.normal(0, 0.2, target.shape), 0.8 * target, np.roll(target, 2, axis=2), 1 - target]
    for image in np.asarray(images, np.float32):
        pixels = [np.clip(i, 0, 1).transpose(1, 2, 0).astype(float) for i in (image, target)]
        assert flip(image, target) == pytest.approx(flip_by_formulas(*pixels), abs=2e-3)
        assert 0 < flip(image, target) < 1
        assert flip(image, target) == flip(np.clip(image, 0, 1), target)
    assert flip(target, target) == 0
    assert np.diff([flip(image, target) for image in (target, 0.9 * target, 0.8 * target, 0 * target)]).min() > 0


def wave(down, across, size=32):
    """A wave of so many periods in `size` px, the same in all channels, around .5."""
    y, x = np.mgrid[:size, :size] / size
    return np.broadcast_to(0.5 + 0.2 * np.cos(2 * np.pi * (down * y + across * x)), (3, size, size))


@pytest.mark.parametrize(
    ("down", "across", "share"),
    [(0, 7, 0), (0, 8, 0), (0, 9, 1), (9, 0, 1), (0, 16, 1), (5, 6, 0), (6, 6, 1), (-6, 6, 1), (0, 0, 0)],
)
def test_a_wave_counts_if_its_frequency_is_above_a_quarter_a_pixel(down, across, share):
    grey = np.full((3, 32, 32), 0.4)
    waves = wave(down, across) - (0.1 if (down, across) != (0, 0) else 0)  # no mean, unless that is all there is
    assert high_frequency_error(waves, grey) == pytest.approx(share, abs=1e-12)


def test_the_high_share_adds_powers_and_counts_the_mean():
    grey = np.full((3, 32, 32), 0.5)
    both = 0.5 + 0.3 * (wave(0, 12) - 0.5) + 0.6 * (wave(3, 0) - 0.5)
    assert high_frequency_error(both, grey) == pytest.approx(0.3**2 / (0.3**2 + 0.6**2))
    mean, power = 0.1, 0.2**2 / 2
    assert high_frequency_error(wave(0, 12) + mean, grey) == pytest.approx(power / (power + mean**2))


def test_white_noise_has_the_share_of_the_plane_outside_a_disc():
    noise = 0.5 + RNG.normal(0, 0.05, (3, 200, 200))
    assert high_frequency_error(noise, np.full_like(noise, 0.5)) == pytest.approx(1 - np.pi / 16, abs=0.01)


def test_the_correlation_is_numpys_of_clipped_images(pair):
    image, target = pair
    expected = np.corrcoef(np.clip(image, 0, 1).ravel(), np.clip(target, 0, 1).ravel())[0, 1]
    assert correlation(image, target) == pytest.approx(expected, abs=1e-6)


def test_brightness_and_contrast_do_not_change_the_correlation():
    target = RNG.random((3, 20, 20))
    for image, expected in ((0.2 + 0.1 * target, 1), (0.9 - 0.3 * target, -1), (target, 1)):
        assert correlation(image, target) == pytest.approx(expected)
    assert ssim(0.2 + 0.1 * target, target) < 0.5


@pytest.mark.parametrize("flat", [0.0, 0.3, 2.0])
def test_a_flat_image_has_no_correlation(flat):
    target = RNG.random((3, 20, 20), dtype=np.float32)
    grey = np.full_like(target, flat)
    assert correlation(grey, target) == correlation(target, grey) == correlation(grey, grey) == 0


def test_the_high_share_is_zero_without_an_error_after_clipping(pair):
    _, target = pair
    assert high_frequency_error(target, target) == 0
    assert high_frequency_error(np.full_like(target, 1.5), np.ones_like(target)) == 0


def test_changes_are_the_root_mean_square_of_each_patch():
    start = RNG.random((3, 12, 12), dtype=np.float32)
    image = start.copy()
    image[:, 4:8, 8:12] += 0.5  # row 1, column 2 of 3 x 3
    image[0, 0, 0] += 1.0
    changes = patch_changes(image, start, 3)
    assert changes[5] == pytest.approx(0.5, rel=1e-5)
    assert changes[0] == pytest.approx(np.sqrt(1 / 48), rel=1e-5)
    assert (np.delete(changes, [0, 5]) == 0).all()


def test_patches_have_whole_pixels():
    start = np.full((3, 16, 16), 0.5, np.float32)
    image = np.full((3, 16, 16), 0.5, np.float32)  # 16 px do not divide by 3
    image[:, :, 11:] = 0.9
    assert patch_changes(image, start, 3) == pytest.approx([0, 0, 0.4] * 3, abs=1e-6)


def test_shares_of_the_squared_change_add_up_to_one_and_are_zero_without_a_change():
    start, image = RNG.random((2, 3, 12, 12), dtype=np.float32)
    squares = ((image.astype(np.float64) - start) ** 2).reshape(3, 3, 4, 3, 4).sum(axis=(0, 2, 4))
    np.testing.assert_allclose(patch_shares(image, start, 3), (squares / squares.sum()).ravel())
    assert (patch_shares(start, start, 3) == 0).all()


def test_the_largest_change_of_a_patch_is_that_of_one_value():
    start = np.full((3, 12, 12), 0.5, np.float32)
    image = start.copy()
    image[1, 5, 9], image[2, 6, 10] = 0.25, 0.625  # row 1, column 2 of 3 x 3
    assert list(largest_changes(image, start, 3)) == [0, 0, 0, 0, 0, 0.25, 0, 0, 0]


def test_the_ratio_is_in_parts_of_the_shifted_photographs_distance():
    assert output_distance_ratio(1.0, 4.0) == 0.25
