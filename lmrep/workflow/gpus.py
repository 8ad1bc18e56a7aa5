"""One GPU for each run, if several runs share a host.

A process claims a GPU by locking a file that all processes of one user on the host share, if they share a TMPDIR. The
system releases the lock when the process ends or is killed.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from lmrep.errors import InputError

SECONDS_BETWEEN_TRIES = 1.0


@contextmanager
def claim(cards: Sequence[str], folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Claims a free card and yields its index in `cards`. Waits while other processes hold all of them.

    `cards`: names of the cards; a card has the same name in every process. `folder`: where the lock files are.
    `say`: called once with a line if there is a wait. Raises InputError if `folder` is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test").touch()
    except OSError as error:
        raise InputError(f"{folder}: expected a writable folder for GPU locks ({error.strerror}); set TMPDIR") from None
    waiting = False
    while True:
        for place, card in enumerate(cards):
            try:
                lock = FileLock(folder / f"{card}.lock", blocking=False).acquire()
            except Timeout:
                continue
            with lock:
                yield place
            return
        if not waiting:
            others = f"all {len(cards)}" if len(cards) > 1 else "the only one"
            say(f"waiting for a GPU: other runs hold {others} on this host")
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


@contextmanager
def own_card(device: torch.device, say: Callable[[str], None]) -> Iterator[torch.device]:
    """Yields `device`. If it is `cuda`, this process first claims one GPU of CUDA_VISIBLE_DEVICES and selects it."""
    if device.type != "cuda":
        yield device
        return
    folder = Path(tempfile.gettempdir(), f"lmrep-{os.getuid()}")
    cards = [str(torch.cuda.get_device_properties(place).uuid) for place in range(torch.cuda.device_count())]
    with claim(cards, folder, say) as place:
        torch.cuda.set_device(place)
        yield device
