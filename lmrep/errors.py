"""The one error that a user can cause, and how a job tells it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

MINIATURE_COMMAND = "snakemake --cores all figures --configfile miniature.yaml"
OFFLINE_HINT = f"without a network, build the miniature study: {MINIATURE_COMMAND}"


class InputError(ValueError):
    """Bad input; the message is one line that names the key, file or URL and says what was expected."""


@contextmanager
def job_log(path: str) -> Iterator[TextIO]:
    """Opens a job's log; an InputError within ends the job with its one line there and on the terminal."""
    with open(path, "w") as log:
        try:
            yield log
        except InputError as error:
            for stream in (log, sys.stderr):
                print(f"lmrep: {error}", file=stream)
            raise SystemExit(1) from None
