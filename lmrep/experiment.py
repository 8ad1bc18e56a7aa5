"""One run from end to end: probe, targets, start, descent, and the facts that go into its file."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmrep import objectives
from lmrep.errors import InputError
from lmrep.optimise import descend
from lmrep.priors import generator, normal, start_noise
from lmrep.probe import Probe, load_probe
from lmrep.provenance import file_sha256, versions
from lmrep.spec import Run

# The author's yardstick of a representation: is the output nearer to the photograph's than that of the
# photograph shifted by normal noise of this standard deviation (pixel values)?
SHIFT = 1 / 18


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where torch sees one. Raises InputError for `cuda` where it sees none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda was asked for, but torch sees no GPU here; expected auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def groups(layers: int, panels: int, batch: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the layers and of the panels whose products hold at most `batch` images each."""
    height = min(layers, batch)
    width = min(panels, batch // height)
    for first_layer in range(0, layers, height):
        for first_panel in range(0, panels, width):
            yield slice(first_layer, first_layer + height), slice(first_panel, first_panel + width)


def make_objectives(run: Run, probe: Probe, panels: slice, target_outputs: list[Tensor]) -> list[objectives.Objective]:
    """One for each of `target_outputs`, the photographs' outputs [panel, token, width] at the layers of a group."""
    if run.objective == "match":
        return [objectives.match(outputs[panels]) for outputs in target_outputs]
    kind = {"neuron": objectives.neuron, "patch": objectives.patch}[run.objective]
    return [kind(run.panels[panels], probe.first_patch, run.descent.constant)] * len(target_outputs)


def distances(probe: Probe, images: Tensor, layers: list[int], target_outputs: list[Tensor]) -> Tensor:
    """L1 distances [layer, panel] of the outputs of images [layer, panel, 3, size, size] to the targets'."""
    outputs = probe.outputs_of_own_layer(images, layers)
    return torch.stack([objectives.distance(o, t) for o, t in zip(outputs, target_outputs, strict=True)])


@torch.no_grad()
def descend_in_groups(
    run: Run, probe: Probe, start: Tensor, targets: Tensor | None, report: Callable[[int, float], None]
) -> dict[str, Tensor]:
    """The descents of all layers and panels, at most `run.batch` images at once, and what is measured on them."""
    layers, panels = len(run.layers), len(run.panels)
    size = run.descent.octaves[-1].size
    images = torch.empty(layers, panels, 3, size, size)
    losses = torch.empty(run.descent.steps, layers, panels)
    reached, shifted = torch.empty(layers, panels), torch.empty(layers, panels)
    for done, (rows, columns) in enumerate(groups(layers, panels, run.batch)):
        blocks = list(run.layers[rows])
        outputs = [torch.empty(0)] * len(blocks)
        if targets is not None:
            outputs = probe(targets[columns], blocks)
        goals = make_objectives(run, probe, slice(None) if targets is not None else columns, outputs)
        begin = start[columns].expand(len(blocks), -1, -1, -1, -1)
        first_step = done * run.descent.steps

        def report_group(step: int, loss: float, first_step: int = first_step) -> None:
            report(first_step + step, loss)

        with torch.enable_grad():
            found, history = descend(probe, begin, blocks, goals, run.descent, run.seed, report_group)
        images[rows, columns], losses[:, rows, columns] = found.cpu(), history.cpu()
        if targets is not None:
            reached[rows, columns] = distances(probe, found, blocks, outputs).cpu()
            noise = [
                normal(tuple(targets.shape[1:]), 0.0, SHIFT, generator(run.seed, "shift", panel))
                for panel in range(panels)[columns]
            ]
            moved = (targets[columns] + torch.stack(noise).to(targets.device)).expand_as(begin)
            shifted[rows, columns] = distances(probe, moved, blocks, outputs).cpu()
    results = {"images": images, "loss": losses.mean(dim=2).T}
    if targets is not None:
        results |= {"output_distance": reached, "shifted_output_distance": shifted}
    return results


def total_steps(run: Run) -> int:
    """Steps of all groups of a run, for its progress."""
    return run.descent.steps * len(list(groups(len(run.layers), len(run.panels), run.batch)))


def perform(
    run: Run,
    files: Mapping[str, Path],
    targets: np.ndarray | None,
    device: torch.device,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[dict[str, np.ndarray], dict]:
    """A run's arrays and facts, as `runfile.write_arrays` takes them.

    `files`: the weight file of the probe's stem and, if the stack is a trained one, of its stack, by their names.
    `targets`: for a `match` run the photographs [panel, 3, size, size] in [0, 1], else None.
    Arrays: `images` [layer, panel, 3, height, width], `initial` [layer, panel, 3, first size, the same], `loss`
    [layer, step] (mean over panels, before the step); for `match` also `targets`, and `output_distance` and
    `shifted_output_distance` [layer, panel] (L1, of the result and of the photograph shifted by noise of SHIFT).
    """
    stem, stack = run.probe.stem.name, run.probe.stack.name
    trained = run.weights == "trained"
    probe = load_probe(run.probe, files[stem], files[stack] if trained else None, max(run.layers), device, run.seed)
    size = run.descent.octaves[0].size
    noise = [start_noise(run.descent.start, size, run.seed, panel) for panel in range(len(run.panels))]
    start = torch.stack(noise)
    photographs = None if targets is None else torch.from_numpy(targets).to(device)
    results = descend_in_groups(run, probe, start.to(device), photographs, report)
    arrays = {name: tensor.numpy() for name, tensor in results.items()}
    arrays["initial"] = start.expand(len(run.layers), -1, -1, -1, -1).numpy()
    if targets is not None:
        arrays["targets"] = targets
    used = {stem} | ({stack} if trained else set())
    facts = {
        "run": run.name,
        "objective": run.objective,
        "probe": run.probe.name,
        "weights": run.weights,
        "layers": list(run.layers),
        "panels": list(run.panels),
        "settings": run.settings(),
        "seeds": {"run": run.seed},
        "versions": versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": "float32",
        "weight_files": {name: file_sha256(files[name]) for name in sorted(used)},
    }
    return arrays, facts
