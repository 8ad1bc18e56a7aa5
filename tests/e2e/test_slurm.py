"""The miniature study on a real Slurm of two nodes, each with a made-up GPU: the bytes of a build without it.

A run there is cancelled, and the node of another dies.
"""

import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import LONG_RUNS, ROOT, Checkout, interruptible
from slurm import Job, Slurm, wait_until, why_not

pytestmark = [
    pytest.mark.workflow, pytest.mark.build, pytest.mark.skipif(bool(why_not()), reason=f"no Slurm here: {why_not()}"),
]  # fmt: skip
CANCELLED, ON_A_DEAD_NODE = LONG_RUNS
# sbatch and squeue as the commands of the profile for other schedulers.
SUBMIT = (
    "sbatch --parsable --no-requeue -J {rule} -c {threads} --mem={resources.mem_mb} -t {resources.runtime}"
    " --gpus={resources.gpu}"
)
STATUS = (
    """sh -c 'case "$(squeue -h -t all -o %T -j "$1")" in COMPLETED) echo success;;"""
    """ PENDING|CONFIGURING|RUNNING|COMPLETING) echo running;; *) echo failed;; esac' status"""
)


def checkout_in(folder: Path) -> Checkout:
    checkout = Checkout(folder)
    checkout.edit("miniature.yaml", interruptible)
    return checkout


def readme_command() -> list[str]:
    """The command of the README's section on clusters, word for word."""
    readme = (ROOT / "README.md").read_text()
    return shlex.split(re.search(r"^snakemake --workflow-profile profiles/slurm .*$", readme, re.MULTILINE)[0])


def is_of(job: Job, run: str) -> bool:
    return job.about == f"rule_optimise_run_wildcards_{run}"


@contextmanager
def watched(slurm: Slurm) -> Iterator[list[list[Job]]]:
    """Slurm's jobs, looked at every second."""
    ended, looks = threading.Event(), []

    def look() -> None:
        while not ended.wait(1):
            looks.append(slurm.jobs())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield looks
    finally:
        ended.set()
        watcher.join()


@dataclass
class Build:
    """A build on Slurm that was interrupted twice."""

    checkout: Checkout
    exit: int
    looks: list[list[Job]]


@pytest.fixture(scope="module")
def slurm():
    with Slurm() as running:
        yield running


@pytest.fixture(scope="module")
def built(slurm, tmp_path_factory):
    checkout = checkout_in(tmp_path_factory.mktemp("slurm") / "lmrep")
    # Jobs of seconds: the profile's half minute to the first look would be most of the test.
    command = [*readme_command(), "--slurm-init-seconds-before-status-checks", "5"]
    with checkout.started(*command) as process, watched(slurm) as looks:

        def job_of(run: str) -> Job:
            return next(job for job in slurm.jobs() if is_of(job, run))

        def is_under_way(run: str) -> bool:
            return (checkout / f"results/miniature/runs/{run}.state.safetensors").exists()

        # Slurm says which of them runs first; with two GPUs they need not run at the same time.
        interruptions = {CANCELLED: slurm.cancel, ON_A_DEAD_NODE: lambda job: slurm.kill_node(job.node)}

        def are_interrupted() -> bool:
            assert process.poll() is None, checkout.said()
            for run in [run for run in interruptions if is_under_way(run)]:
                interruptions.pop(run)(job_of(run))
            return not interruptions

        wait_until(are_interrupted, 180, "both long runs are interrupted", checkout.said)
        node = job_of(ON_A_DEAD_NODE).node
        wait_until(lambda: "down" in slurm.nodes()[node], 60, f"{node} is down", slurm.logs)
        slurm.revive(node)
        process.wait(300)
    return Build(checkout, process.returncode, looks)


def test_a_build_on_slurm_outlives_a_cancelled_job_and_a_dead_node(built):
    assert built.exit == 0, built.checkout.said()[-6000:]
    states = {run: [job.state for job in built.looks[-1] if is_of(job, run)] for run in LONG_RUNS}
    assert states == {CANCELLED: ["CANCELLED", "COMPLETED"], ON_A_DEAD_NODE: ["NODE_FAIL", "COMPLETED"]}


def test_its_interrupted_runs_go_on_from_their_last_saved_step(built):
    for run in LONG_RUNS:
        log = (built.checkout / f"results/miniature/logs/optimise_run/{run}.log").read_text()
        assert re.search(r"goes on from step \d+", log), run


def test_its_figures_runs_and_tables_are_those_of_a_build_without_slurm(built, unbroken):
    here, there = unbroken[0].products(), built.checkout.products()
    assert here.keys() == there.keys() and len(here) == 8 + 10 + 22 + 1
    assert [path for path in here if here[path] != there[path]] == []


def test_no_two_runs_share_a_gpu(built):
    at_once = [
        [job.gpus for job in jobs if job.state == "RUNNING" and job.about.startswith("rule_optimise_run_")]
        for jobs in built.looks
    ]
    assert max(len(gpus) for gpus in at_once) == 2
    assert all(all(gpus) and len(set(gpus)) == len(gpus) for gpus in at_once)


def test_the_profile_for_other_schedulers_notices_a_cancelled_job_too(slurm, unbroken, tmp_path):
    checkout = checkout_in(tmp_path / "lmrep")
    figure = "figures/miniature/token_importance.png"
    command = (
        "snakemake", "--workflow-profile", "profiles/cluster-generic", figure, "--configfile", "miniature.yaml",
        "--config", "device=auto", "--cluster-generic-submit-cmd", SUBMIT, "--cluster-generic-status-cmd", STATUS,
        "--cluster-generic-cancel-cmd", "scancel",
    )  # fmt: skip
    before = len(slurm.jobs())
    with checkout.started(*command) as process:
        wait_until(
            lambda: [job.state for job in slurm.jobs()[before:]] == ["RUNNING"],
            60, "its run is in a job", checkout.said,
        )  # fmt: skip
        slurm.cancel(slurm.jobs()[before])
        assert process.wait(120) == 0, checkout.said()
    assert [job.state for job in slurm.jobs()[before:]] == ["CANCELLED", "COMPLETED"]
    assert (checkout / figure).read_bytes() == (unbroken[0] / figure).read_bytes()
