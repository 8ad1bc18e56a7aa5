"""Measures on images and outputs, as arrays and without torch. A new metric is a function here and a line in kinds."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.floating]


def ssim(image: Array, target: Array) -> float:
    """Structural similarity of two images [3, height, width], clipped to [0, 1]; no unit, 1 for equal images.

    Wang, Bovik, Sheikh and Simoncelli (2004), by scikit-image: a Gaussian window of sigma 1.5 px, biased variances,
    the mean over pixels and channels.
    """
    from skimage.metrics import structural_similarity  # the import takes a second, and many tables have no SSIM

    return float(
        structural_similarity(
            np.clip(image, 0, 1), np.clip(target, 0, 1), data_range=1, channel_axis=0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip


def psnr(image: Array, target: Array) -> float:
    """Peak signal-to-noise ratio of two images clipped to [0, 1], in dB; infinite for equal images."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(np.clip(target, 0, 1), np.clip(image, 0, 1), data_range=1))


def output_distance_ratio(output_distance: float, shifted_output_distance: float) -> float:
    """The author's yardstick, no unit: the distance of the result's output from the photograph's, as a ratio.

    The divisor is the distance of the output of a shifted photograph: normal noise of standard deviation 1/18 is
    added. Below 1, the result's output is nearer to the photograph's than that of the shifted photograph.
    """
    return float(output_distance / shifted_output_distance)


def resized(image: Array, size: int) -> npt.NDArray[np.float32]:
    """An image [3, height, width] at `size` px, bilinear."""
    channels = [np.asarray(Image.fromarray(c, mode="F").resize((size, size), Image.Resampling.BILINEAR)) for c in image]
    return np.stack(channels)


def patch_changes(image: Array, initial: Array, grid: int) -> npt.NDArray[np.float64]:
    """Root mean square difference of two images [3, size, size] in each of grid x grid patches, row by row.

    A start of another size (a descent in octaves) is resized first. Patch bounds are rounded to whole pixels.
    """
    size = image.shape[-1]
    if initial.shape[-1] != size:
        initial = resized(initial, size)
    squares = ((image.astype(np.float64) - initial) ** 2).mean(axis=0)
    bounds = np.round(np.linspace(0, size, grid + 1)).astype(int)
    sums = np.add.reduceat(np.add.reduceat(squares, bounds[:-1], axis=0), bounds[:-1], axis=1)
    areas = np.outer(np.diff(bounds), np.diff(bounds))
    changes: npt.NDArray[np.float64] = np.sqrt(sums / areas).ravel()
    return changes
