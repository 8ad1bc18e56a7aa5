"""The state of a run beside its output: written now and then, gone on from after a kill, removed at the end."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

import numpy as np

from lmrep.errors import InputError
from lmrep.runfile import ArrayFile, read_arrays, write_arrays


class Checkpoint:
    """A state file, and the state that was found in it.

    `seconds`: between two writes. `context`: JSON values, by name, that a state is good for no others than: settings,
    code, device, threads. `say`: told what becomes of a state that is there.
    """

    def __init__(self, path: Path, seconds: float, context: Mapping[str, object], say: Callable[[str], None]):
        self.path, self.seconds = path, seconds
        self.context = json.loads(json.dumps(context))
        self.state = self._read(say) if path.exists() else None
        self.written = monotonic()

    def _read(self, say: Callable[[str], None]) -> ArrayFile | None:
        try:
            state = read_arrays(self.path)
            context, step = state.facts["context"], state.facts["step"]
        except (InputError, KeyError) as error:
            say(f"starts anew, the state cannot be used: {error}")
            return None
        changed = {key for key in {*context, *self.context} if context.get(key) != self.context.get(key)}
        if changed:
            say(f"starts anew, the state {self.path} was made with other {', '.join(sorted(changed))}")
            return None
        say(f"goes on from step {step}")
        return state

    @property
    def step(self) -> int:
        """How many steps the state found has behind it; 0 without one."""
        return self.state.facts["step"] if self.state else 0

    def is_due(self) -> bool:
        return monotonic() - self.written >= self.seconds

    def write(self, arrays: Mapping[str, np.ndarray], step: int, **place: int) -> None:
        """`step`: how many are taken; `place`: what else tells where in the run that is."""
        write_arrays(self.path, arrays, {"context": self.context, "step": step, **place})
        self.written = monotonic()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
