"""One build at a time in a folder, and no process that outlives its build."""

import os
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.workflow import session

HOLDER = """
import sys
from pathlib import Path
from lmrep.workflow.session import hold_folder
hold_folder(Path(sys.argv[1]), "tiny")
print("held", flush=True)
sys.stdin.readline()
"""
JOB = """
import time
from lmrep.workflow.session import end_with_build
end_with_build()
print("works", flush=True)
time.sleep(20)
print("outlived its build", flush=True)
"""
BUILD = """
import subprocess, sys
from lmrep.workflow.session import begin_build
begin_build()
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no pidfd_open")


def start(code: str, *arguments: str, **variables: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_build_of_a_study_is_refused_until_the_first_is_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "held", [])
    first = start(HOLDER, str(tmp_path))
    try:
        assert first.stdout.readline() == "held\n"
        line = r"^another build of the study tiny is running in this folder; wait until it ends$"
        with pytest.raises(InputError, match=line):
            session.hold_folder(tmp_path, "tiny")
        session.hold_folder(tmp_path, "another")
    finally:
        first.kill()
        first.communicate()
    session.hold_folder(tmp_path, "tiny")


@needs_pidfd
def test_a_job_dies_when_its_build_is_killed():
    build = start(BUILD, JOB)
    assert build.stdout.readline() == "works\n"
    build.kill()
    assert build.stdout.read() == ""  # returns when the job, which has the same stdout, is dead too
    build.communicate()


@needs_pidfd
def test_a_job_dies_at_once_if_its_build_is_already_dead():
    build = start("")
    build.communicate()
    job = start(JOB, LMREP_BUILD=str(build.pid))
    assert job.communicate(timeout=60)[0] == "" and job.returncode < 0


def test_outside_a_build_nothing_is_watched(monkeypatch):
    monkeypatch.delenv(session.BUILD, raising=False)
    before = threading.active_count()
    session.end_with_build()
    assert threading.active_count() == before


def test_started_processes_import_this_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    session.import_this_checkout()
    assert os.environ["PYTHONPATH"] == f"{ROOT}{os.pathsep}{tmp_path}"
    command = [sys.executable, "-c", "import lmrep; print(lmrep.__file__)"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.strip() == str(ROOT / "lmrep/__init__.py")


@pytest.mark.parametrize("mark", ["abc", "-3", "1.5", "٣", "9" * 20])
def test_a_mark_that_is_no_process_is_refused(monkeypatch, mark):
    monkeypatch.setenv("LMREP_BUILD", mark)
    with pytest.raises(InputError, match="LMREP_BUILD: expected the process number"):
        session.end_with_build()
