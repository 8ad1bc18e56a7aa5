"""Every claim, tested on every model of a study: numbers, intervals, verdicts, and what the verdicts depend on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from lmrep.metrics.claims.cells import Cells
from lmrep.metrics.claims.claim import Claim, Parts, has_runs
from lmrep.metrics.claims.firmness import firmness
from lmrep.metrics.claims.samples import SEARCHES, View
from lmrep.metrics.claims.statistics import FEWEST, rounded
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, PARTS, WHERE, Measured, Rule, decide
from lmrep.metrics.claims.ways import in_common, searches, ways
from lmrep.study.config import Study
from lmrep.study.spec import Probe
from lmrep.study.words import main_probes

Entry = dict[str, Any]  # of claims.json
TOO_FEW = "too few images"  # in place of the verdict of another way to ask


def dependence(claim: Claim, view: View, verdict: str) -> tuple[list[str], Entry, Entry]:
    """What a verdict depends on, the other verdicts by what differs and its name, and the numbers that decided them.

    It depends on the descent, the regime, the stem, the cutoff or the measure if another one gives another verdict of
    the blocks, panels and seeds that both have.
    It depends on the seed or the image if one of them alone gives the opposite verdict: alone they leave more open.
    """
    view = replace(view, against=claim.widest(view))  # the same model in every way
    found: Entry = {}
    numbers: Entry = {}
    depends = []
    for what, name, other in ways(view, claim):
        alone = what in PARTS
        pair = (view, other) if alone else in_common(claim, view, other)
        measured = claim.parts(pair[1]) if pair else [None]
        if pair is None or any(part is None for part in measured):
            continue
        if too_few(measured):
            found.setdefault(what, {})[name] = TOO_FEW
            continue
        own = decide(claim.rules, measured, view.depth)
        here = verdict if alone else decide(claim.rules, claim.parts(pair[0]), view.depth)
        if here != verdict:
            blocks = ", ".join(map(str, pair[0].blocks))
            name += f", at blocks {blocks} of the same images, where the main way {here}"
        found.setdefault(what, {})[name] = own
        parts = parts_of(claim, measured, view.depth)
        numbers.setdefault(what, {})[name] = parts[deciding(parts, own)]["number"]
        if {own, here} == {HOLDS, FAILS} if alone else own != here:
            depends.append(what)
    for what in PARTS:
        if {HOLDS, FAILS} <= set(found.get(what, {}).values()):
            depends.append(what)
    return list(dict.fromkeys(depends)), found, numbers


def entry(claim: Claim, view: View, figure: str, questions: int) -> Entry:
    """One row of claims.json: a claim and a model. `questions`: how many the study asks, see `firmness`."""
    measured, model = claim.parts(view), view.probe.label
    verdict = decide(claim.rules, measured, view.depth)
    depends, others, numbers = dependence(claim, view, verdict)
    parts = parts_of(claim, measured, view.depth)
    shown = deciding(parts, verdict)
    other = claim.other(view)
    own = next((rule, part) for rule, part in zip(claim.rules, measured, strict=True) if not rule.gate)
    return {
        "claim": claim.name, "sentence": claim.sentence, "place": claim.place, "study": view.study.name,
        "model": model, "contrast": not claim.about(view.probe), "against": other.probe.label if other else "",
        "statistic": claim.statistic, "rule": [str(rule) for rule in claim.rules], **_by_block(*own, model),
        **{key: parts[shown][key] for key in ("number", "interval", "block", "panels", "seeds")}, "decided_by": shown,
        "parts": parts, "run": run_of(claim, view, figure),
        "verdict": verdict, "reason": reason(claim, view, measured, verdict), "depends_on": depends, "others": others,
        "other_numbers": numbers, "firmness": firmness(claim, measured, view.depth, questions),
        "figure": figure,
    }  # fmt: skip


def deciding(parts: Sequence[Entry], verdict: str) -> int:
    """The index of the rule that decides a verdict: a gate that is not passed, or the first rule with that verdict.

    Of those, the first with a number, if there is one.
    """
    closed = [index for index, part in enumerate(parts) if part["gate"] and part["verdict"] != HOLDS]
    judged = [index for index, part in enumerate(parts) if not part["gate"]]
    found = closed or [index for index in judged if parts[index]["verdict"] == verdict]
    return next((index for index in found if parts[index]["number"] is not None), found[0])


def parts_of(claim: Claim, measured: Parts, depth: int) -> list[Entry]:
    """Each rule's verdict, with its number."""
    return [_part(rule, part, depth) for rule, part in zip(claim.rules, measured, strict=True)]


def _part(rule: Rule, part: Measured | None, depth: int) -> Entry:
    """A rule's verdict, with the number that decides it, its interval, and its block if it is of one of several."""
    found: Entry = {"what": rule.what, "unit": rule.scale.unit, "gate": rule.gate, "verdict": rule.verdict(part, depth)}
    one = rule.decisive(part, depth) if part else None
    if one is None:
        return found | {"number": None, "interval": None, "block": None, "panels": 0, "seeds": 0}
    (low,), (high,) = rule.bounds(one, joined=True)
    interval = [rounded(low), rounded(high)] if isfinite(low) else None
    block = one.blocks[0] if rule.where.startswith("every") else None
    counts = {"panels": int(one.panels[0]), "seeds": int(one.seeds[0])}
    return found | {"number": rounded(one.values[0]), "interval": interval, "block": block} | counts


def _by_block(rule: Rule, part: Measured | None, model: str) -> Entry:
    """The value and interval of each block, of the first rule that is no gate."""
    if part is None:
        return {"values": {model: {}}, "intervals": {model: {}}}
    low, high = rule.bounds(part)
    return {
        "values": {model: {str(block): rounded(value) for block, value in zip(part.blocks, part.values, strict=True)}},
        "intervals": {
            model: {str(b): [rounded(a), rounded(c)] for b, a, c in zip(part.blocks, low, high, strict=True)}
        },
    }  # fmt: skip


def too_few(measured: Iterable[Measured | None]) -> bool:
    """Whether a block has no interval at all."""
    return any(part is not None and not np.isfinite(part.draws).any(axis=(0, 1)).all() for part in measured)


def reason(claim: Claim, view: View, measured: Parts, verdict: str) -> str:
    """Why a claim is open, in a few words; nothing for the others."""
    if verdict != OPEN:
        return ""
    for rule, part in zip(claim.rules, measured, strict=True):
        if part is None:
            return f"no run of this study measures {rule.what}"
        if rule.decisive(part, view.depth) is None:
            return f"no run of this study measures {rule.what} {WHERE[rule.where]}"
        if rule.gate and rule.verdict(part, view.depth) != HOLDS:
            return f"tested only if {rule}"
    if too_few(measured):
        return f"an interval needs {FEWEST} images"
    unfinished = any(part is not None and (part.rises.any() or part.falls.any()) for part in measured)
    return "the threshold lies in the interval" + (": a search behind it did not converge" if unfinished else "")


def figure_of(claim: Claim, view: View) -> str:
    """The figure that shows a claim: the first of the best kind that has a run of the view; "" without one."""
    asked = {run.name for run in view.runs(claim.panels, claim.weights)}
    for kind in claim.figures:
        for figure in view.study.figures.values():
            if figure.kind == kind and asked & {*figure.runs}:
                return figure.name
    return ""


def run_of(claim: Claim, view: View, figure: str) -> str:
    """The run whose pictures a claim was judged by: the first of its figure, or of the study; "" without one."""
    asked = [run.name for run in view.runs(claim.panels, claim.weights)]
    shown = view.study.figures[figure].runs if figure else ()
    return next((name for name in [*shown, *asked] if name in asked), "")


def main_search(study: Study, probe: Probe, claim: Claim) -> str:
    """The best search that the study has, or that there is, among those that may judge a claim."""
    found = searches(study, probe, claim.weights, claim.unfit)
    return next(iter(found), next(name for name in SEARCHES if name not in claim.unfit))


def judge(study: Study, cells: Mapping[str, Mapping[str, Cells]]) -> list[Entry]:
    """The rows of claims.json: every claim, tested on every model that it is about and that the study has runs of.

    `cells`: what `cells.read_cells` makes of each table, by the table's name.
    """
    asked = [
        (claim, View(study, cells, probe, main_search(study, probe, claim)))
        for claim in CLAIMS.values()
        for probe in main_probes(study)
        if claim.asked_of(probe) and has_runs(study, probe, claim.panels)
    ]
    return [entry(claim, view, figure_of(claim, view), len(asked)) for claim, view in asked]


def tally(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many entries have each verdict, of the models that the sentences are about."""
    verdicts = [entry["verdict"] for entry in entries if not entry["contrast"]]
    return {verdict: verdicts.count(verdict) for verdict in (HOLDS, FAILS, OPEN)}
