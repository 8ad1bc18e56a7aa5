"""One build of a study at a time in a folder, and no process that outlives its build.

Snakemake's own lock is a file that a kill leaves behind, to be removed by hand; the profiles turn it off.
"""

import os
import select
import signal
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from lmrep.errors import InputError

held = []  # the locks: one that is collected is released
BUILD = "LMREP_BUILD"  # in the environment of a build's processes: the process id of the build


def hold_folder(folder: Path, study: str) -> None:
    """Has this process be the one that builds a study in a folder, until it ends, however it ends.

    Raises InputError where another build is.
    """
    try:
        held.append(FileLock(folder / f"{study}.lock", blocking=False).acquire())
    except Timeout:
        raise InputError(f"another build of the study {study} is at work in this folder; expected it to end") from None


def begin_build() -> None:
    """Has what this process starts from here on know it for the build."""
    os.environ[BUILD] = str(os.getpid())


def end_with_build() -> None:
    """Kills this process as soon as the build that it belongs to is gone: the next one will do its work.

    Where Python and the kernel know pidfd_open, and of builds on this machine; elsewhere, and on a cluster, what a
    killed build had begun goes on to its end beside the next build, and both write the same.
    """
    build = int(os.environ.get(BUILD, os.getpid()))
    if build == os.getpid() or not hasattr(os, "pidfd_open"):
        return
    try:
        handle = os.pidfd_open(build)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    except OSError:  # an old kernel, or one that is not asked such things
        return

    def watch() -> None:
        select.select([handle], [], [])  # readable when that process has ended
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end_with_build", daemon=True).start()
