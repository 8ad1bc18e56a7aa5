"""The state of a run: saved beside its output now and then, and resumed from after a kill.

A finished run keeps its last state until the build has ended well: a build that is killed before it has recorded the
run asks for it again.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from lmrep.errors import InputError
from lmrep.files import ArrayFile, read_arrays, write_arrays


def state_path(output: Path) -> Path:
    """Where the run whose file is `output` saves its state."""
    return output.with_suffix(".state.safetensors")


class Checkpoint:
    """A state file, and the state that was found in it.

    `seconds`: between two writes. `context`: JSON values by name (settings, code, device, threads); a state of another
    context is not used. `arrays`: the names of the arrays in a state. `say`: called with a line on what becomes of a
    state that is there.
    """

    def __init__(
        self,
        path: Path,
        seconds: float,
        context: Mapping[str, Any],
        arrays: Collection[str],
        say: Callable[[str], None],
    ):
        self.path, self.seconds, self.arrays = path, seconds, set(arrays)
        self.context = json.loads(json.dumps(context))
        self.state = self._read(say) if path.exists() else None
        self.written = monotonic()

    def _read(self, say: Callable[[str], None]) -> ArrayFile | None:
        try:
            state = read_arrays(self.path)
            context, step = state.facts["context"], state.facts["step"]
            if state.arrays.keys() != self.arrays or not isinstance(step, int):
                raise ValueError(f"expected the arrays {', '.join(sorted(self.arrays))} and their step")
            changed = sorted(key for key in {*context, *self.context} if context.get(key) != self.context.get(key))
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            say(f"starts from step 0: the state {self.path} cannot be used: {error}")
            return None
        if changed:
            say(f"starts from step 0: the state {self.path} was made with other {', '.join(changed)}")
            return None
        say(f"resumes from step {step}")
        return state

    @property
    def step(self) -> int:
        """The step that the state was saved at; 0 without a state."""
        return int(self.state.facts["step"]) if self.state else 0

    def is_due(self) -> bool:
        """Whether `seconds` have passed since the last write."""
        return monotonic() - self.written >= self.seconds

    def write(self, arrays: Mapping[str, npt.NDArray[np.float32]], step: int) -> None:
        """Saves the state after `step` steps."""
        write_arrays(self.path, arrays, {"context": self.context, "step": step})
        self.written = monotonic()
