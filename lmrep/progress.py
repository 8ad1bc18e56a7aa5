"""Progress lines (step, loss, time left), on the terminal and in a job's log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 5.0


class Lines:
    """A text stream for tqdm. It prints each update as a line of its own, on every one of `streams`.

    Jobs that run side by side share the terminal: whole lines stay readable there, redrawn bars do not.
    """

    def __init__(self, *streams: TextIO):
        self.streams = streams

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            for stream in self.streams:
                stream.write(line + "\n")
                stream.flush()

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()


@contextmanager
def progress(name: str, steps: int, *streams: TextIO, taken: int = 0) -> Iterator[Callable[[int, float], None]]:
    """Yields `report(taken, loss)`. Calls to it print a line at most every few seconds.

    `steps`: all steps of the job. `taken`: the steps already taken, at the start and in each report.
    """
    with tqdm(
        total=steps,
        initial=taken,
        desc=name,
        file=Lines(*streams),
        mininterval=SECONDS_BETWEEN_LINES,
        maxinterval=SECONDS_BETWEEN_LINES,
        miniters=1,
        bar_format="{desc}: step {n_fmt}/{total_fmt}{postfix}, {elapsed} elapsed, {remaining} left",
    ) as bar:

        def report(taken: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
            bar.update(taken - bar.n)

        yield report
