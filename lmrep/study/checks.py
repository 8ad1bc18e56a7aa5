"""Checks, before any job starts, that a study asks only for what its models and images have."""

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from math import ceil

from lmrep.errors import InputError
from lmrep.study.config import Figure, Study, listed
from lmrep.study.kinds import FIGURES, NORMS, OBJECTIVES, OPTIMISERS
from lmrep.study.model_checks import check_image, check_probe, check_weights
from lmrep.study.schema import schema
from lmrep.study.spec import Run, identity
from lmrep.study.words import main_probes, model_names

STARTS = ("uniform", "normal")
SSIM_WINDOW = 11  # px, of measures.ssim: the smallest side of an image that it measures
MOST_BYTES = 10**12  # of a run's arrays: more than a host's memory
MOST_MODELS = 15  # in a figure of claims, as figures.claim_rows places them


def check_panels(run: Run, images: Iterable[str]) -> None:
    """Raises InputError, naming `runs.<name>`, if a panel is repeated, unknown or out of range."""
    key, stack = f"runs.{run.name}", run.probe.stack
    ((panel, seed), times), *_ = Counter(zip(run.panels, run.start_seeds, strict=True)).most_common(1)
    if times > 1:
        raise InputError(f"{key}: expected every panel once, found {panel} with seed {seed} {times} times")
    wanted = OBJECTIVES[run.objective].panels
    counts = {"neurons": (stack.name, stack.width), "patches": (run.probe.stem.name, run.probe.stem.patches)}
    for panel in run.panels:
        if isinstance(panel, str):
            if panel not in images:
                raise InputError(f"{key}.images: '{panel}' is not one of images: {listed(images)}")
        elif not 0 <= panel < counts[wanted][1]:
            owner, count = counts[wanted]
            raise InputError(f"{key}.{wanted}: '{owner}' has {wanted} 0 to {count - 1}, not {panel}")


def check_labels(study: Study) -> None:
    """Raises InputError if two models share a name in the explorer, which shows all runs, or a label in the figures."""
    known: dict[str, str] = {}
    names, shown = model_names(study), {study.runs[name].probe.name for name in study.runs_of("figures")}
    for probe in study.probes.values():
        for name in [names[probe.name]] + [probe.label] * (probe.name in shown):
            if known.setdefault(name, probe.stack.name) != probe.stack.name:
                raise InputError(f"probes.{probe.name}.label: '{name}' is another model's, expected one of its own")


def check_descent(run: Run) -> None:
    """Raises InputError, naming `runs.<name>`, for a bad descent, also for one from Python that passed no schema."""
    key, descent = f"runs.{run.name}", run.descent
    if descent.optimiser not in OPTIMISERS:
        raise InputError(f"{key}.optimiser: expected one of {', '.join(OPTIMISERS)}, not '{descent.optimiser}'")
    if descent.distance not in NORMS:
        raise InputError(f"{key}.distance: expected one of {', '.join(NORMS)}, not '{descent.distance}'")
    if len(descent.start) != 3 or descent.start[0] not in STARTS:
        raise InputError(f"{key}.start: expected one of {', '.join(STARTS)} and two numbers, not {descent.start}")
    if not descent.scale > 0:
        raise InputError(f"{key}.scale: expected a number above 0, not {descent.scale}")
    if not descent.octaves:
        raise InputError(f"{key}.octaves: expected at least one")
    if descent.history < 1:
        raise InputError(f"{key}.history: expected 1 or more, not {descent.history}")
    optimiser = OPTIMISERS[descent.optimiser]
    if optimiser.bounded and not run.matches:
        expected = "expected a match run, or another optimiser"
        raise InputError(f"{key}.optimiser: {descent.optimiser} needs a loss that is bounded below; {expected}")
    if descent.first_step < 0:
        raise InputError(f"{key}.rate: expected a first_step of 0 or more, not {descent.first_step}")
    if descent.first_step and "rate" not in optimiser.keys:
        raise InputError(f"{key}.rate: {descent.optimiser} has no rates, expected no first_step")
    for octave in descent.octaves:
        for name, ends in (("rate", octave.rate), ("sigma", octave.sigma or (1.0, 1.0))):
            if not isinstance(ends, tuple | list) or len(ends) != 2:
                raise InputError(f"{key}.octaves.{name}: expected those of the first and the last step, not {ends}")
        if octave.sigma and min(octave.sigma) <= 0:
            raise InputError(f"{key}.octaves.sigma: expected numbers above 0, not {list(octave.sigma)}")
        if ("rate" in optimiser.octave_keys) != (min(octave.rate) > 0):
            verb = "needs rates above 0" if "rate" in optimiser.octave_keys else "has no rates"
            raise InputError(f"{key}.octaves.rate: {descent.optimiser} {verb}, not {list(octave.rate)}")
        if octave.sigma and "sigma" not in optimiser.octave_keys:
            raise InputError(f"{key}.octaves.sigma: {descent.optimiser} does not blur, expected none")


def check_octaves(run: Run) -> None:
    """Raises InputError, naming `runs.<name>`, if sizes or steps do not fit the probe, optimiser or objective."""
    key, size, octaves = f"runs.{run.name}", run.probe.stem.size, run.descent.octaves
    for octave in octaves:
        if octave.size < size:
            raise InputError(f"{key}: an octave of {octave.size} px, expected at least the probe's {size} px")
    if octaves[0].size != size:
        raise InputError(f"{key}: the first octave has {octaves[0].size} px, expected the probe's {size} px")
    if not OPTIMISERS[run.descent.optimiser].jitters and len(octaves) > 1:
        raise InputError(f"{key}: {run.descent.optimiser} takes one octave, of the probe's {size} px")
    most = schema()["$defs"]["steps"]["maximum"]
    if run.descent.steps > most:
        raise InputError(f"{key}: {run.descent.steps} steps in all octaves, expected at most {most}")
    if run.matches and any(octave.size != size for octave in octaves):
        raise InputError(f"{key}: a match is against a photograph of {size} px, expected every octave at that size")


def check_size(run: Run) -> None:
    """Raises InputError if no machine can hold a run's float32 arrays: the images, and a loss per image and step."""
    images, steps = len(run.layers) * len(run.panels), run.descent.steps
    pixels = 3 * max(octave.size for octave in run.descent.octaves) ** 2
    if 4 * images * (pixels + steps) > MOST_BYTES:
        found = f"its arrays take {4 * images * (pixels + steps) / 1e9:.0f} GB"
        how = f"{images} images (layers x panels) of {pixels} values, and {steps} steps"
        raise InputError(f"runs.{run.name}: {found}, expected at most {MOST_BYTES / 1e9:.0f}: {how}")


def check_run(run: Run, images: Iterable[str]) -> None:
    """Raises InputError, naming `runs.<name>`, for wrong blocks, panels or descent. `images`: the names there are."""
    key, stack = f"runs.{run.name}", run.probe.stack
    lowest, stem = (0, ", and 0 for the stem") if run.matches else (1, "")
    for layer in run.layers:
        if not lowest <= layer <= stack.depth:
            raise InputError(f"{key}.layers: '{stack.name}' has blocks 1 to {stack.depth}{stem}, not {layer}")
    check_panels(run, images)
    for name, value in {**identity(run.descent), "memory": run.memory}.items():
        try:  # a run's file says it in JSON, and a descent from Python may hold anything
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise InputError(f"{key}.{name}: expected finite plain numbers, not {value!r}") from None
    check_descent(run)
    kind, first, second = run.descent.start
    if second < (first if kind == "uniform" else 0):
        wanted = "the lower bound first" if kind == "uniform" else "a standard deviation of 0 or more"
        raise InputError(f"{key}.start.{kind}: expected {wanted}, not {[first, second]}")
    if run.matches and run.probe.stem.size < SSIM_WINDOW:
        size = run.probe.stem.size
        raise InputError(f"{key}: SSIM needs images of at least {SSIM_WINDOW} px, its probe's have {size}")
    check_octaves(run)
    check_size(run)


def overlap(runs: Iterable[Run]) -> bool:
    """Whether two runs that share a chart line have an image (panel, seed, block) in common."""
    seen: dict[tuple[object, ...], set[int]] = defaultdict(set)  # an image of any block -> the blocks
    for run in runs:
        for image in zip(run.panels, run.start_seeds, strict=True):
            if not seen[(*run.line, *image)].isdisjoint(run.layers):
                return True
            seen[(*run.line, *image)].update(run.layers)
    return False


def fits_beside(blocks: Sequence[int], panels: Sequence[int]) -> bool:
    """Whether runs with these numbers of blocks and panels fit side by side on a page, ignoring text.

    As figures.beside places them: columns 0.2 in apart on a page of 7 x 9.5 in with a margin of 0.08, 0.5 in of each
    for the numbers of blocks, and panels of at least 0.12 in, 0.04 apart. A block takes at least 0.35 in.
    """
    width = (6.84 + 0.2) / len(blocks) - 0.2 - 0.5
    height = max((9.34 + 0.09) / max(blocks) - 0.09, 0.35 + 0.2)
    across, lines = int((width + 0.04) / 0.16 + 1e-9), int((height + 0.04) / 0.16 + 1e-9)
    return across > 0 and ceil(max(panels) / across) <= lines


def check_figure(figure: Figure, study: Study) -> None:
    """Raises InputError, naming `figures.<name>`, if its runs, image, blocks or panels are not what its kind needs."""
    key, kind = f"figures.{figure.name}", FIGURES[figure.kind]
    runs = [study.runs[name] for name in figure.runs]
    for run in runs:
        if kind.objectives and run.objective not in kind.objectives:
            raise InputError(
                f"{key}.runs: {figure.kind} are drawn from {' and '.join(kind.objectives)} runs, "
                f"but '{run.name}' is a {run.objective} run"
            )
        if "image" in kind.keys and "trace" not in kind.reads and figure.image not in run.panels:
            raise InputError(f"{key}.image: '{run.name}' has {listed(run.panels)}, not '{figure.image}'")
        for layer in figure.layers.get(run.name, ()):
            if layer not in run.layers:
                raise InputError(f"{key}.layers: '{run.name}' has blocks {listed(run.layers)}, not {layer}")
    if "trace" in kind.reads and figure.image not in study.images:
        raise InputError(f"{key}.image: '{figure.image}' is not one of images: {listed(study.images)}")
    if kind.runs == "distinct" and overlap(runs):
        one = f"{figure.kind} has one line for a probe, its weights and an optimiser"
        raise InputError(f"{key}.runs: {one}: two of them have the same image, block and seed, expected each once")
    matches = [run for run in runs if run.matches]
    norms = {run.descent.optimiser: run.descent.distance for run in matches}
    for run in matches if kind.runs in ("distinct", "mixed") else []:
        if norms[run.descent.optimiser] != run.descent.distance:
            raise InputError(f"{key}.runs: '{run.name}' and another run of its optimiser differ in distance")
    if kind.runs == "mixed" and {run.objective for run in runs} != set(kind.objectives):
        raise InputError(
            f"{key}.runs: a {figure.kind} is drawn from {' and '.join(kind.objectives)} runs, expected both"
        )
    images = [{*run.panels} for run in matches]
    if kind.runs == "mixed" and images and not set.intersection(*images):
        raise InputError(f"{key}.runs: expected an image that all its match runs have")
    if kind.runs in ("one", "several") and any(run.panel_seeds for run in runs):
        raise InputError(f"{key}.runs: a figure of the kind {figure.kind} shows one seed, expected a run without seeds")
    if kind.runs == "several" and len(runs) < 2:
        raise InputError(f"{key}.runs: a figure of the kind {figure.kind} shows two runs or more, not {len(runs)}")
    if kind.runs == "one" and len(runs) != 1:
        raise InputError(f"{key}.runs: a figure of the kind {figure.kind} shows one run, not {len(runs)}")
    if kind.runs == "one_probe" and len({run.probe.name for run in runs}) != 1:
        raise InputError(f"{key}.runs: a {figure.kind} is of one probe, expected runs on the same one")
    if "trace" in kind.reads and not any(runs[0].layers):
        raise InputError(f"{key}.runs: '{runs[0].name}' is of the stem alone, expected first a run with a block")
    models = main_probes(study)
    if "claims" in kind.reads and len(models) > MOST_MODELS:
        raise InputError(f"{key}: expected at most {MOST_MODELS} models in the runs of figures, not {len(models)}")
    check_room(figure, runs)


def check_room(figure: Figure, runs: Sequence[Run]) -> None:
    """Raises InputError if a figure shows more panels than there are, or more than have room."""
    key, most = f"figures.{figure.name}", max(len(run.panels) for run in runs)
    if figure.panels > most:
        raise InputError(f"{key}.panels: its runs have up to {most} panels, not {figure.panels}")
    if FIGURES[figure.kind].runs != "several":
        return
    blocks = [len(figure.layers.get(run.name, run.layers)) for run in runs]
    if not fits_beside(blocks, [min(len(run.panels), figure.panels or len(run.panels)) for run in runs]):
        raise InputError(f"{key}: a page has no room for so many pictures, expected fewer runs, layers or panels")


def refuse_spare(section: str, entries: Iterable[str], used: Container[object], expected: str) -> None:
    """Raises InputError at the first entry of a section that nothing uses."""
    for name in entries:
        if name not in used:
            raise InputError(f"{section}.{name}: no run uses it; expected {expected}")


def check_study(study: Study) -> None:
    """Raises InputError at the first entry that asks for what is not there, or that nothing uses."""
    for weights in study.weights.values():
        check_weights(weights)
    for image in study.images.values():
        check_image(image)
    for probe in study.probes.values():
        check_probe(probe)
    for run in study.runs.values():
        check_run(run, study.images)
    for figure in study.figures.values():
        check_figure(figure, study)
    check_labels(study)
    runs = study.runs.values()
    shown = {panel for run in runs for panel in run.panels} | {figure.image for figure in study.figures.values()}
    refuse_spare("images", study.images, shown, "a match run with it among its images")
    refuse_spare("probes", study.probes, {run.probe.name for run in runs}, "a run on that probe")
    loaded = {weights.name for run in runs for weights in (run.probe.stem.weights, run.probe.stack) if weights}
    refuse_spare("weights", study.weights, loaded, "a probe with it as stem or stack")
