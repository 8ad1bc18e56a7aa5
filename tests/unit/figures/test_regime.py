"""The regime of the tokens: matches on the left, neurons on the right, the article's choice in black."""

import numpy as np
import pytest
from rows import LBFGS, accuracy_row, assert_clear, legend, lines, panels, patch_rows

from lmrep.figures.importance import geometric_mean, read_ratios
from lmrep.figures.regime import draw_regime
from lmrep.figures.shown import Shown

LABELS = {"match": "as in the article", "match_centred": "centred", "neurons": "as in the article",
          "neurons_centred": "centred"}  # fmt: skip


def matches(images=("dog",)):
    return [
        accuracy_row(run, layer, ssim / layer, layer < 3, image, probe=run, **LBFGS)
        for run, ssim in (("match", 0.9), ("match_centred", 0.5))
        for image in images
        for layer in (1, 2, 3)
    ]


def regime(rows, labels=LABELS, **changes):
    tables = {"accuracy": rows, "patches": patch_rows(("neurons", "neurons_centred", "match"), patches=16)}
    return draw_regime(Shown("What the regime does", labels, {}, tables=tables, **changes))


@pytest.mark.parametrize("images", [("dog",), ("dog", "tesla_coil")])
def test_each_side_has_the_numbers_of_its_table(images):
    figure = regime(matches(images))
    *left, right = panels(figure)
    assert [axes.get_title("left") for axes in left] == [image.replace("_", " ") for image in images]
    for axes in left:
        found = lines(axes)
        np.testing.assert_allclose(found["as in the article"].get_ydata(), [0.9, 0.45, 0.3])
        np.testing.assert_allclose(found["centred"].get_ydata(), [0.5, 0.25, 0.5 / 3])
        assert {"start noise", "flat grey", "noisy target"} <= set(found)
        assert axes.get_ylabel() == "SSIM with the target"
    rows = patch_rows(("neurons", "neurons_centred", "match"), patches=16)
    found = lines(right)
    assert list(found) == ["1", "neurons", "neurons_centred"]
    for run in ("neurons", "neurons_centred"):
        expected = read_ratios([row for row in rows if row["run"] == run], "change of row 1 / last row")
        assert [round(place) for place in found[run].get_xdata()] == list(expected)
        assert list(found[run].get_ydata()) == [geometric_mean(ratios) for ratios in expected.values()]
    assert right.get_ylabel() == "change of row 1 / last row"
    assert_clear(figure)


def test_only_images_that_all_matches_have_are_shown():
    rows = matches() + [accuracy_row("match", layer, image="coil", probe="match", **LBFGS) for layer in (1, 2)]
    assert [axes.get_title("left") for axes in panels(regime(rows))] == ["dog", "Order of the change"]
    with pytest.raises(ValueError, match="expected an image that all of match, match_centred have in common, got none"):
        regime([row | {"image": row["run"]} for row in matches()])


def test_the_first_label_is_black_and_bold_on_both_sides():
    left, right = panels(regime(matches()))
    for first, second in ((lines(left)["as in the article"], lines(left)["centred"]), right.get_lines()[1:]):
        assert first.get_color() == "black" != second.get_color()
        assert first.get_linewidth() > 1.5 * second.get_linewidth()
        assert first.get_marker() != second.get_marker()
    assert lines(left)["centred"].get_color() == lines(right)["neurons_centred"].get_color()


def test_lower_bounds_are_marked_and_the_method_is_named():
    figure = regime(matches())
    carets = [line for line in panels(figure)[0].get_lines() if line.get_label() == "carets"]
    np.testing.assert_allclose([line.get_xydata()[0] for line in carets], [[3, 0.3], [3, 0.5 / 3]])
    assert legend(figure) == [
        "as in the article", "centred", "all lines: L-BFGS, 400 passes", "not converged: it may rise further",
    ]  # fmt: skip


def test_untrained_blocks_are_dashed():
    left, right = panels(regime(matches(), weights={"match_centred": "untrained", "neurons": "trained"}))
    assert lines(left)["centred"].is_dashed() and not lines(right)["neurons"].is_dashed()


@pytest.mark.parametrize("side", ["match", "neurons"])
def test_a_side_without_runs_is_an_error(side):
    labels = {run: label for run, label in LABELS.items() if side in run}
    with pytest.raises(ValueError, match="expected runs that match photographs and runs that do not, got"):
        regime(matches(), labels)


def test_many_long_labels_stay_on_the_page():
    labels = {run: f"{label}, a label that goes on for a while" for run, label in LABELS.items()}
    assert_clear(regime(matches(), labels))
