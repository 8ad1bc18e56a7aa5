"""The ways to ask a model for a claim: what may differ from the main way, and what two ways have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lmrep.metrics.claims.claim import Claim, same_probe
from lmrep.metrics.claims.samples import SEARCHES, View
from lmrep.study.config import Study
from lmrep.study.kinds import ARTICLE
from lmrep.study.spec import Probe
from lmrep.study.words import search_text

POWERS = {1: "change", 2: "squared change"}  # of patches


def searches(study: Study, probe: Probe, weights: str = "trained", unfit: Sequence[str] = ()) -> list[str]:
    """The optimisers that inverted a probe's blocks, the best one first, without those in `unfit`."""
    runs = [run for run in study.runs.values() if run.matches and (run.probe, run.weights) == (probe, weights)]
    used = {run.descent.optimiser for run in runs if any(run.layers)}  # a run of the stem alone says nothing of blocks
    return [name for name in SEARCHES if name in used and name not in unfit]


def ways(view: View, claim: Claim) -> Iterator[tuple[str, str, View]]:
    """Every other way to ask a model: what differs (a key of OTHERWISE), its name, and the view.

    Photographs have several searches; neurons are maximised with jitter too.
    """
    study, probe, panels = view.study, view.probe, claim.panels
    for search in searches(study, probe, claim.weights, claim.unfit) if panels == "images" else []:
        if search != view.search:
            by = replace(view, search=search)
            differs = "" if search == ARTICLE else view.differences(by, panels, claim.weights)
            yield "descent", " with ".join(filter(None, (search_text(search), differs))), by
    if panels == "neurons" and not claim.jitters:
        yield "descent", "with blur and jitter", replace(view, jittered=True)
    if not claim.jitters:  # it would compare descents of other lengths
        yield from (("descent", name, other) for name, other in view.other_descents(panels, claim.weights))
    for other in study.probes.values():
        same = (other.stack, other.masked) == (probe.stack, probe.masked)
        if same and not same_probe(other, probe):
            what = "regime" if _bare(other) == _bare(probe) else "stem"
            yield what, other.label, replace(view, probe=other)
    for cutoff in claim.cutoffs:
        yield "cutoff", str(cutoff), replace(view, cutoff=cutoff)
    for power in claim.powers:
        yield "measure", POWERS[power], replace(view, power=power)
    for likeness in claim.likenesses:
        yield "measure", likeness.name, replace(view, likeness=likeness)
    images, seeds = view.asked_images(panels, claim.weights)
    for seed in sorted(seeds):
        yield "seed", f"seed {seed}", replace(view, seeds=(seed,))
    for image in sorted(images) if panels == "images" else []:
        yield "image", image, replace(view, panels=(image,))


def _bare(probe: Probe) -> tuple[Any, ...]:
    """The parts of a stem that do not belong to its regime."""
    stem = probe.stem
    return stem.kind, stem.weights, stem.options, stem.size, stem.patch


def in_common(claim: Claim, view: View, other: View) -> tuple[View, View] | None:
    """Two ways to ask a model, cut to the blocks, panels and seeds that both have: these alone could make them differ.

    None if they have none in common.
    """
    blocks = common_blocks(claim, view, other)
    images = [way.asked_images(claim.panels, weights) for way in (view, other) for weights in claim.measured]
    panels, seeds = (tuple(sorted(set.intersection(*sets))) for sets in zip(*images, strict=True))
    if not (blocks and panels and seeds):
        return None
    one, two = (replace(way, blocks=blocks, panels=panels, seeds=seeds) for way in (view, other))
    first, second = claim.other(view), claim.other(other)
    if first and second:
        one, two = (replace(way, against_blocks=common_blocks(claim, first, second)) for way in (one, two))
    return one, two


def common_blocks(claim: Claim, view: View, other: View) -> tuple[int, ...]:
    """The blocks that two ways to ask a model both have."""
    asked = [way.asked_blocks(claim.panels, weights) for way in (view, other) for weights in claim.measured]
    return tuple(sorted(set.intersection(*asked)))
