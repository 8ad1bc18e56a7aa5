"""Runs side by side on the GPUs of one host, each on a card of its own.

A card is claimed by a lock on a file that all processes of a user on this host share, as long as they share a TMPDIR.
The system takes a lock back from a process that ends, however it ends, so that no claim outlives its claimant.
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
    """The place in `cards` of one that no other process has; waits where all are taken.

    `cards`: names that every process has for the same card. `folder`: of the locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test").touch()
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to claim GPUs in ({error.strerror}); see TMPDIR") from None
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
            say(f"waits for a GPU: other runs have {'all ' if len(cards) > 1 else ''}{len(cards)} of this host")
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


@contextmanager
def own_card(device: torch.device, say: Callable[[str], None]) -> Iterator[torch.device]:
    """`device`, which, if it is torch's `cuda`, is a card of this process's own of those in CUDA_VISIBLE_DEVICES."""
    if device.type != "cuda":
        yield device
        return
    folder = Path(tempfile.gettempdir(), f"lmrep-{os.getuid()}")
    cards = [str(torch.cuda.get_device_properties(place).uuid) for place in range(torch.cuda.device_count())]
    with claim(cards, folder, say) as place:
        torch.cuda.set_device(place)
        yield device
