"""The figure of claims: a mark, a number and an interval for each sentence and model, whatever there is to show."""

import re

import pytest
from entries import entries, entry
from legible import assert_legible, texts
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lmrep.figures.claim_rows import ARROW, MINUS
from lmrep.figures.claims import MARKS, TINTS, draw_claims
from lmrep.figures.page import PAGE, TALLEST
from lmrep.figures.shown import Shown
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.words import PLACES, by_claim

LONG = "A model whose label is much longer than its column, untrained"
CAUSES = ["descent", "regime", "stem", "seed", "image"]
FIRST, MASKED, BOTH = "much_is_unchanged", "patch_looks_back", "patch_reaches_both_sides"


def draw(claims, title="What the article says"):
    return draw_claims(Shown(title, {}, {}, claims=claims))


def marks(figure):
    """The marks of the cells, from the top, as names of markers; without those of the legend."""
    axes = figure.axes[0]
    placed = [(line.get_ydata()[0], line.get_xdata()[0], line.get_marker(), to_hex(line.get_markerfacecolor()))
              for line in axes.get_lines() if line.get_marker() != "None"]  # fmt: skip
    return sorted(placed)[: -len(MARKS)]


def test_each_verdict_has_a_shape_and_a_colour_of_its_own():
    figure = draw([entry(FIRST, name, name) for name in MARKS])
    assert [mark[2:] for mark in marks(figure)] == [
        (look["marker"], look["markerfacecolor"].lower().replace("white", "#ffffff")) for look in MARKS.values()
    ]
    assert len({(look["marker"], look["markerfacecolor"] == "white") for look in MARKS.values()}) == len(MARKS)
    tints = [to_hex(patch.get_facecolor()) for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert tints == list(TINTS.values())
    assert texts(figure)[-5:-2] == [*MARKS] and texts(figure)[-1] == "1 holds, 1 fails, 1 open"
    assert_legible(figure)


def test_a_number_of_a_condition_says_so_however_little_room_there_is():
    gated = next(name for name, claim in CLAIMS.items() if claim.rules[0].gate)
    few = texts(draw([entry(gated, "A", "open", 0.5, (0.1, 0.9), decided_by=0)]))
    many = texts(draw([{**each, "decided_by": 0} for each in entries([*"ABCDEF"], depends_on=CAUSES)]))
    assert "[0.10, 0.90]  gate" in few
    assert any("gate" in text and not text.startswith("[0") for text in many)
    assert all("gate: a precondition" in found[-2] for found in (few, many))


def test_a_cell_has_its_number_its_interval_and_what_it_depends_on():
    figure = draw([
        entry(FIRST, "A", "fails", -0.12345, (-0.2, 0.004), depends_on=["regime"]),
        entry(FIRST, "B", "open", 0.5, None), entry(FIRST, "C", "open", None, None),
    ])  # fmt: skip
    found = texts(figure)
    start = found.index(f"{MINUS}0.12")
    assert found[start : start + 6] == [
        f"{MINUS}0.12", f"share  {ARROW} regime", f"[{MINUS}0.20, 0.0040]", "0.50", "share", "not measured",
    ]  # fmt: skip
    assert f"{CLAIMS[FIRST].rules[0]}" in " ".join(found)
    assert_legible(figure)


def test_a_sentence_that_is_not_asked_has_a_dash_and_no_mark():
    figure = draw([entry(FIRST, "A"), entry(FIRST, "B"), entry(MASKED, "A"), entry(BOTH, "B")])
    assert texts(figure).count("\N{EN DASH}") == 2
    assert len(marks(figure)) == 4


def test_sentences_stand_by_their_place_in_the_articles_order_and_say_how_many_rules_they_have():
    claims = entries()
    figure = draw(claims)
    found = " ".join(texts(figure))
    assert [text for text in texts(figure) if text in PLACES] == list(PLACES)
    places = [found.index(f" {CLAIMS[name].sentence} ") for name in by_claim(claims)]
    assert places == sorted(places)
    assert f"{CLAIMS[BOTH].rules[1]} (1 more rule)" in found


@pytest.mark.parametrize(("models", "changes"), [
    ("A", {}),
    (("GPT-2", LONG, "ViT-L"), {"verdict": "open", "number": None, "interval": None, "depends_on": CAUSES}),
    ("ABCD", {"number": -0.00012345, "interval": (-0.00023456, -0.00011111), "depends_on": CAUSES}),
    ("ABCDEFG", {"number": -0.00012345, "depends_on": ["regime"]}),
])  # fmt: skip
def test_any_verdicts_of_any_models_fit_a_page(models, changes):
    figure = draw(entries(models, **changes))
    assert figure.get_figwidth() == PAGE and figure.get_figheight() <= TALLEST + 1e-9
    assert len(marks(figure)) == len(CLAIMS) * len(models)
    assert_legible(figure)


def test_the_longest_legend_and_its_count_fit_a_page():
    """With a condition, intervals, and models that are there for contrast."""
    claims = entries("ABC", interval=(0.1, 0.2))
    for index, claim in enumerate(claims):
        claim |= {"contrast": index % 3 == 2, "verdict": ("holds", "fails", "open")[index % 3], "decided_by": 0}
    figure = draw(claims)
    found = " ".join(texts(figure))
    assert all(
        part in found for part in ("grey: for contrast", "gate: a precondition", "[95% interval]", "for contrast")
    )
    assert_legible(figure)


def test_rules_are_left_out_before_intervals():
    short, tall = (" ".join(texts(draw(entries("AB", depends_on=causes)))) for causes in ([], CAUSES))
    rule, interval = str(CLAIMS[FIRST].rules[0]), "[0.10, 0.50]"
    assert rule in short and interval in short
    assert rule not in tall and interval in tall


@pytest.mark.parametrize("name", ["Pythia, step", "SmolLM2-135M-Instruct, tokens not scaled at"])
def test_many_models_have_marks_alone(name):
    figure = draw(entries([f"{name} {number}" for number in range(14)], depends_on=["regime"]))
    assert len(marks(figure)) == 14 * len(CLAIMS)
    found = texts(figure)
    assert found.count(ARROW) == 14 * len(CLAIMS) and not any(re.fullmatch(r"0\.\d+", text) for text in found)
    assert figure.get_figheight() <= TALLEST
    assert_legible(figure)


def test_no_claims_and_too_many_models_are_refused():
    with pytest.raises(ValueError, match="expected claims, got none"):
        draw([])
    with pytest.raises(ValueError, match="expected at most 15 models, got 40"):
        draw(entries([str(number) for number in range(40)]))
