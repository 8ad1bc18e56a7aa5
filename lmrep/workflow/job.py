"""What surrounds the work of every job: a log, one-line errors for bad input, and an end with the build."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lmrep.errors import InputError
from lmrep.workflow.session import end_with_build


def tell(log: TextIO, line: str) -> None:
    """Writes a line to a job's log and to the terminal."""
    for stream in (log, sys.stderr):
        print(f"lmrep: {line}", file=stream, flush=True)


@contextmanager
def job_log(path: str) -> Iterator[TextIO]:
    """Opens a job's log. On an InputError, writes its line to the log and the terminal and exits with status 1."""
    end_with_build()
    with open(path, "w") as log:
        try:
            yield log
        except InputError as error:
            tell(log, str(error))
            raise SystemExit(1) from None
