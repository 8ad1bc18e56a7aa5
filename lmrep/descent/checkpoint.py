"""The state of a run beside its output: written now and then, gone on from after a kill.

The last one has all steps behind it, and stays until the build that it belongs to has ended well: until then, the run
may be asked for again.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from time import monotonic

import numpy as np

from lmrep.errors import InputError
from lmrep.files import ArrayFile, read_arrays, write_arrays


class Checkpoint:
    """A state file, and the state that was found in it.

    `seconds`: between two writes. `context`: JSON values, by name, that a state is good for no others than: settings,
    code, device, threads. `arrays`: the names of what a state holds. `say`: told what becomes of one that is there.
    """

    def __init__(
        self, path: Path, seconds: float, context: Mapping, arrays: Collection[str], say: Callable[[str], None]
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
                raise ValueError(f"expected {', '.join(sorted(self.arrays))}, and at which step they are")
            changed = sorted(key for key in {*context, *self.context} if context.get(key) != self.context.get(key))
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            say(f"starts anew, the state {self.path} cannot be used: {error}")
            return None
        if changed:
            say(f"starts anew, the state {self.path} was made with other {', '.join(changed)}")
            return None
        say(f"goes on from step {step}")
        return state

    @property
    def step(self) -> int:
        """How many steps the state found has behind it; 0 without one."""
        return self.state.facts["step"] if self.state else 0

    def is_due(self) -> bool:
        return monotonic() - self.written >= self.seconds

    def write(self, arrays: Mapping[str, np.ndarray], step: int) -> None:
        write_arrays(self.path, arrays, {"context": self.context, "step": step})
        self.written = monotonic()
