"""What the article says of maximised patches."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lmrep.metrics.claims.claim import (
    SHARE,
    SHARES,
    Parts,
    claim,
    difference,
    is_causal_language,
    is_language,
    is_masked,
    is_not_masked,
    is_vision,
    of_no_model,
    over_blocks,
)
from lmrep.metrics.claims.samples import Sample, View
from lmrep.metrics.claims.statistics import Array, effective_share, ratio
from lmrep.metrics.claims.verdicts import Measured, Rule, Scale, measure

PLACE, END = "Spatial Learning, one patch", "Conclusion"
DIFFERENCE = Scale("share", -1.0, 1.0)  # of two shares


def patch_parts(view: View, statistic: Callable[[Array, int], Array]) -> Sample | None:
    """A statistic of the changes [..., patch] and the maximised patch, for each image of a patch run."""
    sample = view.changes("patches")
    if sample is None or view.jittered:  # a patch of a jittered image has no one place
        return None
    values = [statistic(changes, int(panel)) for changes, panel in zip(sample.values, sample.panels, strict=True)]
    return replace(sample, values=np.stack(values))


def share(changes: Array, first: int, end: int | None) -> Array:
    """The share [...] of the change in patches `first` to `end`, of changes [..., patch]; in [0, 1].

    NaN without any change, and where there are no such patches.
    """
    part = changes[..., first:end]
    return ratio(part.sum(axis=-1), changes.sum(axis=-1) * bool(part.shape[-1]))


def own_share(changes: Array, patch: int) -> Array:
    return share(changes, patch, patch + 1)


def before_share(changes: Array, patch: int) -> Array:
    return share(changes, 0, patch)


def after_share(changes: Array, patch: int) -> Array:
    return share(changes, patch + 1, None)


def largest_after(changes: Array, patch: int) -> Array:
    """The largest [...] of the changes [..., patch] after a patch; NaN after the last one."""
    later = changes[..., patch + 1 :]
    return later.max(axis=-1) if later.shape[-1] else np.full(changes.shape[:-1], np.nan)


STANDS_OUT = Rule(
    "the patch's own share as a multiple of an equal share", "above", 2, "mean", Scale("times", 0.0),
    gate=True, others=(1.5, 4),  # at 1 it is like any other
)  # fmt: skip


def stands_out(view: View) -> Measured | None:
    """The patch's own share of the change, times the number of patches: 1 if the patch is like any other."""
    return measure(patch_parts(view, lambda changes, patch: own_share(changes, patch) * changes.shape[-1]))


@claim(
    "The image of one patch never changes after that patch: tokens see only earlier ones.", PLACE,
    ("changes", "features"), STANDS_OUT,
    Rule("the largest change after the patch", "at most", 0, "every", Scale("pixel value", 0.0)),
    asked_of=is_masked, panels="patches", power=2,
)  # fmt: skip
def patch_reaches_back_only(view: View) -> Parts:
    """The largest change of any patch after the maximised one, as the root mean square of its pixel values. It is 0 by
    construction, and no evidence: no gradient passes a mask, so our runs leave later tokens out."""
    return [stands_out(view), measure(patch_parts(replace(view, power=1), largest_after))]


@claim(
    "Without a mask, the image of one patch changes on both sides of it (our control).", PLACE,
    ("changes", "features"), STANDS_OUT, Rule("the share before the patch", "above", SHARE, "mean", SHARES),
    Rule("the share after the patch", "above", SHARE, "mean", SHARES), asked_of=is_not_masked, about=of_no_model,
    panels="patches", power=2, powers=(1,),
)  # fmt: skip
def patch_reaches_both_sides(view: View) -> Parts:
    """The shares of the squared change that lie before and after the maximised patch."""
    return [stands_out(view), measure(patch_parts(view, before_share)), measure(patch_parts(view, after_share))]


@claim(
    "All layers focus not only on the patch itself but also on earlier ones.", PLACE,
    ("changes", "features"), STANDS_OUT,
    Rule("the share before the patch", "above", SHARE, "every", SHARES), asked_of=is_masked,
    panels="patches", power=2, powers=(1,),
)  # fmt: skip
def patch_looks_back(view: View) -> Parts:
    """The share of the squared change before the maximised patch. The first patch has none and is left out."""
    return [stands_out(view), measure(patch_parts(view, before_share))]


@claim(
    "The deeper the layer, the less the patch itself counts (our question).", PLACE, ("changes", "features"),
    Rule("the patch's own share changes", "at most", -SHARE, "change", SHARES),
    panels="patches", about=is_causal_language, power=2, powers=(1,),
)  # fmt: skip
def own_share_falls(view: View) -> Parts:
    """The share of the squared change that lies in the maximised patch: last block minus first."""
    return [measure(patch_parts(view, own_share))]


@claim(
    "For one patch, deeper layers look more broadly.", PLACE, ("changes", "features"),
    Rule("the effective share of patches changes", "above", SHARE, "change", SHARES),
    panels="patches", about=is_causal_language, powers=(2,),
)  # fmt: skip
def deeper_patch_is_broader(view: View) -> Parts:
    """The effective number of patches that change (the exponential of the entropy of the change), as a share of all,
    when all neurons of one patch are maximised: last block minus first."""
    return [measure(patch_parts(view, lambda changes, _: effective_share(changes)))]


@claim(
    "A patch of a language model focuses on other patches more than one of a vision transformer does.",
    END, ("changes", "features"),
    Rule("the own share minus the vision transformer's", "at most", -SHARE, "mean", DIFFERENCE),
    asked_of=is_language, against=is_vision, panels="patches", power=2, powers=(1,),
)  # fmt: skip
def language_is_less_self_attentive(view: View, other: View | None) -> Parts:
    """The share of the squared change that lies in the maximised patch, mean over blocks: the model's minus that of the
    widest vision transformer that has such runs."""

    def mean_share(one: View) -> Sample | None:
        return over_blocks(patch_parts(one, own_share), one.depth)

    return [measure(difference(mean_share(view), mean_share(other) if other else None))]
