"""Each claim on made-up tables: it holds where the tables are as the article says, and fails where they are not."""

from collections import defaultdict

import numpy as np
import pytest
from made_up import (
    GRID,
    PATCHES,
    accuracy,
    candidates,
    change,
    make_cells,
    make_config,
    near,
    rows,
    verdict,
    view_of,
)

from lmrep.metrics.claims.inversion import first_rows, rank
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN
from lmrep.study.config import make_study
from lmrep.study.kinds import OBJECTIVES

AS_THE_ARTICLE = make_cells()


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_holds_where_the_tables_are_as_the_article_says(name):
    probe = "vit_base" if name == "patch_reaches_both_sides" else "gpt2"
    assert CLAIMS[name].asked_of(view_of({}, probe).probe)
    assert verdict(name, view_of(AS_THE_ARTICLE, probe)) == HOLDS


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_without_its_runs_is_open(name):
    probe = "vit_base" if name == "patch_reaches_both_sides" else "gpt2"
    assert verdict(name, view_of({}, probe)) == OPEN


def patches_with(value):
    """Changes as ever, but `value(run, changes, panel, block)` of runs that maximise patches."""

    def make(run, panel, seed, block):
        found = change(run, panel, seed, block)
        if OBJECTIVES[run.objective].panels == "patches":
            found = near(value(run, found, int(panel), block), run, panel, seed, block)
        return found

    return {"change": make}


def neurons_with(value):
    """Changes as ever, but near `value(run, places, block)` of runs that maximise neurons."""
    places = np.linspace(0, 1, PATCHES)

    def make(run, panel, seed, block):
        if OBJECTIVES[run.objective].panels == "patches":
            return change(run, panel, seed, block)
        found = value(run, places, block)
        return change(run, panel, seed, block) if found is None else near(found, run, panel, seed, block)

    return {"change": make}


def accuracy_with(**columns):
    """Accuracy as ever, but with columns that are functions of (run, block, the column as ever)."""

    def make(run, panel, seed, block):
        found = accuracy(run, panel, seed, block)
        return found | {name: new(run, block, found[name]) for name, new in columns.items()}

    return {"accuracy": make}


def first_block(run, places, block):
    return np.exp(-3 * places) if block == 1 else np.exp(-8 * places)


def unlike(run, found, panel, block):
    """Only the patch itself, and one in four of the change after it."""
    new = np.zeros(PATCHES)
    new[panel] = 1
    new[(panel + 1) % PATCHES] = 0.5
    return new


def alone(run, found, panel, block):
    return np.eye(PATCHES)[panel]


def far_last(run, found, panel, block):
    """Of unlike patches, whose number falls with depth."""
    new = np.zeros(PATCHES)
    new[: 60 // block] = 0.1
    new[panel] = 0.3 * block
    return new


def without_order(*names):
    def value(run, places, block):
        return np.ones(PATCHES) if run.name in names else None

    return neurons_with(value)


def with_order(name):
    return neurons_with(lambda run, places, block: np.exp(-3 * places) if run.name == name else None)


def opposite_orders(name):
    """From the top in block 6 of a run, and as much from the bottom in block 1."""
    rates = {1: 3.0, 6: -3.0}
    return neurons_with(
        lambda run, places, block: np.exp(rates[block] * places) if run.name == name and block in rates else None
    )


def worst_at_the_bottom(run, panel, seed, block):
    return rows(run, panel, seed, block)[::-1]


def as_bad_at_the_top(run, panel, seed, block):
    """In every model: the photograph is harder there."""
    found = np.full(GRID, 0.8)
    found[:3] -= 0.3
    return near(found, run, panel, seed, block)


def candidates_with(change):
    """Made-up candidates, changed in place by a function of their columns, the photograph and the block."""

    def make(run, panel, seed, block):
        found = candidates(run, panel, seed, block)
        change(found, panel, block)
        return found

    return {"candidates": make}


def second_best(column):
    """The right photograph comes second in block 2, by one of the two columns."""

    def change(found, panel, block):
        if block == 2:
            found[column][7] = 0.7 if column == "ssim" else 0.5

    return candidates_with(change)


def recognised_start(found, panel, block):
    found["ssim_start"][0] = 0.5


def start_like_a_grey_picture(found, panel, block):
    """The start noise is nearest to one of three photographs: by itself, that recognises nothing."""
    found["ssim_start"][0] = 0.5 if panel == "moon" else 0.05


CASES = [
    # In every block: a fall that is not there, one that is there, one at the end only.
    ("patterns_begin_first", neurons_with(lambda run, places, block: np.ones(PATCHES)), FAILS),
    ("patterns_begin_first", neurons_with(lambda run, places, block: 1 + places), FAILS),
    ("patterns_begin_first", neurons_with(lambda run, places, block: np.ones(PATCHES) if block == 4 else None), FAILS),
    ("much_is_unchanged", neurons_with(lambda run, places, block: 1 - 0.5 * places), FAILS),
    ("much_is_unchanged", neurons_with(lambda run, places, block: None if block < 3 else 1 - 0.5 * places), HOLDS),
    ("unchanged_early", neurons_with(first_block), FAILS),
    ("falls_not_along_a_line", neurons_with(lambda run, places, block: 1 - 0.99 * places), FAILS),
    ("falls_not_along_a_line", neurons_with(lambda run, places, block: np.ones(PATCHES)), FAILS),
    ("falls_not_along_a_line", neurons_with(lambda run, places, block: np.arange(1, PATCHES + 1) ** -0.9), HOLDS),
    ("deeper_is_broader", neurons_with(first_block), FAILS),
    ("start_matters_more_plain", neurons_with(
        lambda run, places, block: np.exp(-9 * places) if "jittered" in run.name else np.exp(-3 * places)), FAILS),
    ("patch_reaches_back_only", patches_with(unlike), FAILS),
    ("patch_reaches_back_only", patches_with(lambda run, found, panel, block: np.ones(PATCHES)), OPEN),  # its gate
    ("patch_looks_back", patches_with(alone), FAILS),
    ("patch_looks_back", patches_with(lambda run, found, panel, block: np.ones(PATCHES)), OPEN),
    ("own_share_falls", patches_with(far_last), FAILS),
    ("deeper_patch_is_broader", patches_with(far_last), FAILS),
    ("language_is_less_self_attentive", patches_with(alone), FAILS),
    ("order_is_the_masks", without_order("gpt2_plain"), OPEN),  # its gate
    ("order_is_the_masks", with_order("gpt2_unmasked_plain"), FAILS),
    ("order_is_the_masks", without_order("gpt2_plain_fresh"), FAILS),
    ("order_is_the_masks", with_order("vit_large_plain"), FAILS),
    ("order_is_the_masks", with_order("vit_base_plain"), HOLDS),  # the widest other model is asked
    ("order_is_the_masks", opposite_orders("gpt2_unmasked_plain"), FAILS),  # although their mean is about 0
    ("order_is_the_masks", opposite_orders("vit_large_plain"), FAILS),
    ("early_holds_less_than_vision", accuracy_with(ssim=lambda run, block, old: 0.6), FAILS),
    # An unfinished search of one of the two: SSIM may be up to 1.
    ("early_holds_less_than_vision", accuracy_with(
        output_distance_ratio=lambda run, block, old: 2.0 if run.probe.masked else old), OPEN),
    ("early_holds_less_than_vision", accuracy_with(
        output_distance_ratio=lambda run, block, old: old if run.probe.masked else 2.0), HOLDS),
    ("early_is_recognisable", second_best("ssim"), FAILS),
    ("early_is_recognisable", second_best("output_distance"), FAILS),
    ("early_is_recognisable", candidates_with(recognised_start), OPEN),  # its gate
    ("early_is_recognisable", candidates_with(start_like_a_grey_picture), OPEN),
    ("one_block_keeps_most", accuracy_with(ssim=lambda run, block, old: old - 0.2), FAILS),
    ("one_block_keeps_most", accuracy_with(ssim=lambda run, block, old: old - 0.2 * (block > 1)), HOLDS),
    # 0.4 of what is possible above grey, and twelve times a rise of 0.005 is 0.15 of it.
    ("one_block_keeps_most", accuracy_with(
        ssim=lambda run, block, old: old + 0.1, ssim_earlier=lambda run, block, old: old + 0.095,
        ssim_grey=lambda run, block, old: 0.6), OPEN),
    ("one_block_keeps_most", accuracy_with(
        ssim=lambda run, block, old: old + 0.1, ssim_earlier=lambda run, block, old: old + 0.1,
        ssim_grey=lambda run, block, old: 0.6), FAILS),
    ("first_rows_are_worst", {"rows": worst_at_the_bottom}, FAILS),
    ("first_rows_are_worst", {"rows": as_bad_at_the_top}, OPEN),
    ("errors_are_of_high_frequency", accuracy_with(high_frequency_error=lambda run, block, old: 0.3), FAILS),
    ("errors_are_of_high_frequency", accuracy_with(ssim_start=lambda run, block, old: 0.9), OPEN),  # its gate
    ("errors_are_of_high_frequency", accuracy_with(ssim_grey=lambda run, block, old: 0.9), OPEN),
    ("deeper_holds_less", accuracy_with(ssim=lambda run, block, old: 0.6 + block / 100), FAILS),
    ("untrained_deeper_holds_less", accuracy_with(ssim=lambda run, block, old: 0.6 + block / 100), FAILS),
    ("trained_holds_less", accuracy_with(ssim=lambda run, block, old: 0.6), FAILS),
    ("trained_holds_less", accuracy_with(ssim=lambda run, block, old: 0.6 if block == 6 else old), HOLDS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed", "expected"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_a_claim_fails_where_they_are_not(name, changed, expected):
    assert verdict(name, view_of(make_cells(**changed))) == expected


def test_a_model_without_a_mask_reaches_both_sides_or_fails():
    for side in ("before", "after"):

        def one_side(run, found, panel, block, side=side):
            new = found.copy()
            new[slice(0, panel) if side == "after" else slice(panel + 1, None)] = 0
            return new

        cells = make_cells(**patches_with(one_side))
        assert verdict("patch_reaches_both_sides", view_of(cells, "vit_base")) == FAILS


@pytest.mark.parametrize(("share", "expected"), [(0.005, FAILS), (0.02, HOLDS)])
def test_a_share_that_no_other_sentence_would_count_is_not_both_sides(share, expected):
    def value(run, found, panel, block):
        new = np.zeros(PATCHES)
        new[panel] = 1
        for side in (slice(0, panel), slice(panel + 1, None)):
            new[side] = np.sqrt(share / max(1, len(new[side])))
        return new

    assert verdict("patch_reaches_both_sides", view_of(make_cells(**patches_with(value)), "vit_base")) == expected


def test_ssim_is_compared_with_images_of_one_size_only():
    config = make_config()
    for name in ("vit_base", "vit_large"):
        old = config["probes"][name]
        basis = {"basis": "dct", "patch": 8, "size": 88}
        config["probes"][name] = {"label": old["label"], "stem": basis, "stack": old["stack"]}
    for run in config["runs"].values():
        if run["probe"].startswith("vit_"):
            run["octaves"] = [{**octave, "size": 88} for octave in config["descents"][run["descent"]]["octaves"][:1]]
    study = make_study(config)
    cells = make_cells(study)
    assert verdict("early_holds_less_than_vision", view_of(cells, study=study)) == OPEN
    assert verdict("language_is_less_self_attentive", view_of(cells, study=study)) == HOLDS


def test_every_claim_has_a_case_in_which_it_fails():
    expected = defaultdict(set)
    for name, _, found in CASES:
        expected[name].add(found)
    failing = {name for name, found in expected.items() if FAILS in found}
    assert failing == CLAIMS.keys() - {"patch_reaches_both_sides"}


def test_a_rank_counts_from_one_and_the_right_one_comes_last_among_equals():
    """So that an image that is as near to all pictures as to its photograph is not recognised."""
    distances = np.array([[1, 2, 3, 4], [3, 2, 1, 4], [1, 1, 1, 1], [2, 1, np.nan, 3]])
    for sign in (1, -1):
        ranks = rank(sign * distances, sign)
        assert ranks[:3].tolist() == [1, 3, 4] and np.isnan(ranks[3])


def test_the_top_quarter_of_the_rows_is_rounded_up():
    values = np.arange(11.0)
    assert first_rows(values) == np.arange(3, 11).mean() - np.arange(3).mean()
