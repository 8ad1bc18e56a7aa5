"""What a run costs, and how its layers are dealt out to jobs. For estimates and order only: no result depends on it."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from lmrep.study.spec import Run


def block_flops(width: int, tokens: int) -> float:
    """Floating-point operations of one image through one block and back to its input (no weight gradients)."""
    weights = 2 * 12 * width**2 * tokens  # a multiply and an add for each of 12 width^2 weights
    scores_and_values = 2 * 2 * width * tokens**2
    return float(2 * weights + 3 * scores_and_values)  # backward: one product more for weights, two for attention


def run_flops(run: Run) -> float:
    """Floating-point operations of all steps of a run, as if every token mattered to every panel."""
    images = sum(run.layers) * len(run.panels) * run.descent.steps
    return images * block_flops(run.probe.stack.width, run.probe.stem.tokens)


def run_seconds(run: Run, gflops: float) -> float:
    """Seconds that a run's steps take at `gflops` 10^9 operations a second."""
    return run_flops(run) / gflops / 1e9


def deal_layers(layers: tuple[int, ...], hands: int) -> tuple[tuple[int, ...], ...]:
    """`hands` sets of layers with about equal sums (a layer costs the blocks up to it); none is empty."""
    dealt: list[list[int]] = [[] for _ in range(min(max(hands, 1), len(layers)))]
    for layer in sorted(layers, reverse=True):
        min(dealt, key=sum).append(layer)
    return tuple(tuple(sorted(hand)) for hand in dealt)


def shards(run: Run, jobs: int | Mapping[str, float], gflops: float) -> tuple[Run, ...]:
    """The run as one run for each of its jobs, over some of its layers.

    `jobs`: how many, or {"minutes": of each job} at `gflops`.
    """
    if isinstance(jobs, Mapping):
        jobs = ceil(run_seconds(run, gflops) / 60 / jobs["minutes"])
    return tuple(replace(run, layers=layers) for layers in deal_layers(run.layers, jobs))
