"""A progress line now and then (step, loss, time left), to the terminal and to a job's log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 5.0


class Lines:
    """A text stream for tqdm that turns its redrawn bar into lines, one copy for each stream.

    Jobs that run side by side share the terminal: lines interleave, redrawn bars would not.
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
    """Yields `report(taken, loss)`, to be called now and then, until `steps` are taken; `taken`: at the start."""
    with tqdm(
        total=steps,
        initial=taken,
        desc=name,
        file=Lines(*streams),
        mininterval=SECONDS_BETWEEN_LINES,
        maxinterval=SECONDS_BETWEEN_LINES,
        miniters=1,
        bar_format="{desc}: step {n_fmt}/{total_fmt}{postfix}, {elapsed} gone, {remaining} left",
    ) as bar:

        def report(taken: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
            bar.update(taken - bar.n)

        yield report
