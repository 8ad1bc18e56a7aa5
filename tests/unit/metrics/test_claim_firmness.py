"""How firm verdicts are: other thresholds bend them the right way, and corrected intervals hold together."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from made_up import STUDY, make_cells, view_of

from lmrep.metrics.claims.claim import Claim
from lmrep.metrics.claims.firmness import FIRMNESS, firmness, looked_at
from lmrep.metrics.claims.judge import judge
from lmrep.metrics.claims.samples import Sample
from lmrep.metrics.claims.statistics import LEVEL, bootstrap, interval
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, Rule, Scale, measure

ANY = Scale("share")
RULES = [pytest.param(rule, id=f"{name} {rule.what}") for name, claim in CLAIMS.items() for rule in claim.rules]


def claim_of(*rules):
    return Claim("x", "X.", "", (), rules, measure=lambda view: [], panels="images")


def measured(*means, spread=0.01, panels=4, seeds=3):
    values = np.random.default_rng(0).normal(0, spread, (panels, seeds, len(means))) + np.array(means)
    return measure(Sample(tuple(map(str, range(panels))), tuple(range(seeds)), (1, 2, 4, 6)[: len(means)], values))


@pytest.mark.parametrize(
    ("side", "threshold", "others", "expected"),
    [
        ("above", 0.2, None, (0.1, 0.4)), ("above", -0.2, None, (-0.4, -0.1)), ("above", 1.5, (1.25, 3), (1.25, 3)),
        ("at most", -0.2, None, (-0.1, -0.4)), ("at most", 1.5, (1.25, 3), (3, 1.25)), ("at most", 0, None, (0, 0)),
    ],
)  # fmt: skip
def test_a_laxer_threshold_holds_sooner(side, threshold, others, expected):
    assert Rule("x", side, threshold, "mean", ANY, others=others).thresholds() == expected


@pytest.mark.parametrize("rule", RULES)
def test_every_threshold_that_is_tried_can_be_passed_and_missed(rule):
    """A bounded number has values on both sides of it; a threshold of nothing has no other."""
    least, most = rule.scale.least, rule.scale.most
    if rule.where == "change":
        least, most = least - most, most - least
    tried = rule.thresholds()
    assert len({*tried, rule.threshold}) == (3 if rule.threshold else 1)
    assert all(least <= threshold < most for threshold in tried)
    assert (tried[0] < rule.threshold < tried[1]) == (rule.side == "above" and rule.threshold != 0)


def test_verdicts_bend_with_the_thresholds():
    rule = Rule("x", "above", 0.2, "mean", ANY)
    for mean, laxer, stricter in [(0.5, HOLDS, HOLDS), (0.3, HOLDS, FAILS), (0.15, HOLDS, FAILS), (0.05, FAILS, FAILS)]:
        found = firmness(claim_of(rule), [measured(mean)], 6, 1)
        assert (found["laxer"], found["stricter"]) == (laxer, stricter)
    gate = replace(rule, gate=True)
    found = firmness(claim_of(gate, rule), [measured(0.15), measured(0.5)], 6, 1)
    assert (found["laxer"], found["stricter"]) == (HOLDS, OPEN)
    assert set(firmness(claim_of(rule), [None], 6, 9).values()) == {OPEN}


def test_more_questions_and_more_blocks_leave_more_open():
    for where, looked in (("mean", 1), ("every", 4), ("early", 1), ("every_early", 2), ("change", 1)):
        rule = Rule("x", "above", 0.5, where, ANY)
        assert looked_at(claim_of(rule, rule), [measured(1, 1, 1, 1), None], 6) == looked
    once = claim_of(Rule("x", "above", 0.5, "mean", ANY))
    near = measured(0.6, spread=0.1, panels=16, seeds=1)
    corrected = [firmness(once, [near], 6, questions)["corrected"] for questions in (1, 1000)]
    assert corrected == [HOLDS, OPEN]
    blocks = measured(1, 1, spread=0.05, panels=16, seeds=1)
    widths = [np.diff(blocks.bounds(together), axis=0).max() for together in (1, 2, 4, 40)]
    assert all(one < other for one, other in pairwise(widths))


@pytest.mark.parametrize(("panels", "seeds"), [(4, 1), (6, 1), (4, 3), (9, 3), (16, 3)])
@pytest.mark.parametrize(("of_panels", "of_seeds", "own"), [(1, 0.1, 0.1), (0.1, 1, 0.1), (1, 1, 0.2), (0.1, 0.1, 1)])
def test_corrected_intervals_of_a_study_hold_together(panels, seeds, of_panels, of_seeds, own):
    """Of 300 simulated studies of 30 questions with a mean of 0, one in twenty should have an interval that misses it.

    By Satterthwaite's degrees of freedom, up to a quarter have.
    """
    rng, studies, questions = np.random.default_rng(1), 300, 30
    size = studies * questions
    cells = of_panels * rng.standard_normal((panels, 1, size)) + own * rng.standard_normal((panels, seeds, size))
    cells += of_seeds * rng.standard_normal((1, seeds, size)) * (seeds > 1)
    draws = np.stack([weights.means(cells) for weights in bootstrap(panels, seeds)])
    low, high = interval(draws, cells.mean(axis=(0, 1)), panels, seeds, together=questions)
    missed = ((low > 0) | (high < 0)).reshape(studies, questions).any(axis=1)
    assert missed.mean() < 0.09
    alone = interval(draws, cells.mean(axis=(0, 1)), panels, seeds)
    assert (low < alone[0]).all() and (high > alone[1]).all()


def test_a_corrected_interval_of_panels_alone_is_students():
    """One seed: the half-width grows by the ratio of two quantiles of t."""
    scipy = pytest.importorskip("scipy.stats")
    found = measured(0.5, panels=5, seeds=1)
    alone, together = (np.diff(found.bounds(count), axis=0)[0, 0] for count in (1, 50))
    tail = (1 - LEVEL) / 2
    assert together / alone == pytest.approx(scipy.t.isf(tail / 50, 4) / scipy.t.isf(tail, 4), rel=1e-9)


def test_every_verdict_says_how_firm_it_is():
    judged = judge(STUDY, make_cells())
    assert all(entry["firmness"].keys() == FIRMNESS.keys() for entry in judged)
    assert {entry["firmness"][key] for entry in judged for key in FIRMNESS} <= {HOLDS, FAILS, OPEN}
    claim = CLAIMS["deeper_holds_less"]
    view = view_of(make_cells())
    own = next(row for row in judged if (row["claim"], row["model"]) == (claim.name, view.probe.label))
    assert own["firmness"] == firmness(claim, claim.parts(view), view.depth, len(judged))
