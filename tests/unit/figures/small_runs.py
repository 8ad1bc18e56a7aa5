"""Small run files with pictures, and what a figure shows of them."""

import numpy as np

from lmrep.files import ArrayFile

PATCH, SIDE = 4, 3  # px, patches in a row
SIZE = PATCH * SIDE
DPI = 300


def feature_run(objective="neuron", layers=(1, 2), panels=(0, 1, 5), size=None, grid=SIDE, spread=0.1):
    """A run file. size: of its images, px, where it is not the probe's.

    spread: of pixel values around 0.5, the start; 0.1 leaves nothing to clip and nothing faint, 0.01 makes all faint.
    """
    shape = (len(layers), len(panels), 3, *[size or grid * PATCH] * 2)
    images = np.clip(np.random.default_rng(0).normal(0.5, spread, shape), 0.5 - 4 * spread, 0.5 + 4 * spread)
    facts = {"objective": objective, "layers": list(layers), "panels": list(panels), "size": grid * PATCH, "grid": grid}
    baseline = np.full(shape[1:], 0.5, np.float32)
    return ArrayFile({"images": images.astype(np.float32), "baseline": baseline}, facts)


def match_run(layers=(1, 2, 3), names=("dog", "coil"), seed=0, size=SIZE, spread=0.1):
    random = np.random.default_rng(seed)
    images = random.uniform(0.5 - spread, 0.5 + spread, (len(layers), len(names), 3, size, size)).astype(np.float32)
    targets = random.uniform(0, 1, (len(names), 3, size, size)).astype(np.float32)
    facts = {"objective": "match", "layers": list(layers), "panels": list(names), "size": size, "grid": 3}
    return ArrayFile({"images": images, "targets": targets}, facts)


def shown(image):
    """What an axes image holds, as [3, h, w]."""
    return np.moveaxis(np.asarray(image.get_array()), -1, 0)


def sides(figure):
    """Side of each picture, px in the file."""
    return [DPI * (image.get_extent()[1] - image.get_extent()[0]) for image in figure.axes[0].images]
