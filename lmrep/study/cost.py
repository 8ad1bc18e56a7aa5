"""What a run costs, and how its layers are dealt out to jobs. For estimates and order only: no result depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from lmrep.study.spec import Run

SECONDS_OF_STEP = {"cpu": 0.01, "cuda": 0.001}  # of a step without its blocks, if it is one group
HISTORY = 220  # operations that take as long as reading one pixel of one remembered move from memory


@dataclass(frozen=True)
class Speed:
    """What a device does in a run."""

    gflops: Mapping[str, float]  # 10^9 operations a second, by precision
    step: float  # seconds of a step without its blocks


def block_flops(width: int, tokens: int) -> float:
    """Floating-point operations of one image through one block and back to its input (no weight gradients)."""
    weights = 2 * 12 * width**2 * tokens  # a multiply and an add for each of 12 width^2 weights
    scores_and_values = 2 * 2 * width * tokens**2
    return float(2 * weights + 3 * scores_and_values)  # backward: one product more for weights, two for attention


def run_flops(run: Run) -> float:
    """Floating-point operations of all steps of a run, and what its optimiser's memory costs in operations."""
    stem, descent, panels, width = run.probe.stem, run.descent, len(run.panels), run.probe.stack.width
    tokens = run.tokens_needed or (stem.tokens,) * panels
    images = sum(block_flops(width, count) for count in tokens)
    memory = HISTORY * descent.remembered * len(run.layers) * panels * 3 * descent.octaves[-1].size ** 2
    return descent.steps * (sum(run.layers) * images + memory)


def precision_of(run: Run, bfloat16: bool = True) -> str:
    """The precision that a run's steps have, on a device with or without `bfloat16`."""
    if run.asked_precision != "auto":
        return run.asked_precision
    return "bfloat16" if bfloat16 else "float32"


def speed_of(gflops: Mapping[str, float | Mapping[str, float]], kind: str, cores: float = 1) -> Speed:
    """The speed of `cores` cores or GPUs, by a config's `gflops`: a number for any precision, or one for each.

    `kind`: "cpu" or "cuda".
    """
    given = gflops[kind]
    each = given if isinstance(given, Mapping) else dict.fromkeys(("bfloat16", "float32"), given)
    return Speed({precision: cores * number for precision, number in each.items()}, SECONDS_OF_STEP[kind])


def speed_asked(gflops: Mapping[str, float | Mapping[str, float]], device: str, threads: int) -> Speed:
    """The speed of one run of `threads` threads on the device that a config asks for (auto: a GPU)."""
    return speed_of(gflops, "cpu", threads) if device == "cpu" else speed_of(gflops, "cuda")


def run_seconds(run: Run, speed: Speed, bfloat16: bool = True) -> float:
    """Seconds that all steps of a run take at `speed`."""
    return run_flops(run) / speed.gflops[precision_of(run, bfloat16)] / 1e9 + speed.step * run.descent.steps


def deal_layers(layers: tuple[int, ...], hands: int) -> tuple[tuple[int, ...], ...]:
    """`hands` sets of layers with about equal sums (a layer costs the blocks up to it); none is empty."""
    dealt: list[list[int]] = [[] for _ in range(min(max(hands, 1), len(layers)))]
    for layer in sorted(layers, reverse=True):
        min(dealt, key=sum).append(layer)
    return tuple(tuple(sorted(hand)) for hand in dealt)


def shards(run: Run, jobs: int | Mapping[str, float], speed: Speed) -> tuple[Run, ...]:
    """The run as one run for each of its jobs, over some of its layers.

    `jobs`: how many, or {"minutes": of each job} at `speed`.
    """
    if isinstance(jobs, Mapping):
        jobs = ceil(run_seconds(run, speed) / 60 / jobs["minutes"])
    return tuple(replace(run, layers=layers) for layers in deal_layers(run.layers, jobs))
