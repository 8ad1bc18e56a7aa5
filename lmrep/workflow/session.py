"""The processes of a build: one build of a study at a time in a folder, and no process that outlives its build.

Snakemake's own lock is a file that stays after a kill and must be removed by hand, so the profiles turn it off.
"""

import os
import select
import signal
import threading
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from lmrep.errors import InputError

held: list[BaseFileLock] = []  # keeps the locks alive: a lock that is garbage-collected is released
BUILD = "LMREP_BUILD"  # environment variable: the process id of the build that a process belongs to


def hold_folder(folder: Path, study: str) -> None:
    """Locks `folder` for one build of `study`. The lock ends with this process, also if it is killed.

    Raises InputError if another build of the study holds it.
    """
    lock = FileLock(folder / f"{study}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"another build of the study {study} is running in this folder; wait until it ends") from None
    held.append(lock)


def begin_build() -> None:
    """Marks this process as the build. Processes that it starts from now on inherit the mark."""
    os.environ[BUILD] = str(os.getpid())


def end_with_build() -> None:
    """Kills this process as soon as its build has ended, so that it does not work beside the next build.

    Does nothing outside a build. Needs pidfd_open of the kernel and a build on this machine. Without them, and on a
    cluster, the jobs of a killed build run to their end; a job of the next build may run beside one, and both write
    the same file.
    """
    mark = os.environ.get(BUILD) or str(os.getpid())
    if not (mark.isascii() and mark.isdigit()):
        raise InputError(f"{BUILD}: expected the process number that a build sets, not '{mark}'; unset it")
    build = int(mark)
    if build == os.getpid() or not hasattr(os, "pidfd_open"):
        return
    try:
        handle = os.pidfd_open(build)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    except OverflowError:
        raise InputError(f"{BUILD}: expected the process number that a build sets, not '{mark}'; unset it") from None
    except OSError:  # an old kernel, or a sandbox that forbids the call
        return

    def watch() -> None:
        select.select([handle], [], [])  # readable once that process has ended
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end_with_build", daemon=True).start()


def import_this_checkout() -> None:
    """Puts this checkout first on PYTHONPATH: started processes import this lmrep, not an installed one."""
    root = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
