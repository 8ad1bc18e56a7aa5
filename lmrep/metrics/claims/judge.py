"""Every claim, asked of every model of a study: numbers, intervals, verdicts, and what the verdicts depend on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from lmrep.metrics.claims import features, inversion
from lmrep.metrics.claims.claim import CLAIMS, Claim, main_probes
from lmrep.metrics.claims.samples import ARTICLE, SEARCHES, Cells, View
from lmrep.metrics.claims.statistics import FEWEST
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, Measured, Rule, decide
from lmrep.study.config import Study
from lmrep.study.kinds import OBJECTIVES
from lmrep.study.spec import Probe, identity

__all__ = ["features", "inversion", "judge"]  # the first two enter their claims

Entry = dict[str, Any]  # of claims.json
TOO_FEW = "too few images"  # in place of the verdict of another way to ask


def searches(study: Study, probe: Probe) -> list[str]:
    """The optimisers of the inversions of a probe, the best one first."""
    used = {run.descent.optimiser for run in study.runs.values() if run.matches and run.probe == probe}
    return [name for name in SEARCHES if name in used]


def ways(view: View, panels: str) -> Iterator[tuple[str, str, View]]:
    """Every other way to ask a model: what differs (descent, regime, stem, seed or image), its name, and the view.

    `panels`: of the runs that it is about. Photographs have several searches; neurons are maximised with jitter too.
    """
    study, probe = view.study, view.probe
    for search in searches(study, probe) if panels == "images" else []:
        if search != view.search:
            yield "descent", "the article's descent" if search == ARTICLE else search, replace(view, search=search)
    if panels == "neurons":
        yield "descent", "with blur and jitter", replace(view, jittered=True)
    for other in study.probes.values():
        same = (other.stack, other.masked) == (probe.stack, probe.masked)
        if same and identity(other) != identity(probe):
            what = "regime" if _bare(other) == _bare(probe) else "stem"
            yield what, other.label, replace(view, probe=other)
    runs = [run for run in study.runs.values() if run.probe == probe]
    for seed in sorted({seed for run in runs for seed in run.start_seeds}):
        yield "seed", f"seed {seed}", replace(view, seeds=(seed,))
    for image in sorted({str(panel) for run in runs if run.matches for panel in run.panels if panels == "images"}):
        yield "image", image, replace(view, panels=(image,))


def _bare(probe: Probe) -> tuple[Any, ...]:
    """What of a stem is no matter of its regime."""
    stem = probe.stem
    return stem.kind, stem.weights, stem.options, stem.size, stem.patch


def dependence(claim: Claim, view: View, verdict: str) -> tuple[list[str], Entry]:
    """What a verdict depends on, and the other verdicts by what differs and its name.

    It depends on the descent, the regime or the stem if another one gives another verdict. It depends on the seed or
    the image if one of them alone gives the opposite verdict: alone they leave more open.
    """
    found: Entry = {}
    depends = []
    for what, name, other in ways(view, claim.panels):
        measured = claim.measure(other)
        if any(part is None for part in measured):
            continue
        if too_few(measured):
            found.setdefault(what, {})[name] = TOO_FEW
            continue
        own = decide(claim.rules, list(measured), view.depth)
        found.setdefault(what, {})[name] = own
        opposite = {own, verdict} == {HOLDS, FAILS}
        if opposite or (own != verdict and what not in ("seed", "image")):
            depends.append(what)
    for what in ("seed", "image"):
        if {HOLDS, FAILS} <= set(found.get(what, {}).values()):
            depends.append(what)
    return list(dict.fromkeys(depends)), found


def entry(claim: Claim, view: View, figure: str) -> Entry:
    """One row of claims.json: a claim and a model."""
    measured, model = list(claim.measure(view)), view.probe.label
    verdict = decide(claim.rules, measured, view.depth)
    depends, others = dependence(claim, view, verdict)
    judged = [place for place, rule in enumerate(claim.rules) if not rule.gate]
    place = next((place for place in judged if measured[place] is not None), judged[0])
    rule, part = claim.rules[place], measured[place]
    shown: Entry = {"values": {model: {}}, "intervals": {model: {}}, "number": None, "interval": None}
    if part is not None:
        shown |= _numbers(part, rule.where, view.depth, model)
    return {
        "claim": claim.name, "sentence": claim.sentence, "place": claim.place, "study": view.study.name,
        "model": model, "statistic": claim.statistic, "rule": [str(rule) for rule in claim.rules],
        **shown, "panels": part.panels if part else 0, "seeds": part.seeds if part else 0,
        "parts": [_part(rule, part, view.depth) for rule, part in zip(claim.rules, measured, strict=True)],
        "verdict": verdict, "reason": reason(claim, view, measured, verdict), "depends_on": depends, "others": others,
        "figure": figure,
    }  # fmt: skip


def _part(rule: Rule, part: Measured | None, depth: int) -> Entry:
    numbers = _numbers(part, rule.where, depth, "") if part else {"number": None, "interval": None}
    shown = {"number": numbers["number"], "interval": numbers["interval"]}
    return {"what": rule.what, "gate": rule.gate, "verdict": rule.verdict(part, depth), **shown}


def _numbers(part: Measured, where: str, depth: int, model: str) -> Entry:
    """The value and interval of each block, and the one number: of the blocks of the rule, or their mean."""
    low, high = part.bounds()
    one = part.joined(where, depth)
    one = one if len(one.values) == 1 else one.joined("mean", depth)
    (least,), (most,) = one.bounds() if len(one.values) else ([float("nan")], [float("nan")])
    return {
        "values": {model: {str(block): _plain(value) for block, value in zip(part.blocks, part.values, strict=True)}},
        "intervals": {
            model: {str(b): [_plain(a), _plain(c)] for b, a, c in zip(part.blocks, low, high, strict=True)}
        },
        "number": _plain(one.values[0]) if len(one.values) else None,
        "interval": [_plain(least), _plain(most)] if isfinite(least) else None,
    }  # fmt: skip


def _plain(value: float) -> float | None:
    """A number for JSON, with six digits: none for what was not measured."""
    return float(f"{value:.6g}") if isfinite(value) else None


def too_few(measured: Iterable[Measured | None]) -> bool:
    """Whether a block has no interval at all."""
    return any(part is not None and not np.isfinite(part.draws).any(axis=0).all() for part in measured)


def reason(claim: Claim, view: View, measured: list[Measured | None], verdict: str) -> str:
    """Why a claim is open, in a few words; nothing for the others."""
    if verdict != OPEN:
        return ""
    for rule, part in zip(claim.rules, measured, strict=True):
        if part is None:
            return f"no run of this study measures {rule.what}"
        if rule.gate and rule.verdict(part, view.depth) != HOLDS:
            return f"asked only if {rule}"
    if too_few(measured):
        return f"an interval needs {FEWEST} images"
    unfinished = any(part is not None and (part.rises.any() or part.falls.any()) for part in measured)
    return "the threshold lies in the interval" + (": a search behind it did not converge" if unfinished else "")


def figure_of(claim: Claim, view: View) -> str:
    """The figure that shows a claim: the first of the best kind that has a run of the view; "" without one."""
    study = view.study
    for kind in claim.figures:
        for figure in study.figures.values():
            shown = (study.runs[name] for name in figure.runs)
            if figure.kind == kind and any(view.asks(run, claim.panels, "trained") for run in shown):
                return figure.name
    return ""


def has_runs(study: Study, probe: Probe, panels: str) -> bool:
    """Whether a study has runs of a model's trained blocks with such panels."""
    runs = [run for run in study.runs.values() if run.probe == probe and run.weights == "trained"]
    return any(OBJECTIVES[run.objective].panels == panels for run in runs)


def judge(study: Study, cells: Mapping[str, Mapping[str, Cells]]) -> list[Entry]:
    """The rows of claims.json: every claim, asked of every model that it is about and that the study has runs of.

    `cells`: what `samples.read_cells` makes of each table, by the table's name.
    """
    found = []
    for claim in CLAIMS.values():
        for probe in main_probes(study):
            if claim.asked_of(probe) and has_runs(study, probe, claim.panels):
                view = View(study, cells, probe, next(iter(searches(study, probe)), SEARCHES[0]))
                found.append(entry(claim, view, figure_of(claim, view)))
    return found


def tally(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many entries have each verdict."""
    verdicts = [entry["verdict"] for entry in entries]
    return {verdict: verdicts.count(verdict) for verdict in (HOLDS, FAILS, OPEN)}
