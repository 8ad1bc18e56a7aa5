"""Charts of the change: curves and ratios are those of the table."""

import numpy as np
import pytest
from rows import assert_clear, legend, lines, panels, patch_rows

from lmrep.figures.importance import (
    BAND,
    LINES,
    PREDICTION,
    RATIOS,
    draw_causality,
    draw_importance,
    first_ratio,
    geometric_mean,
    image_curves,
    importance_curve,
    quartiles,
    read_ratios,
    row_ratio,
    some_blocks,
)
from lmrep.figures.shown import Shown

RUNS = ("masked", "open", "masked_fresh", "open_fresh")


def importance(rows, labels, title="Where the input changes"):
    return draw_importance(Shown(title, labels, {}, tables={"patches": rows}))


def causality(rows, title="Mask or training?", **changes):
    labels = {run: "GPT-2, no mask" if "open" in run else "GPT-2" for run in RUNS}
    weights = {run: "untrained" if "fresh" in run else "trained" for run in RUNS}
    return draw_causality(Shown(title, **({"labels": labels, "layers": {}, "weights": weights} | changes),
                                tables={"patches": rows}))  # fmt: skip


def test_importance_lines_are_medians_over_images_relative_to_each_images_mean():
    rows = patch_rows(layers=(4,), panels=3)
    rows = [row | {"change": row["change"] * 100 ** row["patch"]} if row["panel"] == "2" else row for row in rows]
    figure = importance(rows, {"a": "GPT-2"})
    line = lines(panels(figure)[0])["block 4"]
    changes = np.array([[row["change"] for row in rows if row["panel"] == panel] for panel in "012"])
    np.testing.assert_allclose(line.get_ydata(), np.median(changes / changes.mean(axis=1, keepdims=True), axis=0))
    np.testing.assert_array_equal(line.get_xdata(), range(1, 10))
    assert panels(figure)[0].get_ylabel() == "median change (1: the image's mean)"
    (band,) = panels(figure)[0].collections
    for patch, height in enumerate(line.get_ydata()):
        corners = band.get_paths()[0].vertices
        there = corners[corners[:, 0] == patch + 1, 1]
        assert there.min() <= height <= there.max()


def test_the_prediction_falls_linearly_with_the_mean_of_the_curves():
    found = lines(panels(importance(patch_rows(), {"a": "GPT-2"}))[0])
    assert list(found) == ["block 1", "block 4", PREDICTION]
    prediction = found[PREDICTION].get_ydata()
    np.testing.assert_allclose(prediction / prediction[-1], range(9, 0, -1))
    np.testing.assert_allclose(prediction.mean(), found["block 1"].get_ydata().mean())
    assert found[PREDICTION].get_color() == "black" and found[PREDICTION].is_dashed()


def test_an_image_that_did_not_change_gives_zeros():
    np.testing.assert_array_equal(importance_curve([{"patch": p, "change": 0.0} for p in range(3)]), np.zeros(3))


@pytest.mark.parametrize(("runs", "layers"), [(("a",), range(1, 13)), (("a", "b"), (1, 4, 8, 12)), (("a",), (3,))])
def test_importance_has_axes_a_run_and_a_clear_page(runs, layers):
    rows = patch_rows((*runs, "not asked for"), layers, patches=196)
    figure = importance(rows, {run: f"Run {run}" for run in runs}, "Where the input changes, " * 4)
    assert [axes.get_title("left") for axes in panels(figure)] == [f"Run {run}" for run in runs]
    colours = {tuple(line.get_color()) for line in panels(figure)[0].get_lines()[:-1]}
    assert len(colours) == min(len(layers), LINES)
    assert list(panels(figure)[0].get_xticks())[:2] == [1, 29]  # where rows of 14 patches begin
    assert_clear(figure)


def test_of_many_blocks_the_first_the_last_and_some_between_are_drawn():
    assert some_blocks(patch_rows(layers=(5, 1, 3))) == [1, 3, 5]
    assert some_blocks(patch_rows(layers=range(1, 13))) == [1, 5, 8, 12]
    rows = patch_rows("a", range(1, 13)) + patch_rows("b", (2, 3))
    figure = importance(rows, {"a": "Deep", "b": "Shallow"})
    found = [[name for name in lines(axes) if name != PREDICTION] for axes in panels(figure)]
    assert found == [[f"block {layer}" for layer in layers] for layers in ((1, 5, 8, 12), (2, 3))]
    assert [name for name in legend(figure) if name != PREDICTION] == [f"block {n}" for n in (1, 2, 3, 5, 8, 12)]


def test_a_band_spans_the_quartiles_of_images_where_there_are_three():
    rows = patch_rows(layers=(4,))
    assert BAND not in legend(importance(rows, {"a": "GPT-2"}))  # two images
    third = [row for row in rows if row["panel"] == "0"]
    more = rows + [row | {"seed": 1, "change": row["change"] * (2 + row["patch"])} for row in third]
    figure = importance(more, {"a": "GPT-2"})
    assert legend(figure)[-1] == BAND
    images = [
        np.array([row["change"] for row in more if (row["panel"], row["seed"]) == key])
        for key in sorted({(row["panel"], row["seed"]) for row in more})
    ]
    low, high = np.percentile([image / image.mean() for image in images], [25, 75], axis=0)
    (band,) = panels(figure)[0].collections
    corners = band.get_paths()[0].vertices
    for patch in range(9):
        heights = corners[corners[:, 0] == patch + 1, 1]
        assert heights.min() == pytest.approx(low[patch]) and heights.max() == pytest.approx(high[patch])


@pytest.mark.parametrize("name", ["GPT-2 with a long name", "A model with a name that takes more than a line " * 2])
def test_long_labels_stay_on_the_page(name):
    assert_clear(importance(patch_rows("abc"), dict.fromkeys("abc", name)))
    assert_clear(causality(patch_rows(RUNS), labels={run: f"{name} {run}" for run in RUNS}))


def test_importance_comes_in_the_order_of_the_labels():
    rows = patch_rows(("a", "b", "c"))
    figure = importance(rows, {"c": "Third", "a": "First", "b": "Second"})
    assert [axes.get_title("left") for axes in panels(figure)] == ["Third", "First", "Second"]
    drawn = lines(panels(figure)[0])["block 1"].get_ydata()
    chosen = [row for row in rows if row["run"] == "c" and row["layer"] == 1]
    np.testing.assert_allclose(drawn, np.median(image_curves(chosen), axis=0))


def test_ratios_are_those_of_rows_and_of_the_first_patch():
    curve = np.array([6.0, 2, 1, 1, 1, 1, 1, 1, 1])
    assert row_ratio(curve) == 3 and first_ratio(curve) == 6 / (15 / 9)
    assert np.isnan(row_ratio(np.array([1.0, 1, 0, 0]))) and np.isnan(first_ratio(np.zeros(4)))


def test_causality_has_a_line_a_run_with_the_ratios_of_the_table_and_one_at_1():
    rows = patch_rows((*RUNS, "not asked for"))
    figure = causality(rows)
    assert [axes.get_title("left") for axes in panels(figure)] == [
        "Change of row 1 / last row",
        "Change of patch 1 / mean",
    ]
    names = ("change of row 1 / last row", "change of patch 1 / mean")
    for axes, name in zip(panels(figure), names, strict=True):
        found = lines(axes)
        assert list(found) == ["1", *RUNS] and set(found["1"].get_ydata()) == {1}
        for run in RUNS:
            expected = read_ratios([row for row in rows if row["run"] == run], name)
            assert [round(place) for place in found[run].get_xdata()] == list(expected)
            assert list(found[run].get_ydata()) == [geometric_mean(ratios) for ratios in expected.values()]
        assert axes.get_yscale() == "log" and axes.get_ylim()[0] < 1 < axes.get_ylim()[1]
    changes = np.array([row["change"] for row in rows if row["run"] == "open" and row["layer"] == 1]).reshape(2, 3, 3)
    logs = np.log(changes[:, 0].mean(axis=1) / changes[:, 2].mean(axis=1))  # of each of two images
    np.testing.assert_allclose(lines(panels(figure)[0])["open"].get_ydata()[0], np.exp(logs.mean()))
    assert_clear(figure)


def test_causality_has_a_colour_a_label_and_dashes_for_untrained_blocks():
    figure = causality(patch_rows(RUNS))
    assert legend(figure) == [
        "GPT-2, trained", "GPT-2, no mask, trained", "GPT-2, untrained", "GPT-2, no mask, untrained",
    ]  # fmt: skip
    found = lines(panels(figure)[0])
    assert found["masked"].get_color() == found["masked_fresh"].get_color() != found["open"].get_color()
    assert [found[run].get_linestyle() for run in RUNS] == ["-", "-", "--", "--"]
    assert legend(causality(patch_rows(RUNS), weights={}))[0] == "GPT-2"


def test_a_bar_spans_the_middle_half_of_the_single_images():
    name = next(iter(RATIOS))
    rows = patch_rows(panels=5)
    images = [[row for row in rows if (row["panel"], row["layer"]) == (str(panel), 4)] for panel in range(5)]
    ratios = [RATIOS[name](importance_curve(image)) for image in images]
    assert quartiles(read_ratios(rows, name))[4] == pytest.approx(tuple(sorted(ratios)[1:4:2]))
    assert quartiles(read_ratios(patch_rows(panels=2), name)) == {}
    figure = draw_causality(Shown("Bars", {"a": "A"}, {}, tables={"patches": rows}))
    for axes, name in zip(panels(figure), RATIOS, strict=True):
        (bars,) = axes.collections
        found = {round(bar[0][0]): (bar[0][1], bar[1][1]) for bar in bars.get_segments()}
        assert found == {layer: pytest.approx(ends) for layer, ends in quartiles(read_ratios(rows, name)).items()}
    assert legend(figure)[-1] == "bar: the middle half of the images"
    several = {run: run for run in RUNS}
    rows = patch_rows(RUNS, layers=(1, 2, 9), panels=3)
    axes = panels(draw_causality(Shown("Bars", several, {}, tables={"patches": rows})))[0]
    places = [bar[0][0] for bars in axes.collections for bar in bars.get_segments()]
    assert places == [place for line in axes.get_lines()[1:] for place in line.get_xdata()]
    assert len(places) == len(set(places)) == len(RUNS) * 3
    assert all(min(abs(place - layer) for layer in (1, 2, 9)) < 0.5 for place in places)
    assert axes.get_xlim()[0] <= min(places) and max(places) <= axes.get_xlim()[1]
    rows = [
        row | {"change": 0.0} if (row["panel"], row["patch"] > 5) == ("0", True) else row
        for row in patch_rows(panels=4)
    ]
    assert quartiles(read_ratios(rows, next(iter(RATIOS)))).keys() == {1, 4}  # one image without a ratio leaves three
    assert not panels(draw_causality(Shown("None", {"a": "A"}, {}, tables={"patches": patch_rows()})))[0].collections


def test_rows_that_did_not_change_leave_a_gap():
    rows = [row | {"change": 0.0} for row in patch_rows(RUNS)]
    figure = causality(rows)
    assert all(np.isnan(lines(axes)["masked"].get_ydata()).all() for axes in panels(figure))
    assert_clear(figure)
