"""A build that ends badly says why once: no retry of bad input, no traceback after Ctrl-C, more memory after a kill."""

import os
import signal
import subprocess
import sys

import pytest
from checkout import Checkout, heed_interrupts, shorten

pytestmark = pytest.mark.workflow
RUN = "results/miniature/runs/gpt2_match.safetensors"


def test_a_run_that_fails_on_bad_input_says_so_once(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", shorten)
    assert checkout.miniature(RUN, "--until", "fetch_image").returncode == 0
    picture = next((checkout / "resources/images").glob("chelsea-*.png"))
    picture.write_bytes(b"rubbish")
    for options in ((), ("--retries", "2")):  # here, and as on a cluster
        failed = checkout.miniature(RUN, *options)
        assert failed.returncode == 1 and "Traceback" not in failed.stdout
        said = [line for line in failed.stdout.splitlines() if line.startswith("lmrep: resources/images/chelsea")]
        expected = "not an image, expected one that Pillow can read (PNG, JPEG, ...)"
        assert said == [f"lmrep: {picture.relative_to(checkout.folder)}: {expected}"]
        assert failed.stdout.count("not an image") == 1 and "restart" not in failed.stdout
        assert not (checkout / RUN).exists()
    picture.unlink()  # it is fetched again, and the next build does as if nothing had been
    assert checkout.miniature(RUN).returncode == 0 and not [*(checkout / "results").rglob("*.refused")]


def test_a_trace_that_a_cluster_has_ended_asks_for_more_memory_and_time(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    submit = "sh -c 'echo {rule} {resources.mem_mb} {resources.runtime} >> asked; exit 1'"
    cluster = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit, "--jobs", "1", "--retries", "1")
    target = "results/miniature/traces/transformer_activation_explained.safetensors"
    assert checkout.run(target, "--configfile", "miniature.yaml", *cluster).returncode == 1
    assert (checkout / "asked").read_text().splitlines() == ["trace_probe 8000 10", "trace_probe 12000 20"]


def test_after_ctrl_c_there_is_no_traceback(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", lambda config: shorten(config, 20000))
    assert checkout.miniature(RUN, "--until", "fetch_image").returncode == 0
    build = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", RUN, "--configfile", "miniature.yaml"],
        cwd=checkout.folder, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    with build:
        before = next((line for line in build.stdout if line.startswith("gpt2_match: step")), "")
        os.killpg(build.pid, signal.SIGINT)  # as a terminal does
        after = build.communicate(timeout=120)[0]
    assert before and "Terminating processes on user request" in after
    assert (
        build.returncode == 1
        and "Traceback" not in after
        and "KeyboardInterrupt" not in after
        and "lmrep:" not in after
    )
    assert not [path for path in (checkout / "results").rglob("*") if path.suffix == ".part"]
