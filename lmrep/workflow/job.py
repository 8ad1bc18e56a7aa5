"""What surrounds the work of every job: a log, one-line errors for bad input, and an end with the build."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from lmrep.errors import InputError, MachineError
from lmrep.progress import ignore
from lmrep.workflow.session import end_with_build

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a quota, a limit of the file size
INTERRUPTED = 128 + signal.SIGINT  # exit status, as a shell has it


def _end_quietly(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would end the clean-up with a traceback
    sys.excepthook = ignore  # a library may turn this end into an error of its own
    raise SystemExit(INTERRUPTED)


# Ctrl-C reaches every job of a build, and one that is still importing torch has not entered `job_log`. Only a job has a
# global `snakemake`, so importing this module elsewhere changes nothing.
if hasattr(sys.modules["__main__"], "snakemake") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_quietly)


def tell(log: TextIO, line: str) -> None:
    """Writes a line to a job's log and to the terminal."""
    for stream in (log, sys.stderr):
        with suppress(OSError):  # a full disk must not hide the line from the terminal
            print(f"lmrep: {line}", file=stream, flush=True)


def refusal_path(log: str) -> Path:
    """The file that stands beside a job's log if its last attempt ended on bad input."""
    return Path(f"{log}.refused")


def forget_refusals(logs: Path) -> None:
    """Removes what earlier builds left beside their logs."""
    for path in logs.rglob(refusal_path("*").name):
        path.unlink(missing_ok=True)


@contextmanager
def job_log(path: str) -> Iterator[TextIO]:
    """Opens a job's log. On bad input, writes one line to the log and the terminal and exits with status 1.

    Bad input is an InputError, which no further attempt can change unless it is a MachineError, or an OSError: a file
    that cannot be read, a disk that is full.
    """
    log = None
    try:
        end_with_build()
        refusal_path(path).unlink(missing_ok=True)
        log = open(path, "w")  # noqa: SIM115  # a log that cannot be closed must not hide how the job ended
        yield log
    except (InputError, OSError) as error:
        if isinstance(error, OSError) and not error.errno:
            raise
        if isinstance(error, InputError) and not isinstance(error, MachineError):
            with suppress(OSError):
                refusal_path(path).touch()
        tell(log or sys.stdout, str(error) if isinstance(error, InputError) else system_line(error, path))
        raise SystemExit(1) from None
    finally:
        if log:
            with suppress(OSError):
                log.close()


def system_line(error: OSError, path: str) -> str:
    """What to say of an error of the system; about `path` if it names no file itself."""
    name = error.filename or path
    if error.errno in FULL:
        return f"{name}: expected room on its disk ({error.strerror}); free some and run the same command again"
    return f"{name}: expected a file that can be read and written ({error.strerror})"
