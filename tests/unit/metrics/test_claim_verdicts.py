"""Verdicts: rules, gates, too few images, unfinished searches, and what a verdict depends on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_up import (
    COUNT,
    IMAGES,
    SEEDS,
    STUDY,
    accuracy,
    candidates,
    change,
    jolt,
    make_cells,
    make_config,
    near,
    rows,
    verdict,
    view_of,
)

from lmrep.metrics.claims.cells import read_cells
from lmrep.metrics.claims.inversion import WIDENING, unfinished
from lmrep.metrics.claims.judge import deciding, dependence, entry, judge, main_search, tally
from lmrep.metrics.claims.samples import BY_CORRELATION, BY_SSIM, Sample
from lmrep.metrics.claims.statistics import FEWEST
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, Measured, Rule, Scale, decide, early_blocks, measure
from lmrep.metrics.claims.ways import searches, ways
from lmrep.study.config import make_study
from lmrep.study.kinds import ARTICLE
from lmrep.study.words import main_probes

BLOCKS = (1, 2, 4, 6)
ANY = Scale("share")


def sample(*means, panels=4, seeds=3, spread=0.01):
    """Cells of one value a block, spread a little over panels and seeds."""
    values = np.random.default_rng(0).normal(0, spread, (panels, seeds, len(means))) + np.array(means)
    return Sample(tuple(map(str, range(panels))), tuple(range(seeds)), BLOCKS[: len(means)], values)


@pytest.mark.parametrize(
    ("means", "where", "expected"),
    [
        ((1, 1, 1, 1), "every", HOLDS), ((1, 1, 0, 1), "every", FAILS), ((1, 1, 0.5, 1), "every", OPEN),
        ((0, 0, 1, 1.4), "mean", HOLDS), ((0, 0, 0, 1.4), "mean", FAILS), ((0, 0, 1, 1), "mean", OPEN),
        ((1, 1, 0, 0), "early", HOLDS), ((0, 0.5, 1, 1), "early", FAILS), ((0, 1, 0, 0), "early", OPEN),
        ((1, 0, 0, 0), "first", HOLDS), ((0, 1, 1, 1), "first", FAILS), ((0.5, 1, 1, 1), "first", OPEN),
        ((1, 0, 1, 1), "every_early", FAILS), ((1, 1, 0, 0), "every_early", HOLDS),
        ((0, 9, 9, 1), "change", HOLDS), ((1, 9, 9, 1), "change", FAILS), ((1, 0, 0, 1.5), "change", OPEN),
    ],
)  # fmt: skip
def test_a_rule_looks_at_its_blocks(means, where, expected):
    """A stack of 6 blocks: the first 2 are early."""
    found = measure(sample(*means))
    assert Rule("x", "above", 0.5, where, ANY).verdict(found, 6) == expected
    opposite = {HOLDS: FAILS, FAILS: HOLDS, OPEN: OPEN}[expected]
    if where in ("every", "every_early"):  # a block that is above fails it
        opposite = FAILS
    assert Rule("x", "at most", 0.5, where, ANY).verdict(found, 6) == opposite


def test_the_first_quarter_is_early():
    assert early_blocks((1, 2, 4, 6), 6) == [0, 1] and early_blocks(range(1, 13), 12) == [0, 1, 2]
    assert early_blocks((4, 6), 6) == []


def test_at_most_a_threshold_takes_the_threshold_itself():
    zero = Measured(BLOCKS, np.zeros(4), np.zeros((3, 9, 4)), np.zeros(4), np.zeros(4), *[np.full(4, 3)] * 2)
    assert Rule("x", "at most", 0, "every", ANY).verdict(zero, 6) == HOLDS
    assert Rule("x", "above", 0, "every", ANY).verdict(zero, 6) == FAILS


def test_all_rules_decide_and_gates_only_open():
    yes, no = measure(sample(1, 1)), measure(sample(0, 0))
    unsure = measure(sample(0.5, 0.5))
    plain, gate = Rule("x", "above", 0.5, "mean", ANY), Rule("x", "above", 0.5, "mean", ANY, gate=True)
    assert decide((plain, plain), [yes, yes], 6) == HOLDS
    assert decide((plain, plain), [yes, no], 6) == decide((plain, plain), [None, no], 6) == FAILS
    assert decide((plain, plain), [yes, unsure], 6) == decide((plain, plain), [yes, None], 6) == OPEN
    assert decide((gate, plain), [yes, yes], 6) == HOLDS and decide((gate, plain), [yes, no], 6) == FAILS
    for blocked in (no, unsure, None):
        assert decide((gate, plain), [blocked, yes], 6) == decide((gate, plain), [blocked, no], 6) == OPEN


def test_the_block_that_decides_is_the_furthest_to_the_wrong_side():
    for side, means, block in [("above", (3, 1, 2, 4), 2), ("above", (3, -1, -2, 4), 4), ("above", (3, 0.5, -2, 4), 4),
                               ("at most", (-3, -1, -2, -4), 2), ("above", (3, 0.5, 0.51, 4), 2)]:  # fmt: skip
        found = Rule("x", side, 0.5 if side == "above" else 0, "every", ANY).decisive(measure(sample(*means)), 6)
        assert found is not None and found.blocks == (block,)
    mean = Rule("x", "above", 0, "mean", ANY).decisive(measure(sample(1, 3)), 6)
    assert mean is not None and mean.values == pytest.approx(2, abs=0.01)
    assert Rule("x", "above", 0, "early", ANY).decisive(replace(measure(sample(1)), blocks=(4,)), 6) is None


def test_the_rule_that_decides_is_a_closed_gate_or_has_the_verdict():
    def parts(*found):
        return [{"gate": gate, "verdict": verdict, "number": number} for gate, verdict, number in found]

    gate, closed = (True, HOLDS, 1), (True, OPEN, 2)
    assert deciding(parts(gate, (False, HOLDS, 3), (False, FAILS, 4)), FAILS) == 2
    assert deciding(parts(closed, (False, HOLDS, 3)), OPEN) == 0
    assert deciding(parts((False, HOLDS, 3), (False, OPEN, None), (False, OPEN, 5)), OPEN) == 2
    assert deciding(parts((False, HOLDS, 3), (False, OPEN, None)), OPEN) == 1
    assert deciding(parts((False, OPEN, None)), OPEN) == 0


def test_ways_with_other_blocks_are_compared_where_both_have_blocks():
    """Another regime has blocks 1 and 2 alone; there SSIM falls less than it must, in the main regime too."""
    config = make_config()
    config["runs"]["gpt2_bos_inverted"]["layers"] = [1, 2]
    study = make_study(config)

    def flat_at_first(run, panel, seed, block):
        ssim = 0.5 if block < 3 else 0.2
        return accuracy(run, panel, seed, block) | {"ssim": ssim, "ssim_earlier": ssim}

    view = view_of(make_cells(study, accuracy=flat_at_first), study=study)
    depends, others, _ = dependence(CLAIMS["deeper_holds_less"], view, HOLDS)
    assert (
        others["regime"]["start token first, at blocks 1, 2 of the same images, where the main way fails"] == FAILS
        and "regime" not in depends
    )


def test_the_control_without_a_mask_is_of_the_same_weights():
    """Two models of one shape: the mask was taken off the first one only."""
    config = make_config()
    config["weights"]["other_mini"] = config["weights"]["gpt2_mini"] | {"label": "Other"}
    config["probes"]["other"] = config["probes"]["gpt2"] | {"stack": "other_mini", "label": "Other"}
    for name in ("gpt2_plain", "gpt2_plain_fresh"):
        config["runs"][name.replace("gpt2", "other")] = config["runs"][name] | {"probe": "other"}
    study = make_study(config)
    cells = make_cells(study)
    assert verdict("order_is_the_masks", view_of(cells, study=study)) == HOLDS
    assert verdict("order_is_the_masks", view_of(cells, "other", study=study)) == OPEN


@pytest.mark.parametrize("part", [{"layers": [0]}, {"weights": "untrained"}])
def test_a_search_counts_if_it_is_of_trained_blocks(part):
    config = make_config()
    config["runs"]["gpt2_inverted"] |= part
    study = make_study(config)
    assert searches(study, study.probes["gpt2"]) == [ARTICLE]
    assert searches(STUDY, STUDY.probes["gpt2"]) == ["preconditioned_lbfgs", ARTICLE]


def test_a_search_that_favours_an_answer_does_not_judge_it():
    claim, probe = CLAIMS["errors_are_of_high_frequency"], STUDY.probes["gpt2"]
    assert claim.unfit == ("preconditioned_lbfgs",)
    assert main_search(STUDY, probe, claim) == ARTICLE
    assert main_search(STUDY, probe, CLAIMS["deeper_holds_less"]) == "preconditioned_lbfgs"
    config = make_config()
    config["runs"]["gpt2_inverted_lbfgs"] = config["runs"]["gpt2_inverted"] | {"optimiser": "lbfgs"}
    study = make_study(config)
    assert main_search(study, study.probes["gpt2"], claim) == "lbfgs"
    names = [
        {name for _, name, _ in ways(view_of({}, study=study), each)} for each in (claim, replace(claim, unfit=()))
    ]
    assert "L-BFGS" in names[0] & names[1]  # of a view by the preconditioned search
    config["runs"]["gpt2_inverted_lbfgs"]["distance"] = "pareto"
    found = {name for _, name, _ in ways(view_of({}, study=make_study(config)), claim)}
    assert {"L-BFGS with distance pareto", "the article's descent"} <= found and "L-BFGS" not in found
    view = replace(view_of({}, study=study), search="lbfgs")
    names = [{name for _, name, _ in ways(view, each)} for each in (claim, replace(claim, unfit=()))]
    assert [("preconditioned L-BFGS" in found) for found in names] == [False, True]


def test_too_few_images_give_no_interval_and_no_verdict():
    rule = Rule("x", "above", 0.5, "every", ANY)
    assert rule.verdict(measure(sample(1, 1, panels=FEWEST, seeds=1)), 6) == HOLDS
    few = measure(sample(1, 1, panels=FEWEST - 1, seeds=1))
    assert rule.verdict(few, 6) == OPEN and few is not None and np.isfinite(few.values).all()
    cells = sample(1, 1)
    cells.values[:, :, 1] = np.nan
    cells.values[: FEWEST - 1, 0, 1] = 1
    assert rule.verdict(measure(cells), 6) == OPEN
    assert Rule("x", "above", 0.5, "first", ANY).verdict(measure(cells), 6) == HOLDS
    assert rule.verdict(None, 6) == OPEN


def test_an_unfinished_search_widens_its_interval():
    """SSIM of .4 that may rise by .3 is not below .5; from .1, it is."""
    rule = Rule("x", "above", 0.5, "mean", ANY)
    rise = sample(0.3, 0.3, spread=0)
    assert rule.verdict(measure(sample(0.4, 0.4)), 6) == FAILS
    assert rule.verdict(measure(sample(0.4, 0.4), rises=rise), 6) == OPEN
    assert rule.verdict(measure(sample(0.1, 0.1), rises=rise), 6) == FAILS
    assert rule.verdict(measure(sample(0.6, 0.6), rises=rise), 6) == HOLDS
    assert rule.verdict(measure(sample(0.6, 0.6), falls=rise), 6) == OPEN
    change = replace(rule, where="change", threshold=0.0)
    assert change.verdict(measure(sample(0.6, 0.7)), 6) == HOLDS
    first_may_rise, last_may_rise = sample(0.3, 0, spread=0), sample(0, 0.3, spread=0)
    assert change.verdict(measure(sample(0.6, 0.7), rises=first_may_rise), 6) == OPEN
    assert change.verdict(measure(sample(0.6, 0.7), rises=last_may_rise), 6) == HOLDS


def test_a_search_that_gave_up_says_nothing():
    """As far from its goal as the shifted photograph. The article's own descent is read as it is."""

    def stuck(run, *key):
        found = accuracy(run, *key)
        return found | {"ssim_earlier": found["ssim"] - 0.01, "output_distance_ratio": 1.2 if key[2] == 6 else 0.3}

    cells = make_cells(accuracy=stuck)
    found = unfinished(view_of(cells))
    ssim = view_of(cells).accuracy("ssim")
    assert found is not None and ssim is not None
    assert found.values[..., :3] == pytest.approx(0.01 * WIDENING)
    assert found.values[..., 3] == pytest.approx(1 - ssim.values[..., 3])
    article = unfinished(view_of(cells, search=ARTICLE))
    assert article is not None and not article.values.any()
    assert verdict("deeper_holds_less", view_of(make_cells())) == HOLDS
    assert verdict("deeper_holds_less", view_of(cells)) == OPEN
    assert verdict("deeper_holds_less", view_of(cells, search=ARTICLE)) == HOLDS


def level(value):
    """Accuracy as ever, with this SSIM in the last block of some runs."""

    def make(run, panel, seed, block):
        found = accuracy(run, panel, seed, block)
        new = value(run, panel, seed) if block == 6 else None
        return found if new is None else found | {"ssim": new, "ssim_earlier": new}

    return make_cells(accuracy=make)


RISES = 0.9  # SSIM of the last block that lets deeper_holds_less fail


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda run, panel, seed: None, []),
        (lambda run, panel, seed: RISES if run.descent.optimiser == "gradient" else None, ["descent"]),
        (lambda run, panel, seed: RISES if run.probe.name == "gpt2_bos" else None, ["regime"]),
        (lambda run, panel, seed: RISES if run.probe.name == "gpt2_dct" else None, ["stem"]),
        (lambda run, panel, seed: RISES if seed == SEEDS[1] else None, ["seed"]),
        (lambda run, panel, seed: RISES if run.probe.name == "gpt2_unmasked" else None, []),  # another model
        (lambda run, panel, seed: RISES if run.probe.name == "vit_base" else None, []),
    ],
    ids=["nothing", "descent", "regime", "stem", "seed", "mask", "model"],
)
def test_a_verdict_says_what_it_depends_on(value, expected):
    view, claim = view_of(level(value)), CLAIMS["deeper_holds_less"]
    own = verdict(claim.name, view)
    assert (own == HOLDS) == (expected != ["seed"])
    depends, others, _ = dependence(claim, view, own)
    assert depends == expected
    assert others["seed"]["seed 1"] == (FAILS if expected == ["seed"] else HOLDS)
    if expected != ["seed"]:
        assert others["descent"]["the article's descent"] == (FAILS if expected == ["descent"] else HOLDS)
        assert others["regime"]["start token first"] == (FAILS if expected == ["regime"] else HOLDS)
    assert set(others["image"]) == set(IMAGES)


def test_a_descent_that_leaves_it_open_counts_and_a_seed_that_does_does_not():
    """A seed or an image alone leaves more open."""
    claim = CLAIMS["deeper_holds_less"]
    view = view_of(
        level(lambda run, *key: RISES if run.descent.optimiser == "gradient" and key[1] == SEEDS[1] else None)
    )
    depends, others, _ = dependence(claim, view, HOLDS)
    assert depends == ["descent"] and others["descent"]["the article's descent"] == OPEN
    view = view_of(level(lambda run, panel, seed: RISES if (panel, seed) == (IMAGES[0], SEEDS[1]) else None))
    found = dependence(claim, view, HOLDS)[1]
    assert OPEN in found["seed"].values() and FAILS not in found["seed"].values()
    assert not {"seed", "image"} & set(dependence(claim, view, HOLDS)[0])


def test_a_claim_of_features_depends_on_blur_and_jitter():
    def flat(run, *key):
        return np.ones(121) if "jittered" in run.name else change(run, *key)

    view = view_of(make_cells(change=flat))
    assert dependence(CLAIMS["much_is_unchanged"], view, HOLDS)[0] == ["descent"]


def with_another(names, own, ordinary, table):
    """The view of a study that has runs once more, with keys of their own and one seed more.

    `ordinary`: makes the values of all other runs in a table. Returns a function of what makes those of the new ones.
    """
    config = make_config()
    for name in names:
        config["runs"][f"{name}_another"] = config["runs"][name] | {"seeds": [*SEEDS, 7]} | own
    study = make_study(config)

    def view(another):
        def made(run, *key):
            return (another if run.name.endswith("another") else ordinary)(run, *key)

        return view_of(make_cells(study, **{table: made}), study=study)

    return view


def unlike_the_others(claim, view, main):
    """Asserts that runs of another descent do not count in the main way: neither their values nor their seeds."""
    for one, other in zip(claim.parts(view), claim.parts(main), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.draws, other.draws)


@pytest.mark.parametrize("name", ["much_is_unchanged", "own_share_falls"])
def test_a_claim_of_features_depends_on_the_length_of_the_descent(name):
    claim, octaves = CLAIMS[name], [{"size": 66, "steps": 60, "rate": [0.167, 0.0167]}]
    longer = with_another(["gpt2_plain", "gpt2_patches"], {"octaves": octaves}, change, "change")
    flat = longer(lambda run, *key: np.ones(121))
    depends, others, _ = dependence(claim, flat, HOLDS)
    assert depends == ["descent"] and others["descent"]["60 steps"] == FAILS
    depends, others, _ = dependence(claim, longer(change), HOLDS)
    assert depends == [] and others["descent"]["60 steps"] == HOLDS
    unlike_the_others(claim, flat, view_of(make_cells()))
    jittered = dependence(CLAIMS["start_matters_more_plain"], flat, HOLDS)[1]  # it compares descents of one length
    assert "descent" not in jittered


@pytest.mark.parametrize(
    ("own", "way"),
    [({"start": {"normal": [0.3, 0.05]}}, "start of 0.3 ± 0.05"), ({"distance": "pareto"}, "distance pareto")],
    ids=["start", "distance"],
)
def test_a_claim_of_photographs_depends_on_the_start_and_on_the_distance(own, way):
    claim = CLAIMS["deeper_holds_less"]
    another = with_another(["gpt2_inverted"], own, accuracy, "accuracy")
    rising = another(lambda run, panel, seed, block: accuracy(run, panel, seed, block) | {"ssim": 0.5 + block / 20})
    depends, others, _ = dependence(claim, rising, HOLDS)
    assert depends == ["descent"] and others["descent"][way] == FAILS
    assert dependence(claim, another(accuracy), HOLDS)[0] == []
    unlike_the_others(claim, rising, view_of(make_cells()))


def brightened(run, panel, seed, block):
    """As SSIM has it, deeper blocks hold less; by the correlation, they have another brightness only."""
    return accuracy(run, panel, seed, block) | {"correlation": 0.9, "correlation_earlier": 0.9}


@pytest.mark.parametrize(
    ("name", "main", "other", "number"),
    [
        ("deeper_holds_less", HOLDS, FAILS, 0.0),
        ("untrained_deeper_holds_less", HOLDS, FAILS, 0.0),
        ("trained_holds_less", HOLDS, FAILS, 0.0),
        ("early_holds_less_than_vision", HOLDS, FAILS, 0.0),
        ("one_block_keeps_most", HOLDS, HOLDS, 0.81),
    ],
)
def test_a_claim_of_photographs_depends_on_the_measure(name, main, other, number):
    depends, others, numbers = dependence(CLAIMS[name], view_of(make_cells(accuracy=brightened)), main)
    assert others["measure"] == {BY_CORRELATION.name: other} and ("measure" in depends) == (main != other)
    assert numbers["measure"] == {BY_CORRELATION.name: pytest.approx(number)}


@pytest.mark.parametrize(("place", "other"), [(0, HOLDS), (7, FAILS)])
def test_the_right_photograph_is_the_nearest_by_the_correlation_too(place, other):
    def made(*key):
        first = np.full(COUNT, 0.1)
        first[place] = 0.9
        return candidates(*key) | {"correlation": first}

    claim = CLAIMS["early_is_recognisable"]
    depends, others, numbers = dependence(claim, view_of(make_cells(candidates=made)), HOLDS)
    assert others["measure"] == {BY_CORRELATION.name: other} and ("measure" in depends) == (other == FAILS)
    assert numbers["measure"] == {BY_CORRELATION.name: 1.0 if other == HOLDS else COUNT}


def test_an_inverted_image_is_not_alike():
    cells = make_cells(accuracy=lambda *key: brightened(*key) | {"correlation": -0.9})
    assert replace(view_of(cells), likeness=BY_CORRELATION).likenesses().values == pytest.approx(-0.81)


def test_an_unfinished_search_is_an_open_end_by_the_correlation_too():
    def rising(run, *key):
        return brightened(run, *key) | {"correlation_earlier": 0.899}

    def fast(run, *key):
        return brightened(run, *key) | {"correlation_earlier": 0.8}

    def given_up(run, *key):
        return brightened(run, *key) | {"output_distance_ratio": 2.0}

    for made, rise in ((rising, WIDENING * (0.81 - 0.899**2)), (fast, 1 - 0.81), (given_up, 1 - 0.81)):
        view = replace(view_of(make_cells(accuracy=made)), likeness=BY_CORRELATION)
        assert unfinished(view).values == pytest.approx(rise)


def test_grey_explains_nothing():
    cells = make_cells(accuracy=lambda *key: brightened(*key) | {"ssim_grey": 0.8})
    by_ssim, by_correlation = (replace(view_of(cells), likeness=each) for each in (BY_SSIM, BY_CORRELATION))
    assert (by_ssim.grey_likenesses().values == 0.8).all() and not by_correlation.grey_likenesses().values.any()


def test_the_claims_that_have_another_measure():
    """By row and by frequency there is none: a row may be flat, and the error's mean belongs to its spectrum."""
    asked = {name for name, claim in CLAIMS.items() if claim.likenesses}
    of_images = {name for name, claim in CLAIMS.items() if claim.panels == "images"}
    assert asked == of_images - {"first_rows_are_worst", "errors_are_of_high_frequency"}
    powers = {name for name, claim in CLAIMS.items() if claim.powers}
    assert not powers & of_images and all(CLAIMS[name].power not in CLAIMS[name].powers for name in powers)
    for name in CLAIMS.keys() - asked - powers:
        assert "measure" not in dependence(CLAIMS[name], view_of(make_cells()), HOLDS)[1]


def test_a_verdict_may_depend_on_whether_changes_are_squared():
    def one_large(run, panel, seed, block):
        """120 patches change by a hundredth of what the patch itself does: 1.2 times its change, .012 of its square."""
        found = np.full(121, 0.01)
        found[int(panel)] = 1.0
        return near(found, run, panel, seed, block)

    view = view_of(make_cells(change=one_large), "gpt2")
    found, others, numbers = dependence(CLAIMS["patch_looks_back"], view, FAILS)
    assert "measure" in found and others["measure"] == {"change": HOLDS}
    assert numbers["measure"]["change"] == pytest.approx(0.6 / 2.2, rel=0.2)  # 60 patches before one


def test_every_other_verdict_has_the_number_that_decided_it():
    for name in CLAIMS:
        _, others, numbers = dependence(CLAIMS[name], view_of(make_cells()), HOLDS)
        for what, found in others.items():
            judged = {way for way, verdict in found.items() if verdict in (HOLDS, FAILS, OPEN)}
            assert set(numbers.get(what, {})) == judged
            assert all(isinstance(numbers[what][way], float) for way in judged)


def test_runs_may_differ_in_start_and_steps_at_once():
    own = {"start": {"uniform": [0.2, 0.3]}, "octaves": [{"size": 66, "steps": 60, "rate": [0.167, 0.0167]}]}
    another = with_another(["gpt2_plain"], own, change, "change")
    found = dependence(CLAIMS["much_is_unchanged"], another(lambda run, *key: np.ones(121)), HOLDS)
    assert found[0] == ["descent"] and found[1]["descent"]["start from 0.2 to 0.3 and 60 steps"] == FAILS


def test_the_second_model_is_cut_to_blocks_of_its_own():
    """Of its early blocks, the dark start has the first alone, where it holds more than the model, and then less."""
    config, dark = make_config(), {"start": {"normal": [0.3, 0.05]}}
    config["runs"]["gpt2_dark"] = config["runs"]["gpt2_inverted"] | dark
    config["runs"]["vit_large_dark"] = config["runs"]["vit_large_inverted"] | dark | {"layers": [1, 6]}
    study = make_study(config)

    def falling(run, panel, seed, block):
        ssim = 0.6 if run.probe.masked else 0.9 if block == 1 else 0.1
        return accuracy(run, panel, seed, block) | {"ssim": ssim, "ssim_earlier": ssim}

    view = view_of(make_cells(study, accuracy=falling), study=study)
    depends, others, _ = dependence(CLAIMS["early_holds_less_than_vision"], view, FAILS)
    way = "start of 0.3 ± 0.05, at blocks 1, 2, 4, 6 of the same images, where the main way holds"
    assert others["descent"][way] == HOLDS and depends == []


@pytest.mark.parametrize("name", ["deeper_holds_less", "early_holds_less_than_vision", "first_rows_are_worst"])
@pytest.mark.parametrize("models", [["gpt2", "vit_large"], ["gpt2", "vit_base"]])
def test_a_way_with_fewer_images_blocks_or_models_is_no_dependence(name, models):
    """The values are those of the main way. They vary so much that few images leave more open."""
    few = {"start": {"normal": [0.3, 0.05]}, "seeds": [0], "layers": [1, 4]}
    config = make_config()
    for model in models:
        layers = [1, 6] if model.startswith("vit") else [1, 4]
        config["runs"][f"{model}_dark"] = config["runs"][f"{model}_inverted"] | few | {"layers": layers}
    study = make_study(config)

    def spread(make):
        def made(run, panel, seed, block):
            noise = jolt(run.probe.name, run.weights, panel, seed, block).standard_normal()
            found = make(study.runs[run.name.replace("_dark", "_inverted")], panel, seed, block)
            if not isinstance(found, dict):
                return found + 0.1 * noise
            return found | dict.fromkeys(("ssim", "ssim_earlier"), found["ssim"] + 0.04 * noise)

        return made

    cells = make_cells(study, accuracy=spread(accuracy), rows=spread(rows))
    view = view_of(cells, study=study)
    depends, others, _ = dependence(CLAIMS[name], view, verdict(name, view))
    assert "descent" not in depends
    compared = name == "deeper_holds_less" or models[1] == "vit_large"  # the dark start has the same second model
    assert any(way.startswith("start of 0.3 ± 0.05") for way in others.get("descent", {})) is compared


@pytest.mark.parametrize("where", ["every", "mean", "change"])
def test_an_interval_stays_within_what_is_possible(where):
    rule = Rule("x", "above", 0, where, Scale("share", 0.0, 1.0))
    wild = measure(sample(0.2, 0.9, 0.5, 0.9, panels=3, seeds=1, spread=0.3))
    low, high = rule.bounds(wild.joined(where, 12), joined=True)
    free = wild.joined(where, 12).bounds()
    least = -1 if where == "change" else 0
    assert free[0].min() < least or free[1].max() > 1  # it would go beyond it
    assert (low >= least).all() and (high <= 1).all()
    np.testing.assert_array_equal(low, np.clip(free[0], least, 1))
    low, high = rule.bounds(wild)  # block by block
    assert (low >= 0).all() and (high <= 1).all()


def test_the_share_of_unchanged_patches_depends_on_what_counts_as_unchanged():
    claim = CLAIMS["much_is_unchanged"]

    def steps(run, panel, seed, block):
        """A fifth unchanged at any cutoff, and as many more at the highest."""
        return near(np.repeat([0.0, 0.15, 1.0], [24, 24, 73]), run, panel, seed, block)

    found, others, _ = dependence(claim, view_of(make_cells(change=steps)), FAILS)
    assert found == ["cutoff"] and set(others["cutoff"].values()) == {FAILS, HOLDS}
    assert "cutoff" not in dependence(CLAIMS["deeper_is_broader"], view_of(make_cells(change=steps)), FAILS)[1]


def test_a_panel_of_fewer_seeds_counts_as_much_as_the_others():
    values = np.full((3, 3, 1), np.nan)
    values[0, :, 0], values[1, 0, 0], values[2, 0, 0] = [1.0, 2.0, 3.0], 5.0, 8.0
    found = measure(Sample(("a", "b", "c"), (0, 1, 2), (1,), values))
    assert found.values == [5.0] and list(found.panels) == [3] and list(found.seeds) == [3]
    alone = measure(Sample(("a", "b", "c"), (0,), (1,), np.array([[[2.0]], [[5.0]], [[8.0]]])))
    widths = [high - low for low, high in (found.bounds(), alone.bounds())]
    assert 0.6 < widths[0] / widths[1] < 1.2  # the same panels; the seeds of one of them vary


def test_the_main_probe_of_a_model_is_that_of_its_figures():
    assert [probe.name for probe in main_probes(STUDY)] == ["gpt2", "vit_base", "vit_large"]


@pytest.fixture(scope="module")
def judged():
    return judge(STUDY, make_cells())


def test_every_claim_is_asked_of_every_model_it_is_about(judged):
    asked = [(claim.name, probe.label) for claim in CLAIMS.values() for probe in main_probes(STUDY)
             if claim.asked_of(probe)]  # fmt: skip
    assert [(row["claim"], row["model"]) for row in judged] == asked
    of_gpt2 = {row["claim"] for row in judged if row["model"] == "GPT-2 mini"}
    assert of_gpt2 == CLAIMS.keys() - {"patch_reaches_both_sides"}
    contrast = {(row["claim"], row["model"]) for row in judged if row["contrast"]}
    assert ("patterns_begin_first", "ViT-B mini") in contrast and ("deeper_holds_less", "ViT-B mini") not in contrast
    assert not any(model == "GPT-2 mini" for _, model in contrast)
    assert sum(tally(judged).values()) == len(judged) - len(contrast)


def test_a_row_has_what_a_reader_needs_and_is_plain_json(judged):
    assert json.loads(json.dumps(judged, allow_nan=False)) == judged
    for row in judged:
        assert {"claim", "sentence", "study", "statistic", "values", "interval", "verdict", "figure"} <= row.keys()
        assert row["sentence"].endswith(".") and row["statistic"] and row["rule"] and row["seeds"] == len(SEEDS)
        if row["number"] is not None:
            low, high = row["interval"]
            assert low <= row["number"] <= high
    row = next(row for row in judged if row["claim"] == "much_is_unchanged" and row["model"] == "GPT-2 mini")
    assert row["values"]["GPT-2 mini"].keys() == {"1", "2", "4", "6"}
    assert row["figure"] == "changes" and row["panels"] == 4


def test_a_claim_that_nothing_measures_says_so():
    found = entry(CLAIMS["deeper_holds_less"], view_of({}), "", 1)
    assert (found["verdict"], found["number"], found["reason"]) == (
        OPEN,
        None,
        "no run of this study measures SSIM changes",
    )


def test_cells_come_from_rows_in_order():
    rows = [{"run": "r", "panel": panel, "seed": 0, "layer": 2, "patch": patch, "change": 10.0 * panel + patch}
            for panel in (3, 5) for patch in range(3)]  # fmt: skip
    cells = read_cells("patches", rows)["r"]
    assert [(*cell, *values["change"]) for cell, values in cells.items()] == [
        ("3", 0, 2, 30, 31, 32), ("5", 0, 2, 50, 51, 52)
    ]  # fmt: skip
