"""Runs side by side: each run's own blocks and panels, in its own column."""

import numpy as np
import pytest
from legible import assert_legible, texts
from matplotlib.patches import Rectangle
from small_runs import SIDE, SIZE, feature_run, shown

from lmrep.figures.beside import draw_beside, list_panels
from lmrep.figures.page import PAGE, TALLEST
from lmrep.figures.shown import Shown

CAUSAL, EVEN = (1, 2, 4, 8, 15, 22, 30), (1, 2, 4, 6)
REGIME = "DCT basis of 12 px patches; tokens at the embeddings' RMS; pixels not centred; no first token"


def beside(runs, layers=None, **changes):
    labels = changes.pop("labels", None) or {name: name for name in runs}
    layers = layers or {name: run.facts["layers"] for name, run in runs.items()}
    return draw_beside(Shown("Two models", labels, layers, runs=runs, **changes))


def columns(figure):
    """The pictures by the column that they are in, each as its left and upper edge and its axes image."""
    placed = [(image.get_extent()[0], image.get_extent()[3], image) for image in figure.axes[0].images]
    return [[place for place in placed if (place[0] > PAGE / 2) == right] for right in (False, True)]


def test_each_run_has_a_column_with_its_own_blocks_and_first_panels():
    runs = {
        "a": feature_run(layers=CAUSAL, panels=range(6), spread=0.6),
        "b": feature_run(layers=EVEN, panels=range(5)),
    }
    figure = beside(runs, {"a": (1, 4, 30), "b": EVEN}, panels=4)
    for column, run, blocks in zip(columns(figure), runs.values(), ((1, 4, 30), EVEN), strict=True):
        layers = run.facts["layers"]
        expected = [image for block in blocks for image in run["images"][layers.index(block), :4]]
        assert len(column) == len(expected)
        for (_, _, image), original in zip(column, expected, strict=True):
            np.testing.assert_array_equal(shown(image), np.clip(original, 0, 1))
    left, right = ([round(place[1], 6) for place in column[::4]] for column in columns(figure))
    assert left == right[:3] == sorted(left)  # a block's row is at the same height in both columns
    found = texts(figure)
    assert [text for text in found if text.startswith("Block")] == [
        "Block\n1", "Block\n4", "Block\n30", "Block\n1", "Block\n2", "Block\n4", "Block\n6",
    ]  # fmt: skip
    assert_legible(figure)


def test_a_column_is_headed_by_its_name_its_regime_and_its_panels():
    runs = {"a": feature_run(), "b": feature_run("patch", panels=(0, 5)), "c": feature_run(panels=(2, 7))}
    figure = beside(
        runs, labels={"b": "MiniLM", "a": "SmolLM2", "c": "SmolLM2"}, regimes={"a": "pixels centred"}, panels=2,
        weights={"a": "trained", "b": "trained", "c": "untrained"}, regime="SmolLM2: pixels centred",
    )  # fmt: skip
    found = [text for text in texts(figure) if not text.startswith("Block")]
    assert found == [
        "Two models", "MiniLM, trained", "Patches (row, column) (1, 1), (2, 3)", "SmolLM2, trained", "pixels centred",
        "Neurons 1, 2", "SmolLM2, untrained", "Neurons 3, 8",
    ]  # fmt: skip


@pytest.mark.parametrize(("panels", "expected"), [
    ((0, 1, 2, 3), "Neurons 1 to 4"), ((0, 1, 5), "Neurons 1, 2, 6"), ((7,), "Neuron 8"), ((7, 8), "Neurons 8, 9"),
])  # fmt: skip
def test_neurons_in_a_row_are_named_by_the_first_and_the_last(panels, expected):
    assert list_panels("neurons", panels, SIDE) == expected


def test_a_patch_is_outlined_where_it_is_unless_the_image_was_optimised_in_crops():
    runs = {"a": feature_run("patch", panels=(0, 5)), "b": feature_run("patch", panels=(0, 5), size=2 * SIZE)}
    figure = beside(runs)
    outlines = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(outlines) == 2 * 2 * 2  # black on a white rim, for each picture of the first run
    x, right, _, top = figure.axes[0].images[1].get_extent()
    side = (right - x) / SIDE
    np.testing.assert_allclose(outlines[3].get_bbox().bounds, (x + 2 * side, top + side, side, side))
    assert list_panels("patches", [5], SIDE) == "Patch (row, column) (2, 3)"


def test_the_share_of_clipped_pixels_is_below_the_number_of_the_block():
    runs = {name: feature_run() for name in "ab"}
    runs["b"]["images"][1, 0, 0, :3] = 1.5  # a quarter of the rows
    figure = beside(runs)
    assert [text for text in texts(figure) if "clipped" in text] == ["0 to 25%\nclipped"]
    assert_legible(figure)


def test_a_faint_picture_shows_its_change_multiplied_and_has_the_factor_below_it():
    runs = {"a": feature_run(spread=0.01), "b": feature_run()}
    figure = beside(runs)
    (_, _, image), (_, _, strong) = (column[0] for column in columns(figure))
    np.testing.assert_allclose(shown(image), 0.5 + 10 * (runs["a"]["images"][0, 0] - 0.5), atol=1e-6)
    np.testing.assert_array_equal(shown(strong), runs["b"]["images"][0, 0])
    notes = [text for text in figure.axes[0].texts if "×" in text.get_text()]
    assert [note.get_text() for note in notes] == ["change ×10"] * 6
    _, right, below, _ = image.get_extent()
    assert notes[0].get_position()[0] == right and below < notes[0].get_position()[1] < below + 0.05
    assert_legible(figure)
    small = beside({name: feature_run(panels=range(16), spread=0.01) for name in "abcd"})
    assert {text for text in texts(small) if "×" in text} == {"×10"}
    runs = {name: feature_run(layers=CAUSAL, panels=range(16), spread=0.01) for name in "abcd"}
    runs["a"]["images"][0, 3] = runs["a"]["baseline"][3]
    smallest = beside(runs)  # a factor is wider than a picture
    assert {text for text in texts(smallest) if "×" in text} == {"change\n×10", "change ×1\nto ×10"}
    assert_legible(smallest)


@pytest.mark.parametrize("spread", [0.01, 0.6])
@pytest.mark.parametrize("panels", [1, 4, 16])
@pytest.mark.parametrize("runs", [2, 3, 4])
def test_seven_blocks_fit_a_page(panels, runs, spread):
    found = {name: feature_run(layers=CAUSAL, panels=range(panels), spread=spread) for name in "abcd"[:runs]}
    figure = beside(found, labels=dict.fromkeys(found, "SmolLM2-135M"), regimes=dict.fromkeys(found, REGIME))
    assert figure.get_figwidth() == PAGE and figure.get_figheight() <= TALLEST + 1e-9
    assert len(figure.axes[0].images) == 7 * panels * runs
    assert_legible(figure)
    boxes = [image.get_window_extent() for image in figure.axes[0].images]
    words = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    for index, box in enumerate(boxes):
        assert not any(box.padded(-1).overlaps(other.padded(-1)) for other in [*boxes[:index], *words])


def test_four_panels_of_seven_blocks_are_large_enough_for_a_phone():
    runs = {"a": feature_run(layers=CAUSAL, panels=range(16)), "b": feature_run(layers=EVEN, panels=range(16))}
    figure = beside(runs, panels=4)
    left, right, *_ = figure.axes[0].images[0].get_extent()
    assert 390 / PAGE * (right - left) > 36  # px
    names = [text for text in figure.axes[0].texts if text.get_text().startswith("Block")]
    assert min(text.get_size() for text in names) / 72 * 390 / PAGE > 6.5  # px


def test_thirty_blocks_keep_their_numbers_apart():
    figure = beside({name: feature_run(layers=range(1, 31), panels=range(2), spread=0.6) for name in "ab"})
    assert_legible(figure)


def test_fewer_than_two_runs_or_too_many_are_refused():
    run = feature_run()
    with pytest.raises(ValueError, match="expected two runs or more side by side, got a"):
        beside({"a": run})
    with pytest.raises(ValueError, match="expected fewer runs side by side, got 12"):
        beside({str(number): run for number in range(12)})
