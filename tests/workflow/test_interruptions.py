"""Builds that are killed, meet another build, or split their runs into jobs give the same bytes."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkout import Checkout, interruptible, shorten

from lmrep.files import read_arrays

pytestmark = [pytest.mark.workflow, pytest.mark.build]
KILLS = int(os.environ.get("LMREP_KILLS", 2))
BUILD = ("snakemake", "--cores", "2", "figures", "--configfile", "miniature.yaml")
RUNS = "results/miniature/runs"


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


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, jobs outlive a killed build")
def test_a_build_that_is_killed_again_and_again_ends_in_the_same_bytes(unbroken, tmp_path):
    original, seconds = unbroken
    expected = original.products()
    checkout, moments, kills, resumed = Checkout(tmp_path / "lmrep"), random.Random(0), 0, 0
    checkout.edit("miniature.yaml", interruptible)

    def check() -> None:
        found = checkout.products()
        assert found.keys() == expected.keys() and len(found) > 4 * (1 + 5)  # run files and tables, and figures
        assert [path for path in found if found[path] != expected[path]] == []

    while kills < KILLS:
        with checkout.started(*BUILD) as build:
            if kills == 0:  # once, a state is sure to be there
                wait_until(lambda: list((checkout / RUNS).glob("*.state.safetensors")), 300)
                build.kill()
            try:
                assert build.wait(moments.uniform(0, 0.8) * seconds) <= 0, checkout.said()[-4000:]
            except subprocess.TimeoutExpired:
                build.kill()
            kills += build.wait() != 0
        resumed += checkout.said().count("resumes from step")
        if build.returncode == 0:  # it ended before the kill: build again from the start
            check()
            shutil.rmtree(checkout / "results")
            shutil.rmtree(checkout / "figures/miniature")
    with checkout.started(*BUILD) as build:
        assert build.wait() == 0, checkout.said()[-4000:]
        resumed += checkout.said().count("resumes from step")
    check()
    print(f"{kills} kills, runs that resumed: {resumed}")
    assert resumed
    assert not [path for path in checkout.folder.rglob("*") if path.name.endswith(".part") or ".state." in path.name]
    assert not at_work_in(checkout.folder)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, jobs outlive a killed build")
def test_a_run_that_a_killed_build_has_not_recorded_is_put_back(tmp_path):
    target = f"{RUNS}/gpt2_match.safetensors"
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", lambda config: shorten(config, 30))
    with open(checkout / "scripts/optimise_run.py", "a") as script:  # the job ends, and its build does not hear of it
        script.write(
            "\nimport os, signal, time\nif not Path('killed').exists():\n"
            "    Path('killed').write_bytes(Path(snakemake.output[0]).read_bytes())\n"
            "    os.kill(int(os.environ['LMREP_BUILD']), signal.SIGKILL)\n    time.sleep(60)\n"
        )
    assert checkout.miniature(target).returncode < 0
    state = (checkout / target).with_suffix(".state.safetensors")
    assert state.stat().st_nlink == 2  # the arrays are there once
    again = checkout.miniature(target)
    assert again.returncode == 0, again.stdout[-4000:]
    assert (
        again.stdout.count("was finished before: its file is put back") == 1 and "gpt2_match: step" not in again.stdout
    )
    assert (checkout / target).read_bytes() == (checkout / "killed").read_bytes()
    assert not list((checkout / RUNS).glob("*.state.*"))
    assert "Nothing to be done" in checkout.miniature(target).stdout


def test_of_two_builds_in_one_folder_the_second_says_so_in_one_line(tmp_path):
    target = f"{RUNS}/gpt2_match.safetensors"
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", lambda config: shorten(config, 100))
    with checkout.started("snakemake", "--cores", "2", target, "--configfile", "miniature.yaml") as first:
        wait_until((checkout / RUNS).exists, 60)
        second = checkout.miniature(target)
        assert second.returncode == 1 and "Traceback" not in second.stdout
        (line,) = (line for line in second.stdout.splitlines() if line.startswith("lmrep: "))
        assert line == "lmrep: another build of the study miniature is running in this folder; wait until it ends"
        assert checkout.miniature("-n", target).returncode == 0
        assert first.wait() == 0, checkout.said()[-4000:]
    assert "Nothing to be done" in checkout.miniature(target).stdout


def test_shards_outlive_other_builds_and_are_not_taken_for_those_of_another_number_of_jobs(tmp_path):
    target, shards = f"{RUNS}/gpt2_match.safetensors", "results/miniature/shards/gpt2_match"
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", lambda config: shorten(config, 5))
    assert checkout.miniature(target).returncode == 0
    # Of other settings, a build makes one shard of two. The finished run is of the old ones until they are merged.
    checkout.edit("miniature.yaml", lambda config: shorten(config, 7) or config.update(jobs_per_run=2))
    assert checkout.miniature(f"{shards}/1.safetensors").returncode == 0
    assert checkout.miniature(f"{RUNS}/gpt2_neurons.safetensors", "--notemp").returncode == 0
    assert (checkout / shards / "1.safetensors").exists() and (checkout / target).exists()
    # The first shard of three has other layers.
    checkout.edit("miniature.yaml", lambda config: config.update(jobs_per_run=3))
    done = checkout.miniature(target)
    assert done.returncode == 0 and done.stdout.count(" of its layers\n") == 3, done.stdout[-4000:]
    assert read_arrays(checkout / target)["loss"].shape[1] == 7
    assert not (checkout / "results/miniature/shards/gpt2_match").exists()


def test_a_run_of_several_jobs_is_the_run_of_one(tmp_path):
    target, files = f"{RUNS}/gpt2_match.safetensors", []
    for jobs in (1, 3):
        checkout = Checkout(tmp_path / str(jobs))

        def share_out(config, jobs=jobs):
            shorten(config, 20)
            config |= {"precision": "float32", "jobs_per_run": jobs}

        checkout.edit("miniature.yaml", share_out)
        done = checkout.miniature(target)
        assert done.returncode == 0, done.stdout[-4000:]
        assert done.stdout.count(" of its layers\n") == (jobs if jobs > 1 else 0)
        files.append(read_arrays(checkout / target))
        assert not (checkout / "results/miniature/shards").exists()
    one, several = files
    assert one.facts == several.facts
    for name in one.arrays:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-3, atol=1e-3)
