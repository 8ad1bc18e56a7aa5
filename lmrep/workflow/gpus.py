"""The GPUs of this host, and one for each run if several runs share it.

A process claims a GPU by locking a file that all processes of one user on the host share, if they share a TMPDIR. The
system releases the lock when the process ends or is killed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lmrep.errors import MachineError

if TYPE_CHECKING:  # planning a build imports this module, and torch takes seconds
    import torch

SECONDS_BETWEEN_TRIES = 1.0
SECONDS_FOR_DRIVER = 20  # to list the GPUs: hosts with many of them, and without persistence mode, are slow
SECONDS_FOR_TORCH = 60  # to be imported and to list them, from a cold disk
# "GPU 0: name (UUID: GPU-...)", and below it for each of its parts "  MIG 3g.20gb     Device  0: (UUID: MIG-...)".
CARD = re.compile(r"^(?:GPU (\d+):|\s+(?=MIG)) *(.+?) *(?:Device +\d+: )?\(UUID: ([^)]+)\)$")
ASK_TORCH = """
import torch
for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
    print(torch.cuda.get_device_name(index))
"""


def printed(*command: str, seconds: float) -> list[str] | None:
    """The lines that a command prints; None if it fails, or takes longer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
    except (subprocess.SubprocessError, OSError, UnicodeDecodeError):
        return None
    return done.stdout.splitlines()


@cache
def gpu_names(device: str = "auto") -> list[str]:
    """The names of the GPUs that a job may use, where the config asks for `device`.

    nvidia-smi lists them at once. Where it is missing or fails, as with ROCm and in containers, and the config says
    `cuda`, a process of its own asks torch, which takes seconds. torch knows ROCR_VISIBLE_DEVICES and the like.
    """
    visible, tool = os.environ.get("CUDA_VISIBLE_DEVICES"), shutil.which("nvidia-smi")
    if device == "cpu" or visible == "":
        return []
    listing = printed(tool, "-L", seconds=SECONDS_FOR_DRIVER) if tool else None
    if listing is None:
        asks = device == "cuda"
        return (printed(sys.executable, "-c", ASK_TORCH, seconds=SECONDS_FOR_TORCH) or []) if asks else []
    cards = [found.groups() for found in map(CARD.match, listing) if found]  # (index, name, UUID)
    if visible is None:
        return [name for index, name, _ in cards if index]
    # Numbers, or the beginnings of UUIDs, up to the first that no card has: CUDA reads no further.
    found = []
    for entry in map(str.strip, visible.split(",")):
        by_uuid = entry.startswith(("GPU-", "MIG-"))
        own = [name for index, name, uuid in cards if (uuid.startswith(entry) if by_uuid else index == entry)]
        if not own:
            break
        found += own
    return found


@contextmanager
def claim(cards: Sequence[str], folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Claims a free card and yields its index in `cards`. Waits while other processes hold all of them.

    `cards`: names of the cards; a card has the same name in every process. `folder`: where the lock files are.
    `say`: called once with a line if there is a wait. Raises MachineError if `folder` is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test").touch()
    except OSError as error:
        raise MachineError(
            f"{folder}: expected a writable folder for GPU locks ({error.strerror}); set TMPDIR"
        ) from None
    waiting = False
    while True:
        for index, card in enumerate(cards):
            try:
                lock = FileLock(folder / f"{card}.lock", blocking=False).acquire()
            except Timeout:
                continue
            with lock:
                yield index
            return
        if not waiting:
            others = f"all {len(cards)}" if len(cards) > 1 else "the only one"
            say(f"waiting for a GPU: other runs hold {others} on this host")
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


@contextmanager
def own_card(device: "torch.device", say: Callable[[str], None]) -> Iterator["torch.device"]:
    """Yields `device`. If it is `cuda`, this process first claims one GPU of CUDA_VISIBLE_DEVICES and selects it."""
    if device.type != "cuda":
        yield device
        return
    import torch

    folder = Path(tempfile.gettempdir(), f"lmrep-{os.getuid()}")
    cards = [str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count())]
    with claim(cards, folder, say) as index:
        torch.cuda.set_device(index)
        yield device
