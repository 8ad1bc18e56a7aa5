"""The job of one run: read its inputs, descend with checkpoints on the device at hand, write its file."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import torch

from lmrep.descent.checkpoint import Checkpoint, Watch, state_path
from lmrep.descent.experiment import conditions, describe, perform, state_arrays
from lmrep.descent.faults import told
from lmrep.descent.plan import make_plan, pick_device, settle
from lmrep.files import write_arrays
from lmrep.inputs.images import load_target
from lmrep.probe.loading import blocks_in
from lmrep.probe.probe import CENTRE
from lmrep.probe.stem import CHANNELS, BasisStem
from lmrep.progress import progress
from lmrep.study.config import Study
from lmrep.study.kinds import FAMILIES
from lmrep.study.spec import Run
from lmrep.workflow.forecast import Stopwatch, correct, duration
from lmrep.workflow.gpus import own_card
from lmrep.workflow.job import tell


def load_photographs(study: Study, run: Run, images: Sequence[Path]) -> npt.NDArray[np.float32] | None:
    """The photographs of a match [panel, 3, size, size] in [0, 1], from one file a panel; None for other runs."""
    if not run.matches:
        return None
    fits = [study.images[str(panel)].fit for panel in run.panels]
    return np.stack([load_target(path, run.probe.stem.size, fit) for path, fit in zip(images, fits, strict=True)])


def lost_shares(run: Run, photographs: npt.NDArray[np.float32] | None) -> dict[str, float]:
    """The share of each photograph's power that a basis narrower than a patch loses; none if nothing is lost."""
    stem = run.probe.stem
    if photographs is None or stem.weights or stem.width >= CHANNELS * stem.patch**2:
        return {}
    shares = BasisStem(stem).lost_power(torch.from_numpy(photographs) - CENTRE * run.probe.centre)
    return dict(zip(map(str, run.panels), shares.tolist(), strict=True))


def deeper_files(run: Run, weights: Mapping[str, Path]) -> dict[str, int]:
    """The blocks in the stack's file, by its name, if it has more than the config says.

    A family that knows its own config refuses another depth.
    """
    stack = run.probe.stack
    if stack.name not in weights or FAMILIES[stack.family].own_config:
        return {}
    found = blocks_in(stack, weights[stack.name])
    return {stack.name: found} if found > stack.depth else {}


def remarks(run: Run, weights: Mapping[str, Path], photographs: npt.NDArray[np.float32] | None) -> Iterator[str]:
    """What a reader of the log should know of a run's inputs."""
    for name, share in lost_shares(run, photographs).items():
        yield f"{run.name}: the stem keeps the lowest frequencies and loses {share:.1%} of {name}'s power"
    for name, found in deeper_files(run, weights).items():
        yield f"weights.{name}: its file has {found} blocks; the config's depth takes only {run.probe.stack.depth}"


@contextmanager
def watched(study: Study, run: Run, output: Path, checkpoint: Checkpoint, log: TextIO) -> Iterator[Watch]:
    """Follows a run on the terminal and in its log, and corrects the build's estimate by its measured speed."""
    steps = run.descent.steps

    def measured(seconds: float) -> None:
        whole = correct(study.name, output, seconds * steps)
        if whole is not None:
            tell(log, f"by the measured speed of {run.name}, all runs of this build take about {duration(whole)}")

    stopwatch = Stopwatch(measured)
    with progress(run.name, steps, sys.stderr, log, taken=checkpoint.step) as show:

        def report(taken: float, loss: float | None) -> None:
            show(taken, loss)
            stopwatch(taken, loss)

        yield Watch(report, checkpoint)


def optimise(
    study: Study,
    run: Run,
    weights: Mapping[str, Path],
    images: Sequence[Path],
    output: Path,
    code: str,
    log: TextIO,
) -> None:
    """Performs `run`, a run of `study` or some of its layers, and writes its file to `output`.

    `weights`: files by the names of the weights. `images`: the photographs of a match, one a panel. `code`: a
    digest; a state of other code is not resumed from.
    Raises InputError if an input is not as expected, the descent diverges, or memory runs out.
    """
    settle(study.threads)  # not the threads that Snakemake grants: --cores caps those
    advice, say = "a smaller value of memory", partial(tell, log)
    with told(f"runs.{run.name}", advice), own_card(pick_device(study.device), say) as device:
        photographs = load_photographs(study, run, images)
        for line in remarks(run, weights, photographs):
            tell(log, line)
        plan = make_plan(run, device)
        facts = describe(run, weights, plan)
        context = conditions(run, facts, plan, photographs, code)
        checkpoint = Checkpoint(state_path(output), study.checkpoint, context, state_arrays(run), say)
        if checkpoint.put_back(output):
            return
        with watched(study, run, output, checkpoint, log) as watch:
            arrays = perform(run, weights, photographs, plan, watch)
        write_arrays(output, arrays, facts)
        checkpoint.keep(output)
