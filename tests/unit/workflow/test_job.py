"""What surrounds the work of a job."""

import os
import runpy
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from checkout import heed_interrupts
from conftest import ROOT
from disk import almost_full

from lmrep.errors import InputError
from lmrep.figures.page import make_canvas, save_figure
from lmrep.figures.shown import Shown
from lmrep.files import write_arrays
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import write_table
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


PATCH = {"run": "r", "layer": 1, "panel": "3", "patch": 0, "change": 0.5, "seed": 0}


def record_study(path):
    """Runs the script of a rule as Snakemake does."""
    job = SimpleNamespace(log=[f"{path}.log"], output=[str(path)], config={"study": "x" * 5000})
    runpy.run_path(str(ROOT / "scripts" / "record_study.py"), {"snakemake": job})


WRITERS = {
    "run.safetensors": lambda path: write_arrays(path, {"images": np.zeros(2000)}, {}),
    "table.tsv": lambda path: write_table(path, TABLES["patches"], [PATCH] * 99),
    "study.json": record_study,
} | {
    f"figure.{kind}": lambda path: save_figure(make_canvas(5, Shown("A title", {}, {}))[0], path)
    for kind in ("png", "pdf", "svg", "jpg")
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_ends_a_job_with_one_line_and_nothing_half_written(tmp_path, capsys, name):
    path, log = tmp_path / name, tmp_path / f"{name}.log"
    with almost_full(1000), pytest.raises(SystemExit) as end, job_log(str(log)):
        WRITERS[name](path)
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lmrep: {path}: expected ") and "Traceback" not in log.read_text()
    assert list(tmp_path.iterdir()) == [log]


def test_a_log_on_a_full_disk_does_not_hide_how_its_job_ended(tmp_path, capsys):
    with almost_full(0), pytest.raises(SystemExit) as end, job_log(str(tmp_path / "log")) as log:
        log.write("work\n")
        raise InputError("images.x: expected a square")
    assert end.value.code == 1 and capsys.readouterr().err == "lmrep: images.x: expected a square\n"
    with pytest.raises(SystemExit), job_log(str(tmp_path / "absent" / "log")):
        pass
    assert "absent/log: expected a file that can be read and written" in capsys.readouterr().err


JOB = """
snakemake = None  # what makes a script a job of Snakemake
from lmrep.workflow.job import job_log
from lmrep.files import replacing
from pathlib import Path
import sys, time
{begin}
with job_log("log") as log, replacing(Path("output")) as part:
    part.write_text("half")
    print("at work", flush=True)
    time.sleep(60)
"""


def exit_after_ctrl_c(begin, folder):
    """The exit status of JOB, which is interrupted after its first line and must say nothing more."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB.format(begin=begin)], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    with job:
        assert job.stdout.readline() == ("imports\n" if begin else "at work\n")
        job.send_signal(signal.SIGINT)
        assert job.communicate(timeout=30)[0] == ""
    return job.returncode


@pytest.mark.parametrize("begin", ["", "print('imports', flush=True); time.sleep(60)"])
def test_after_ctrl_c_a_job_ends_quietly_and_leaves_nothing_half_written(tmp_path, begin):
    assert exit_after_ctrl_c(begin, tmp_path) == 130
    assert [path.name for path in tmp_path.iterdir()] == ([] if begin else ["log"])


def test_an_end_that_a_library_makes_an_error_of_is_quiet_too(tmp_path):
    begin = """
try:
    print('imports', flush=True)
    time.sleep(60)
finally:
    raise RuntimeError('half imported')"""
    assert exit_after_ctrl_c(begin, tmp_path) == 1


def test_other_programs_keep_their_ctrl_c():
    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)  # the shell's choice
