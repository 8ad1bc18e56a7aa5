"""Real processes claim GPUs, and take over those of dead processes. A claim is of a name: the tests need no GPU."""

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
from lmrep.workflow.gpus import claim, own_card

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
def test_torch_uses_the_claimed_card(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with own_card(torch.device("cuda"), print):
        (lock,) = tmp_path.rglob("*.lock")
        assert lock.stem == str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
