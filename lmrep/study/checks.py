"""What a study asks for against what its models and images have, before any job starts."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from lmrep.errors import InputError
from lmrep.study.spec import Image, Probe, Run, Weights
from lmrep.study.config import Figure, Study

CHANNELS = 3
SSIM_WINDOW = 11  # px, of metrics.ssim: the least size of an image that it measures
NEEDS_OBJECTIVE = {"reconstructions": ("match",), "accuracy": ("match",), "features": ("neuron", "patch")}


def check_weights(weights: Weights) -> None:
    key = f"weights.{weights.name}"
    if bool(weights.path) == bool(weights.repo):
        raise InputError(f"{key}: expected a local path or a repo on the hub, one of the two")
    if weights.path and not Path(weights.path).is_file():
        raise InputError(f"{key}.path: expected a file, found none at {weights.path}")
    if weights.repo and not (weights.revision and weights.file):
        raise InputError(f"{key}: a repo on the hub is pinned by revision and file, both expected")
    if weights.width % weights.heads:
        raise InputError(f"{key}.heads: expected a divisor of the width {weights.width}, not {weights.heads}")
    if weights.family == "vit":
        if not weights.patch or not weights.size:
            raise InputError(f"{key}: a vit takes patch and size, in px")
        if weights.size % weights.patch:
            raise InputError(f"{key}.size: expected a multiple of the patch {weights.patch} px, not {weights.size}")


def check_image(image: Image) -> None:
    key = f"images.{image.name}"
    sources = [name for name in ("skimage", "path", "url", "drawing") if getattr(image, name)]
    if len(sources) != 1:
        raise InputError(f"{key}: expected one of skimage, path, url, drawing, found {' and '.join(sources) or 'none'}")
    if image.path and not Path(image.path).is_file():
        raise InputError(f"{key}.path: expected a file, found none at {image.path}")
    if (image.sha256 or image.member or image.member_sha256) and not (image.url or image.path):
        raise InputError(f"{key}: sha256 and member are of a url or a path, expected one of the two")
    if image.url and not image.sha256:
        raise InputError(f"{key}.sha256: a url is pinned by its sha256, none found")


def check_probe(probe: Probe) -> None:
    key = f"probes.{probe.name}"
    if probe.stem.family != "vit":
        raise InputError(f"{key}.stem: expected the weights of a vit, but '{probe.stem.name}' is a {probe.stem.family}")
    if probe.stem.width != probe.stack.width:
        raise InputError(
            f"{key}: the stem '{probe.stem.name}' has width {probe.stem.width}, "
            f"expected the stack's ('{probe.stack.name}'), which is {probe.stack.width}"
        )
    pixels = CHANNELS * probe.stem.patch**2
    if not probe.patch_convolution and pixels != probe.stack.width:
        raise InputError(
            f"{key}.patch_convolution: without it a token is the {pixels} values of a patch, "
            f"expected as many as the stack's width, which is {probe.stack.width}"
        )


def numbers(value) -> Iterator[float]:
    """Every number in nested dicts and lists."""
    if isinstance(value, dict):
        value = list(value.values())
    for entry in value if isinstance(value, list | tuple) else [value]:
        if isinstance(entry, dict | list | tuple):
            yield from numbers(entry)
        elif isinstance(entry, int | float):
            yield entry


def check_run(run: Run, images: dict[str, Image]) -> None:
    key, stem, stack = f"runs.{run.name}", run.probe.stem, run.probe.stack
    for layer in run.layers:
        if not 1 <= layer <= stack.depth:
            raise InputError(f"{key}.layers: '{stack.name}' has blocks 1 to {stack.depth}, not {layer}")
    if len(set(run.panels)) != len(run.panels):
        raise InputError(f"{key}: expected every panel once, found {list(run.panels)}")
    for panel in run.panels:
        if run.objective == "match":
            if panel not in images:
                raise InputError(f"{key}.images: '{panel}' is not one of images: {', '.join(images) or 'none'}")
        elif run.objective == "neuron" and not 0 <= panel < stack.width:
            raise InputError(f"{key}.neurons: '{stack.name}' has neurons 0 to {stack.width - 1}, not {panel}")
        elif run.objective == "patch" and not 0 <= panel < stem.patches:
            raise InputError(f"{key}.patches: '{stem.name}' has patches 0 to {stem.patches - 1}, not {panel}")
    if run.memory != "auto" and not isfinite(run.memory):
        raise InputError(f"memory: expected MB or auto, not {run.memory}")
    if not all(map(isfinite, numbers(run.settings()))):
        raise InputError(f"{key}: expected finite numbers in its descent")
    kind, first, second = run.descent.start
    if (kind, True) in (("uniform", second < first), ("normal", second < 0)):
        wanted = "the lower bound first" if kind == "uniform" else "a standard deviation of 0 or more"
        raise InputError(f"{key}.start.{kind}: expected {wanted}, not {[first, second]}")
    if run.objective == "match" and stem.size < SSIM_WINDOW:
        raise InputError(f"{key}: SSIM needs images of {SSIM_WINDOW} px at least, '{stem.name}' has {stem.size} px")
    for octave in run.descent.octaves:
        if octave.size < stem.size:
            raise InputError(f"{key}: an octave of {octave.size} px, expected at least the probe's {stem.size} px")
    if run.descent.octaves[0].size != stem.size:
        raise InputError(
            f"{key}: the first octave has {run.descent.octaves[0].size} px, expected the probe's {stem.size} px"
        )
    if run.objective == "match" and any(octave.size != stem.size for octave in run.descent.octaves):
        raise InputError(
            f"{key}: a match is against a photograph of {stem.size} px, expected every octave at that size"
        )


def check_figure(figure: Figure, study: Study) -> None:
    key = f"figures.{figure.name}"
    runs = [study.runs[name] for name in figure.runs]
    for run in runs:
        expected = NEEDS_OBJECTIVE.get(figure.kind)
        if expected and run.objective not in expected:
            raise InputError(
                f"{key}.runs: {figure.kind} are drawn from {' and '.join(expected)} runs, "
                f"but '{run.name}' is a {run.objective} run"
            )
        if figure.kind == "reconstructions" and figure.image not in run.panels:
            raise InputError(f"{key}.image: '{run.name}' has {', '.join(run.panels)}, not '{figure.image}'")
        for layer in figure.layers.get(run.name, ()):
            if layer not in run.layers:
                blocks = ", ".join(map(str, run.layers))
                raise InputError(f"{key}.layers: '{run.name}' has blocks {blocks}, not {layer}")
    shown = [(run.probe.name, run.weights) for run in runs]
    if figure.kind == "accuracy" and len(set(shown)) < len(shown):
        raise InputError(f"{key}.runs: accuracy has one line for a probe and its weights, expected no two runs of both")
    if figure.kind == "features" and len(runs) != 1:
        raise InputError(f"{key}.runs: features are drawn from one run, not {len(runs)}")
    if figure.kind == "diagram":
        if figure.image not in study.images:
            raise InputError(f"{key}.image: '{figure.image}' is not one of images: {', '.join(study.images)}")
        if len({run.probe.name for run in runs}) != 1:
            raise InputError(f"{key}.runs: a diagram is of one probe, expected runs on the same one")


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
    used = {panel for run in study.runs.values() if run.objective == "match" for panel in run.panels}
    used |= {figure.image for figure in study.figures.values() if figure.kind == "diagram"}
    for name in study.images:
        if name not in used:
            raise InputError(f"images.{name}: no run uses it; expected a match run with it among its images")
    probed = {run.probe.name for run in study.runs.values()}
    for name in study.probes:
        if name not in probed:
            raise InputError(f"probes.{name}: no run uses it; expected a run with probe: {name}")
    loaded = {w.name for run in study.runs.values() for w in (run.probe.stem, run.probe.stack)}
    for name in study.weights:
        if name not in loaded:
            raise InputError(f"weights.{name}: no run's probe uses it; expected a probe with it as stem or stack")
