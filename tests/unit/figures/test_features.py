"""Feature figures: every panel's own pixels, in its place, under its own label."""

import numpy as np
import pytest
from legible import assert_legible, texts
from matplotlib import rcParams
from matplotlib.patches import Rectangle
from small_runs import DPI, SIDE, SIZE, feature_run, shown, sides

from lmrep.figures.features import draw_features
from lmrep.figures.page import PAGE, TALLEST, save_figure
from lmrep.figures.shown import Shown


def features(run, title="One neuron maximised", label="GPT-2"):
    return draw_features(Shown(title, {"a": label}, {"a": run.facts["layers"]}, runs={"a": run}))


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
@pytest.mark.parametrize("spread", [0.01, 0.1, 0.6])
def test_any_number_of_blocks_and_panels_fits_a_page(layers, panels, spread):
    run = feature_run("patch", range(1, layers + 1), range(196 - panels, 196), grid=14, spread=spread)
    run["images"][:, 0, 0, 0] = 2.0  # one row of pixels is clipped, and stays an exception
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


def test_a_panel_with_more_than_one_percent_clipped_has_a_note_below_it():
    run = feature_run(layers=(1,), panels=(0, 1))
    run["images"][0, 1, 0, :3] = 1.5  # a quarter of the rows
    figure = features(run)
    (note,) = (text for text in figure.axes[0].texts if "clipped" in text.get_text())
    _, right, below, _ = figure.axes[0].images[1].get_extent()
    assert note.get_text() == "25% clipped"
    assert note.get_position()[0] == right and below < note.get_position()[1] < below + 0.05
    assert_legible(figure)


def test_small_panels_share_a_note_a_block():
    run = feature_run(layers=range(1, 13), panels=range(16))
    run["images"][2, 5, 0, :3] = -0.5
    figure = features(run)
    found = [text for text in texts(figure) if "clipped" in text]
    assert found == ["0 to 25% clipped"]
    assert_legible(figure)


def test_a_faint_panel_shows_its_change_multiplied_and_says_so():
    run = feature_run(layers=(1,), panels=(0, 1, 2), spread=0.01)
    run["images"][0, 1] += 0.4  # a strong change
    run["images"][0, 2] = run["baseline"][2]  # none
    figure = features(run)
    faint, strong, none = (shown(image) for image in figure.axes[0].images)
    np.testing.assert_allclose(faint, 0.5 + 10 * (run["images"][0, 0] - 0.5), atol=1e-6)
    np.testing.assert_array_equal(strong, run["images"][0, 1])
    np.testing.assert_array_equal(none, run["images"][0, 2])
    assert [text for text in texts(figure) if "change" in text] == ["change ×10"]
    assert_legible(figure)


def test_the_clipped_share_is_that_of_the_picture_as_drawn():
    run = feature_run(layers=(1, 2), panels=(0, 1), spread=0.01)
    run["images"][0, 0, 0, :3] = 0.6  # a quarter of the rows, 1.5 once multiplied
    run["images"][0, 0, :, 3:] = 0.51
    found = [text for text in texts(features(run)) if "change" in text]
    assert found == ["change ×10, 25% clipped", *["change ×10"] * 3]
    narrow = feature_run("patch", layers=range(1, 8), panels=range(9), spread=0.02)
    narrow["images"][0, 0, 0, 0] = 0.65  # one row
    for label in ("GPT-2", "SmolLM2-135M-Instruct"):
        figure = features(narrow, label=label)
        found = [text for text in texts(figure) if "change" in text]
        assert found == ["change ×5\n8% clipped", *["change ×5"] * 62]
        assert_legible(figure)


def test_small_panels_share_the_range_of_their_factors():
    run = feature_run(layers=range(1, 13), panels=range(16))
    run["images"][2, 5] = run["baseline"][5] + 0.01
    figure = features(run)
    assert [text for text in texts(figure) if "change" in text] == ["change ×1 to ×10"]
    assert_legible(figure)


def test_a_features_figure_takes_exactly_one_run():
    run = feature_run()
    with pytest.raises(ValueError, match="expected one run in a figure of panels, got a, b"):
        draw_features(Shown("t", {"a": "l", "b": "l"}, {}, runs={"a": run, "b": run}))


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
