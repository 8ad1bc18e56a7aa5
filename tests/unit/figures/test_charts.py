"""Charts of accuracy: the lines hold the table's numbers, lower bounds are marked, nothing lies on anything else."""

import numpy as np
import pytest
from rows import FLOORS, GRADIENT, LABELS, LBFGS, accuracy_row, accuracy_rows, assert_clear, legend, lines, panels

from lmrep.figures.charts import draw_accuracy
from lmrep.figures.page import PAGE, TALLEST
from lmrep.figures.shown import Shown

METHOD = "all lines: article's descent, 600 passes"


def accuracy(rows, title="How much a block holds", labels=None):
    labels = labels or {row["run"]: LABELS[row["probe"]] for row in rows}
    return draw_accuracy(Shown(title, labels, {}, tables={"accuracy": rows}))


def both(**changes):
    """Rows of the article's descent and of a converged one."""
    return accuracy_rows(**changes) + accuracy_rows(suffix="_inverted", lift=0.08, **LBFGS, **changes)


def test_axes_are_an_image_with_one_scale():
    figure = accuracy(accuracy_rows())
    left, right = panels(figure)
    assert [axes.get_title("left") for axes in panels(figure)] == ["dog", "tesla coil"]
    assert left.get_shared_x_axes().joined(left, right) and left.get_shared_y_axes().joined(left, right)
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[1] == 1.05
    assert left.get_ylabel() == "SSIM with the target" and right.get_xlabel() == "block"
    assert figure.get_figwidth() == PAGE
    assert legend(figure) == ["GPT-2", "ViT-L/16", "trained", "untrained", METHOD]
    assert_clear(figure)


def test_lines_hold_the_numbers_in_order_of_blocks():
    found = lines(panels(accuracy(accuracy_rows()))[0])
    floors = ["start noise", "flat grey", "noisy target"]
    assert list(found) == [
        "GPT-2, trained", "GPT-2, untrained", "ViT-L/16, trained", "ViT-L/16, untrained", *floors,
    ]  # fmt: skip
    np.testing.assert_array_equal(found["GPT-2, trained"].get_xdata(), range(1, 7))
    np.testing.assert_allclose(found["GPT-2, trained"].get_ydata(), [0.9 / layer for layer in range(1, 7)])
    assert found["GPT-2, trained"].get_linestyle() == "-" and found["GPT-2, untrained"].get_linestyle() == "--"
    for look in ("get_color", "get_marker"):
        trained, untrained, other = (
            getattr(found[name], look)() for name in ("GPT-2, trained", "GPT-2, untrained", "ViT-L/16, trained")
        )
        assert trained == untrained != other


def test_floors_are_lines_with_a_name_in_every_panel():
    rows = accuracy_rows()
    for row in rows:
        if row["image"] == "tesla_coil":
            row["ssim_grey"] = 0.5
    for axes, grey in zip(panels(accuracy(rows)), (FLOORS["ssim_grey"], 0.5), strict=True):
        found = lines(axes)
        np.testing.assert_allclose(found["flat grey"].get_ydata(), grey)
        np.testing.assert_allclose(found["start noise"].get_ydata(), FLOORS["ssim_start"])
        np.testing.assert_allclose(found["noisy target"].get_ydata(), FLOORS["ssim_shifted"])
        assert {"start noise", "flat grey", "noisy target"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (0.5, 0.51, 0.52), (1.0, 0.99, 1.0), (-0.05, 0.9, 0.91)])
def test_names_of_floors_that_are_close_together_move_apart(values):
    floors = dict(zip(FLOORS, values, strict=True))
    figure = accuracy([row | floors for row in both()])
    figure.draw_without_rendering()
    for axes in panels(figure):
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 3
        for index, box in enumerate(boxes):
            assert not any(box.padded(-1).overlaps(other) for other in boxes[:index])


def test_all_whole_blocks_and_negative_values_are_shown():
    figure = accuracy(accuracy_rows(depths=(("gpt2", 12),)))
    assert list(panels(figure)[0].get_xticks()) == list(range(1, 13))
    assert panels(figure)[0].get_ylim()[0] <= 0.9 / 12 - 0.1
    deep = accuracy(accuracy_rows(depths=(("vit", 24),)))
    deep.draw_without_rendering()
    assert all(tick == round(tick) for tick in panels(deep)[0].get_xticks())


def test_block_0_is_called_the_stem():
    figure = accuracy([accuracy_row(layer=layer, **LBFGS) for layer in range(4)])
    figure.draw_without_rendering()
    assert [label.get_text() for label in panels(figure)[0].get_xticklabels()] == ["stem", "1", "2", "3"]
    assert legend(figure) == ["GPT-2", "all lines: L-BFGS, 400 passes"]


def test_converged_runs_are_bold_and_the_articles_thin_in_one_colour():
    figure = accuracy(both(weights=("trained",)))
    assert [axes.get_title("left") for axes in panels(figure)] == ["dog", "tesla coil"]
    article, other, converged, _ = panels(figure)[0].get_lines()[:4]
    assert article.get_color() == converged.get_color() != other.get_color()
    assert article.get_marker() == converged.get_marker() != other.get_marker()
    assert 2 * article.get_linewidth() < converged.get_linewidth()
    np.testing.assert_allclose(article.get_ydata(), [0.9 / layer for layer in range(1, 7)])
    np.testing.assert_allclose(converged.get_ydata(), [0.9 / layer + 0.08 for layer in range(1, 7)])
    assert legend(figure) == ["GPT-2", "ViT-L/16", "L-BFGS, 400 passes", "article's descent, 600 passes"]


@pytest.mark.parametrize("images", [("dog",), ("dog", "coil"), ("dog", "coil", "cup", "coin")])
def test_untrained_blocks_have_axes_of_their_own_beside_converged_runs(images):
    figure = accuracy(both(images=images))
    titles = [axes.get_title("left") for axes in panels(figure)]
    assert titles == [f"{image}, {weights} blocks" for weights in ("trained", "untrained") for image in images]
    for axes, title in zip(panels(figure), titles, strict=True):
        named = [line.get_label() for line in axes.get_lines() if ", " in line.get_label()]
        assert len(named) == 4 and all(label.endswith(title.split()[-2]) for label in named)
    assert panels(figure)[0].get_ylim() == panels(figure)[-1].get_ylim()
    assert figure.get_figheight() <= TALLEST
    assert_clear(figure)


def test_a_line_is_the_mean_over_seeds_in_a_band_from_the_lowest_to_the_highest():
    ssim = {0: [0.9, 0.5], 1: [0.8, 0.6], 2: [0.85, 0.7]}
    rows = [accuracy_row(layer=2 - i, ssim=v[i], seed=seed, **LBFGS) for seed, v in ssim.items() for i in (0, 1)]
    figure = accuracy(rows)
    (axes,) = panels(figure)
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [0.6, 0.85])
    (band,) = axes.collections
    corners = {tuple(np.round(point, 6)) for point in band.get_paths()[0].vertices}
    assert corners == {(1, 0.5), (1, 0.7), (2, 0.8), (2, 0.9)}
    assert "band: lowest to highest seed" in legend(figure)
    assert not panels(accuracy(rows[:2]))[0].collections


@pytest.mark.parametrize("method", [GRADIENT, LBFGS])
def test_points_that_have_not_converged_are_marked_as_lower_bounds(method):
    rows = [accuracy_row(layer=layer, ssim=1 / layer, converged=layer != 2, **method) for layer in (1, 2, 3)]
    figure = accuracy(rows)
    found = lines(panels(figure)[0])
    for mark in ("lower bounds", "carets"):
        assert found[mark].get_xydata().tolist() == [[2, 0.5]]
    assert found["lower bounds"].get_markerfacecolor() == "white"
    assert found["lower bounds"].get_marker() == found["GPT-2, trained"].get_marker()
    assert "not converged: it may rise further" in legend(figure)
    rest = accuracy([row | {"converged": True} for row in rows])
    assert "carets" not in lines(panels(rest)[0]) and "not converged: it may rise further" not in legend(rest)


def test_one_seed_that_has_not_converged_makes_a_lower_bound():
    rows = [accuracy_row(ssim=0.5 + seed / 10, seed=seed, converged=seed != 1) for seed in range(3)]
    np.testing.assert_allclose(lines(panels(accuracy(rows))[0])["carets"].get_xydata(), [[1, 0.6]])


def test_optimisers_of_one_probe_share_a_colour_and_each_has_its_own_line():
    rows = accuracy_rows(depths=(("gpt2", 3),), weights=("trained",))
    again = [row | {"run": "again", "ssim": row["ssim"] / 2, "optimiser": "adam"} for row in rows]
    figure = accuracy(rows + again)
    first, second = panels(figure)[0].get_lines()[:2]
    assert first.get_color() == second.get_color()
    np.testing.assert_allclose(second.get_ydata(), first.get_ydata() / 2)
    assert legend(figure) == ["GPT-2", "Adam, 600 passes", "article's descent, 600 passes"]


def test_runs_of_one_probe_weights_and_optimiser_share_a_line():
    rows = [accuracy_row("run", layer, 0.9 / layer, **LBFGS) for layer in (1, 2)]
    rows += [accuracy_row("seeds", layer, 0.7 / layer, seed=1, **LBFGS) for layer in (1, 2)]
    rows += [accuracy_row("stem", 0, 1.0, optimiser="lbfgs", passes=160)]
    figure = accuracy(rows)
    (axes,) = panels(figure)
    np.testing.assert_allclose(lines(axes)["GPT-2, trained"].get_xydata(), [[0, 1], [1, 0.8], [2, 0.4]])
    assert len(axes.collections) == 1
    assert legend(figure) == ["GPT-2", "all lines: L-BFGS, 160 to 400 passes", "band: lowest to highest seed"]


def test_two_runs_with_the_same_picture_of_a_line_are_an_error():
    rows = [accuracy_row("a"), accuracy_row("b", ssim=0.4)]
    with pytest.raises(
        ValueError, match="a and b: expected each picture of a line once, got two of dog, block 1, seed 0"
    ):
        accuracy(rows)


def test_colours_come_in_the_order_of_the_labels_and_no_other_runs_are_drawn():
    rows = accuracy_rows(weights=("trained",))
    figure = accuracy(rows, labels={"vit_trained": "ViT", "gpt2_trained": "GPT-2"})
    assert [(line.get_label(), line.get_color()) for line in panels(figure)[0].get_lines()[:2]] == [
        ("ViT, trained", "C0"), ("GPT-2, trained", "C1"),
    ]  # fmt: skip
    alone = lines(panels(accuracy(rows, labels={"vit_trained": "ViT"}))[0])
    assert [label for label in alone if "trained" in label] == ["ViT, trained"]


def test_a_run_without_rows_is_an_error():
    with pytest.raises(ValueError, match="expected rows of every run in the table, got none of vit_untrained"):
        accuracy(accuracy_rows(weights=("trained",)), labels={"gpt2_trained": "GPT-2", "vit_untrained": "ViT"})


@pytest.mark.parametrize("name", ["GPT-2 with a long name", "A model with a name that takes more than a line " * 2])
def test_long_labels_stay_on_the_page(name):
    for rows in (accuracy_rows(), both()):
        assert_clear(accuracy(rows, labels={row["run"]: f"{name} {row['probe']}" for row in rows}))


@pytest.mark.parametrize("images", [("dog",), ("dog", "coil", "cup", "coin")])
def test_other_numbers_of_images_and_one_block(images):
    figure = accuracy(accuracy_rows(images, (("gpt2", 1),), ("trained",)))
    assert len(panels(figure)) == len(images)
    assert legend(figure) == ["GPT-2", METHOD]
    assert_clear(figure)
