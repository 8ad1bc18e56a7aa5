"""Probes and their regimes, starts and distances of descents, in words: for figures, captions and verdicts."""

from collections.abc import Iterable
from typing import Any

from lmrep.study.config import Study
from lmrep.study.kinds import ARTICLE, FIGURES, NORMS, OPTIMISERS
from lmrep.study.spec import Probe, Run


def main_probes(study: Study) -> list[Probe]:
    """The probe of each stack that the study's figures show first: one a model, in the config's order."""
    shown = {study.runs[name].probe.name for name in study.runs_of("figures")}
    found: dict[str, Probe] = {}
    for probe in study.probes.values():
        if probe.name in shown:
            found.setdefault(probe.stack.name, probe)
    return list(found.values())


def model_names(study: Study) -> dict[str, str]:
    """What each probe is called: by its label, after that of its stack's main probe if it is another one."""
    mains = {probe.stack.name: probe for probe in main_probes(study)}

    def name(probe: Probe) -> str:
        main = mains.get(probe.stack.name, probe)
        return probe.label if main.name == probe.name else f"{main.label}: {probe.label}"

    return {probe.name: name(probe) for probe in study.probes.values()}


def regime_words(probe: Probe) -> tuple[str, ...]:
    """What a probe does to pixels and tokens, each in a few words: "pixels centred", "start token first".

    Behind a model's own stem, only what differs from the article's choices; none if nothing does. Behind a basis, which
    the article does not use, everything.
    """
    stem, basis = probe.stem, probe.stem.weights is None
    words: list[str] = []
    if basis:
        words.append(f"{stem.label} of {stem.patch} px patches")
    if not stem.options.get("patch_convolution", True):
        words.append("raw pixels as tokens")
    if probe.scale == "as_is":
        words += ["tokens not scaled"] if basis else []
    else:
        times = "" if probe.scale in ("embeddings", 1) else f"{probe.scale:g} times "
        words.append(f"tokens at {times}the embeddings' RMS")
    if probe.centre or basis:
        words.append("pixels centred" if probe.centre else "pixels not centred")
    if stem.first_token != "class":
        words.append("start token first" if stem.first_token == "bos" else "no first token")
    if stem.options.get("position_embedding"):
        words.append("the stem's position embeddings")
    if probe.stack_position:
        words.append("the stack's position embeddings")
    if probe.causal == "never":
        words.append("no causal mask")
    return tuple(words)


def start_text(start: tuple[str, float, float]) -> str:
    """The start of a descent, as `Descent` has it: "start of 0.7 ± 0.05", "start from 0.5 to 0.6"."""
    kind, first, second = start
    return f"start of {first:g} ± {second:g}" if kind == "normal" else f"start from {first:g} to {second:g}"


def search_text(optimiser: str) -> str:
    """An optimiser in a sentence: "L-BFGS", "the article's descent"."""
    label = OPTIMISERS[optimiser].label
    return f"the {label}" if optimiser == ARTICLE else label


def distance_names(runs: Iterable[Run]) -> dict[str, str]:
    """The distance that each run lowers, if runs of the article's descent differ in it, or those of other searches."""
    found: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for run in runs:
        if run.matches:
            found[run.descent.optimiser == ARTICLE][run.name] = run.descent.distance
    return {run: name for names in found.values() if len({*names.values()}) > 1 for run, name in names.items()}


def figure_distances(study: Study, name: str) -> str:
    """The distance that each search of a figure lowers, for its caption: "pareto (squared) in L-BFGS"."""
    runs = [study.runs[run] for run in study.figures[name].runs]
    found = {(run.descent.distance, run.descent.optimiser): None for run in runs if run.matches}
    return "; ".join(f"{norm} ({NORMS[norm]}) in {search_text(optimiser)}" for norm, optimiser in found)


def regimes_text(probes: Iterable[Probe]) -> str:
    """The regimes of several probes: "A: DCT basis of 12 px patches. B: no first token. All: pixels centred".

    What all probes have in common is said once. Probes with the article's choices are left out, and so are those whose
    label says it all. One regime goes without a label. Nothing if no probe differs from the article's choices.
    """
    found = {(probe.label, regime_words(probe)): None for probe in probes}
    regimes = [set(words) for _, words in found]
    if not any(regimes):
        return ""
    shared = set.intersection(*regimes)
    # What a label says already is not said again.
    parts = [(label, [word for word in words if word not in shared and word != label]) for label, words in found]
    common = [word for word in next(iter(found))[1] if word in shared]
    own = [f"{label}: {'; '.join(words)}" for label, words in parts if words]
    if common:
        who = "" if not own else "Both: " if len(found) == 2 else "All: "
        own.append(f"{who}{'; '.join(common)}")
    return ". ".join(own)


def target_regime(study: Study, target: str) -> str:
    """The regimes of the probes of all runs that a target needs."""
    return regimes_text(study.runs[run].probe for run in study.runs_of(target))


def figure_regime(study: Study, name: str) -> str:
    """The regimes of a figure's probes, for the figure and its caption. Claims are about the main probes."""
    figure = study.figures[name]
    if "claims" in FIGURES[figure.kind].reads:
        return target_regime(study, "figures")
    return regimes_text(study.runs[run].probe for run in figure.runs)


def figure_settings(study: Study, name: str) -> dict[str, Any]:
    """What a figure shows of its inputs, and the labels on it: fields of `lmrep.figures.shown.Shown`."""
    figure = study.figures[name]
    runs = [study.runs[run] for run in figure.runs]
    traced = "trace" in FIGURES[figure.kind].reads
    return {
        "labels": {run.name: run.probe.label for run in runs},
        "weights": {run.name: run.weights for run in runs},
        "starts": {run.name: start_text(run.descent.start) for run in runs},
        "distances": distance_names(runs),
        "layers": {run.name: figure.layers.get(run.name, run.layers) for run in runs},
        "image": figure.image,
        "panels": figure.panels,
        "regimes": {run.name: "; ".join(regime_words(run.probe)) for run in runs},
        "regime": figure_regime(study, name),
        "stem": runs[0].probe.stem.label if traced else "",
        "stack": runs[0].probe.stack.label if traced else "",
    }
