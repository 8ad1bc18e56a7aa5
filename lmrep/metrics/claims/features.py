"""What the article says of maximised neurons and patches."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import log

import numpy as np

from lmrep.metrics.claims.claim import (
    SHARE,
    Parts,
    claim,
    difference,
    is_causal_language,
    is_language,
    is_masked,
    is_not_masked,
    is_vision,
    map_sample,
    of_no_model,
    over_blocks,
    same_probe,
)  # fmt: skip
from lmrep.metrics.claims.samples import Sample, View
from lmrep.metrics.claims.statistics import (
    CUTOFFS,
    Array,
    centre_of_mass,
    curvature,
    effective_share,
    rank_correlation,
    ratio,
    share_unchanged,
    top_to_bottom,
)  # fmt: skip
from lmrep.metrics.claims.verdicts import Measured, Rule, Scale, measure, measure_means

NEURON, PATCH, END = "Spatial Learning, one neuron", "Spatial Learning, one patch", "Conclusion"
ORDER = log(1.05)  # of the top row's change over the bottom row's
SHARES, DIFFERENCE = Scale("share", 0.0, 1.0), Scale("share", -1.0, 1.0)  # of patches or of the change; of two shares
RATIO = Scale("ln ratio")


@claim(
    "Patterns form from the first patches to the last.", NEURON,
    ("importance", "features"), Rule("the rank correlation", "at most", -0.2, "every", Scale("corr.", -1.0, 1.0)),
    panels="neurons", about=is_causal_language,
)  # fmt: skip
def patterns_begin_first(view: View) -> Parts:
    """Spearman's rank correlation of a patch's change with its number, when one neuron of all patches is maximised."""
    return [map_sample(view.changes("neurons"), rank_correlation)]


@claim(
    "Much of the input stays unchanged in early layers.", NEURON, ("features", "importance"),
    Rule("the share of unchanged patches", "above", 0.25, "early", SHARES),
    panels="neurons", about=is_causal_language, cutoffs=CUTOFFS,
)  # fmt: skip
def much_is_unchanged(view: View) -> Parts:
    """The share of patches that change by less than a tenth of the image's largest change, one neuron maximised."""
    return [map_sample(view.changes("neurons"), partial(share_unchanged, cutoff=view.cutoff))]


@claim(
    "More of the input stays unchanged in early layers than in deep ones.", NEURON, ("features", "importance"),
    Rule("the share of unchanged patches changes", "at most", -SHARE, "change", SHARES),
    panels="neurons", about=is_causal_language, cutoffs=CUTOFFS,
)  # fmt: skip
def unchanged_early(view: View) -> Parts:
    """The share of patches that change by less than a tenth of the image's largest change: last block minus first."""
    return [map_sample(view.changes("neurons"), partial(share_unchanged, cutoff=view.cutoff))]


@claim(
    "The weight of a token falls with its index, but not along a straight line.", NEURON, ("importance",),
    Rule("the AIC of a straight line minus that of a curved fall", "above", 10, "every", Scale("AIC")),
    panels="neurons", about=is_causal_language,
)  # fmt: skip
def falls_not_along_a_line(view: View) -> Parts:
    """How much better an exponential or a power law fits the mean change by patch than a straight line: the AIC of the
    line minus the lower AIC of the two. Above 10 is by convention no support for the line (Burnham and Anderson 2002),
    but AIC takes patches for independent, and neighbours are alike: read it as an order of curves. The article's f' is
    one of these lines: n times for the first of n patches, once for the last."""
    return [measure_means(view.changes("neurons"), curvature)]


@claim(
    "Early layers focus on the first tokens, deeper layers more broadly.", NEURON, ("importance", "features"),
    Rule("the effective share of patches changes", "above", SHARE, "change", SHARES),
    panels="neurons", about=is_causal_language,
)  # fmt: skip
def deeper_is_broader(view: View) -> Parts:
    """The effective number of patches that change (the exponential of the entropy of the change), as a share of all,
    when one neuron of all patches is maximised: last block minus first."""
    return [map_sample(view.changes("neurons"), effective_share)]


@claim(
    "Without blur and jitter, the start of the input matters even more.", NEURON, ("features", "importance"),
    Rule("the centre of mass with jitter minus that without", "above", SHARE, "mean", Scale("position", -1.0, 1.0)),
    panels="neurons", about=is_causal_language, jitters=True,
)  # fmt: skip
def start_matters_more_plain(view: View) -> Parts:
    """Where the change lies on average in the order of patches, 0 for the first and 1 for the last, when one neuron is
    maximised: with blur and jitter minus without."""
    ways = [replace(view, jittered=jittered).changes("neurons") for jittered in (True, False)]
    return [measure(difference(*(sample and sample.map(centre_of_mass) for sample in ways)))]


def patch_parts(view: View, statistic: Callable[[Array, int], Array]) -> Sample | None:
    """A statistic of the changes [..., patch] and the maximised patch, for each image of a patch run."""
    sample = view.changes("patches")
    if sample is None or view.jittered:  # a patch of a jittered image has no one place
        return None
    values = [statistic(changes, int(panel)) for changes, panel in zip(sample.values, sample.panels, strict=True)]
    return replace(sample, values=np.stack(values))


def squared_share(changes: Array, first: int, end: int | None) -> Array:
    """The share [...] of the squared change in patches `first` to `end`, of changes [..., patch]; in [0, 1].

    NaN without any change, and where there are no such patches.
    """
    part = changes[..., first:end]
    return ratio((part**2).sum(axis=-1), (changes**2).sum(axis=-1) * bool(part.shape[-1]))


def own_share(changes: Array, patch: int) -> Array:
    return squared_share(changes, patch, patch + 1)


def before_share(changes: Array, patch: int) -> Array:
    return squared_share(changes, 0, patch)


def after_share(changes: Array, patch: int) -> Array:
    return squared_share(changes, patch + 1, None)


def largest_after(changes: Array, patch: int) -> Array:
    """The largest [...] of the changes [..., patch] after a patch; NaN after the last one."""
    later = changes[..., patch + 1 :]
    return later.max(axis=-1) if later.shape[-1] else np.full(changes.shape[:-1], np.nan)


STANDS_OUT = Rule(
    "the patch's own share over that of an average patch",
    "above",
    2,
    "mean",
    Scale("times", 0.0),
    gate=True,
    others=(1.5, 4),
)


def stands_out(view: View) -> Measured | None:
    """The patch's own share of the squared change, times the number of patches: 1 if the patch is like any other."""
    return measure(patch_parts(view, lambda changes, patch: own_share(changes, patch) * changes.shape[-1]))


@claim(
    "The image of one patch never changes after that patch: tokens see only earlier ones.", PATCH,
    ("changes", "features"), STANDS_OUT,
    Rule("the largest change after the patch", "at most", 0, "every", Scale("pixel value", 0.0)),
    asked_of=is_masked, panels="patches",
)  # fmt: skip
def patch_reaches_back_only(view: View) -> Parts:
    """The largest change of any patch after the maximised one, as the root mean square of its pixel values."""
    return [stands_out(view), measure(patch_parts(view, largest_after))]


@claim(
    "Without a mask, the image of one patch changes on both sides of it (our control).", PATCH,
    ("changes", "features"), STANDS_OUT, Rule("the share before the patch", "above", SHARE, "mean", SHARES),
    Rule("the share after the patch", "above", SHARE, "mean", SHARES), asked_of=is_not_masked, about=of_no_model,
    panels="patches",
)  # fmt: skip
def patch_reaches_both_sides(view: View) -> Parts:
    """The shares of the squared change that lie before and after the maximised patch."""
    return [stands_out(view), measure(patch_parts(view, before_share)), measure(patch_parts(view, after_share))]


@claim(
    "All layers focus not only on the patch itself but also on earlier ones.", PATCH,
    ("changes", "features"), STANDS_OUT,
    Rule("the share before the patch", "above", SHARE, "every", SHARES), asked_of=is_masked,
    panels="patches",
)  # fmt: skip
def patch_looks_back(view: View) -> Parts:
    """The share of the squared change before the maximised patch. Patch 0 has none before it and is left out."""
    return [stands_out(view), measure(patch_parts(view, before_share))]


@claim(
    "The deeper the layer, the less the patch itself counts.", PATCH, ("changes", "features"),
    Rule("the patch's own share changes", "at most", -SHARE, "change", SHARES),
    panels="patches", about=is_causal_language,
)  # fmt: skip
def own_share_falls(view: View) -> Parts:
    """The share of the squared change that lies in the maximised patch: last block minus first."""
    return [measure(patch_parts(view, own_share))]


@claim(
    "Deeper layers of a patch look more broadly.", PATCH, ("changes", "features"),
    Rule("the effective share of patches changes", "above", SHARE, "change", SHARES),
    panels="patches", about=is_causal_language,
)  # fmt: skip
def deeper_patch_is_broader(view: View) -> Parts:
    """The effective number of patches that change (the exponential of the entropy of the change), as a share of all,
    when all neurons of one patch are maximised: last block minus first."""
    return [measure(patch_parts(view, lambda changes, _: effective_share(changes)))]


@claim(
    "Patches of a language model focus on more than themselves, more than those of a vision transformer.",
    END, ("changes", "features"),
    Rule("the own share minus the vision transformer's", "at most", -SHARE, "mean", DIFFERENCE),
    asked_of=is_language, against=is_vision, panels="patches",
)  # fmt: skip
def language_is_less_self_attentive(view: View, other: View | None) -> Parts:
    """The share of the squared change that lies in the maximised patch, mean over blocks: the model's minus that of the
    widest vision transformer that has such runs."""

    def mean_share(one: View) -> Sample | None:
        return over_blocks(patch_parts(one, own_share), one.depth)

    return [measure(difference(mean_share(view), mean_share(other) if other else None))]


@claim(
    "The first tokens change more than the last because each token attends only to itself and earlier ones.", NEURON,
    ("causality",), Rule("ln(top row / bottom row) with the mask", "above", ORDER, "every", RATIO, gate=True),
    Rule("ln(top row / bottom row) without the mask", "at most", ORDER, "every", RATIO),
    Rule("ln(top row / bottom row) of untrained blocks with the mask", "above", ORDER, "every", RATIO),
    Rule("ln(top row / bottom row) of a model without a mask", "at most", ORDER, "every", RATIO),
    asked_of=is_masked, against=is_not_masked, panels="neurons", reads=("trained", "untrained"),
)  # fmt: skip
def order_is_the_masks(view: View, other: View | None) -> Parts:
    """The natural logarithm of the change of the top row of patches over that of the bottom row, one neuron maximised:
    of the model, of its weights without the mask, of untrained blocks with the mask, and of another model without one.
    At 0.0488, which is ln 1.05, the top row changes 5% more."""
    wanted = replace(view.probe, causal="never")
    bare = next((probe for probe in view.study.probes.values() if same_probe(probe, wanted)), None)
    samples = [
        view.changes("neurons"),
        replace(view, probe=bare).changes("neurons") if bare else None,
        view.changes("neurons", "untrained"),
        other.changes("neurons") if other else None,
    ]
    return [map_sample(sample, top_to_bottom) for sample in samples]
