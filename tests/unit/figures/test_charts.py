"""Charts: the lines hold the table's numbers, and nothing lies on anything else."""

import numpy as np
import pytest

from lmrep.figures.charts import PREDICTION, draw_accuracy, draw_importance, importance_curve
from lmrep.figures.page import PAGE, save_figure
from lmrep.figures.shown import Shown

LABELS = {"gpt2": "GPT-2", "vit": "ViT-L/16"}


def accuracy_rows(images=("dog", "tesla_coil"), depths=(("gpt2", 6), ("vit", 12)), weights=("trained", "untrained")):
    return [
        {
            "run": f"{probe}_{kind}",
            "probe": probe,
            "weights": kind,
            "image": image,
            "layer": layer,
            "ssim": 0.9 / layer - 0.1 * (kind != "trained"),
        }
        for probe, depth in depths
        for kind in weights
        for image in images
        for layer in range(depth, 0, -1)
    ]


def patch_rows(runs=("a",), layers=(1, 4), panels=2, patches=9):
    random = np.random.default_rng(0)
    return [
        {"run": run, "layer": layer, "panel": str(panel), "patch": patch, "change": random.uniform(0.1, 1)}
        for run in runs
        for layer in layers
        for panel in range(panels)
        for patch in range(patches)
    ]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def panels(figure):
    """The axes of a chart; the first ones are the whole page."""
    return figure.axes[1:]


def accuracy(rows, title="How much a block holds", labels=None):
    labels = labels or {row["run"]: LABELS[row["probe"]] for row in rows}
    return draw_accuracy(Shown(title, labels, {}, tables={"accuracy": rows}))


def importance(rows, labels, title="Where the input changes"):
    return draw_importance(Shown(title, labels, {}, tables={"patches": rows}))


def assert_clear(figure):
    """Title, axes with their labels, and legend are on the canvas and apart."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    (title,) = figure.axes[0].texts
    parts = [title.get_window_extent(), figure.legends[0].get_window_extent()]
    parts += [axes.get_tightbbox(renderer) for axes in panels(figure)]
    for index, box in enumerate(parts):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 + 1, index
        for other in parts[:index]:
            assert not box.padded(-2).overlaps(other), index


def test_accuracy_has_axes_an_image_with_one_scale():
    figure = accuracy(accuracy_rows())
    left, right = panels(figure)
    assert [axes.get_title("left") for axes in panels(figure)] == ["dog", "tesla coil"]
    assert left.get_shared_x_axes().joined(left, right) and left.get_shared_y_axes().joined(left, right)
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[1] == 1
    assert left.get_ylabel() == "SSIM with the target" and right.get_xlabel() == "block"
    assert figure.get_figwidth() == PAGE
    assert_clear(figure)


def test_accuracy_lines_hold_the_numbers_in_order_of_blocks():
    figure = accuracy(accuracy_rows())
    found = lines(panels(figure)[0])
    assert list(found) == ["GPT-2, trained", "GPT-2, untrained", "ViT-L/16, trained", "ViT-L/16, untrained"]
    np.testing.assert_array_equal(found["GPT-2, trained"].get_xdata(), range(1, 7))
    np.testing.assert_allclose(found["GPT-2, trained"].get_ydata(), [0.9 / layer for layer in range(1, 7)])
    assert found["GPT-2, trained"].get_linestyle() == "-" and found["GPT-2, untrained"].get_linestyle() == "--"
    for look in ("get_color", "get_marker"):
        trained, untrained, other = (
            getattr(found[name], look)() for name in ("GPT-2, trained", "GPT-2, untrained", "ViT-L/16, trained")
        )
        assert trained == untrained != other


def test_accuracy_shows_all_whole_blocks_and_negative_values():
    figure = accuracy(accuracy_rows(depths=(("gpt2", 12),)))
    assert list(panels(figure)[0].get_xticks()) == list(range(1, 13))
    assert panels(figure)[0].get_ylim()[0] <= 0.9 / 12 - 0.1
    deep = accuracy(accuracy_rows(depths=(("vit", 24),)))
    deep.draw_without_rendering()
    assert all(tick == round(tick) for tick in panels(deep)[0].get_xticks())


def test_runs_of_one_probe_share_a_colour_and_each_has_its_own_line():
    rows = accuracy_rows(depths=(("gpt2", 3),), weights=("trained",))
    again = [row | {"run": "again", "ssim": row["ssim"] / 2} for row in rows]
    figure = accuracy(rows + again)
    first, second = panels(figure)[0].get_lines()
    assert first.get_color() == second.get_color()
    np.testing.assert_allclose(second.get_ydata(), first.get_ydata() / 2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GPT-2", "trained"]


def test_accuracy_takes_colours_in_the_order_of_the_labels_and_no_other_runs():
    rows = accuracy_rows(weights=("trained",))
    figure = accuracy(rows, labels={"vit_trained": "ViT", "gpt2_trained": "GPT-2"})
    assert [(line.get_label(), line.get_color()) for line in panels(figure)[0].get_lines()] == [
        ("ViT, trained", "C0"), ("GPT-2, trained", "C1"),
    ]  # fmt: skip
    assert len(panels(accuracy(rows, labels={"vit_trained": "ViT"}))[0].get_lines()) == 1


def test_a_run_without_rows_is_an_error():
    with pytest.raises(ValueError, match="expected rows of every run in the table, got none of vit_untrained"):
        accuracy(accuracy_rows(weights=("trained",)), labels={"gpt2_trained": "GPT-2", "vit_untrained": "ViT"})


@pytest.mark.parametrize("name", ["GPT-2 with a long name", "A model with a name that takes more than a line " * 2])
def test_long_labels_stay_on_the_page(name):
    labels = {row["run"]: f"{name} {row['probe']}" for row in accuracy_rows()}
    assert_clear(accuracy(accuracy_rows(), labels=labels))
    rows = patch_rows("abc")
    assert_clear(importance(rows, dict.fromkeys("abc", name)))


@pytest.mark.parametrize("images", [("dog",), ("dog", "coil", "cup", "coin")])
def test_accuracy_of_other_numbers_of_images_and_one_block(images):
    figure = accuracy(accuracy_rows(images, (("gpt2", 1),), ("trained",)))
    assert len(panels(figure)) == len(images)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GPT-2", "trained"]
    assert_clear(figure)


def test_importance_lines_are_means_over_panels_relative_to_the_block():
    rows = patch_rows(layers=(4,))
    figure = importance(rows, {"a": "GPT-2"})
    line = lines(panels(figure)[0])["block 4"]
    expected = np.mean([[r["change"] for r in rows if r["panel"] == panel] for panel in "01"], axis=0)
    np.testing.assert_allclose(line.get_ydata(), expected / expected.mean())
    np.testing.assert_array_equal(line.get_xdata(), range(1, 10))
    assert "relative to the block's mean" in panels(figure)[0].get_ylabel()


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
    assert len(colours) == len(layers)
    assert list(panels(figure)[0].get_xticks())[:2] == [1, 29]  # where rows of 14 patches begin
    assert_clear(figure)


def test_importance_comes_in_the_order_of_the_labels():
    rows = patch_rows(("a", "b", "c"))
    figure = importance(rows, {"c": "Third", "a": "First", "b": "Second"})
    assert [axes.get_title("left") for axes in panels(figure)] == ["Third", "First", "Second"]
    drawn = lines(panels(figure)[0])["block 1"].get_ydata()
    chosen = [row for row in rows if row["run"] == "c" and row["layer"] == 1]
    np.testing.assert_allclose(drawn, importance_curve(chosen))


def test_the_same_chart_is_the_same_bytes(tmp_path):
    for name in ("first.png", "second.png"):
        save_figure(accuracy(accuracy_rows()), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
