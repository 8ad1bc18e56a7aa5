"""What the benchmarks share: the machine and its precisions, runs cut short, the times of contestants in turn."""

import argparse
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lmrep.descent.plan import has_bfloat16
from lmrep.inputs.workspace import LoadedStudy, load_pixels, weight_file
from lmrep.study.spec import Run

ROOT = Path(__file__).resolve().parents[1]
# One call of a contestant: how much it did (image-steps, operations), and its own seconds if it timed itself.
Step = Callable[[], float | tuple[float, float]]


def machine(device: torch.device) -> str:
    """The name of a GPU, or that of this machine's processor and how many threads torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {torch.get_num_threads()} threads"


def pick_precisions(names: list[str] | None, device: torch.device) -> list[torch.dtype]:
    """The precisions with these names; None: all of the device."""
    if names is None:
        names = ["float32", *["bfloat16"] * has_bfloat16(device)]
    return [{"float32": torch.float32, "bfloat16": torch.bfloat16}[name] for name in names]


def name_of(precision: torch.dtype) -> str:
    """float32 or bfloat16."""
    return str(precision).removeprefix("torch.")


def shorten(run: Run, steps: int) -> Run:
    """The run with at most `steps` steps of each octave."""
    octaves = tuple(replace(octave, steps=min(octave.steps, steps)) for octave in run.descent.octaves)
    return replace(run, descent=replace(run.descent, octaves=octaves))


def add_searches(parser: argparse.ArgumentParser) -> None:
    """The options that choose searches: a config, its runs, photographs and blocks."""
    parser.add_argument("--config", type=Path, default=ROOT / "miniature.yaml")
    parser.add_argument("--runs", nargs="+", default=["gpt2_inverted", "vit_base_inverted", "vit_large_inverted"])
    parser.add_argument("--images", nargs="+", default=["chelsea", "coffee"])
    parser.add_argument("--blocks", type=int, nargs="+", help="default: the first, a middle one and the last of a run")


def pick_layers(run: Run, blocks: Sequence[int] | None) -> tuple[int, ...]:
    """The chosen blocks; none: the first, a middle one and the last of a run."""
    return tuple(blocks or sorted({run.layers[0], run.layers[len(run.layers) // 2], run.layers[-1]}))


def random_targets(run: Run) -> npt.NDArray[np.float32] | None:
    """Random photographs [panel, 3, size, size] for a run that matches some, so that no picture is fetched."""
    size = run.probe.stem.size
    return np.random.default_rng(0).random((len(run.panels), 3, size, size), dtype=np.float32) if run.matches else None


def weight_files(study: LoadedStudy, run: Run) -> dict[str, Path]:
    """The files of a run's weights, by their names; downloaded if they are not at hand."""
    return {weights.name: weight_file(study, weights) for weights in run.weight_files}


def photographs(study: LoadedStudy, run: Run) -> npt.NDArray[np.float32] | None:
    """The photographs [panel, 3, size, size] of a run that matches some."""
    size = run.probe.stem.size
    return np.stack([load_pixels(study, image, size) for image in run.panel_names]) if run.matches else None


class Times:
    """Seconds of each contestant in each round, by its name."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[Hashable, list[float]] = {}

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def run(self, contestants: Mapping[Any, Step], rounds: int) -> None:
        """Times every contestant once per round, in seconds per unit of what it did."""
        gc.collect()
        gc.freeze()  # to look through all objects of the libraries takes up to a second
        for step in contestants.values():  # the first call is slower and not counted
            step()
            gc.collect()
        for number in range(rounds):
            for name, step in contestants.items():
                gc.collect()  # lucent leaves gigabytes in reference cycles
                self.wait()
                start = time.perf_counter()
                found = step()
                self.wait()
                whole = time.perf_counter() - start
                done, seconds = found if isinstance(found, tuple) else (found, whole)
                self.seconds.setdefault(name, []).append(seconds / done)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
        gc.unfreeze()

    def median(self, name: Hashable) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, slow: Hashable, fast: Hashable) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.seconds[slow], self.seconds[fast], strict=True))
