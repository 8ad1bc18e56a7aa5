"""Re-created images beside their own target, with their own SSIM."""

import numpy as np
import pytest
import yaml
from conftest import ROOT
from legible import assert_legible, texts
from rows import accuracy_row
from small_runs import match_run, shown, sides

from lmrep.figures.page import TALLEST
from lmrep.figures.reconstructions import draw_reconstructions
from lmrep.figures.shown import Shown
from lmrep.figures.words import clip_note, floors_text, method_text
from lmrep.files import ArrayFile
from lmrep.study.config import make_study


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
    notes = [clip_note([run["images"][layer, 1]]) for layer in (0, 2)]
    assert notes[0]
    made = f"{method_text([accuracy_row()])}; {floors_text(accuracy_row())}"
    first, second = (["SSIM 0.83", "r 0.83", note] for note in notes)
    expected = ["A coil", "GPT-2", made, "target", "block 1", *first, "block 3", *second]
    assert texts(figure) == [text for text in expected if text]


def test_an_ssim_that_has_not_converged_is_marked_as_a_lower_bound():
    found = texts(reconstructions({"a": match_run()}, converged=False))
    assert found.count("SSIM ≥ 0.50") == 3 and "SSIM 0.50" not in found


def test_block_0_is_called_the_stem():
    found = texts(reconstructions({"a": match_run((0, 1))}))
    assert "stem" in found and "block 1" in found and "block 0" not in found


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


def test_blocks_of_one_probe_stand_in_the_same_places():
    """Another start has some of the blocks; another probe has its own."""
    runs = {"light": match_run(range(1, 8)), "dark": match_run((1, 4)), "other": match_run((2, 5))}
    figure = reconstructions(runs, labels={"light": "GPT-2", "dark": "GPT-2", "other": "ViT"})
    left = [round(image.get_extent()[0], 6) for image in figure.axes[0].images]
    light, dark, other = left[1:8], left[9:11], left[12:]
    assert dark == [light[0], light[3]] and other == light[:2]
    assert_legible(figure)


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


@pytest.mark.parametrize("config", ["config", "miniature", "laptop", "models"])
def test_each_figure_of_a_shipped_study_fits_a_page(config):
    """With a note of clipped pixels below every picture."""
    study = make_study(yaml.safe_load((ROOT / f"{config}.yaml").read_text()))
    for figure in (figure for figure in study.figures.values() if figure.kind == "reconstructions"):
        runs, layers = {}, {}
        for run in (study.runs[name] for name in figure.runs):
            layers[run.name] = figure.layers.get(run.name, run.layers)
            side, facts = run.probe.stem.size, {"layers": run.layers, "panels": [figure.image]}
            shapes = {"images": (len(run.layers), 1, 3, side, side), "targets": (1, 3, side, side)}
            runs[run.name] = ArrayFile({name: np.broadcast_to(1.5, shape) for name, shape in shapes.items()}, facts)
        labels = {name: study.runs[name].probe.label for name in runs}
        drawn = reconstructions(runs, layers, figure.image, figure.title, labels)
        assert drawn.get_figheight() <= TALLEST, figure.name
        assert_legible(drawn)


def test_a_missing_image_or_ssim_is_an_error():
    with pytest.raises(ValueError, match="cat"):
        reconstructions({"a": match_run()}, image="cat")
    run = match_run()
    with pytest.raises(KeyError):
        draw_reconstructions(Shown("t", {"a": "l"}, {"a": [1]}, "dog", {"a": run}, {"accuracy": []}))
