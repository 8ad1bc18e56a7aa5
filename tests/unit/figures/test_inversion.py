"""Inversion: each picture is its run's, with its SSIM, and the article's descent stands above the others."""

import numpy as np
import pytest
from legible import assert_legible, texts
from rows import GRADIENT, LBFGS, accuracy_row
from small_runs import match_run, shown

from lmrep.figures.inversion import draw_inversion
from lmrep.figures.page import PAGE, TALLEST
from lmrep.figures.shown import Shown
from lmrep.figures.words import clip_note

DISTANCES = {"gpt2_inverted": "l2", "vit_inverted": "pareto"}


def study(depths, spread=0.1, weights="trained", names=("coil", "dog")):
    """Runs and their rows: for each probe the converged run first, then the article's. SSIM falls with the block."""
    runs, rows = {}, []
    for number, (probe, depth) in enumerate(depths.items()):
        for method, suffix in ((LBFGS, "_inverted"), (GRADIENT, "_match")):
            name, layers = probe + suffix, range(1, depth + 1)
            runs[name] = match_run(layers, names, 2 * number + (suffix == "_match"), spread=spread)
            rows += [
                accuracy_row(
                    name, layer, (0.9 if suffix == "_inverted" else 0.5) / layer, layer < 2 or suffix == "_match",
                    image, probe=probe, weights=weights, **method,
                )
                for image in names
                for layer in layers
            ]  # fmt: skip
    return runs, rows


def inversion(runs, rows, title="A dog by block", labels=None, layers=None, **changes):
    labels = labels or {name: name.split("_")[0].upper() for name in runs}
    layers = {name: run.facts["layers"] for name, run in runs.items()} | (layers or {})
    weights = {row["run"]: row["weights"] for row in rows}
    return draw_inversion(Shown(title, labels, layers, "dog", runs, {"accuracy": rows}, weights=weights, **changes))


def place(image):
    """Left and upper edge, in."""
    left, _, _, top = image.get_extent()
    return round(left, 6), round(top, 6)


def test_the_articles_descent_stands_above_the_other_with_the_target_at_the_left():
    runs, rows = study({"gpt2": 3}, spread=0.51)
    figure = inversion(runs, rows)
    target, *pictures = figure.axes[0].images
    np.testing.assert_array_equal(shown(target), runs["gpt2_inverted"]["targets"][1])
    for index, name in enumerate(["gpt2_match"] * 3 + ["gpt2_inverted"] * 3):
        np.testing.assert_array_equal(shown(pictures[index]), np.clip(runs[name]["images"][index % 3, 1], 0, 1))
    left, top = np.transpose([place(image) for image in pictures])
    assert set(top[:3]) == {place(target)[1]} and top[3] > top[0] and len(set(top[3:])) == 1
    np.testing.assert_array_equal(left[:3], left[3:])
    assert place(target)[0] < left[0] < left[1] < left[2]
    notes = [clip_note([runs[name]["images"][block, 1]]) for name in ("gpt2_match", "gpt2_inverted")
             for block in range(3)]  # fmt: skip
    assert all(notes)
    found = texts(figure)
    assert found == [
        "A dog by block", "GPT2", "SSIM of start noise 0.02, flat grey 0.28, noisy target 0.85", "target",
        "block 1", "block 2", "block 3",
        "article's descent\n600 passes", "SSIM 0.50", notes[0], "SSIM 0.25", notes[1], "SSIM 0.17", notes[2],
        "L-BFGS\n400 passes", "SSIM 0.90", notes[3], "SSIM ≥ 0.45", notes[4], "SSIM ≥ 0.30", notes[5],
    ]  # fmt: skip
    assert_legible(figure)


def test_searches_for_different_distances_name_them_on_a_line_of_their_own():
    runs, rows = study({"gpt2": 8, "vit": 8})
    searched = [row | {"optimiser": "preconditioned_lbfgs"} if row["run"] in DISTANCES else row for row in rows]
    figure = inversion(runs, searched, distances=DISTANCES)
    found = [text for text in texts(figure) if "passes" in text]
    one, other = (f"preconditioned L-BFGS\n({name})\n400 passes" for name in DISTANCES.values())
    assert found == ["article's descent\n600 passes", one, "article's descent\n600 passes", other]
    assert "GPT2" in texts(figure)  # the heading of a group names no distance
    assert_legible(figure)


def test_groups_come_in_the_order_of_the_labels_without_other_runs():
    runs, rows = study({"gpt2": 2, "vit": 3})
    figure = inversion(runs, rows, labels={"vit_match": "ViT", "gpt2_inverted": "GPT-2", "vit_inverted": "ViT"})
    assert [text for text in texts(figure) if text in ("ViT", "GPT-2")] == ["ViT", "GPT-2"]
    assert len(figure.axes[0].images) == 1 + 3 + 3 + 1 + 2
    np.testing.assert_array_equal(shown(figure.axes[0].images[-1]), runs["gpt2_inverted"]["images"][1, 1])


def test_trained_and_untrained_blocks_are_groups_that_say_so():
    runs, rows = study({"gpt2": 2})
    fresh, more = study({"fresh": 2}, weights="untrained")
    more = [row | {"probe": "gpt2"} for row in more]
    figure = inversion(runs | fresh, rows + more, labels=dict.fromkeys([*runs, *fresh], "GPT-2"))
    headings = [text for text in texts(figure) if text.startswith("GPT-2")]
    assert headings == ["GPT-2, trained", "GPT-2, untrained"]


def test_of_several_seeds_the_first_is_shown():
    runs, rows = study({"gpt2": 2}, names=("dog", "dog"))
    for place_of, row in enumerate(rows):
        row["ssim"] = 0.9 if place_of % 4 < 2 else 0.1
    figure = inversion(runs, rows)
    np.testing.assert_array_equal(shown(figure.axes[0].images[1]), runs["gpt2_match"]["images"][0, 0])
    assert "SSIM 0.90" in texts(figure) and not any("0.10" in text for text in texts(figure))


def test_runs_of_one_optimiser_share_a_row():
    runs, rows = study({"gpt2": 2})
    runs["gpt2_stem"] = match_run([0], ("coil", "dog"), seed=9)
    rows.append(accuracy_row("gpt2_stem", 0, 1.0, **LBFGS))
    figure = inversion(runs, rows)
    _, *pictures = figure.axes[0].images
    np.testing.assert_array_equal(shown(pictures[2]), runs["gpt2_stem"]["images"][0, 1])
    assert len(pictures) == 5 and place(pictures[2])[0] < place(pictures[0])[0] == place(pictures[3])[0]
    assert [text for text in texts(figure) if text.startswith(("stem", "block"))] == ["stem", "block 1", "block 2"]


def test_a_block_that_only_one_run_shows_leaves_a_gap():
    runs, rows = study({"gpt2": 4})
    figure = inversion(runs, rows, layers={"gpt2_match": [1, 4], "gpt2_inverted": [1, 2]})
    _, *pictures = figure.axes[0].images
    left = [place(image)[0] for image in pictures]
    assert len(pictures) == 4 and left[0] == left[2] and left[0] < left[3] < left[1]
    assert [text for text in texts(figure) if text.startswith("block")] == ["block 1", "block 2", "block 4"]
    assert_legible(figure)


@pytest.mark.parametrize("depths", [{"gpt2": 1}, {"gpt2": 6}, {"gpt2": 6, "vit_base": 6, "vit_large": 8},
                                    {"gpt2": 12, "vit_base": 12, "vit_large": 24}, {"vit_large": 24}])  # fmt: skip
@pytest.mark.parametrize("spread", [0.1, 0.6, 9])
def test_the_probes_of_both_studies_fit_a_page(depths, spread):
    runs, rows = study(depths, spread)
    figure = inversion(runs, rows)
    assert figure.get_figwidth() == PAGE and figure.get_figheight() <= TALLEST
    assert len(figure.axes[0].images) == len(depths) + 2 * sum(depths.values())
    assert_legible(figure)


def test_small_pictures_have_short_words_below_them():
    runs, rows = study({"gpt2": 12, "vit_base": 12, "vit_large": 24}, 0.6)
    found = texts(inversion(runs, rows))
    assert "≥ 0.45" in found and any(text.endswith("% clip") for text in found)
    assert not any("clipped" in text for text in found)


def test_long_titles_and_labels_fold():
    runs, rows = study({"gpt2": 6, "vit": 8})
    assert_legible(inversion(runs, rows, "One photograph by block, with a title that goes on " * 4))
    assert_legible(inversion(runs, rows, labels=dict.fromkeys(runs, "A model with a rather long name")))


def test_a_missing_image_or_row_is_an_error():
    runs, rows = study({"gpt2": 2}, names=("coil",))
    with pytest.raises((ValueError, KeyError)):
        inversion(runs, rows)
    runs, rows = study({"gpt2": 2})
    with pytest.raises(KeyError):
        inversion(runs, rows[:-1])
