"""The state of a run: saved beside its output now and then, and resumed from after a kill.

A finished run keeps its file under the name of its state too, until the build has ended well. Snakemake deletes the
output of a build that is killed before it has recorded the run, and asks for it again. The second name is a hard link,
which takes no room; on a file system without links it is a copy. The facts that tell whose file it is lie beside it.
"""

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from lmrep.errors import InputError
from lmrep.files import ArrayFile, read_arrays, replacing, write_arrays
from lmrep.progress import Report, ignore
from lmrep.provenance import file_sha256

UNREADABLE = (InputError, SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError)  # a broken state


def state_path(output: Path) -> Path:
    """Where the run whose file is `output` saves its state."""
    return output.with_suffix(".state.safetensors")


def facts_path(state: Path) -> Path:
    """The file beside the state of a finished run that tells whose it is."""
    return state.with_suffix(".json")


def forget_state(output: Path) -> None:
    """Removes the state of the run whose file is `output`."""
    state = state_path(output)
    state.unlink(missing_ok=True)
    facts_path(state).unlink(missing_ok=True)


def steps_taken(output: Path, settings: Mapping[str, Any]) -> float:
    """The steps in the saved state of a run with these settings: 0 without one, inf if the run is finished.

    An estimate: nothing else that the state depends on is compared.
    """
    state = state_path(output)
    try:
        with safe_open(state, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})["lmrep"])
        if "context" not in facts:
            facts = {**json.loads(facts_path(state).read_text()), "step": inf}
        return float(facts["step"]) if facts["context"]["settings"] == json.loads(json.dumps(settings)) else 0.0
    except UNREADABLE:
        return 0.0


def give_name(path: Path, name: Path) -> None:
    """Gives a file a second name, which must not exist yet: as a hard link, or as a copy."""
    try:
        os.link(path, name)
    except OSError:  # the file system has no hard links
        shutil.copyfile(path, name)


class Checkpoint:
    """A state file, and the state that was found in it.

    `seconds`: between two writes, by `clock`. `context`: JSON values by name (settings, code, device, threads); a state
    of another context is not used. `arrays`: the names of the arrays in a state. `say`: called with a line on what
    becomes of a saved state.
    """

    def __init__(
        self,
        path: Path,
        seconds: float,
        context: Mapping[str, Any],
        arrays: Collection[str],
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ):
        self.path, self.seconds, self.arrays, self.clock = path, seconds, set(arrays), clock
        self.context = json.loads(json.dumps(context))
        self.finished = False
        self.state = self._read(say) if path.exists() else None
        self.written = clock()

    def _read(self, say: Callable[[str], None]) -> ArrayFile | None:
        try:
            state = read_arrays(self.path)
            finished = "context" not in state.facts  # it is a run file
            facts = json.loads(facts_path(self.path).read_text()) if finished else state.facts
            context = facts["context"]
            changed = sorted(key for key in {*context, *self.context} if context.get(key) != self.context.get(key))
            if changed:
                say(f"starts from step 0: the state {self.path} was made with other {', '.join(changed)}")
                return None
            if finished and facts["sha256"] != file_sha256(self.path):
                raise ValueError("expected the bytes of the finished run")
            if not finished:
                self._check(state)
        except UNREADABLE as error:
            say(f"starts from step 0: the state {self.path} cannot be used: {error}")
            return None
        self.finished = finished
        say("was finished before: its file is put back" if finished else f"resumes from step {int(facts['step'])}")
        return None if finished else state

    def _check(self, state: ArrayFile) -> None:
        group, step = state.facts["group"], state.facts["step"]
        if state.arrays.keys() != self.arrays or not (isinstance(group, int) and isinstance(step, int | float)):
            raise ValueError(f"expected the arrays {', '.join(sorted(self.arrays))}, their step and their group")

    @property
    def step(self) -> float:
        """The steps that the run had taken when the state was saved; 0 without a state."""
        return float(self.state.facts["step"]) if self.state else 0.0

    @property
    def group(self) -> int:
        """The group of the plan that the state is in; 0 without a state."""
        return int(self.state.facts["group"]) if self.state else 0

    def is_due(self) -> bool:
        """Whether `seconds` have passed since the last write."""
        return self.clock() - self.written >= self.seconds

    def write(self, arrays: Mapping[str, npt.NDArray[np.float32]], group: int, step: float) -> None:
        """Saves the state in group `group` of the plan, after `step` steps of the run."""
        write_arrays(self.path, arrays, {"context": self.context, "group": group, "step": step})
        self.written = self.clock()

    def keep(self, output: Path) -> None:
        """Keeps the file of the run, which is finished, in place of its state."""
        facts = {"context": self.context, "sha256": file_sha256(output)}
        with suppress(OSError):  # such as a full disk's: without a state, a rerun only takes longer
            with replacing(facts_path(self.path)) as part:
                part.write_text(json.dumps(facts, sort_keys=True))
            with replacing(self.path) as part:  # facts first: without its own, a finished run is not used
                give_name(output, part)

    def put_back(self, output: Path) -> bool:
        """Restores the file of a run that was finished before. Returns whether it was."""
        if self.finished:
            with replacing(output) as part:
                give_name(self.path, part)
                os.utime(part)  # Snakemake compares ages
        return self.finished


@dataclass(frozen=True)
class Watch:
    """What follows a run. No array depends on it."""

    report: Report = ignore  # called every few seconds, and before distances are measured
    checkpoint: Checkpoint | None = None  # the run resumes from its state, and writes new ones when due
    clock: Callable[[], float] = monotonic  # seconds, which decide when to report


UNWATCHED = Watch()
