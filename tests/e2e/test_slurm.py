"""Builds the miniature study on a real Slurm of two nodes, each with a made-up GPU.

One run is cancelled and another run's node dies. The build still makes the same bytes as a build without Slurm.
Runs with LMREP_SLURM=1, as root.
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
    pytest.mark.workflow, pytest.mark.build, pytest.mark.skipif(bool(why_not()), reason=f"no Slurm: {why_not()}"),
]  # fmt: skip
CANCELLED, ON_A_DEAD_NODE = LONG_RUNS
# The generic cluster profile gets sbatch and squeue as its commands.
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
    """Returns the README's command for Slurm, word for word."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"^snakemake --workflow-profile profiles/slurm .*$", readme, re.MULTILINE)
    assert found, "README.md has no command with --workflow-profile profiles/slurm"
    return shlex.split(found[0])


def is_of(job: Job, run: str) -> bool:
    return job.about == f"rule_optimise_run_wildcards_{run}"


@contextmanager
def watched(slurm: Slurm) -> Iterator[list[list[Job]]]:
    """Lists Slurm's jobs every second, until the block ends."""
    ended = threading.Event()
    looks: list[list[Job]] = []

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
    """A build on Slurm that was interrupted twice, and the jobs seen at each second of it."""

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
    # The jobs take seconds. The profile waits half a minute before its first status check.
    command = [*readme_command(), "--slurm-init-seconds-before-status-checks", "5"]
    with checkout.started(*command) as process, watched(slurm) as looks:

        def job_of(run: str) -> Job:
            return next(job for job in slurm.jobs() if is_of(job, run))

        def is_under_way(run: str) -> bool:
            return (checkout / f"results/miniature/runs/{run}.state.safetensors").exists()

        # Slurm decides which run starts first. They may not overlap.
        interruptions = {CANCELLED: slurm.cancel, ON_A_DEAD_NODE: lambda job: slurm.kill_node(job.node)}

        def are_interrupted() -> bool:
            assert process.poll() is None, checkout.said()
            for run in [run for run in interruptions if is_under_way(run)]:
                interruptions.pop(run)(job_of(run))
            return not interruptions

        wait_until(are_interrupted, 180, "both long runs were interrupted", checkout.said)
        node = job_of(ON_A_DEAD_NODE).node
        wait_until(lambda: "down" in slurm.nodes()[node], 60, f"{node} was down", slurm.logs)
        slurm.revive(node)
        process.wait(300)
    return Build(checkout, process.returncode, looks)


def test_a_build_survives_a_cancelled_job_and_a_dead_node(built):
    assert built.exit == 0, built.checkout.said()[-6000:]
    states = {run: [job.state for job in built.looks[-1] if is_of(job, run)] for run in LONG_RUNS}
    assert states == {CANCELLED: ["CANCELLED", "COMPLETED"], ON_A_DEAD_NODE: ["NODE_FAIL", "COMPLETED"]}


def test_interrupted_runs_resume_from_their_last_saved_step(built):
    for run in LONG_RUNS:
        log = (built.checkout / f"results/miniature/logs/optimise_run/{run}.log").read_text()
        # A run may have ended before it was interrupted: Slurm and Snakemake hear of it later.
        assert re.search(r"resumes from step \d+|was finished before", log), run


def test_products_equal_those_of_a_build_without_slurm(built, unbroken):
    expected, products = unbroken[0].products(), built.checkout.products()
    assert expected and products.keys() == expected.keys()
    assert [path for path in expected if products[path] != expected[path]] == []


def test_no_two_runs_share_a_gpu(built):
    at_once = [
        [job.gpus for job in jobs if job.state == "RUNNING" and job.about.startswith("rule_optimise_run_")]
        for jobs in built.looks
    ]
    assert max(len(gpus) for gpus in at_once) == 2
    assert all(all(gpus) and len(set(gpus)) == len(gpus) for gpus in at_once)


def test_the_generic_profile_reruns_a_cancelled_job(slurm, unbroken, tmp_path):
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
            60, "its run was in a job", checkout.said,
        )  # fmt: skip
        slurm.cancel(slurm.jobs()[before])
        assert process.wait(120) == 0, checkout.said()
    assert [job.state for job in slurm.jobs()[before:]] == ["CANCELLED", "COMPLETED"]
    assert (checkout / figure).read_bytes() == (unbroken[0] / figure).read_bytes()
