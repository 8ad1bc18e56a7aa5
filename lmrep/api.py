"""Probes and descents from Python, without Snakemake. `import lmrep` offers these names; see docs/python.md.

Nothing is computed here: `maximise` and `recreate` turn their arguments into a run of the study and hand it to the code
that a build uses. The same settings and seed on the same machine give the same bytes as a build.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from operator import index
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lmrep.descent.checkpoint import Watch
from lmrep.descent.experiment import describe, perform_with
from lmrep.descent.faults import told
from lmrep.descent.plan import PRODUCTS, make_plan, pick_device, pick_precision, settle
from lmrep.errors import InputError
from lmrep.files import Array, ArrayFile, write_arrays
from lmrep.inputs.workspace import LoadedStudy, load_pixels, weight_file
from lmrep.probe.probe import Probe
from lmrep.probe.probe import load_probe as build_probe
from lmrep.progress import ignore, whole_steps
from lmrep.study.checks import check_run
from lmrep.study.config import pick
from lmrep.study.spec import Descent, Run
from lmrep.study.spec import Probe as ProbeSpec

Numbers = int | Sequence[int]
Rate = float | Sequence[float]  # of all steps of an octave; or of its first and last, linear between
Tell = Callable[[int, float], None]
SEEDS = 2**63  # that torch's generators take
DEVICES, PRECISIONS = ("cpu", "cuda", "auto"), ("float32", "bfloat16", "auto")


@dataclass(frozen=True, eq=False, repr=False)
class LoadedProbe:
    """A probe of a study, ready to use. Call it with images to get the outputs of layers."""

    study: LoadedStudy
    spec: ProbeSpec
    files: Mapping[str, Path]  # weight files, by the names of the weights
    weights: str  # "trained" or "untrained"
    seed: int
    device: torch.device
    precision: str  # one of PRECISIONS
    exact: Probe  # in float32
    quick: Probe  # in `precision`; `exact` itself where that is float32

    @cached_property
    def packed(self) -> Probe:
        """`exact` with packed weights, as a build has it in float32. With `precision` auto, line searches use it."""
        return self.exact if self.quick is self.exact else self.exact.in_precision(torch.float32)

    def __repr__(self) -> str:
        stem, stack = self.spec.stem, self.spec.stack
        shape = f"{stem.size} px, {stem.patches} patches, {stack.depth} blocks of width {stack.width}"
        return f"<probe {self.spec.name}: {shape}, {self.weights}, {self.precision} on {self.device.type}>"

    def __call__(self, images: Tensor | Array, layers: Numbers) -> list[Tensor]:
        """The outputs [image, token, width] of `layers`, in that order, on the probe's device.

        images: [image, 3, size, size], pixel values in [0, 1], not clipped. `layers`: blocks, from 1; 0 is the stem.
        Gradients flow back to an images tensor that requires them.
        Raises InputError for images of another shape and for a layer that is not there.
        """
        wanted, depth, size = as_tuple(layers), self.spec.stack.depth, self.spec.stem.size
        if not (wanted and all(0 <= layer <= depth for layer in wanted)):
            raise InputError(f"layers: '{self.spec.name}' has 0 (the stem) to {depth}, not {list(wanted)}")
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise InputError(f"images: expected the shape [image, 3, {size}, {size}], found {list(images.shape)}")
        with settled(self.study.threads):
            outputs: list[Tensor] = self.quick(torch.as_tensor(images, dtype=torch.float32, device=self.device), wanted)
        return outputs


def as_tuple(numbers: Numbers) -> tuple[int, ...]:
    """One number or several, also numpy's, as plain integers."""
    return tuple(map(index, np.atleast_1d(numbers)))


@contextmanager
def settled(threads: int) -> Iterator[None]:
    """torch as a build sets it, for the same bytes. Its threads and modes, not its environment, are restored."""
    filling: Any = torch.utils.deterministic  # it makes its attribute at runtime, where no type checker sees it
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode(), filling.fill_uninitialized_memory
    products, older = [(backend, backend.fp32_precision) for backend in PRODUCTS], "highest"
    with suppress(RuntimeError):  # torch reads its older setting only if the newer ones agree with it
        older = torch.get_float32_matmul_precision()
    settle(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        filling.fill_uninitialized_memory = before[2]
        torch.set_float32_matmul_precision(older)
        for backend, precision in products:
            backend.fp32_precision = precision


def load_probe(
    study: LoadedStudy, name: str, trained: bool = True, seed: int = 0, device: str = "cpu", precision: str = "float32"
) -> LoadedProbe:
    """The probe `name` of a study, with all its blocks. Weights are verified, and downloaded if they are not at hand.

    `trained`: False gives freshly initialised blocks, drawn from `seed`, behind the trained stem. `seed`: also for the
    draws of `maximise` and `recreate`. `device`: cpu, cuda or auto (a GPU if there is one). `precision`: of matrix
    products: float32, bfloat16 or auto (bfloat16 if the device has it).
    Raises InputError for an unknown probe, device or precision, and for weights that are not as the config says.
    """
    spec, seed = pick("probes", study.probes, name, "load_probe"), index(seed)
    if not 0 <= seed < SEEDS:
        raise InputError(f"seed: expected a number from 0 to {SEEDS - 1}, not {seed}")
    for key, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise InputError(f"{key}: expected one of {', '.join(known)}, not '{value}'")
    there = pick_device(device)
    number_type = pick_precision(precision, there)
    files = {each.name: weight_file(study, each) for each in spec.weight_roles(trained).values()}
    with settled(study.threads):
        exact = build_probe(spec, files, spec.stack.depth, there, seed, trained)
        quick = exact.in_precision(number_type)
    exact = quick if number_type == torch.float32 else exact  # saves one copy of the weights
    return LoadedProbe(study, spec, files, "trained" if trained else "untrained", seed, there, precision, exact, quick)


def load_image(study: LoadedStudy, image: str | Path, probe: LoadedProbe, fit: str = "resize") -> Array:
    """An image as `probe` sees it: float32 [3, size, size] in [0, 1].

    `image`: a name under `images` in the config, or the path of a picture. `fit`, for a path: resize (squeezes the
    whole picture) or crop (cuts out the centre square first); for a name, the config says it.
    Raises InputError if the picture is not available or not readable.
    """
    return load_pixels(study, image, probe.spec.stem.size, fit)


def maximise(
    probe: LoadedProbe,
    layer: Numbers | Literal["all"],
    *,
    neuron: Numbers | None = None,
    patch: Numbers | None = None,
    descent: Descent | None = None,
    steps: int | None = None,
    rate: Rate | None = None,
    report: Tell = ignore,
) -> ArrayFile:
    """Images that make a neuron active in all patches, or all neurons of one patch active.

    `layer`: one or several blocks, from 1, or "all". `neuron` or `patch`: one or several, from 0; each is a panel.
    `descent`: by default that of the study's own run of this kind on this probe, the plainest if there are several.
    `steps` and `rate` (pixel values per unit of gradient) replace each octave's own, and `rate` also `first_step`.
    `report(steps, loss)` is called about once a second.
    Returns what a run file holds: `images` [layer, panel, 3, height, width] as optimised, not clipped; `initial`, their
    starts; `baseline` [panel, 3, height, width], what resizing and blur alone make of a start; `loss` [layer, step];
    `rates` [layer], if the descent has a `first_step`; and facts.
    Raises InputError for a missing layer, neuron or patch, or a descent that diverges; MachineError if a card is full.
    """
    given = [(name, panel) for name, panel in (("neuron", neuron), ("patch", patch)) if panel is not None]
    if len(given) != 1:
        raise InputError("maximise: expected a neuron or a patch, one of the two")
    ((objective, panels),) = given
    run = make_run("maximise", probe, objective, layer, as_tuple(panels), descent, steps, rate)
    return run_descent(probe, run, None, report)


def recreate(
    probe: LoadedProbe,
    images: Array | Tensor | Mapping[str, Array | Tensor],
    layer: Numbers | Literal["all"],
    *,
    descent: Descent | None = None,
    steps: int | None = None,
    rate: Rate | None = None,
    report: Tell = ignore,
) -> ArrayFile:
    """Images, made from noise, whose outputs come near those of the given images.

    `images`: one [3, size, size] with pixel values in [0, 1], or several by name. The start noise of an image depends
    on its name: {"chelsea": image} starts as in a build. `layer`: also 0, the stem. Other arguments: see `maximise`.
    Returns what a run file holds: the arrays of `maximise`; `earlier`, the images after three quarters of the steps;
    `targets` and `shifted` [panel, 3, size, size], the latter with slight noise; `output_distance` and
    `shifted_output_distance` [layer, panel], the L1 distances of the result's and `shifted`'s output to the target's.
    Raises InputError for a layer that is not there, images of another shape, and a descent that diverges.
    """
    given, size = images if isinstance(images, Mapping) else {"image": images}, probe.spec.stem.size
    named = {str(name): torch.as_tensor(i, dtype=torch.float32, device="cpu").detach() for name, i in given.items()}
    for name, image in named.items():
        if tuple(image.shape) != (3, size, size):
            raise InputError(f"recreate.{name}: expected the shape [3, {size}, {size}], found {list(image.shape)}")
        if not ((image >= 0) & (image <= 1)).all():  # False for one that is not finite, too
            raise InputError(f"recreate.{name}: expected pixel values in [0, 1]")
    run = make_run("recreate", probe, "match", layer, tuple(named), descent, steps, rate)
    return run_descent(probe, run, torch.stack(list(named.values())).numpy(), report)


def make_run(
    name: str,
    probe: LoadedProbe,
    objective: str,
    layer: Numbers | Literal["all"],
    panels: tuple[int, ...] | tuple[str, ...],
    descent: Descent | None,
    steps: int | None,
    rate: Rate | None,
) -> Run:
    """The run that a call asks for, checked; by default with the descent of the study's plainest run of that kind."""
    runs = [run for run in probe.study.runs.values() if run.probe.name == probe.spec.name]
    alike = [run for run in runs if run.objective == objective]
    if descent is None and not alike:
        raise InputError(f"{name}.descent: expected one, since the study has no {objective} run on '{probe.spec.name}'")
    chosen = descent or min(alike, key=lambda run: (run.weights != probe.weights, len(run.descent.octaves))).descent
    if steps is not None:
        chosen = replace(chosen, octaves=tuple(replace(octave, steps=index(steps)) for octave in chosen.octaves))
    if rate is not None:
        ends: Any = tuple((np.full(2, rate) if np.ndim(rate) == 0 else np.asarray(rate)).tolist())
        chosen = replace(chosen, octaves=tuple(replace(octave, rate=ends) for octave in chosen.octaves), first_step=0.0)
    blocks = range(1, probe.spec.stack.depth + 1) if isinstance(layer, str) and layer == "all" else as_tuple(layer)
    layers, own = tuple(sorted(set(blocks))), (probe.seed, probe.precision, runs[0].memory)
    if not (layers and panels and all(octave.steps > 0 for octave in chosen.octaves)):
        raise InputError(f"{name}: expected at least one layer, one panel and one step")
    run = Run(name, objective, probe.spec, probe.weights, layers, panels, chosen, *own)
    try:
        check_run(run, map(str, panels))
    except InputError as error:
        raise InputError(str(error).removeprefix("runs.")) from None
    return run


def run_descent(probe: LoadedProbe, run: Run, targets: Array | None, report: Tell) -> ArrayFile:
    """A run of a probe that is loaded already, as the content of a run file."""
    with settled(probe.study.threads):
        plan = make_plan(run, probe.device)
        with told(run.name, "fewer panels"):
            pair = (probe.packed,) * 2 if plan.precision == torch.float32 else (probe.exact, probe.quick)
            found = perform_with(*pair, run, targets, plan, Watch(whole_steps(report)))
    return ArrayFile(found, describe(run, probe.files, plan))


def save_run(path: str | Path, run: ArrayFile) -> None:
    """Writes what `maximise` or `recreate` returned as a run file, which `open_run` reads."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_arrays(Path(path), run.arrays, run.facts)
