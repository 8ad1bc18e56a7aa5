"""Progress lines."""

import io

from lmrep.progress import progress


def test_every_stream_gets_whole_lines_with_step_and_loss():
    streams = io.StringIO(), io.StringIO()
    with progress("a run", 10, *streams, taken=4) as report:
        report(10, 0.5)
    lines = streams[0].getvalue().splitlines()
    assert lines[0].startswith("a run: step 4/10")
    assert lines[-1].startswith("a run: step 10/10, loss 0.5, ") and lines[-1].endswith(" left")
    assert "\r" not in streams[0].getvalue() and streams[0].getvalue() == streams[1].getvalue()
