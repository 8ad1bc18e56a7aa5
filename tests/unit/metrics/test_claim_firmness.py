"""How firm verdicts are: other thresholds bend them the right way, and corrected intervals hold together."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import STUDY, make_cells

from lmrep.metrics.claims.claim import Claim
from lmrep.metrics.claims.firmness import FIRMNESS, firmness, looked_at
from lmrep.metrics.claims.judge import judge
from lmrep.metrics.claims.samples import Sample
from lmrep.metrics.claims.statistics import LEVEL, bootstrap, interval
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import ARRAYS, FAILS, HOLDS, OPEN, Measured, Rule, Scale, decide, measure

ANY = Scale("share")
RULES = [pytest.param(rule, id=f"{name} {rule.what}") for name, claim in CLAIMS.items() for rule in claim.rules]


def claim_of(*rules):
    return Claim("x", "X.", "", (), rules, measure=lambda view: [], panels="images")


def measured(*means, spread=0.01, panels=4, seeds=3):
    values = np.random.default_rng(0).normal(0, spread, (panels, seeds, len(means))) + np.array(means)
    return measure(Sample(tuple(map(str, range(panels))), tuple(range(seeds)), (1, 2, 4, 6)[: len(means)], values))


@pytest.mark.parametrize("rule", RULES)
def test_every_threshold_that_is_tried_can_be_passed_and_missed(rule):
    """A bounded number has values on both sides of it, and one is smaller and one larger; 0 has no other."""
    least, most = rule.scale.least, rule.scale.most
    if rule.where == "change":
        least, most = least - most, most - least
    smaller, larger = rule.other_thresholds()
    assert least <= min(smaller, larger) and max(smaller, larger) < most
    assert abs(smaller) < abs(rule.threshold) < abs(larger) or smaller == rule.threshold == larger == 0
    assert np.sign(smaller) == np.sign(larger) == np.sign(rule.threshold)


@pytest.mark.parametrize(
    ("side", "threshold", "mean", "smaller", "larger"),
    [
        ("above", 0.2, 0.5, HOLDS, HOLDS), ("above", 0.2, 0.3, HOLDS, FAILS), ("above", 0.2, 0.15, HOLDS, FAILS),
        ("above", 0.2, 0.05, FAILS, FAILS),
        ("at most", -0.2, -0.3, HOLDS, FAILS), ("at most", -0.2, -0.05, FAILS, FAILS),
    ],
)  # fmt: skip
def test_verdicts_bend_with_the_thresholds(side, threshold, mean, smaller, larger):
    found = firmness(claim_of(Rule("x", side, threshold, "mean", ANY)), [measured(mean)], 6, 1)
    assert (found["smaller"], found["larger"]) == (smaller, larger)


def test_gates_bend_too_and_what_is_not_measured_stays_open():
    rule = Rule("x", "above", 0.2, "mean", ANY)
    found = firmness(claim_of(replace(rule, gate=True), rule), [measured(0.3), measured(0.5)], 6, 1)
    assert (found["smaller"], found["larger"]) == (HOLDS, OPEN)
    assert set(firmness(claim_of(rule), [None], 6, 9).values()) == {OPEN}


@pytest.mark.parametrize("name", ["order_is_the_masks", "early_is_recognisable"])
@pytest.mark.parametrize("value", [0.03, 0.06, 1.4, 2.2])
def test_one_number_is_never_on_both_sides_of_a_cutoff(name, value):
    """Rules of both sides that cut at one place: numbers that are all alike satisfy them by no threshold."""
    claim = CLAIMS[name]
    alike = [measured(value, value, value, value, spread=0)] * len(claim.rules)
    found = firmness(claim, alike, 6, 1)
    assert HOLDS not in (found["smaller"], found["larger"])


def test_intervals_are_counted_over_rules_gates_and_blocks():
    for where, looked in (("mean", 1), ("every", 4), ("early", 1), ("every_early", 2), ("change", 1), ("first", 1)):
        rule = Rule("x", "above", 0.5, where, ANY)
        both = claim_of(replace(rule, gate=True), rule, rule)
        assert looked_at(both, [measured(1, 1, 1, 1), measured(1, 1, 1, 1), None], 6) == 2 * looked


def verdict_at(*counts, claim, parts):
    return [firmness(claim, parts, 6, count)["corrected"] for count in counts]


def test_more_questions_leave_more_open_and_so_do_more_blocks():
    rule = Rule("x", "above", 0.5, "mean", ANY)
    near, clear = measured(0.6, spread=0.1, panels=16, seeds=1), measured(0.9, spread=0.1, panels=16, seeds=1)
    assert verdict_at(1, 1000, claim=claim_of(rule), parts=[near]) == [HOLDS, OPEN]
    gate = replace(rule, gate=True)
    assert verdict_at(1, 1000, claim=claim_of(gate, rule), parts=[near, clear]) == [HOLDS, OPEN]
    assert verdict_at(1, 1000, claim=claim_of(gate, rule), parts=[clear, clear]) == [HOLDS, HOLDS]
    # One block among 4 that are looked at has a quarter of the chance of error of one alone.
    low = near.bounds(40)[0]
    between = replace(rule, where="every", threshold=float(near.values[0] - 1.02 * (near.values[0] - low[0])))
    four = Measured((1, 2, 4, 6), *(np.repeat(getattr(near, part), 4, axis=-1) for part in ARRAYS))
    assert decide([between], [near], 6, 40) == decide([between], [four], 6, 40) == HOLDS
    assert verdict_at(40, claim=claim_of(between), parts=[near]) == [HOLDS]
    assert verdict_at(40, claim=claim_of(between), parts=[four]) == [OPEN]


def test_what_a_search_may_yet_add_is_not_scaled():
    rise = Sample(("0", "1", "2", "3"), (0, 1, 2), (1,), np.full((4, 3, 1), 0.3))
    sample = Sample(rise.panels, rise.seeds, (1,), np.random.default_rng(0).normal(0.5, 0.01, (4, 3, 1)))
    for count in (1, 50):
        bare, wider = measure(sample).bounds(count), measure(sample, rises=rise).bounds(count)
        assert wider[0] == bare[0] and wider[1] == pytest.approx(bare[1] + 0.3)


@pytest.mark.parametrize(("panels", "seeds"), [(4, 1), (4, 2), (6, 3), (16, 3)])
@pytest.mark.parametrize(("of_panels", "of_seeds", "own"), [(1, 0.1, 0.1), (0.1, 1, 0.1), (1, 1, 0.2)])
def test_corrected_intervals_of_a_study_hold_together(panels, seeds, of_panels, of_seeds, own):
    """Of 300 simulated studies of 20 questions with a mean of 0, one in twenty should have an interval that misses it.

    By Satterthwaite's degrees of freedom, up to half have.
    """
    rng, studies, questions = np.random.default_rng(1), 300, 20
    size = studies * questions
    cells = of_panels * rng.standard_normal((panels, 1, size)) + own * rng.standard_normal((panels, seeds, size))
    cells += of_seeds * rng.standard_normal((1, seeds, size)) * (seeds > 1)
    draws = np.stack([weights.means(cells) for weights in bootstrap(panels, seeds)])
    low, high = interval(draws, cells.mean(axis=(0, 1)), panels, seeds, together=questions)
    missed = ((low > 0) | (high < 0)).reshape(studies, questions).any(axis=1)
    assert missed.mean() < 0.11
    alone = interval(draws, cells.mean(axis=(0, 1)), panels, seeds)
    assert (low < alone[0]).all() and (high > alone[1]).all()


@pytest.mark.parametrize(("panels", "seeds"), [(5, 1), (5, 3), (4, 2)])
def test_each_factor_has_its_own_quantile_of_t(panels, seeds):
    """Cells whose factors do not interact, so that both variances are those of the margins (Banerjee 1960)."""
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    cells = rng.standard_normal((panels, 1, 1)) + rng.standard_normal((1, seeds, 1)) * (seeds > 1)
    found = measure(Sample(tuple(map(str, range(panels))), tuple(range(seeds)), (1,), cells))
    alone, together = (np.diff(found.bounds(count), axis=0)[0, 0] for count in (1, 50))
    draws = found.draws[1:, :, 0].var(axis=1)
    free = np.array([panels - 1, max(seeds - 1, 1)])
    parts = draws * (free + 1) / free
    freedom = parts.sum() ** 2 / (parts**2 / free).sum()
    tail = (1 - LEVEL) / 2
    wide = (scipy.t.isf(tail / 50, free) ** 2 * parts).sum() / parts.sum()
    assert together / alone == pytest.approx(wide**0.5 / scipy.t.isf(tail, freedom), rel=1e-9)


def test_skewed_values_are_beyond_the_correction():
    """Of studies of 36 questions with four lognormal panels and one seed, about half have an interval that misses."""
    rng, studies, questions = np.random.default_rng(1), 200, 36
    cells = np.exp(rng.standard_normal((4, 1, studies * questions))) - np.exp(0.5)
    draws = np.stack([weights.means(cells) for weights in bootstrap(4, 1)])
    low, high = interval(draws, cells.mean(axis=(0, 1)), 4, 1, together=questions)
    missed = ((low > 0) | (high < 0)).reshape(studies, questions).any(axis=1)
    assert 0.45 < missed.mean() < 0.7


def test_a_study_counts_all_its_questions_and_every_verdict_says_how_firm_it_is(monkeypatch):
    asked = []

    def counted(claim, parts, depth, questions):
        asked.append(questions)
        return firmness(claim, parts, depth, questions)

    monkeypatch.setattr("lmrep.metrics.claims.judge.firmness", counted)
    judged = judge(STUDY, make_cells())
    assert set(asked) == {len(judged)} and any(entry["contrast"] for entry in judged)
    assert all(entry["firmness"].keys() == FIRMNESS.keys() for entry in judged)
    assert {entry["firmness"][key] for entry in judged for key in FIRMNESS} <= {HOLDS, FAILS, OPEN}
