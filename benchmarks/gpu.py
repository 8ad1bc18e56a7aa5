"""Whether a GPU gives the miniature's pictures: those of the CPU, the same bytes twice, and the same after a kill.

    python benchmarks/gpu.py                      # on a GPU; compares with this machine's CPU
    python benchmarks/gpu.py --device cpu --small # two runs of a few steps, where there is no GPU

Performs runs of miniature.yaml in this process, in the deterministic mode of a build: torch raises at an operation
that has no deterministic form. Each run is done on the device twice, then with a kill after about half of its steps and
a resume, in both precisions of the device, and once on a CPU in float32. Photographs are random, so no picture is
fetched. SSIM is of the device's images with the CPU's, and of the CPU's with its own from a start that differs by 1e-6:
a descent that amplifies that is not stable, and no other machine would match it. The rate of a run is what `gflops` in
a config says. Prints Markdown.
"""

import argparse
import datetime
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import count
from pathlib import Path

import numpy as np
import torch
import yaml
from common import ROOT, machine, random_targets, shorten

from lmrep.descent.checkpoint import UNWATCHED, Checkpoint, Watch
from lmrep.descent.experiment import Arrays, conditions, describe, perform, state_arrays
from lmrep.descent.plan import has_bfloat16, make_plan, pick_device, settle
from lmrep.inputs.paths import paths_of
from lmrep.metrics.measures import ssim
from lmrep.study.config import make_study
from lmrep.study.cost import run_flops
from lmrep.study.kinds import OPTIMISERS
from lmrep.study.spec import Run

SMALL = ("gpt2_neurons_jittered", "vit_base_inverted")
FEW = 6  # steps of an octave with --small
NUDGE = 1e-6


class Killed(Exception):
    pass


def do(run: Run, device: torch.device, watch: Watch = UNWATCHED) -> Arrays:
    return perform(run, paths_of(run), random_targets(run), make_plan(run, device), watch)


def killed_and_resumed(run: Run, device: torch.device) -> tuple[Arrays, float]:
    """The arrays of a run that is killed in the middle, and the step that it resumed from."""
    plan = make_plan(run, device)
    context = conditions(run, describe(run, paths_of(run), plan), plan, random_targets(run), "")

    def kill(steps: float, _: float | None) -> None:
        if steps >= run.descent.steps / 2:
            raise Killed

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "run.state.safetensors")
        with suppress(Killed):
            # By this clock a second passes between two steps: a GPU may need less for a whole run. States are few, as
            # one of L-BFGS has its whole memory.
            first = Checkpoint(state, run.descent.steps // 4, context, state_arrays(run), print, clock=count().__next__)
            do(run, device, Watch(kill, first, count().__next__))
        checkpoint = Checkpoint(state, 0, context, state_arrays(run), lambda _: None)
        return do(run, device, Watch(checkpoint=checkpoint)), checkpoint.step


def likeness(one: Arrays, two: Arrays) -> float:
    """The lowest SSIM of the images of one with those of the other."""
    shape = one["images"].shape[-3:]
    pairs = zip(one["images"].reshape(-1, *shape), two["images"].reshape(-1, *shape), strict=True)
    return min(ssim(np.clip(a, 0, 1), np.clip(b, 0, 1)) for a, b in pairs)


def nudged(run: Run) -> Run:
    """The run with a start that is a little wider."""
    kind, first, second = run.descent.start  # the second number is a width, or the upper end of one
    start = (kind, first, second + NUDGE)
    return replace(run, descent=replace(run.descent, start=start))


def row_of(run: Run, device: torch.device, here: Arrays, beside: Arrays) -> list[str]:
    """`here` and `beside`: the arrays of the run on a CPU in float32, and of the nudged run."""
    two = do(run, device)  # warms up
    start = time.perf_counter()
    one = do(run, device)
    seconds = time.perf_counter() - start
    resumed, step = killed_and_resumed(run, device)

    def same(other: Arrays) -> str:
        wrong = [name for name in one if not np.array_equal(one[name], other[name])]
        return f"other {', '.join(wrong)}" if wrong else "same"

    return [run.name, run.precision, f"{seconds:.1f}", f"{run_flops(run) / seconds / 1e9:.0f}",
            same(two), f"{same(resumed)}, from step {step:.0f} of {run.descent.steps}",
            f"{likeness(one, here):.4f}", f"{likeness(here, beside):.4f}"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", nargs="+", help="names of runs in miniature.yaml; all of the figures' if left out")
    parser.add_argument("--seconds", type=float, default=240, help="begin no further run after these")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    study = make_study(yaml.safe_load(Path("miniature.yaml").read_text()))
    settle(torch.get_num_threads())
    device = pick_device(arguments.device)
    names = arguments.runs or (SMALL if arguments.small else study.runs_of("figures"))
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    print(f"## The miniature's runs on {machine(device)}\n\n{datetime.date.today()}, {versions}.\n")
    heads = ("run", "precision", "s", "GFLOP/s", "again", "killed and resumed", "SSIM with the CPU's",
             "CPU's with its own, nudged")  # fmt: skip
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    begun = time.monotonic()
    for done, name in enumerate(names):
        if time.monotonic() - begun > arguments.seconds:
            print(f"\nLeft out for want of time: {', '.join(list(names)[done:])}.")
            break
        run = study.runs[name]
        if arguments.small:
            run = replace(shorten(run, FEW), layers=run.layers[:2])
        exactly = replace(run, precision="float32")
        cpu = [do(each, torch.device("cpu")) for each in (exactly, nudged(exactly))]
        rounded = has_bfloat16(device) and not OPTIMISERS[run.descent.optimiser].exact
        for each in [exactly, *[replace(run, precision="bfloat16")] * rounded]:
            print(f"| {' | '.join(row_of(each, device, *cpu))} |", flush=True)


if __name__ == "__main__":
    main()
