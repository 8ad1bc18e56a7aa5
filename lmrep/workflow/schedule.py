"""What a scheduler is told about a run's job: memory, minutes, order. Estimates only: no result depends on them."""

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from lmrep.study.cost import Speed, run_flops, run_seconds
from lmrep.study.kinds import FAMILIES
from lmrep.study.spec import CPU_GROUP, Run

MEGABYTE = 10**6
LIBRARIES = 2500  # MB of a job that do not depend on the run: 700 were measured without a GPU, 1200 with an H200
COPIES = 3  # of the weights: as read, and laid out for the forward and the backward pass
TRACE = 8000  # MB of a job that follows an image through a probe, at least
START_MINUTES = 15  # to start a job on a busy cluster
MARGIN = 3  # times the estimated time


def grown(memory: int, attempt: int) -> int:
    """Each further attempt asks for half as much again: memory may have ended the last one."""
    return memory * (1 + attempt) // 2


def weights_memory(run: Run) -> int:
    """MB of the blocks that a run reads."""
    stack = run.probe.stack
    depth = stack.depth if FAMILIES[stack.family].own_config else max(run.layers)  # its library reads all blocks
    return COPIES * depth * 12 * stack.width**2 * 4 // MEGABYTE


def run_memory(run: Run, attempt: int) -> int:
    """MB of a run's job."""
    kept = CPU_GROUP if isinstance(run.memory, str) else round(run.memory)
    optimiser = len(run.layers) * len(run.panels) * run.descent.history_bytes // MEGABYTE
    return grown(LIBRARIES + kept + weights_memory(run) + optimiser, attempt)


def trace_memory(run: Run, attempt: int) -> int:
    """MB of the job that follows one image through a run's probe, which keeps nothing for a backward pass."""
    return grown(max(TRACE, LIBRARIES + weights_memory(run)), attempt)


def run_minutes(run: Run, speed: Speed, attempt: int) -> int:
    """Minutes of a run's job at `speed`. The next attempt resumes."""
    return attempt * (START_MINUTES + ceil(MARGIN * run_seconds(run, speed) / 60))


def rank(run: Run, costs: Sequence[float]) -> int:
    """How many of `costs`, sorted, are below that of `run`.

    Long jobs start first: one that starts last leaves the other cores idle.
    """
    return bisect_left(costs, run_flops(run))
