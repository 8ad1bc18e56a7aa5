"""Grids: every panel's own pixels, in its place, under its own label."""

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.patches import Rectangle

from lmrep.figures.grids import draw_features, draw_reconstructions
from lmrep.files import ArrayFile
from lmrep.figures.page import PAGE, save_figure

PATCH, SIDE = 4, 3  # px, patches in a row
SIZE = PATCH * SIDE


def feature_run(objective="neuron", layers=(1, 2), panels=(0, 1, 5), size=SIZE):
    images = np.random.default_rng(0).normal(0.5, 0.6, (len(layers), len(panels), 3, size, size)).astype(np.float32)
    settings = {"probe": {"stem": {"size": SIZE, "patch": PATCH}}}
    facts = {"objective": objective, "layers": list(layers), "panels": list(panels), "settings": settings}
    return ArrayFile({"images": images}, facts)


def match_run(layers=(1, 2, 3), names=("dog", "coil"), seed=0):
    random = np.random.default_rng(seed)
    images = random.normal(0.5, 0.6, (len(layers), len(names), 3, SIZE, SIZE)).astype(np.float32)
    targets = random.uniform(0, 1, (len(names), 3, SIZE, SIZE)).astype(np.float32)
    facts = {"objective": "match", "layers": list(layers), "panels": list(names)}
    return ArrayFile({"images": images, "targets": targets}, facts)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def boxes(figure):
    """Text and where it is drawn, px."""
    figure.draw_without_rendering()
    return [(t.get_text(), t.get_window_extent()) for axes in figure.axes for t in axes.texts if t.get_text()]


def assert_legible(figure):
    """All text lies on the canvas, none on another, and none is smaller than 6 pt."""
    canvas, placed = figure.bbox, boxes(figure)
    for index, (text, box) in enumerate(placed):
        assert canvas.x0 <= box.x0 and box.x1 <= canvas.x1, text
        assert canvas.y0 <= box.y0 and box.y1 <= canvas.y1, text
        for other, there in placed[:index]:
            assert not (box.padded(-1).overlaps(there.padded(-1))), (text, other)
    assert min(text.get_size() for axes in figure.axes for text in axes.texts) >= 6


def shown(image):
    """What an axes image holds, as [3, h, w]."""
    return np.moveaxis(np.asarray(image.get_array()), -1, 0)


def test_each_panel_shows_its_clipped_image_in_reading_order():
    run = feature_run(panels=(0, 1, 5))
    figure = draw_features(run, "One neuron", "GPT-2")
    images = figure.axes[0].images
    assert len(images) == 6
    for image, expected in zip(images, run["images"].reshape(6, 3, SIZE, SIZE), strict=True):
        np.testing.assert_array_equal(shown(image), np.clip(expected, 0, 1))
    left, right, _, top = np.transpose([image.get_extent() for image in images])
    np.testing.assert_allclose((right - left), right[0] - left[0])
    assert left[0] < left[1] and top[0] == top[1]  # two in a row
    assert left[2] == left[0] and top[2] > top[0]  # the third below the first, y downwards
    assert left[3] > right[1] and top[3] == top[0]  # the next block beside the first


def test_neurons_are_labelled_from_one():
    found = texts(draw_features(feature_run(panels=(0, 1, 15)), "One neuron", "GPT-2"))
    expected = ["1", "2", "16"]
    assert found == ["One neuron", "Block 1", "GPT-2", *expected, "Block 2", "GPT-2", *expected]


def test_patches_are_labelled_and_outlined_where_they_are():
    figure = draw_features(feature_run("patch", layers=(3,), panels=(0, 5)), "One patch", "GPT-2")
    assert texts(figure) == ["One patch", "Block 3", "GPT-2", "(1, 1)", "(2, 3)"]
    outlines = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(outlines) == 4  # black on a white rim, for each panel
    x, right, y, top = figure.axes[0].images[1].get_extent()
    side = (right - x) / SIDE
    for outline in outlines[2:]:
        np.testing.assert_allclose(outline.get_bbox().bounds, (x + 2 * side, top + side, side, side))
    assert y > top


def test_no_outline_for_neurons_nor_for_an_image_optimised_in_crops():
    assert not draw_features(feature_run("neuron"), "t", "l").axes[0].patches
    assert not draw_features(feature_run("patch", size=2 * SIZE), "t", "l").axes[0].patches


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("panels", [1, 9])
def test_any_number_of_blocks_and_panels_fits_the_page(layers, panels):
    run = feature_run("patch", range(1, layers + 1), range(panels))
    figure = draw_features(run, "All neurons of one patch of GPT-2 maximised", "GPT-2")
    assert figure.get_figwidth() == PAGE
    assert_legible(figure)
    extents = np.array([image.get_extent() for image in figure.axes[0].images])
    assert len(extents) == layers * panels
    assert extents.min() > 0 and extents[:, 1].max() < PAGE and extents[:, 2].max() < figure.get_figheight()


def test_reconstructions_stand_beside_their_own_target():
    run = match_run()
    figure = draw_reconstructions([("GPT-2", run, [1, 3], {1: 0.834, 3: 0.5})], "coil", "A coil")
    target, *pictures = figure.axes[0].images
    np.testing.assert_array_equal(shown(target), run["targets"][1])
    for picture, layer in zip(pictures, (0, 2), strict=True):
        np.testing.assert_array_equal(shown(picture), np.clip(run["images"][layer, 1], 0, 1))
        assert picture.get_extent()[0] > target.get_extent()[1]
        assert picture.get_extent()[2:] == target.get_extent()[2:]
    assert texts(figure) == ["A coil", "GPT-2", "target", "block 1", "SSIM 0.83", "block 3", "SSIM 0.50"]


def test_many_blocks_wrap_below_and_runs_keep_one_grid():
    ssim = dict.fromkeys(range(1, 13), 0.5)
    rows = [("GPT-2", match_run(range(1, 13)), list(range(1, 13)), ssim), ("ViT", match_run(seed=1), [2], ssim)]
    figure = draw_reconstructions(rows, "dog", "A dog")
    assert_legible(figure)
    images = figure.axes[0].images
    assert len(images) == 1 + 12 + 1 + 1
    left = [round(image.get_extent()[0], 6) for image in images]
    assert left[1:7] == left[7:13] and left[13:] == left[:2]
    assert images[7].get_extent()[3] > images[1].get_extent()[2]


def test_a_missing_image_or_ssim_is_an_error():
    with pytest.raises(ValueError):
        draw_reconstructions([("GPT-2", match_run(), [1], {1: 0.5})], "cat", "t")
    with pytest.raises(KeyError):
        draw_reconstructions([("GPT-2", match_run(), [1], {})], "dog", "t")


def test_a_long_title_folds():
    title = "All neurons of one patch of a rather long-named model maximised, " * 3
    assert_legible(draw_features(feature_run(), title, "GPT-2"))


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_same_figure_is_the_same_bytes(tmp_path, ending):
    paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
    for path in paths:
        save_figure(draw_features(feature_run("patch"), "Twice", "GPT-2"), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert b"Matplotlib" not in first and b"CreationDate" not in first and b"dc:date" not in first


def test_saving_refuses_other_formats(tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in"):
        save_figure(draw_features(feature_run(), "t", "l"), tmp_path / "figure.gif")


def test_drawing_leaves_the_settings_of_others_alone(tmp_path):
    before = dict(rcParams)
    save_figure(draw_features(feature_run(), "t", "l"), tmp_path / "figure.png")
    assert dict(rcParams) == before
