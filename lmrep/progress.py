"""Progress lines (step, loss, time left), on the terminal and in a job's log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 5.0
# Called with the steps taken so far (not a whole number where a run has several groups) and with the mean loss of the
# group under way. None in place of a loss: distances are measured now.
Report = Callable[[float, float | None], None]


def ignore(*_: object) -> None:
    """Does nothing, in place of a report."""


def whole_steps(report: Callable[[int, float], None]) -> Report:
    """A report that passes on whole steps and losses only."""

    def tell(steps: float, loss: float | None) -> None:
        if loss is not None:
            report(int(steps), loss)

    return tell


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
def progress(name: str, steps: int, *streams: TextIO, taken: float = 0) -> Iterator[Report]:
    """Yields a report that prints a line at most every few seconds, and one when the last distances are measured.

    `steps`: of the run. `taken`: the steps already taken at the start.
    """

    def describe(taken: float, doing: str) -> str:
        return f"{name}: step {int(taken)} of {steps}{doing}"

    with tqdm(
        total=steps,
        initial=taken,
        desc=describe(taken, ""),
        file=Lines(*streams),
        mininterval=SECONDS_BETWEEN_LINES,
        maxinterval=SECONDS_BETWEEN_LINES,
        miniters=0,
        bar_format="{desc}, {elapsed} elapsed, {remaining} left",
    ) as bar:
        last = ""  # loss

        def report(taken: float, loss: float | None) -> None:
            nonlocal last
            last = last if loss is None else f", loss {loss:.4g}"
            bar.set_description_str(describe(taken, ", measuring" if loss is None else last), refresh=False)
            if not bar.update(taken - bar.n) and loss is None and taken >= steps:
                bar.refresh()

        yield report
        bar.set_description_str(describe(bar.n, last), refresh=False)
