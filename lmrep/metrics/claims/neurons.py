"""What the article says of maximised neurons."""

from dataclasses import replace
from functools import partial
from math import log

from lmrep.metrics.claims.claim import (
    SHARE,
    SHARES,
    Parts,
    claim,
    difference,
    is_causal_language,
    is_masked,
    is_not_masked,
    map_sample,
    same_probe,
)  # fmt: skip
from lmrep.metrics.claims.samples import View
from lmrep.metrics.claims.statistics import (
    CUTOFFS,
    centre_of_mass,
    curvature,
    effective_share,
    rank_correlation,
    ratio,
    share_unchanged,
    top_to_bottom,
)  # fmt: skip
from lmrep.metrics.claims.verdicts import Rule, Scale, measure, measure_means

PLACE = "Spatial Learning, one neuron"
ORDER = log(1.05)  # of the top row's change over the bottom row's
FALLS = -0.2  # a rank correlation of the change with the number of the patch
CORRELATION, RATIO = Scale("corr.", -1.0, 1.0), Scale("ln ratio")


@claim(
    "Patterns form from the first patches to the last.", PLACE,
    ("importance", "features"), Rule("the rank correlation", "at most", FALLS, "every", CORRELATION),
    panels="neurons", about=is_causal_language,
)  # fmt: skip
def patterns_begin_first(view: View) -> Parts:
    """Spearman's rank correlation of a patch's change with its number, when one neuron of all patches is maximised."""
    return [map_sample(view.changes("neurons"), rank_correlation)]


@claim(
    "Much of the input stays unchanged in early layers.", PLACE, ("features", "importance"),
    Rule("the share of unchanged patches", "above", 0.25, "early", SHARES),
    panels="neurons", about=is_causal_language, cutoffs=CUTOFFS,
)  # fmt: skip
def much_is_unchanged(view: View) -> Parts:
    """The share of patches that change by less than a tenth of the image's largest change, one neuron maximised."""
    return [map_sample(view.changes("neurons"), partial(share_unchanged, cutoff=view.cutoff))]


@claim(
    "More of the input stays unchanged in early layers than in deep ones.", PLACE, ("features", "importance"),
    Rule("the share of unchanged patches changes", "at most", -SHARE, "change", SHARES),
    panels="neurons", about=is_causal_language, cutoffs=CUTOFFS,
)  # fmt: skip
def unchanged_early(view: View) -> Parts:
    """The share of patches that change by less than a tenth of the image's largest change: last block minus first."""
    return [map_sample(view.changes("neurons"), partial(share_unchanged, cutoff=view.cutoff))]


@claim(
    "The weight of a token falls with its index, but not along a straight line.", PLACE, ("importance",),
    Rule("the AIC of a straight line minus that of a curved fall", "above", 10, "every", Scale("AIC")),
    Rule("the rank correlation of the mean change", "at most", FALLS, "every", CORRELATION),
    panels="neurons", about=is_causal_language,
)  # fmt: skip
def falls_not_along_a_line(view: View) -> Parts:
    """How much better an exponential or a power law fits the mean change by patch than a straight line: the AIC of the
    line minus the lower AIC of the two. By convention, a difference above 10 means no support for the line (Burnham
    and Anderson 2002). But AIC treats patches as independent, and neighbours are alike: use it only to rank the curves.
    The article's f' is a straight line: it counts the first of n patches n times and the last one once. The mean is
    over images, each divided by its own mean. Its Spearman's rank correlation with the number of the patch says whether
    it falls at all."""
    sample = view.changes("neurons")
    weights = sample and sample.map(lambda changes: ratio(changes, changes.mean(axis=-1, keepdims=True)))
    return [measure_means(weights, statistic) for statistic in (curvature, rank_correlation)]


@claim(
    "Early layers focus on the first tokens, deeper layers more broadly.", PLACE, ("importance", "features"),
    Rule("the effective share of patches changes", "above", SHARE, "change", SHARES),
    panels="neurons", about=is_causal_language, powers=(2,),
)  # fmt: skip
def deeper_is_broader(view: View) -> Parts:
    """The effective number of patches that change (the exponential of the entropy of the change), as a share of all,
    when one neuron of all patches is maximised: last block minus first."""
    return [map_sample(view.changes("neurons"), effective_share)]


@claim(
    "Without blur and jitter, the start of the input matters even more.", PLACE, ("features", "importance"),
    Rule("the centre of mass with jitter minus that without", "above", SHARE, "mean", Scale("position", -1.0, 1.0)),
    panels="neurons", about=is_causal_language, jitters=True, powers=(2,),
)  # fmt: skip
def start_matters_more_plain(view: View) -> Parts:
    """The average place of the change in the order of patches (0 is the first, 1 the last), when one neuron is
    maximised: the place with blur and jitter minus the place without."""
    ways = [replace(view, jittered=jittered).changes("neurons") for jittered in (True, False)]
    return [measure(difference(*(sample and sample.map(centre_of_mass) for sample in ways)))]


@claim(
    "The first tokens change more than the last because each token attends only to itself and earlier ones.", PLACE,
    ("causality",), Rule("ln(top row / bottom row) with the mask", "above", ORDER, "every", RATIO, gate=True),
    Rule("ln(top row / bottom row) without the mask", "at most", ORDER, "every", RATIO),
    Rule("ln(top row / bottom row) of untrained blocks with the mask", "above", ORDER, "every", RATIO),
    Rule("ln(top row / bottom row) of a model without a mask", "at most", ORDER, "every", RATIO),
    asked_of=is_masked, against=is_not_masked, panels="neurons", reads=("trained", "untrained"),
)  # fmt: skip
def order_is_the_masks(view: View, other: View | None) -> Parts:
    """The natural logarithm of the top row's change divided by the bottom row's, when one neuron is maximised. Measured
    for the model, for its weights without the mask, for untrained blocks with the mask, and for another model that has
    no mask. At 0.0488, which is ln 1.05, the top row changes 5% more."""
    wanted = replace(view.probe, causal="never")
    bare = next((probe for probe in view.study.probes.values() if same_probe(probe, wanted)), None)
    samples = [
        view.changes("neurons"),
        replace(view, probe=bare).changes("neurons") if bare else None,
        view.changes("neurons", "untrained"),
        other.changes("neurons") if other else None,
    ]
    return [map_sample(sample, top_to_bottom) for sample in samples]
