"""Measures on images and outputs, as arrays and without torch. A new metric is a function here and a line in kinds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Map = npt.NDArray[np.float64]

SIGMA, TRUNCATE, BORDER = 1.5, 3.5, 5  # SSIM's window in px: its sigma, its cut in sigmas, and its radius
WINDOW: dict[str, Any] = {"gaussian_weights": True, "sigma": SIGMA, "use_sample_covariance": False}
LUMINANCE, CONTRAST = 0.01**2, 0.03**2  # SSIM's two constants for pixels in [0, 1]
GREYS = np.linspace(0, 1, 1001)  # the levels that `best_grey` tries
CONVERGED = 0.01  # of SSIM and of the correlation
HALF_NYQUIST = 0.25  # cycles a pixel


def ssim(image: Array, target: Array) -> float:
    """Structural similarity of two images [3, height, width], clipped to [0, 1]; no unit, 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli (2004), by scikit-image: a Gaussian window of sigma 1.5 px, biased variances,
    the mean over pixels and channels. The mean leaves out a border of 5 px, the radius of the window.
    """
    from skimage.metrics import structural_similarity  # the import takes a second, and many tables have no SSIM

    clipped = np.clip(image, 0, 1), np.clip(target, 0, 1)
    return float(structural_similarity(*clipped, data_range=1, channel_axis=0, **WINDOW))


def ssim_map(image: Array, target: Array) -> Map:
    """SSIM around each pixel, [3, height, width], of two images of this shape, clipped to [0, 1].

    Each value is in [-1, 1]. Windows that reach over the edge see the image mirrored there. `ssim` is the mean of
    this map without its border of 5 px.
    """
    from skimage.metrics import structural_similarity

    clipped = np.clip(image, 0, 1), np.clip(target, 0, 1)
    _, local = structural_similarity(*clipped, data_range=1, channel_axis=0, full=True, **WINDOW)
    return np.asarray(local, np.float64)


def ssim_by_row(image: Array, target: Array, grid: int) -> Map:
    """The mean of `ssim_map` over each of `grid` rows of patches, from the top, for images [3, size, size].

    Row bounds are rounded to whole pixels. The border counts, so each row covers all of its pixels: the mean of rows
    of equal height is that of the whole map. `ssim` leaves the border out and differs a little from it.
    """
    lines = ssim_map(image, target).mean(axis=(0, 2))
    bounds = patch_bounds(len(lines), grid)
    means: Map = np.add.reduceat(lines, bounds[:-1]) / np.diff(bounds)
    return means


def converged(likeness: Sequence[float], earlier: Sequence[float], ratio: float) -> bool:
    """Whether a descent has converged: near its goal, it moved by less than .01 in the last quarter of its passes.

    `likeness`, `earlier`: SSIM and correlation after all passes, and after three quarters of them. SSIM alone stands
    still where the image has the wrong brightness. `ratio`: the output distance ratio. At 1 or more the descent gave
    up: it stands still far from the target's output.
    If it has not converged, its likeness is a lower bound on what the layer holds.
    """
    return ratio < 1 and all(abs(now - then) < CONVERGED for now, then in zip(likeness, earlier, strict=True))


def best_grey(target: Array) -> tuple[float, float]:
    """The flat grey level in [0, 1] that has the best SSIM with an image [3, height, width], and that SSIM.

    Tries all of `GREYS`, .001 apart: finer steps gain less than .001 of SSIM even in the dark.
    """
    from skimage.filters import gaussian

    target = np.clip(target, 0, 1)
    # A flat image has no variance. Its local SSIM with the target is (2 m g + C1) / (m^2 + g^2 + C1) * C2 / (v + C2):
    # g is its level, m and v are the target's local mean and variance.
    exact = target.astype(np.float64)
    window: dict[str, Any] = {"sigma": SIGMA, "truncate": TRUNCATE, "mode": "reflect", "channel_axis": 0}
    inner = (slice(None), slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    mean, square = gaussian(exact, **window)[inner], gaussian(exact**2, **window)[inner]
    weight = CONTRAST / (square - mean**2 + CONTRAST)
    base = mean**2 + LUMINANCE
    scores = [float(np.mean(weight * (2 * grey * mean + LUMINANCE) / (base + grey**2))) for grey in GREYS]
    grey = float(GREYS[np.argmax(scores)])
    return grey, ssim(np.full_like(target, grey), target)


def ssim_grey(target: Array) -> float:
    """The SSIM of `best_grey`: what an image without any content reaches."""
    return best_grey(target)[1]


def psnr(image: Array, target: Array) -> float:
    """Peak signal-to-noise ratio of two images clipped to [0, 1], in dB; infinite for equal images."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(np.clip(target, 0, 1), np.clip(image, 0, 1), data_range=1))


def flip(image: Array, target: Array) -> float:
    """FLIP of two images [3, height, width], clipped to [0, 1] and read as sRGB; in [0, 1], 0 for equal images.

    How much two images differ to an eye that flips between them: Andersson, Nilsson, Akenine-Moller, Oskarsson,
    Astrom and Fairchild (2020), by NVIDIA's package; the mean of the error map. The viewing conditions are the
    package's defaults: 67.02 px a degree, as on a screen .7 m wide, of 3840 px, seen from .7 m.
    """
    from flip_evaluator import evaluate

    test, reference = (np.ascontiguousarray(np.clip(i, 0, 1).transpose(1, 2, 0), np.float32) for i in (image, target))
    errors, _, _ = evaluate(reference, test, "LDR", applyMagma=False, computeMeanError=False)
    return float(np.mean(errors, dtype=np.float64))


def correlation(image: Array, target: Array) -> float:
    """Pearson's correlation of the values of two images [3, height, width], clipped to [0, 1]; in [-1, 1].

    Over all pixels and channels. Another brightness or contrast of a whole image does not change it. 0 if one is flat.
    """
    return float(correlation_of_pairs(image[None], target[None])[0, 0])


def correlation_of_pairs(images: Array, targets: Array) -> Map:
    """`correlation` [image, target] of each of images with each of targets, both [picture, 3, height, width]."""
    flat = (np.clip(pixels, 0, 1).astype(np.float64).reshape(len(pixels), -1) for pixels in (images, targets))
    one, other = (values - values.mean(axis=1, keepdims=True) for values in flat)
    power = np.sqrt(np.outer((one**2).sum(axis=1), (other**2).sum(axis=1)))
    products = np.einsum("ik,jk->ij", one, other)  # a matrix product would depend on the number of threads
    found: Map = np.divide(products, power, out=np.zeros_like(power), where=power > 1e-9)
    return np.clip(found, -1, 1)


def high_frequency_error(image: Array, target: Array) -> float:
    """The share of the error's power above half the Nyquist frequency, for images [3, height, width]; in [0, 1].

    The error is the difference of the images, both clipped to [0, 1], and its power that of its 2-D Fourier transform,
    summed over channels, mean included. A frequency counts if its length in the plane is above .25 cycles a pixel, in
    any direction. White noise has 1 - pi / 16 = .80; equal images have 0.
    """
    error = np.clip(image, 0, 1).astype(np.float64) - np.clip(target, 0, 1)
    power = (np.abs(np.fft.fft2(error)) ** 2).sum(axis=0)
    down, across = (np.fft.fftfreq(size) for size in power.shape)
    high = np.hypot(down[:, None], across) > HALF_NYQUIST
    total = power.sum()
    return float(power[high].sum() / total) if total else 0.0


def output_distance_ratio(output_distance: float, shifted_output_distance: float) -> float:
    """The author's yardstick, no unit: the distance of the result's output from the photograph's, as a ratio.

    The divisor is the distance of the output of a shifted photograph: normal noise of standard deviation 1/18 is
    added. Below 1, the result's output is nearer to the photograph's than that of the shifted photograph.
    """
    return float(output_distance / shifted_output_distance)


def patch_bounds(size: int, grid: int) -> npt.NDArray[np.intp]:
    """Where each of `grid` rows (or columns) of patches begins and ends in `size` px, rounded to whole pixels."""
    return np.round(np.linspace(0, size, grid + 1)).astype(np.intp)


def patch_changes(image: Array, baseline: Array, grid: int) -> Map:
    """Root mean square difference of two images [3, size, size] in each of grid x grid patches, row by row.

    Patch bounds are rounded to whole pixels.
    """
    squares = ((image.astype(np.float64) - baseline) ** 2).mean(axis=0)
    changes: Map = np.sqrt(by_patch(squares, grid, np.add) / patch_areas(image.shape[-1], grid))
    return changes


def row_means(changes: Array) -> tuple[Array, Array]:
    """The mean changes [...] of the top and of the bottom row of patches, of [..., patch], row by row."""
    grid = round(changes.shape[-1] ** 0.5)
    return changes[..., :grid].mean(axis=-1), changes[..., -grid:].mean(axis=-1)


def patch_shares(image: Array, baseline: Array, grid: int) -> Map:
    """The share of the squared difference of two images [3, size, size] in each of grid x grid patches, row by row.

    Each value is in [0, 1], and their sum is 1. All are 0 for equal images. Patch bounds are rounded to whole pixels.
    """
    sums = by_patch(((image.astype(np.float64) - baseline) ** 2).sum(axis=0), grid, np.add)
    total = sums.sum()
    return sums / total if total > 0 else sums


def largest_changes(image: Array, baseline: Array, grid: int) -> Map:
    """The largest absolute difference of a pixel value in each of grid x grid patches of two images [3, size, size]."""
    return by_patch(np.abs(image.astype(np.float64) - baseline).max(axis=0), grid, np.maximum)


def by_patch(values: Map, grid: int, join: np.ufunc) -> Map:
    """Values [size, size], one a pixel, joined (np.add, np.maximum) within each of grid x grid patches, row by row."""
    starts = patch_bounds(len(values), grid)[:-1]
    joined: Map = join.reduceat(join.reduceat(values, starts, axis=0), starts, axis=1).ravel()
    return joined


def patch_areas(size: int, grid: int) -> npt.NDArray[np.intp]:
    """Pixels in each of grid x grid patches of an image of `size` px, row by row."""
    sides = np.diff(patch_bounds(size, grid))
    return np.outer(sides, sides).ravel()
