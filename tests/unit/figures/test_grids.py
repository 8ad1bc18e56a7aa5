"""Grids: every panel's own pixels, in its place, under its own label."""

import numpy as np
import pytest
from legible import assert_legible, texts
from matplotlib import rcParams
from matplotlib.patches import Rectangle
from rows import accuracy_row

from lmrep.figures.grids import clip_note, clipped_share, draw_features, draw_reconstructions
from lmrep.figures.page import PAGE, TALLEST, save_figure
from lmrep.figures.shown import Shown
from lmrep.files import ArrayFile

PATCH, SIDE = 4, 3  # px, patches in a row
SIZE = PATCH * SIDE
DPI = 300


def feature_run(objective="neuron", layers=(1, 2), panels=(0, 1, 5), size=SIZE, grid=SIDE, spread=0.1):
    """A run file. spread: of pixel values around 0.5; 0.1 leaves nothing to clip."""
    shape = (len(layers), len(panels), 3, size, size)
    images = np.clip(np.random.default_rng(0).normal(0.5, spread, shape), 0.5 - 4 * spread, 0.5 + 4 * spread)
    facts = {"objective": objective, "layers": list(layers), "panels": list(panels), "size": SIZE, "grid": grid}
    return ArrayFile({"images": images.astype(np.float32)}, facts)


def match_run(layers=(1, 2, 3), names=("dog", "coil"), seed=0, size=SIZE, spread=0.1):
    random = np.random.default_rng(seed)
    images = random.uniform(0.5 - spread, 0.5 + spread, (len(layers), len(names), 3, size, size)).astype(np.float32)
    targets = random.uniform(0, 1, (len(names), 3, size, size)).astype(np.float32)
    facts = {"objective": "match", "layers": list(layers), "panels": list(names), "size": size, "grid": 3}
    return ArrayFile({"images": images, "targets": targets}, facts)


def features(run, title="One neuron maximised", label="GPT-2"):
    return draw_features(Shown(title, {"a": label}, {"a": run.facts["layers"]}, runs={"a": run}))


def reconstructions(runs, layers=None, image="dog", title="A dog", labels=None, ssim=0.5, converged=True):
    """runs: name -> run file, drawn in the order of `labels`."""
    layers = layers or {name: run.facts["layers"] for name, run in runs.items()}
    rows = [
        accuracy_row(name, layer, ssim if panel == image else -9.0, converged, panel)
        for name, run in runs.items()
        for panel in run.facts["panels"]
        for layer in run.facts["layers"]
    ]
    labels = labels or {name: name for name in runs}
    return draw_reconstructions(Shown(title, labels, layers, image=image, runs=runs, tables={"accuracy": rows}))


def shown(image):
    """What an axes image holds, as [3, h, w]."""
    return np.moveaxis(np.asarray(image.get_array()), -1, 0)


def sides(figure):
    """Side of each picture, px in the file."""
    return [DPI * (image.get_extent()[1] - image.get_extent()[0]) for image in figure.axes[0].images]


def test_each_panel_shows_its_clipped_image_in_reading_order():
    run = feature_run(panels=(0, 1, 5), spread=0.6)
    images = features(run).axes[0].images
    assert len(images) == 6
    for image, expected in zip(images, run["images"].reshape(6, 3, SIZE, SIZE), strict=True):
        np.testing.assert_array_equal(shown(image), np.clip(expected, 0, 1))
    left, right, _, top = np.transpose([image.get_extent() for image in images])
    np.testing.assert_allclose((right - left), right[0] - left[0])
    assert left[0] < left[1] and top[0] == top[1]  # two in a row
    assert left[2] == left[0] and top[2] > top[0]  # the third below the first, y downwards
    assert left[3] > right[1] and top[3] == top[0]  # the next block beside the first


def test_neurons_are_labelled_from_one():
    expected = ["1", "2", "16"]
    assert texts(features(feature_run(panels=(0, 1, 15)))) == [
        "One neuron maximised", "Block 1", "GPT-2", *expected, "Block 2", "GPT-2", *expected,
    ]  # fmt: skip


def test_patches_are_labelled_and_outlined_where_they_are():
    figure = features(feature_run("patch", layers=(3,), panels=(0, 5)))
    assert texts(figure)[1:] == ["Block 3", "GPT-2", "(1, 1)", "(2, 3)"]
    outlines = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(outlines) == 4  # black on a white rim, for each panel
    x, right, y, top = figure.axes[0].images[1].get_extent()
    side = (right - x) / SIDE
    for outline in outlines[2:]:
        np.testing.assert_allclose(outline.get_bbox().bounds, (x + 2 * side, top + side, side, side))
    assert y > top


def test_no_outline_for_neurons_or_for_an_image_optimised_in_crops():
    assert not features(feature_run("neuron")).axes[0].patches
    assert not features(feature_run("patch", size=2 * SIZE)).axes[0].patches


@pytest.mark.parametrize("layers", [1, 3, 4, 6, 12, 24])
@pytest.mark.parametrize("panels", [1, 16])
@pytest.mark.parametrize("spread", [0.1, 0.6])
def test_any_number_of_blocks_and_panels_fits_a_page(layers, panels, spread):
    run = feature_run("patch", range(1, layers + 1), range(196 - panels, 196), grid=14, spread=spread)
    figure = features(run, "All neurons of one patch of GPT-2 maximised")
    assert figure.get_figwidth() == PAGE and figure.get_figheight() <= TALLEST
    assert_legible(figure)
    assert len(figure.axes[0].images) == layers * panels
    assert len(figure.axes[0].patches) == 2 * layers * panels


def test_sixteen_panels_of_four_blocks_keep_224_pixels_each(tmp_path):
    run = feature_run(layers=(1, 4, 8, 12), panels=range(16), spread=0.6)
    for title in ("One neuron maximised", "One neuron of a rather long-named model maximised, " * 5):
        figure = features(run, title)
        assert min(sides(figure)) >= 224 and figure.get_figheight() <= TALLEST
    save_figure(figure, tmp_path / "figure.png")
    width = int.from_bytes((tmp_path / "figure.png").read_bytes()[16:20], "big")
    assert width == PAGE * DPI


def test_panels_too_small_for_labels_are_named_once():
    found = texts(features(feature_run("patch", range(1, 25), range(16), grid=14)))
    assert "Patches (row, column), left to right and top to bottom: (1, 1), (1, 2)," in found[1]
    assert "(1, 1)" not in found and "(2, 2)" in found[2]  # the list goes on on a second line
    assert found[3:] == [f"Block {layer}" for layer in range(1, 25)]


def test_a_pixel_is_clipped_if_any_channel_is():
    image = np.full((3, 2, 2), 0.5, np.float32)
    assert clipped_share(image) == 0
    image[:, 0, 0] = 0, 1, 0.5  # the ends themselves are not clipped
    assert clipped_share(image) == 0
    image[1, 0, 1] = 1.001
    assert clipped_share(image) == 0.25
    image[:, 1, 1] = -0.1
    assert clipped_share(image) == 0.5


@pytest.mark.parametrize(("shares", "note"), [
    ([0.0], ""), ([0.01], ""), ([0.0101], "1 % clipped"), ([0.124], "12 % clipped"), ([1.0], "100 % clipped"),
    ([0.0, 0.004], ""), ([0.03, 0.17, 0.05], "3 to 17 % clipped"), ([0.0, 0.2], "0 to 20 % clipped"),
    ([0.201, 0.202], "20 % clipped"),
])  # fmt: skip
def test_the_note_says_what_share_is_clipped(shares, note):
    assert clip_note(shares) == note


def test_a_panel_with_more_than_one_percent_clipped_has_a_note_below_it():
    run = feature_run(layers=(1,), panels=(0, 1))
    run["images"][0, 1, 0, :3] = 1.5  # a quarter of the rows
    figure = features(run)
    (note,) = (text for text in figure.axes[0].texts if "clipped" in text.get_text())
    _, right, below, _ = figure.axes[0].images[1].get_extent()
    assert note.get_text() == "25 % clipped"
    assert note.get_position()[0] == right and below < note.get_position()[1] < below + 0.05
    assert_legible(figure)


def test_small_panels_share_a_note_a_block():
    run = feature_run(layers=range(1, 13), panels=range(16))
    run["images"][2, 5, 0, :3] = -0.5
    figure = features(run)
    found = [text for text in texts(figure) if "clipped" in text]
    assert found == ["0 to 25 % clipped"]
    assert_legible(figure)


def test_a_features_figure_takes_exactly_one_run():
    run = feature_run()
    with pytest.raises(ValueError, match="expected one run in a features figure, got a, b"):
        draw_features(Shown("t", {"a": "l", "b": "l"}, {}, runs={"a": run, "b": run}))


def test_reconstructions_stand_beside_their_own_target():
    run = match_run(spread=0.502)
    run["images"][0, 1, :, :3] = 2
    figure = reconstructions({"GPT-2": run}, {"GPT-2": [1, 3]}, "coil", "A coil", ssim=0.834)
    target, *pictures = figure.axes[0].images
    np.testing.assert_array_equal(shown(target), run["targets"][1])
    for picture, layer in zip(pictures, (0, 2), strict=True):
        np.testing.assert_array_equal(shown(picture), np.clip(run["images"][layer, 1], 0, 1))
        assert picture.get_extent()[0] > target.get_extent()[1]
        assert picture.get_extent()[2:] == target.get_extent()[2:]
    notes = [clip_note([clipped_share(run["images"][layer, 1])]) for layer in (0, 2)]
    assert notes[0]
    expected = ["A coil", "GPT-2", "target", "block 1", "SSIM 0.83", notes[0], "block 3", "SSIM 0.83", notes[1]]
    assert texts(figure) == [text for text in expected if text]


def test_an_ssim_that_has_not_converged_is_marked_as_a_lower_bound():
    found = texts(reconstructions({"a": match_run()}, converged=False))
    assert found.count("SSIM ≥ 0.50") == 3 and "SSIM 0.50" not in found


def test_of_several_seeds_the_first_is_shown():
    run = match_run((1,), ("dog", "dog"))
    rows = [accuracy_row("a", ssim=ssim, seed=seed) for seed, ssim in enumerate((0.7, 0.3))]
    figure = draw_reconstructions(Shown("t", {"a": "l"}, {"a": [1]}, "dog", {"a": run}, {"accuracy": rows}))
    np.testing.assert_array_equal(shown(figure.axes[0].images[1]), run["images"][0, 0])
    assert "SSIM 0.70" in texts(figure) and "SSIM 0.30" not in texts(figure)


def test_reconstructions_come_in_the_order_of_the_labels():
    runs = {"a": match_run(), "b": match_run(seed=1)}
    figure = reconstructions(runs, labels={"b": "ViT", "a": "GPT-2"})
    assert [text for text in texts(figure) if text in ("ViT", "GPT-2")] == ["ViT", "GPT-2"]
    np.testing.assert_array_equal(shown(figure.axes[0].images[0]), runs["b"]["targets"][0])


def test_many_blocks_wrap_below_and_runs_keep_one_grid():
    runs = {"GPT-2": match_run(range(1, 13), spread=0.6), "ViT": match_run(seed=1)}
    figure = reconstructions(runs, {"GPT-2": list(range(1, 13)), "ViT": [2]})
    assert_legible(figure)
    images = figure.axes[0].images
    assert len(images) == 1 + 12 + 1 + 1
    left = [round(image.get_extent()[0], 6) for image in images]
    assert left[1:7] == left[7:13] and left[13:] == left[:2]
    assert images[7].get_extent()[3] > images[1].get_extent()[2]


def test_eight_large_pictures_in_a_line_keep_their_pixels():
    assert min(sides(reconstructions({"a": match_run(range(1, 9))}))) > 200  # nine in a line, of 12 px each
    large = reconstructions({"a": match_run(range(1, 9), size=224)})
    assert min(sides(large)) >= 224
    assert min(sides(reconstructions({"a": match_run(range(1, 8), size=224)}))) >= 224


def test_reconstructions_from_24_blocks_of_two_runs_fit_a_page():
    runs = {name: match_run(range(1, 25), names=("dog",), size=224, spread=0.6) for name in "ab"}
    figure = reconstructions(runs)
    assert figure.get_figheight() <= TALLEST
    assert_legible(figure)


def test_a_missing_image_or_ssim_is_an_error():
    with pytest.raises(ValueError, match="cat"):
        reconstructions({"a": match_run()}, image="cat")
    run = match_run()
    with pytest.raises(KeyError):
        draw_reconstructions(Shown("t", {"a": "l"}, {"a": [1]}, "dog", {"a": run}, {"accuracy": []}))


def test_a_long_title_or_label_folds():
    title = "All neurons of one patch of a rather long-named model maximised, " * 3
    assert_legible(features(feature_run(), title))
    assert_legible(features(feature_run(), "W" * 200))
    assert_legible(features(feature_run(layers=range(1, 5)), title, "A model with a rather long name " * 6))


def test_saving_refuses_other_formats(tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in"):
        save_figure(features(feature_run()), tmp_path / "figure.gif")


def test_drawing_leaves_the_callers_settings_alone(tmp_path):
    before = dict(rcParams)
    save_figure(features(feature_run()), tmp_path / "figure.png")
    assert dict(rcParams) == before
