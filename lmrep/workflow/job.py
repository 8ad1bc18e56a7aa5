"""What every job of a build has around its work: a log, an end in one line where the input is bad."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lmrep.workflow.session import end_with_build
from lmrep.errors import InputError


def tell(log: TextIO, line: str) -> None:
    """A line in a job's log and on the terminal."""
    for stream in (log, sys.stderr):
        print(f"lmrep: {line}", file=stream, flush=True)


@contextmanager
def job_log(path: str) -> Iterator[TextIO]:
    """Opens a job's log; an InputError within ends the job with its one line there and on the terminal."""
    end_with_build()
    with open(path, "w") as log:
        try:
            yield log
        except InputError as error:
            tell(log, str(error))
            raise SystemExit(1) from None
