"""What surrounds the work of a job."""

import pytest

from lmrep.errors import InputError
from lmrep.workflow.job import job_log, tell
from lmrep.workflow.session import BUILD


@pytest.fixture(autouse=True)
def outside_a_build(monkeypatch):
    monkeypatch.delenv(BUILD, raising=False)


def test_bad_input_ends_a_job_with_one_line_in_the_log_and_on_the_terminal(tmp_path, capsys):
    with pytest.raises(SystemExit) as end, job_log(str(tmp_path / "log")) as log:
        print("work", file=log)
        raise InputError("images.x: expected a square")
    assert end.value.code == 1
    assert (tmp_path / "log").read_text() == "work\nlmrep: images.x: expected a square\n"
    assert capsys.readouterr().err == "lmrep: images.x: expected a square\n"


def test_other_errors_keep_their_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), job_log(str(tmp_path / "log")):
        1 / 0  # noqa: B018


def test_tell_writes_to_both(tmp_path, capsys):
    with job_log(str(tmp_path / "log")) as log:
        tell(log, "resumes")
    assert (tmp_path / "log").read_text() == capsys.readouterr().err == "lmrep: resumes\n"
