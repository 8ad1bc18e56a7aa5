"""How long a build's runs take: an estimate from the config, corrected by the measured speed of its first runs.

The estimate lies in a file of the build, one for each study. A job that has measured its first steps writes its speed
there, and later builds on the same device begin with it.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from heapq import heapify, heapreplace
from pathlib import Path
from time import monotonic

from filelock import FileLock

from lmrep.descent.checkpoint import steps_taken
from lmrep.files import replacing
from lmrep.study.config import Study
from lmrep.study.cost import precision_of, run_seconds, speed_of
from lmrep.study.spec import BFLOAT16_FLAGS, Run, identity

FOLDER = Path(".snakemake")  # Snakemake's own, which git ignores
SECONDS_TO_START = 4.0  # of a run: imports and weights, before its first step
SECONDS_TO_MEASURE = 2.0


def duration(seconds: float) -> str:
    """A duration in words, as rough as the estimate."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"


def available_cores() -> int:
    """The cores that this process may use, by its affinity and its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max" is no number
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        cores = min(cores, max(1, quota // period))
    return cores


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, as far as Linux tells."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return any(BFLOAT16_FLAGS & {*line.split()} for line in lines if line.lower().startswith(("flags", "features")))
    return False


@dataclass(frozen=True)
class Part:
    """The part of a build that is one run's job."""

    seconds: float  # of all its steps, by the config
    left: float  # share of them that are still to take
    precision: str


@dataclass
class Forecast:
    """The jobs of a build that run, by the paths of their outputs, and how many of them run side by side."""

    device: str
    gflops: float | Mapping[str, float]  # of the device, by the config
    slots: int
    parts: Mapping[str, Part]
    known: Mapping[str, float] = field(default_factory=dict)  # of earlier builds: measured seconds over `Part.seconds`
    measured: dict[str, float] = field(default_factory=dict)  # of this build, by output

    def factor(self, precision: str) -> float:
        """Measured over estimated seconds for a precision; for any precision if this one was not measured."""
        for name in (precision, ""):
            alike = {path: part for path, part in self.parts.items() if name in ("", part.precision)}
            found = [(alike[path].seconds, factor) for path, factor in self.measured.items() if path in alike]
            if found:
                return sum(seconds * factor for seconds, factor in found) / sum(seconds for seconds, _ in found)
            if self.known and (not name or name in self.known):
                return self.known.get(name) or max(self.known.values())
        return 1.0

    def seconds(self) -> float:
        """Seconds of the whole build's runs. The longest start first, as `schedule.rank` has it."""
        factors = {part.precision: self.factor(part.precision) for part in self.parts.values()}
        jobs = [
            SECONDS_TO_START + part.seconds * part.left * self.measured.get(path, factors[part.precision])
            for path, part in self.parts.items()
        ]
        return makespan(jobs, self.slots)


def makespan(jobs: Sequence[float], slots: int) -> float:
    """When the last of some jobs ends if `slots` of them run side by side and the longest start first."""
    ends = [0.0] * max(1, min(slots, len(jobs)))
    heapify(ends)
    for job in sorted(jobs, reverse=True):
        heapreplace(ends, ends[0] + job)
    return max(ends)


def share_left(path: Path, run: Run) -> float:
    """The share of a run's steps that are still to take, by the state beside its output."""
    return max(0.0, 1 - steps_taken(path, identity(run)) / run.descent.steps)


def one_by_one(study: Study, runs: Mapping[Path, Run]) -> float:
    """Seconds of some runs, by their outputs, one after the other on the device that the config asks for."""
    return sum(SECONDS_TO_START + share_left(path, run) * run_seconds(run, study.speed) for path, run in runs.items())


def forecast(study: Study, runs: Mapping[Path, Run], gpus: Sequence[str], cores: int, cards: int) -> Forecast:
    """The estimate of a build on this machine, on `cores` cores or up to `cards` of `gpus`. `runs`: by their outputs.

    A run uses its threads even where Snakemake was given fewer cores, but not more cores than there are.
    """
    kind, bfloat16 = ("cuda", True) if gpus else ("cpu", cpu_has_bfloat16())
    slots = max(1, min(len(runs), min(cards, len(gpus)) if gpus else cores // min(study.threads, cores)))
    speed = speed_of(study.gflops, kind)
    if not gpus:
        speed = speed_of(study.gflops, kind, min(slots * study.threads, available_cores()) / slots)
    parts = {}
    for path, run in runs.items():
        seconds = run_seconds(run, speed, bfloat16)
        parts[str(path)] = Part(seconds, share_left(path, run), precision_of(run, bfloat16))
    return Forecast(gpus[0] if gpus else "cpu", study.gflops[kind], slots, parts)


def forecast_path(study: str) -> Path:
    """The file of a study's last forecast."""
    return FOLDER / f"lmrep-forecast-{study}.json"


def read(study: str) -> Forecast | None:
    """A study's last forecast; None if there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        raw = json.loads(forecast_path(study).read_text())
        return Forecast(**{**raw, "parts": {path: Part(**part) for path, part in raw["parts"].items()}})
    return None


def write(study: str, found: Forecast) -> None:
    with suppress(OSError), replacing(forecast_path(study)) as part:  # no estimate in a folder that is read-only
        part.write_text(json.dumps(asdict(found), indent=1))


def forget(study: str) -> None:
    """Removes a study's last forecast: on a cluster, jobs are measured on machines of many kinds."""
    with suppress(OSError):
        forecast_path(study).unlink()


def begin(study: str, found: Forecast) -> Forecast:
    """The forecast with what earlier builds on the same device have measured, written for the jobs of this one."""
    last = read(study)
    if last and (last.device, last.gflops) == (found.device, found.gflops):
        precisions = {part.precision for path, part in last.parts.items() if path in last.measured} | {*last.known}
        found.known = {precision: last.factor(precision) for precision in precisions}
    write(study, found)
    return found


def correct(study: str, output: Path, seconds: float) -> float | None:
    """Notes that all steps of a run take `seconds`, as measured on this machine.

    Returns the corrected seconds of the whole build's runs if this is the first run of its precision in this build.
    """
    with suppress(OSError, NotImplementedError), FileLock(forecast_path(study).with_suffix(".lock")):
        found = read(study)
        part = found.parts.get(str(output)) if found else None
        if found and part and part.seconds:
            first = all(found.parts[path].precision != part.precision for path in found.measured)
            found.measured[str(output)] = seconds / part.seconds
            write(study, found)
            return found.seconds() if first else None
    return None


class Stopwatch:
    """Measures the seconds of a step from the reports of a run, once. The steps before the first report warm up."""

    def __init__(self, tell: Callable[[float], None], clock: Callable[[], float] = monotonic):
        self.tell, self.clock = tell, clock
        self.begun: tuple[float, float] | None = None
        self.over = False

    def __call__(self, steps: float, loss: float | None) -> None:
        """Takes a report: see `progress.Report`. Calls `tell` with the seconds of a step, when some have passed."""
        now = self.clock()
        if self.over or loss is None:
            return
        if self.begun is None:
            self.begun = now, steps
        elif now - self.begun[0] >= SECONDS_TO_MEASURE and steps > self.begun[1]:
            self.over = True
            self.tell((now - self.begun[0]) / (steps - self.begun[1]))
