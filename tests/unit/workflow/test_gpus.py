"""Real processes claim GPUs, and take over those of dead processes. A claim is of a name: the tests need no GPU.

The listing is what NVIDIA's own tool prints; the tool is a script here.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.workflow import gpus
from lmrep.workflow.gpus import claim, gpu_names, own_card

pytestmark = pytest.mark.models
CLAIMANT = """
import sys, time
from pathlib import Path
from lmrep.workflow.gpus import claim
with claim(sys.argv[2:], Path(sys.argv[1]), lambda line: print(line, flush=True)) as place:
    print(place, flush=True)
    sys.stdin.readline()
"""


class Claimant:
    """A process that claims a card and keeps it until told to end."""

    def __init__(self, folder, *cards):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, str(folder), *cards], cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)


def test_each_process_gets_its_own_card_and_the_third_waits(tmp_path):
    with ThreadPoolExecutor() as pool:
        claimants = [Claimant(tmp_path, "a", "b") for _ in range(3)]
        try:
            first = list(pool.map(Claimant.line, claimants))
            (waiting,) = (i for i, line in enumerate(first) if not line.isdigit())
            assert sorted(line for line in first if line.isdigit()) == ["0", "1"]
            assert first[waiting] == "waiting for a GPU: other runs hold all 2 on this host"
            freed = 1 - waiting if waiting < 2 else 0
            claimants[freed].end()
            assert claimants[waiting].line() == first[freed]
        finally:
            for claimant in claimants:
                claimant.process.kill()


def test_the_claim_of_a_killed_process_is_taken_over(tmp_path):
    claimant = Claimant(tmp_path, "a")
    assert claimant.line() == "0"
    heir = Claimant(tmp_path, "a")
    assert heir.line() == "waiting for a GPU: other runs hold the only one on this host"
    os.kill(claimant.process.pid, signal.SIGKILL)
    start = time.monotonic()
    assert heir.line() == "0"
    assert time.monotonic() - start < 30
    heir.end()


def test_processes_with_different_cards_agree_on_those_that_both_see(tmp_path):
    # As with CUDA_VISIBLE_DEVICES=1,0 and =0: the same card has a different index in each process.
    one = Claimant(tmp_path, "b", "a")
    assert one.line() == "0"
    with claim(["a", "b"], tmp_path, print) as place:
        assert place == 0
        other = Claimant(tmp_path, "b", "c")
        assert other.line() == "1"
        other.end()
    one.end()


def test_a_cpu_is_not_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with own_card(torch.device("cpu"), print) as device:
        assert device == torch.device("cpu") and list(tmp_path.iterdir()) == []


def test_the_error_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/locks: expected a writable folder for GPU locks"):
        claim(["a"], tmp_path / "file" / "locks", print).__enter__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_torch_uses_the_claimed_card_and_another_run_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with own_card(torch.device("cuda"), print):
        (lock,) = tmp_path.rglob("*.lock")
        assert lock.stem == str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        other = Claimant(lock.parent, lock.stem)
        assert other.line() == "waiting for a GPU: other runs hold the only one on this host"
    assert other.line() == "0"
    other.end()


LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-8a1c2d3e-0000-1111-2222-333344445555)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-9b1c2d3e-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-4f1c2d3e-0000-1111-2222-333344445555)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-7c1c2d3e-0000-1111-2222-333344445555)
"""
H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB"


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A function that lists the GPUs where nvidia-smi is a shell script, or missing, and torch sees one of its own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "torch.py").write_text(
        "import os\nfrom types import SimpleNamespace\n"
        "seen = os.environ.get('ROCR_VISIBLE_DEVICES') != ''\n"
        "cuda = SimpleNamespace(is_available=lambda: seen, device_count=lambda: 1)\n"
        "cuda.get_device_name = ['AMD Instinct MI300X'].__getitem__\n"
    )

    def list_gpus(tool, device="auto"):
        if tool is not None:
            (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{tool}\n")
            (tmp_path / "nvidia-smi").chmod(0o755)
        gpu_names.cache_clear()
        return gpu_names(device)

    yield list_gpus
    gpu_names.cache_clear()


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, [H100, A100, H100]), ("1", [A100]), ("0,2", [H100] * 2), ("GPU-9b1c2d3e", [A100]), ("0,", [H100]),
        ("0,-1,1", [H100]), ("1,GPU-8a,9,2", [A100, H100]),
        ("", []), ("-1", []), (",", []), (" ", []), ("NVIDIA", []), ("G", []), ("7", []),
        ("MIG-4f1c2d3e-0000-1111-2222-333344445555", ["MIG 3g.20gb"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_gpus_are_those_that_cuda_visible_devices_leaves(listed, monkeypatch, device, visible, found):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert listed(f"printf '%s' '{LISTING}'", device) == found
    assert listed(f"printf '%s' '{LISTING}'", "cpu") == []


@pytest.mark.parametrize("tool", [None, "exit 9", "PATH=/bin:/usr/bin; exec sleep 60", "printf '\\377'"])
def test_torch_is_asked_where_the_driver_is_silent_if_the_config_says_cuda(listed, monkeypatch, tool):
    monkeypatch.setattr(gpus, "SECONDS_FOR_DRIVER", 0.2)
    assert listed(tool, "auto") == []
    assert listed(tool, "cuda") == ["AMD Instinct MI300X"]
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "")
    assert listed(tool, "cuda") == []
