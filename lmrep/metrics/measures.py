"""How much of an image a reconstruction holds, and where a picture was changed: on arrays, without torch."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lmrep.errors import InputError
from lmrep.files import ArrayFile

ACCURACY_COLUMNS = {
    "probe": str, "weights": str, "image": str, "layer": int,
    "ssim": float, "psnr": float, "output_distance_ratio": float,
}  # fmt: skip
PATCHES_COLUMNS = {"run": str, "layer": int, "panel": str, "patch": int, "change": float}


def ssim(image: np.ndarray, target: np.ndarray) -> float:
    """Structural similarity of two images [3, height, width], clipped to [0, 1]; 1 for equal ones.

    Wang, Bovik, Sheikh and Simoncelli (2004): a Gaussian window of sigma 1.5 px, biased variances, mean over
    pixels and channels, by scikit-image.
    """
    from skimage.metrics import structural_similarity  # takes a second to import, for tables that have none

    return float(
        structural_similarity(
            np.clip(image, 0, 1), np.clip(target, 0, 1), data_range=1, channel_axis=0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB, of two images clipped to [0, 1]; infinite for equal ones."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(np.clip(target, 0, 1), np.clip(image, 0, 1), data_range=1))


def accuracy(run: ArrayFile) -> Iterator[dict]:
    """The rows of accuracy.tsv for a `match` run, by image and layer.

    `output_distance_ratio` is the distance of the result's output to the photograph's, in parts of that of the
    photograph shifted by normal noise of standard deviation 1/18 (the author's yardstick).
    """
    ratios = run["output_distance"] / run["shifted_output_distance"]
    for panel, name in enumerate(run.facts["panels"]):
        target = run["targets"][panel]
        for place, layer in enumerate(run.facts["layers"]):
            image = run["images"][place, panel]
            yield {
                "probe": run.facts["probe"], "weights": run.facts["weights"], "image": name, "layer": layer,
                "ssim": ssim(image, target), "psnr": psnr(image, target),
                "output_distance_ratio": float(ratios[place, panel]),
            }  # fmt: skip


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """An image [3, height, width] at `size` px, bilinear, as float32."""
    channels = [np.asarray(Image.fromarray(c, mode="F").resize((size, size), Image.Resampling.BILINEAR)) for c in image]
    return np.stack(channels)


def patch_changes(image: np.ndarray, initial: np.ndarray, grid: int) -> np.ndarray:
    """Root mean square difference of two images [3, size, size] in each of grid x grid patches, row by row.

    A start of another size (a descent in octaves) is resized first; patch bounds are rounded to whole pixels.
    """
    size = image.shape[-1]
    if initial.shape[-1] != size:
        initial = resized(initial, size)
    squares = ((image.astype(np.float64) - initial) ** 2).mean(axis=0)
    bounds = np.round(np.linspace(0, size, grid + 1)).astype(int)
    sums = np.add.reduceat(np.add.reduceat(squares, bounds[:-1], axis=0), bounds[:-1], axis=1)
    areas = np.outer(np.diff(bounds), np.diff(bounds))
    return np.sqrt(sums / areas).ravel()


def patches(run: ArrayFile) -> Iterator[dict]:
    """The rows of patches.tsv for any run, by layer, panel and patch."""
    stem = run.facts["settings"]["probe"]["stem"]
    for place, layer in enumerate(run.facts["layers"]):
        for index, panel in enumerate(run.facts["panels"]):
            changes = patch_changes(
                run["images"][place, index], run["initial"][place, index], stem["size"] // stem["patch"]
            )
            for patch, change in enumerate(changes):
                row = {"run": run.facts["run"], "layer": layer, "panel": panel, "patch": patch}
                yield row | {"change": float(change)}


def write_table(path: Path, columns: Mapping[str, type], rows: Iterable[Mapping]) -> None:
    """A tab-separated table; floats with 9 digits, enough to give back a float32 exactly."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(columns)
        for row in rows:
            values = (row[column] for column in columns)
            table.writerow(f"{value:.9g}" if isinstance(value, float) else value for value in values)


def read_table(path: Path, columns: Mapping[str, type]) -> list[dict]:
    """The rows of a table, values as the types in `columns`. Raises InputError for other columns."""
    with open(path, newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        if table.fieldnames != list(columns):
            raise InputError(f"{path}: columns are {table.fieldnames}, expected {list(columns)}")
        return [{column: kind(row[column]) for column, kind in columns.items()} for row in table]
