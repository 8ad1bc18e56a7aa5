"""Passes and seconds until each optimiser reaches the SSIM at which the article's descent ends.

    python benchmarks/inversion.py
    python benchmarks/inversion.py --probes gpt2 --blocks 1 6 --reference 1 --passes 40 --figure short.png

One photograph, one seed, trained blocks. The contestants start from the same noise:

- the article's descent, with all its passes: run <probe>_match of the study;
- Adam on the same distance (L1), rate .03, 400 passes;
- L-BFGS on the squared distance (l2): run <probe>_inverted, without its preconditioner (preconditioner.py has that
  one) and always with the distance l2 (distance.py compares it with pareto);
- torch.optim.LBFGS, the reference: strong Wolfe search, one image at a time, on the same distance and with the same
  history and number of passes as our L-BFGS.

A pass is one forward and backward pass through the network, line searches included. The first three have all blocks
in one pass, each in the precision that a build gives it. They take turns of a few passes, so that a change in the
machine's load meets all of them. torch's own runs after them, block by block, in the precision of our L-BFGS. Each
runs once. Seconds are CPU seconds of the optimisation alone on one thread: those of a pass for all blocks together,
and for torch's own those of one block alone. SSIM is measured afterwards, on the images kept every few passes, so a
number of passes is up to that many too high. Measured is the last image that the optimiser accepted, and for torch's
own the one with the lowest loss so far. An SSIM counts as reached where it stays as high from then on: at first it
may rise and then fall. Where the article's descent ends no higher than the start noise ("no rise"), there is nothing
to reach, and the block does not count in the average. Prints Markdown and writes a figure.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from common import ROOT, name_of, shorten, weight_files
from matplotlib import style
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType
from torch import Tensor

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.descend import input_gradient
from lmrep.descent.groups import make_objectives
from lmrep.descent.lbfgs import LBFGS
from lmrep.descent.match import distances, shift_noise
from lmrep.descent.plan import make_plan, settle
from lmrep.descent.priors import between, start_noise
from lmrep.errors import InputError
from lmrep.figures.page import GREY, MARGIN, PAGE, STYLE, make_canvas, save_figure, title_height
from lmrep.figures.shown import Shown
from lmrep.inputs.workspace import LoadedStudy, load_pixels, load_study
from lmrep.metrics.markdown import table
from lmrep.metrics.measures import correlation, ssim
from lmrep.probe.probe import Probe, load_probe
from lmrep.study.kinds import OPTIMISERS, load
from lmrep.study.spec import Octave, Run

ADAM_RATE, ADAM_PASSES = 0.03, 400
NAMES = {"gradient": "article's descent", "adam": "Adam", "lbfgs": "L-BFGS", "torch": "torch's L-BFGS"}


class Kept(NamedTuple):
    """The image [3, size, size] of a block after some passes, and the CPU seconds until then."""

    passes: int
    seconds: float
    image: Tensor


@dataclass(frozen=True)
class Curve:
    """SSIM against passes of one optimiser at one block. The first three arrays have one length."""

    passes: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    ssim: npt.NDArray[np.float64]
    ratio: float  # the output distance ratio at the end
    correlation: float  # with the photograph, at the end
    image: npt.NDArray[np.float32]  # [3, size, size], at the end

    def reached(self, level: float) -> tuple[int, float] | None:
        """Passes and seconds from which on the SSIM is at least `level`, or None if it ends lower."""
        below = np.flatnonzero(self.ssim < level)
        first = below[-1] + 1 if len(below) else 0
        return (int(self.passes[first]), float(self.seconds[first])) if first < len(self.passes) else None

    @property
    def moved(self) -> float:
        """How much the SSIM changes in the last quarter of the passes."""
        return float(self.ssim[-1] - np.interp(0.75 * self.passes[-1], self.passes, self.ssim))


def contestants(
    study: LoadedStudy, probe: str, image: str, blocks: Sequence[int], passes: int, precision: str | None = None
) -> dict[str, Run]:
    """The runs of a probe by optimiser, with one photograph, some blocks (none: all), and at most so many passes.

    `precision`: of all runs; by default their own.
    """
    article, converged = study.runs[f"{probe}_match"], study.runs[f"{probe}_inverted"]
    octave = Octave(article.probe.stem.size, ADAM_PASSES, (ADAM_RATE, ADAM_RATE))
    runs = {
        "gradient": article,
        "adam": replace(article, descent=replace(article.descent, optimiser="adam", octaves=(octave,))),
        "lbfgs": replace(converged, descent=replace(converged.descent, optimiser="lbfgs", distance="l2")),
    }
    for name, run in runs.items():
        layers = tuple(layer for layer in run.layers if not blocks or layer in blocks)
        short = replace(shorten(run, passes), layers=layers, panels=(image,), panel_seeds=())
        runs[name] = replace(short, precision=precision or run.precision)
    return runs


def begin(run: Run) -> Tensor:
    """The start noise [1, 3, size, size]."""
    return start_noise(run.descent.start, run.probe.stem.size, run.seed, run.panel_names[0])[None]


def in_turn(run: Run, probe: Probe, target: Tensor, every: int, optimiser: LBFGS | None = None) -> Iterator[list[Kept]]:
    """An optimiser (the run's own by default) on all blocks of a run: the images of all blocks, after every few passes.

    Does what `descend` does, one pass after the other. `probe`: in the run's precision.
    """
    (octave,) = run.descent.octaves
    outputs = probe(target, run.layers)
    goals = make_objectives(run, make_plan(run, target.device), run.layers, slice(0, 1), outputs)
    images, seconds = begin(run).to(target).repeat(len(run.layers), 1, 1, 1, 1), 0.0
    optimiser = optimiser or load(OPTIMISERS[run.descent.optimiser].function)(run.descent, {})
    for step in range(octave.steps):
        begun = process_time()
        gradient, losses = input_gradient(probe, images, run.layers, goals)
        images = optimiser.step(images, losses, gradient, between(octave.rate, step, octave.steps), step)
        seconds += process_time() - begun
        if (step + 1) % every == 0 or step + 1 == octave.steps:
            yield [Kept(step + 1, seconds, image[0].clone()) for image in optimiser.reached(images)]


def by_torch(run: Run, probe: Probe, target: Tensor, layer: int, every: int) -> list[Kept]:
    """torch.optim.LBFGS on one block of a run: the image with the lowest loss, after every few passes."""
    passes, kept, lowest, best = run.descent.steps, [], np.inf, begin(run)[0]
    goals = make_objectives(run, make_plan(run, target.device), [layer], slice(0, 1), probe(target, [layer]))
    image = begin(run)[0].requires_grad_()
    # A tolerance of 0: it goes on until its passes are spent, as ours does.
    optimiser = torch.optim.LBFGS(
        [image], max_iter=passes, max_eval=passes, tolerance_grad=0, tolerance_change=0,
        history_size=run.descent.history, line_search_fn="strong_wolfe",
    )  # fmt: skip
    calls, begun = 0, process_time()

    def closure() -> float:
        nonlocal calls, lowest, best
        gradient, losses = input_gradient(probe, image.detach()[None, None], [layer], goals)
        image.grad, loss, calls = gradient[0, 0], losses.item(), calls + 1
        if loss < lowest:
            lowest, best = loss, image.detach().clone()
        if calls <= passes and (calls % every == 0 or calls == passes):
            kept.append(Kept(calls, process_time() - begun, best))
        return loss

    while calls < passes:  # it returns when a search fails
        optimiser.step(closure)
    return kept


def curve(kept: Sequence[Kept], target: Tensor, exact: Probe, layer: int, shifted: Tensor) -> Curve:
    """Measures the images of one block. `exact`: the probe in float32. `shifted`: [1, 3, size, size]."""
    outputs = exact(target, [layer])
    found = [distances(exact(image, [layer]), outputs).item() for image in (kept[-1].image[None], shifted)]
    passes, seconds = np.array([k.passes for k in kept]), np.array([k.seconds for k in kept])
    scores = np.array([ssim(k.image.numpy(), target[0].numpy()) for k in kept])
    last = kept[-1].image.numpy()
    return Curve(passes, seconds, scores, found[0] / found[1], correlation(last, target[0].numpy()), last)


@torch.no_grad()
def race(
    study: LoadedStudy, runs: dict[str, Run], image: str, reference: Sequence[int], every: int
) -> dict[str, dict[int, Curve]]:
    """The curves of a probe, by optimiser and block. `reference`: the blocks of torch's own."""
    run = runs["lbfgs"]
    exact = load_probe(run.probe, weight_files(study, run), max(run.layers), torch.device("cpu"), run.seed)
    target = torch.from_numpy(load_pixels(study, image, run.probe.stem.size))[None]
    probes = {name: exact.in_precision(make_plan(each, target.device).precision) for name, each in runs.items()}
    turns = {name: in_turn(each, probes[name], target, every) for name, each in runs.items()}
    kept: dict[str, dict[int, list[Kept]]] = {name: {layer: [] for layer in run.layers} for name in runs}
    while turns:
        for name in list(turns):
            found = next(turns[name], None)
            if found is None:
                del turns[name]
                continue
            for layer, one in zip(run.layers, found, strict=True):
                kept[name][layer].append(one)
    kept["torch"] = {layer: by_torch(run, probes["lbfgs"], target, layer, every) for layer in reference}
    shifted = target + shift_noise(run)
    return {
        name: {layer: curve(each, target, exact, layer, shifted) for layer, each in layers.items()}
        for name, layers in kept.items()
    }


def text(found: tuple[int, float] | None, missing: str = "not reached") -> list[str]:
    return [str(found[0]), f"{found[1]:.1f}"] if found else [missing, "-"]


def report(label: str, runs: dict[str, Run], curves: dict[str, dict[int, Curve]], start: float) -> None:
    """Prints the tables of one probe. `start`: the SSIM of the start noise."""
    layers, torchs = runs["lbfgs"].layers, curves["torch"]
    others = [name for name in NAMES if name != "gradient"]
    precisions = {name: name_of(make_plan(run, torch.device("cpu")).precision) for name, run in runs.items()}
    print(f"## {label}\n")
    print(f"Passes and seconds to the SSIM at which the article's descent ends. The start noise has {start:.3f}.\n")
    head = ["block", "SSIM", "article's descent, passes", "s"]
    head += [part for name in others for part in (f"{NAMES[name]}, passes", "s")]
    rows, reached = [], []
    for layer in layers:
        end = curves["gradient"][layer]
        found = {name: curves[name][layer].reached(end.ssim[-1]) for name in others if layer in curves[name]}
        if end.ssim[-1] > start:
            reached.append(found["lbfgs"])
            cells = [text(found[name]) if name in found else ["-", "-"] for name in others]
        else:
            cells = [text(None, "no rise")] * len(others)
        row = [str(layer), f"{end.ssim[-1]:.3f}", str(end.passes[-1]), f"{end.seconds[-1]:.1f}"]
        rows.append(row + [cell for pair in cells for cell in pair])
    print(table(head, rows) + "\n")
    if reached and all(reached):
        passes = [found[0] for found in reached if found]
        count = f"{len(passes)} of {len(layers)} blocks"
        print(f"L-BFGS: {np.mean(passes):.1f} passes on average over {count}, {max(passes)} at most.\n")
    print("At the end of all passes:\n")
    head = ["block", *(f"SSIM, {NAMES[name]}" for name in NAMES), "torch's minus ours", "ratio, article's descent"]
    head += ["ratio, L-BFGS", "ratio, torch's L-BFGS", "last quarter, L-BFGS"]
    rows = []
    for layer in layers:
        ours, ends = curves["lbfgs"][layer], {name: curves[name][layer] for name in NAMES if layer in curves[name]}
        row = [f"{ends[name].ssim[-1]:.3f}" if name in ends else "-" for name in NAMES]
        row += [f"{torchs[layer].ssim[-1] - ours.ssim[-1]:+.3f}" if layer in torchs else "-"]
        row += [f"{ends[name].ratio:.4f}" if name in ends else "-" for name in ("gradient", "lbfgs", "torch")]
        rows.append([str(layer), *row, f"{ours.moved:+.3f}"])
    print(table(head, rows) + "\n")
    costs = []
    for name, run in runs.items():
        end = curves[name][layers[0]]
        cost = 100 * end.seconds[-1] / end.passes[-1]
        costs.append(f"{NAMES[name]} {cost:.1f} s ({run.descent.distance}, {precisions[name]})")
    print(f"100 passes of all {len(layers)} blocks: {', '.join(costs)}.\n", flush=True)


def draw(curves: dict[str, dict[str, dict[int, Curve]]], image: str, path: Path) -> None:
    """SSIM against passes: one panel a probe, with the blocks of torch's own."""
    page = Shown(f"SSIM of {image} against passes, by probe, block and optimiser", {}, {})
    height, left, gap = 3.15, 0.42, 0.28
    colours = dict(zip(NAMES, ["#D55E00", "#009E73", "#0072B2", "#000000"], strict=True))  # Okabe and Ito's
    dashes: list[LineStyleType] = ["-", (0, (4, 1.5)), (0, (1, 1.2))]
    with style.context(["default", str(STYLE)]):
        figure, _ = make_canvas(height, page)
        top, bottom = title_height(page) + 0.2, 0.85
        width = (PAGE - left - MARGIN - gap * (len(curves) - 1)) / len(curves)
        for place, (label, of_probe) in enumerate(curves.items()):
            box = (
                (left + place * (width + gap)) / PAGE,
                bottom / height,
                width / PAGE,
                (height - top - bottom) / height,
            )
            axes = figure.add_axes(box, ylim=(0, 1.02), xlabel="passes")
            axes.set_title(label)
            axes.grid(axis="y")
            if not place:
                axes.set_ylabel("SSIM")
            else:
                axes.set_yticklabels([])
            for name, of_name in of_probe.items():
                shown = [layer for layer in of_name if layer in of_probe["torch"]]
                for number, layer in enumerate(shown):
                    one, dash = of_name[layer], dashes[number % len(dashes)]
                    axes.plot(
                        one.passes, one.ssim, color=colours[name], linestyle=dash, lw=0.9, zorder=2 + (name == "lbfgs")
                    )
                    if name == "lbfgs":
                        axes.annotate(
                            f"block {layer}", (one.passes[-1], one.ssim[-1]), (3, 0), textcoords="offset points",
                            va="center", size=6.5, color=colours[name],
                        )  # fmt: skip
        lines = [Line2D([], [], color=colours[name], label=NAMES[name]) for name in NAMES]
        for block, dash in zip(("first block", "middle block", "last block"), dashes, strict=True):
            lines.append(Line2D([], [], color=GREY, linestyle=dash, lw=0.9, label=block))
        figure.legend(handles=lines, loc="lower center", ncols=len(lines), handlelength=2.2, columnspacing=1.2)
        save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "miniature.yaml")
    parser.add_argument("--probes", nargs="+", default=["gpt2", "vit_base", "vit_large"])
    parser.add_argument("--image", default="chelsea", help="of both runs of a probe")
    parser.add_argument("--blocks", type=int, nargs="+", default=[], help="default: all")
    parser.add_argument("--reference", type=int, nargs="+", help="blocks of torch's own; default: first, middle, last")
    parser.add_argument("--passes", type=int, default=10**9, help="of each contestant, at most; for a short run")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of all contestants; default: a build's")
    parser.add_argument("--every", type=int, default=5, help="passes between two measurements of SSIM")
    parser.add_argument("--figure", type=Path, default=ROOT / "benchmarks/inversion.png")
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    study, found = load_study(options.config), {}
    for probe in options.probes:
        runs = contestants(study, probe, options.image, options.blocks, options.passes, options.precision)
        layers = runs["lbfgs"].layers
        ends = options.reference or {layers[0], layers[(len(layers) - 1) // 2], layers[-1]}
        reference = sorted(set(ends) & set(layers))
        label = runs["lbfgs"].probe.label
        found[label] = race(study, runs, options.image, reference, options.every)
        target = load_pixels(study, options.image, runs["lbfgs"].probe.stem.size)
        report(label, runs, found[label], ssim(begin(runs["lbfgs"])[0].numpy(), target))
    draw(found, options.image, options.figure)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
