"""A run that is broken off and goes on: the same bytes, or, where the state is not its own, a new start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from lmrep.checkpoint import Checkpoint
from lmrep.experiment import perform
from lmrep.plan import make_plan
from lmrep.replacing import replacing
from lmrep.runfile import write_arrays
from lmrep.spec import Octave

pytestmark = pytest.mark.models
CONTEXT = {"settings": {"seed": 7}, "layers": [1, 2, 3], "device": "cpu"}
OCTAVES = (Octave(16, 50, (0.02, 0.01), (1.5, 0.5)), Octave(20, 40, (0.02, 0.01)))


class Killed(Exception):
    pass


def tiny_steps(objective: str, memory: float | str):
    """A run of some hundred steps in one pass or in several, with a jitter where its objective allows one."""
    run = tiny.tiny_run(objective, ("a", "b") if objective == "match" else (2, 5), memory=memory)
    octaves = OCTAVES[:1] if objective == "match" else OCTAVES
    return replace(run, descent=replace(run.descent, octaves=octaves))


def perform_until(run, files, targets, checkpoint=None, kill_after=None):
    """The run's arrays, or Killed at the first report of `kill_after` steps or more."""

    def report(steps: int, loss: float) -> None:
        if kill_after is not None and steps >= kill_after:
            raise Killed

    return perform(run, files, targets, make_plan(run, torch.device("cpu")), report, checkpoint)


@pytest.mark.parametrize("memory", ["auto", 0.1])
@pytest.mark.parametrize("objective", ["neuron", "patch", "match"])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(tiny_files, tmp_path, objective, memory):
    files, _ = tiny_files
    targets = np.random.default_rng(5).random((2, 3, 16, 16), dtype=np.float32) if objective == "match" else None
    run = tiny_steps(objective, memory)
    unbroken = perform_until(run, files, targets)
    steps = run.descent.steps * len(make_plan(run, torch.device("cpu")).groups)
    assert memory == "auto" or steps > run.descent.steps
    path, said, reached = tmp_path / "run.state.safetensors", [], [0]
    for kill_after in range(30, steps, 35):
        checkpoint = Checkpoint(path, 0, CONTEXT, said.append)
        reached.append(checkpoint.step)
        with pytest.raises(Killed):
            perform_until(run, files, targets, checkpoint, kill_after)
    checkpoint = Checkpoint(path, 0, CONTEXT, said.append)
    resumed = perform_until(run, files, targets, checkpoint)
    assert reached == sorted(reached) and 0 < checkpoint.step < steps
    assert said[-1] == f"goes on from step {checkpoint.step}"
    assert resumed.keys() == unbroken.keys()
    for name in unbroken:
        np.testing.assert_array_equal(resumed[name], unbroken[name])
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_state_in_the_middle_of_a_jitter_is_gone_on_from(tiny_files, tmp_path):
    files, _ = tiny_files
    run, path = tiny_steps("neuron", "auto"), tmp_path / "run.state.safetensors"
    with pytest.raises(Killed):
        perform_until(run, files, None, Checkpoint(path, 0, CONTEXT, print), kill_after=80)
    checkpoint = Checkpoint(path, 0, CONTEXT, print)
    assert checkpoint.step == 60 and checkpoint.state["group_images"].shape[-1] == 20


def written(path: Path, **changes) -> None:
    write_arrays(path, {"images": np.zeros((1, 1))}, {"context": {**CONTEXT, **changes}, "step": 20, "group": 0})


@pytest.mark.parametrize(
    ("change", "named"),
    [({"settings": {"seed": 8}}, "settings"), ({"device": "H100", "threads": 4}, "device, threads")],
)
def test_a_state_of_other_settings_is_not_used(tmp_path, change, named):
    path, said = tmp_path / "run.state.safetensors", []
    written(path, **change)
    checkpoint = Checkpoint(path, 60, CONTEXT, said.append)
    assert checkpoint.state is None and checkpoint.step == 0
    assert said == [f"starts anew, the state {path} was made with other {named}"]


@pytest.mark.parametrize("broken", ["cut", "empty", "foreign", "of another kind"])
def test_a_broken_state_is_not_used(tmp_path, broken):
    path, said = tmp_path / "run.state.safetensors", []
    written(path)
    whole = path.read_bytes()
    if broken == "of another kind":
        write_arrays(path, {"images": np.zeros((1, 1))}, {"run": "tiny"})
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "foreign": b"{}" * 100}[broken])
    assert Checkpoint(path, 60, CONTEXT, said.append).state is None
    (line,) = said
    assert line.startswith("starts anew, the state cannot be used: ") and "\n" not in line


def test_a_state_is_due_when_its_seconds_are_over(tmp_path):
    assert Checkpoint(tmp_path / "a", 0, {}, print).is_due()
    assert not Checkpoint(tmp_path / "a", 60, {}, print).is_due()


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    (tmp_path / ".file.0123abcd.part").write_text("what a killed process left")
    (tmp_path / ".file2.0123abcd.part").write_text("another file's")
    with pytest.raises(Killed), replacing(path) as part:
        part.write_text("half")
        raise Killed
    assert path.read_text() == "before"
    with replacing(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".file2.0123abcd.part", "file"]


def test_two_that_write_the_same_file_at_once_both_go_on(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as slow:
        slow.write_text("slow")
        with replacing(path) as quick:
            quick.write_text("quick")
    assert path.read_text() == "quick" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "never written"):
        pass
