"""The contract with Snakemake: everything that the adapter reads of its undocumented `workflow` object."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.workflow
SNAKEFILE = """
import json
from lmrep.workflow.engine import Engine
engine = Engine(workflow)
found = {"here": engine.runs_here, "cores": engine.cores, "gpus": engine.gpus}
found["configfiles"] = [path.name for path in engine.configfiles]
found["again"] = engine.again("-n")

rule all:
    input: "a/1.txt", "b.txt"

rule numbered:
    output: "a/{number}.txt"
    shell: "touch {output}"

rule plain:
    output: "b.txt"
    shell: "touch {output}"

onstart:
    jobs = [[job.rule, dict(job.wildcards), list(job.outputs)] for job in engine.planned_jobs()]
    print("FOUND", json.dumps({**found, "cores": engine.cores, "gpus": engine.gpus, "jobs": jobs}))
"""


@pytest.fixture
def found(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "some.yaml").write_text("key: 1\n")

    def run(*options: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--workflow-profile", "none", *options], cwd=tmp_path, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("FOUND "))
        return json.loads(line.removeprefix("FOUND "))

    return run


RETRIED = """
from pathlib import Path
from lmrep.workflow.engine import Engine
Engine(workflow).end_retries(lambda log: Path(log).read_text() == "refused")

rule fail:
    output: "{word}.txt"
    log: "{word}.log"
    shell: "printf {wildcards.word} > {log}; echo tried; exit 1"
"""


@pytest.mark.parametrize(("word", "times"), [("refused", 1), ("killed", 3)])
def test_a_job_that_was_refused_is_not_tried_again(tmp_path, word, times):
    (tmp_path / "Snakefile").write_text(RETRIED)
    options = ["--workflow-profile", "none", "--cores", "1", "--retries", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options, f"{word}.txt"], cwd=tmp_path, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout.splitlines().count("tried") == times


def test_the_adapter_reads_what_the_command_line_says(tmp_path, found):
    first = found("--cores", "3", "--resources", "gpu=2", "--configfile", "some.yaml", "--config", "alpha={b: [y, x]}")
    assert first["again"][1:] == ["-m", "snakemake", "--snakefile", str(tmp_path / "Snakefile"), "--configfile",
                                  str(tmp_path / "some.yaml"), "--config", 'alpha={"b": ["y", "x"]}', "-n"]  # fmt: skip
    assert (first["configfiles"], first["here"], first["cores"], first["gpus"]) == (["some.yaml"], True, 3, 2)
    assert sorted(job for job in first["jobs"] if job[0] != "all") == [
        ["numbered", {"number": "1"}, ["a/1.txt"]], ["plain", {}, ["b.txt"]],
    ]  # fmt: skip
    (tmp_path / "b.txt").unlink()
    second = found("--cores", "1")
    assert (second["configfiles"], second["gpus"]) == ([], None)
    assert [job[0] for job in second["jobs"] if job[0] != "all"] == ["plain"]
