"""Builds that are killed, that meet another one, and whose runs are shared out: what comes of it is the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from checkout import Checkout, shorten

from lmrep.runfile import read_arrays

pytestmark = [pytest.mark.workflow, pytest.mark.build]
KILLS = int(os.environ.get("LMREP_KILLS", 3))
TARGETS = os.environ.get("LMREP_TARGETS", "figures/miniature/vit_vs_gpt2_representation.png").split()
RUNS = "results/miniature/runs"
PRODUCTS = ("figures/miniature", RUNS, "results/miniature/metrics", "results/miniature/traces")


def change(config: dict, steps: int = 100) -> None:
    """Runs of some seconds, with a state every half."""
    shorten(config, steps)
    config["checkpoint"] = 0.5
    for name in ("gpt2_neurons", "gpt2_neurons_jittered", "gpt2_patches", "vit_base_patches"):
        config["runs"][name]["layers"] = [1, 2]
        config["runs"][name][{"neuron": "neurons", "patch": "patches"}[config["runs"][name]["objective"]]] = 4
    for figure in config["figures"].values():
        figure.pop("layers", None)


def start(checkout: Checkout, *arguments: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        *TARGETS,
        *arguments,
        "--configfile",
        "miniature.yaml",
    ]
    with open(checkout / "said.txt", "w") as said:
        return subprocess.Popen(command, cwd=checkout.folder, stdout=said, stderr=subprocess.STDOUT)


def at_work_in(folder: Path) -> list[int]:
    """The processes whose working directory it is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:  # it has ended, or is another user's
            pass
    return found


def wait_until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A build that nothing interrupts, and how long it took."""
    checkout = Checkout(tmp_path_factory.mktemp("unbroken") / "lmrep")
    checkout.edit("miniature.yaml", change)
    begun = time.monotonic()
    assert start(checkout).wait() == 0, (checkout / "said.txt").read_text()[-4000:]
    return checkout, time.monotonic() - begun


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, the jobs of a killed build go on")
def test_a_build_that_is_killed_at_any_moment_goes_on_to_the_same_bytes(unbroken, tmp_path):
    original, seconds = unbroken
    expected, moments, resumed = original.bytes_of(*PRODUCTS), random.Random(0), 0
    for trial in range(KILLS):
        checkout = Checkout(tmp_path / str(trial))
        checkout.edit("miniature.yaml", change)
        build = start(checkout)
        time.sleep(moments.uniform(0, seconds))
        build.send_signal(signal.SIGKILL)
        build.wait()
        wait_until(lambda folder=checkout.folder: not at_work_in(folder), 10)
        again = start(checkout).wait()
        said = (checkout / "said.txt").read_text()
        assert again == 0, said[-4000:]
        resumed += "goes on from step" in said
        found = checkout.bytes_of(*PRODUCTS)
        assert found.keys() == expected.keys()
        assert [path for path in found if found[path] != expected[path]] == []
    print(f"{resumed} of {KILLS} builds went on from a run's state")


def test_of_two_builds_in_one_folder_the_second_says_so_in_one_line(unbroken, tmp_path):
    original, _ = unbroken
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", change)
    first = start(checkout)
    try:
        wait_until((checkout / RUNS).exists)
        second = checkout.miniature(*TARGETS)
        assert second.returncode == 1 and "Traceback" not in second.stdout
        (line,) = (line for line in second.stdout.splitlines() if line.startswith("lmrep: "))
        assert line == "lmrep: another build of the study miniature is at work in this folder; expected it to end"
        assert checkout.miniature("-n", *TARGETS).returncode == 0
    finally:
        assert first.wait() == 0
    assert checkout.bytes_of(*PRODUCTS) == original.bytes_of(*PRODUCTS)
    assert "Nothing to be done" in checkout.miniature(*TARGETS).stdout


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_run_of_several_jobs_is_the_run_of_one(tmp_path, precision):
    target, files = f"{RUNS}/gpt2_match.safetensors", []
    for jobs in (1, 3):
        checkout = Checkout(tmp_path / str(jobs))

        def share_out(config, jobs=jobs):
            change(config, steps=30)
            config |= {"precision": precision, "jobs_per_run": jobs}

        checkout.edit("miniature.yaml", share_out)
        done = checkout.miniature(target)
        assert done.returncode == 0, done.stdout[-4000:]
        assert done.stdout.count(" of its layers\n") == (jobs if jobs > 1 else 0)
        files.append(read_arrays(checkout / target))
        assert list((checkout / "results/miniature").rglob("*state*")) == []
        assert list((checkout / "results/miniature").rglob("shards/*/*")) == []
    one, several = files
    assert one.facts == several.facts
    for name in one.arrays:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-3, atol=1e-3 if precision == "float32" else 0.1)
