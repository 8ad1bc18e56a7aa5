"""What the article says of images re-created from the outputs of blocks."""

from dataclasses import replace
from functools import partial

import numpy as np

from lmrep.metrics.candidates import COUNT
from lmrep.metrics.claims.claim import (
    SSIM,
    Parts,
    claim,
    difference,
    is_language,
    is_masked,
    is_not_masked,
    is_vision,
    map_sample,
    over_blocks,
)  # fmt: skip
from lmrep.metrics.claims.samples import BY_CORRELATION, Sample, View, matched
from lmrep.metrics.claims.statistics import Array
from lmrep.metrics.claims.verdicts import Measured, Rule, Scale, measure
from lmrep.study.kinds import ARTICLE

PLACE, END = "Image Reconstruction", "Conclusion"
FIRST = 1.5  # the mean rank of candidates that are first, or nearly so
SIMILARITY, DIFFERENCE = Scale("SSIM", -1.0, 1.0), Scale("SSIM")  # of two images; of two SSIM
RANK = Scale("rank", 1, COUNT)  # among candidates
RANKS = (1.25, 3)  # other thresholds than FIRST: half of it would be below 1, the lowest rank
WIDENING = 12  # from the studies' starts, enough in 96 to 100% of cases: benchmarks/unfinished.md
HALVES = (0.4, 0.75)  # other thresholds than 0.5: a quarter is not most, and twice it is all
# The error of noise is of high frequency too.
ABOVE_FLOORS = Rule("SSIM minus the higher floor", "above", SSIM, "early", DIFFERENCE, gate=True)


def unfinished(view: View, weights: str = "trained") -> Sample | None:
    """By how much SSIM may yet rise [photograph, seed, block]: WIDENING times its rise in the last quarter of passes.

    It ends at 1. A search that ended further from the target's output than the shifted photograph says nothing: SSIM
    may be anything up to 1. The article reads its own descent as it is, so 0 there. Another likeness is read in the
    same way.
    """
    found, earlier = view.likenesses(weights), view.likenesses(weights, earlier=True)
    ratio = view.accuracy("output_distance_ratio", weights)
    if found is None or earlier is None or ratio is None:
        return None
    rise = np.clip(WIDENING * (found.values - earlier.values), 0, 1 - found.values)
    return replace(found, values=np.where(ratio.values < 1, rise, 1 - found.values) * (view.search != ARTICLE))


@claim(
    "Early layers of the language model hold the image less well than those of the vision transformer.", PLACE,
    ("accuracy", "inversion"),
    Rule("SSIM of the vision transformer minus the model's", "above", SSIM, "early", DIFFERENCE),
    asked_of=is_language, against=is_vision, panels="images", likenesses=(BY_CORRELATION,), one_size=True,
)  # fmt: skip
def early_holds_less_than_vision(view: View, other: View | None) -> Parts:
    """SSIM with the photograph, mean over the first quarter of the blocks: that of the widest vision transformer with
    such runs minus the model's. Only images of the same size are compared. The two stems may differ in width, as in the
    article."""

    def early(one: View) -> Sample | None:
        return over_blocks(one.likenesses(), one.depth, early=True)

    def rise(one: View) -> Sample | None:
        return over_blocks(unfinished(one), one.depth, early=True)

    gap = difference(early(other) if other else None, early(view))
    return [measure(gap, cut_to(rise(view), gap), cut_to(rise(other) if other else None, gap))]


def above_floors(view: View) -> Measured | None:
    """SSIM minus the better one of flat grey's and the start noise's."""
    grey, start = view.accuracy("ssim_grey"), view.accuracy("ssim_start")
    floor = replace(grey, values=np.maximum(grey.values, start.values)) if grey and start else None
    return measure(difference(view.accuracy("ssim"), floor))


def rank(values: Array, sign: int) -> Array:
    """The rank of candidate 0 among all, from 1, by values [..., candidate]; of equal ones it comes last.

    `sign`: 1 if the lowest value comes first, -1 if the highest does.
    """
    ranks: Array = (sign * values <= sign * values[..., :1]).sum(axis=-1).astype(float)
    return np.where(np.isfinite(values).all(axis=-1), ranks, np.nan)


@claim(
    "Early layers of the language model still give recognisable images.", PLACE, ("inversion", "reconstructions"),
    Rule("the rank by SSIM with the start noise", "above", FIRST, "early", RANK, gate=True, others=RANKS),
    Rule("the rank by SSIM", "at most", FIRST, "every_early", RANK, others=RANKS),
    Rule("the rank by output distance", "at most", FIRST, "every_early", RANK, others=RANKS),
    asked_of=is_language, panels="images", likenesses=(BY_CORRELATION,),
)  # fmt: skip
def early_is_recognisable(view: View) -> Parts:
    """The rank of the right photograph among 20 candidates, 1 is best: by SSIM with the re-created image, and by the L1
    distance between their outputs at that block (L-BFGS of both kinds minimises a squared one). Tested only where the
    start noise would not be taken for the right photograph: some picture is always nearest to noise."""
    columns = ("ssim_start", -1), (view.likeness.column, -1), ("output_distance", 1)
    return [map_sample(view.candidates(name), partial(rank, sign=sign)) for name, sign in columns]


@claim(
    "A language model keeps most of the input across a whole block.", END, ("accuracy", "inversion"),
    Rule("the share of the possible SSIM above grey", "above", 0.5, "first", Scale("share", most=1.0), others=HALVES),
    asked_of=is_language, panels="images", likenesses=(BY_CORRELATION,),
)  # fmt: skip
def one_block_keeps_most(view: View) -> Parts:
    """(SSIM - floor) / (1 - floor), with the SSIM of the best flat grey as the floor: 1 for the photograph itself."""
    found, grey, rise = view.likenesses(), view.grey_likenesses(), unfinished(view)
    if found is None or grey is None or rise is None:
        return [None]
    room = 1 - grey.values
    kept = replace(found, values=(found.values - grey.values) / room)
    return [measure(kept, rises=replace(rise, values=rise.values / room))]


def first_rows(values: Array) -> Array:
    """SSIM of the other rows minus that of the first quarter of the rows (rounded up), of SSIM [..., row]."""
    top = -(-values.shape[-1] // 4)
    found: Array = values[..., top:].mean(axis=-1) - values[..., :top].mean(axis=-1)
    return found


@claim(
    "The first tokens, the top rows, are re-created worst.", PLACE, ("inversion", "reconstructions"),
    Rule("SSIM of the other rows minus that of the top rows", "above", SSIM, "mean", DIFFERENCE),
    Rule("the same minus that of a model without a mask", "above", SSIM, "mean", DIFFERENCE),
    asked_of=is_masked, against=is_not_masked, panels="images",
)  # fmt: skip
def first_rows_are_worst(view: View, other: View | None) -> Parts:
    """SSIM of the other rows of patches minus that of the top quarter of the rows; and this difference minus that of
    another model, which has no mask, since the top of some photographs is harder to re-create. Means over blocks."""

    def gap(one: View) -> Sample | None:
        rows = one.rows()
        return over_blocks(rows and rows.map(first_rows), one.depth)

    return [map_sample(view.rows(), first_rows), measure(difference(gap(view), gap(other) if other else None))]


@claim(
    "The errors of re-created images are of high frequency.", PLACE, ("inversion", "reconstructions"),
    ABOVE_FLOORS,
    Rule(
        "the share of the error's power at high frequencies", "above", 0.5, "early", Scale("share", 0.0, 1.0),
        others=HALVES,
    ),
    asked_of=is_language,
    panels="images",
    unfit=("preconditioned_lbfgs",),
)  # fmt: skip
def errors_are_of_high_frequency(view: View) -> Parts:
    """The share of the error's power above half the Nyquist frequency; white noise has .80. Tested only where SSIM is
    above that of flat grey and that of the start noise, and not on preconditioned searches: they fit low frequencies
    first, whatever the model."""
    return [above_floors(view), measure(view.accuracy("high_frequency_error"))]


@claim(
    "The deeper the layer, the less of the image it holds (a question of the article).", PLACE,
    ("accuracy", "inversion"),
    Rule("SSIM changes", "at most", -SSIM, "change", SIMILARITY),
    panels="images", likenesses=(BY_CORRELATION,),
)  # fmt: skip
def deeper_holds_less(view: View) -> Parts:
    """SSIM of the re-created image with the photograph: last block minus first."""
    return [measure(view.likenesses(), rises=unfinished(view))]


@claim(
    "The deeper the layer of an untrained model, the less of the image it holds (of vision models in the article).",
    "Introduction", ("accuracy",),
    Rule("SSIM of untrained blocks changes", "at most", -SSIM, "change", SIMILARITY),
    panels="images", weights="untrained", likenesses=(BY_CORRELATION,),
)  # fmt: skip
def untrained_deeper_holds_less(view: View) -> Parts:
    """SSIM between the photograph and the image re-created from untrained blocks: last block minus first."""
    return [measure(view.likenesses("untrained"), rises=unfinished(view, "untrained"))]


@claim(
    "Trained layers hold less of the image than untrained ones (our question).",
    "Introduction", ("accuracy",),
    Rule("SSIM of untrained blocks minus that of trained ones", "above", SSIM, "mean", DIFFERENCE),
    panels="images", reads=("trained", "untrained"), likenesses=(BY_CORRELATION,),
)  # fmt: skip
def trained_holds_less(view: View) -> Parts:
    """SSIM of the image re-created from untrained blocks minus that from the trained ones, block by block."""
    gap = difference(view.likenesses("untrained"), view.likenesses())
    return [measure(gap, *(cut_to(unfinished(view, weights), gap) for weights in ("trained", "untrained")))]


def cut_to(sample: Sample | None, like: Sample | None) -> Sample | None:
    """A sample cut to the panels, seeds and blocks of another."""
    pair = matched(sample, like) if sample and like else None
    return pair and pair[0]
