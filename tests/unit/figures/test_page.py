"""What all figures share: one page with one title, at full resolution, in plain text."""

from dataclasses import replace

import numpy as np
import pytest
from entries import entries
from legible import assert_legible, texts
from rows import LBFGS, accuracy_row

from lmrep.figures.beside import draw_beside
from lmrep.figures.changes import draw_changes
from lmrep.figures.charts import draw_accuracy
from lmrep.figures.claims import draw_claims
from lmrep.figures.diagram import draw_diagram
from lmrep.figures.features import draw_features
from lmrep.figures.importance import draw_causality, draw_importance
from lmrep.figures.inversion import draw_inversion
from lmrep.figures.page import PAGE, fold, save_figure, text_width
from lmrep.figures.reconstructions import draw_reconstructions
from lmrep.figures.regime import draw_regime
from lmrep.figures.shown import Shown
from lmrep.files import ArrayFile

ODD = "$x_$ \\{ <b>"  # not mathtext, not XML


def make_shown(title, label):
    """One Shown with something for every kind of figure."""
    random = np.random.default_rng(0)
    facts = {"objective": "neuron", "layers": [1, 2], "panels": [0, 1], "size": 8, "grid": 2}
    pictures = random.uniform(-0.1, 1.1, (2, 2, 3, 8, 8)).astype(np.float32)
    trace_facts = facts | {
        "first_token": "class", "basis": False, "causal": True, "depth": 2, "patch": 4, "neurons": [1], "patches": [2],
    }  # fmt: skip
    trace = {
        "image": pictures[0, 0].clip(0, 1), "tokens": pictures.reshape(-1, 48)[:5],
        "activations": pictures.reshape(2, -1, 48)[:, :5], "kernels": pictures.reshape(-1, 3, 4, 4)[:16],
    }  # fmt: skip
    accuracy = [
        accuracy_row(run, layer, converged=layer < 2, seed=seed, **method)
        for run, method in (("run", {}), ("converged", LBFGS))
        for seed in (0, 1)
        for layer in (1, 2)
    ]
    patches = [
        {"run": run, "layer": 1, "panel": "0", "seed": 0, "patch": patch, "change": 0.5 + patch / 9}
        for run in ("run", "neurons")
        for patch in range(4)
    ]
    features = ArrayFile({"images": pictures, "baseline": pictures[0]}, facts)
    match = ArrayFile(
        {"images": pictures, "targets": trace["image"][None]}, facts | {"objective": "match", "panels": ["dog"]}
    )
    common = {
        "image": "dog", "tables": {"accuracy": accuracy, "patches": patches},
        "trace": ArrayFile(trace, trace_facts), "stem": label, "stack": label,
    }  # fmt: skip
    pair = ("run", "converged")
    return {
        draw_features: Shown(title, {"run": label}, {"run": [1, 2]}, runs={"run": features}, **common),
        draw_changes: Shown(title, {"run": label}, {"run": [1, 2]}, runs={"run": features}, **common),
        draw_beside: Shown(
            title,
            dict.fromkeys(pair, label),
            {name: [1, 2] for name in pair},
            runs=dict.fromkeys(pair, features),
            **common,
        ),
        draw_reconstructions: Shown(title, {"run": label}, {"run": [1, 2]}, runs={"run": match}, **common),
        draw_inversion: Shown(
            title,
            dict.fromkeys(pair, label),
            {name: [1, 2] for name in pair},
            runs=dict.fromkeys(pair, match),
            **common,
        ),
        draw_accuracy: Shown(title, dict.fromkeys(pair, label), {}, **common),
        draw_causality: Shown(title, {"run": label, "neurons": label}, {}, **common),
        draw_regime: Shown(title, {"run": label, "neurons": label}, {}, **common),
        draw_importance: Shown(title, {"run": label}, {"run": [1, 2]}, **common),
        draw_diagram: Shown(title, {"run": label}, {"run": [1, 2]}, **common),
        draw_claims: Shown(title, {}, {}, claims=entries((label,))),
    }


every_figure = pytest.mark.parametrize("draw", make_shown("t", "l"), ids=lambda draw: draw.__name__)


@every_figure
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_titles_and_labels_are_plain_text(draw, ending, tmp_path):
    figure = draw(make_shown(ODD, ODD)[draw])
    save_figure(figure, tmp_path / f"figure.{ending}")
    found = texts(figure)
    assert found[0] == ODD and any(ODD in text for text in found[1:])


@every_figure
@pytest.mark.parametrize("label", ["$x_", "_hidden"])
def test_a_dollar_or_underscore_in_a_label_is_drawn(draw, label):
    found = texts(draw(make_shown("t", label)[draw]))
    assert any(label in text for text in found[1:])


@every_figure
def test_every_figure_is_a_page_with_its_title_at_the_top_left(draw):
    figure = draw(make_shown("A title", "GPT-2")[draw])
    assert figure.get_figwidth() == PAGE and figure._suptitle is None
    title = figure.axes[0].texts[0]
    assert (title.get_text(), title.get_position()) == ("A title", (0.08, 0.08))
    assert_legible(figure)


@every_figure
def test_a_regime_is_one_small_line_below_the_title_or_left_to_the_caption(draw):
    plain = make_shown("A title", "GPT-2")[draw]
    for regime, said in (("pixels centred; start token first", True), ("a regime of many words; " * 9, False)):
        runs = dict.fromkeys(plain.labels, regime)
        figure = draw(replace(plain, regime=regime, regimes=runs if draw is draw_beside else {}))
        assert (regime in texts(figure)) == said
        assert_legible(figure)
        if said and draw is not draw_beside:  # each of its columns names its own
            taller = figure.get_figheight() - draw(plain).get_figheight()
            assert 0 <= taller <= 0.121
            title, line = figure.axes[0].texts[:2]
            assert (line.get_text(), line.get_size()) == (regime, 6)
            assert title.get_window_extent().y0 > line.get_window_extent().y1


@every_figure
def test_files_have_300_dots_an_inch(draw, tmp_path):
    save_figure(draw(make_shown("t", "l")[draw]), tmp_path / "figure.png")
    assert int.from_bytes((tmp_path / "figure.png").read_bytes()[16:20], "big") == PAGE * 300


@every_figure
@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_same_figure_is_the_same_bytes(draw, ending, tmp_path):
    first, second = (tmp_path / f"{name}.{ending}" for name in ("first", "second"))
    for path in (first, second):
        save_figure(draw(make_shown("Twice", "GPT-2")[draw]), path)
    made = first.read_bytes()
    assert made == second.read_bytes()
    assert not any(word in made for word in (b"Matplotlib", b"matplotlib.org", b"CreationDate", b"dc:date"))


def test_text_folds_at_its_width():
    assert fold("one two", 5, 7) == "one two"
    assert fold("", 1, 7) == ""
    assert fold("SmolLM2-135M (laptop)", text_width("135M (laptop)", 7) + 0.01, 7) == "SmolLM2-\n135M (laptop)"
    for text in ("a few words " * 9, "W" * 99, f"short {'long' * 20} short"):
        folded = fold(text, 1.0, 7)
        assert all(text_width(line, 7) <= 1.0 for line in folded.splitlines())
        assert folded.replace("\n", "").replace(" ", "") == text.replace(" ", "")
