"""Progress lines."""

import io

import pytest

from lmrep import progress as module
from lmrep.progress import progress, whole_steps


def test_every_stream_gets_whole_lines_with_step_and_loss():
    streams = io.StringIO(), io.StringIO()
    with progress("a run", 10, *streams, taken=4.5) as report:
        report(10, 0.5)
    lines = streams[0].getvalue().splitlines()
    assert lines[0].startswith("a run: step 4 of 10, ")
    assert lines[-1].startswith("a run: step 10 of 10, loss 0.5, ") and lines[-1].endswith(" left")
    assert "\r" not in streams[0].getvalue() and streams[0].getvalue() == streams[1].getvalue()


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, 6), (60.0, 2)])
def test_lines_come_by_time_even_within_a_step(monkeypatch, seconds, lines):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", seconds)
    stream = io.StringIO()
    with progress("a run", 10, stream) as report:
        for taken in (0.2, 0.4, 0.6, 1.2):
            report(taken, 0.5)
    said = stream.getvalue().splitlines()
    assert len(said) == lines and said[-1].startswith("a run: step 1 of 10, loss 0.5, ")


def test_the_last_measurement_is_announced_when_it_begins():
    stream = io.StringIO()
    with progress("a run", 10, stream) as report:
        report(5, None)  # between two passes: seconds
        report(10, 0.5)
        report(10, None)
        _, measuring = stream.getvalue().splitlines()
    assert measuring.startswith("a run: step 10 of 10, measuring, ")
    assert stream.getvalue().splitlines()[2].startswith("a run: step 10 of 10, loss 0.5, ")


def test_a_notebook_hears_of_whole_steps_and_losses():
    heard = []
    report = whole_steps(lambda steps, loss: heard.append((steps, loss)))
    report(3.7, 0.5)
    report(4.0, None)
    assert heard == [(3, 0.5)] and isinstance(heard[0][0], int)
