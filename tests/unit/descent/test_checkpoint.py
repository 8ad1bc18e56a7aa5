"""A run that is killed and resumed has the same bytes; a state of other settings is not used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from lmrep.descent.checkpoint import Checkpoint
from lmrep.descent.experiment import conditions, describe, perform, state_arrays
from lmrep.descent.plan import make_plan
from lmrep.files import write_arrays
from lmrep.study.spec import Octave

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


def tiny_inversion(optimiser: str, memory: float | str):
    """A match of some hundred passes by an optimiser with a state of its own."""
    run = tiny.tiny_run("match", ("a", "b"), memory=memory)
    octaves = (Octave(16, 90, (0.02, 0.01)),)
    return replace(run, descent=replace(run.descent, octaves=octaves, optimiser=optimiser, distance="l2", history=6))


def perform_until(run, files, targets, checkpoint=None, kill_after=None):
    """The run's arrays, or Killed at the first report of `kill_after` steps or more."""

    def report(steps: int, loss: float) -> None:
        if kill_after is not None and steps >= kill_after:
            raise Killed

    return perform(run, files, targets, make_plan(run, torch.device("cpu")), report, checkpoint)


@pytest.mark.parametrize("memory", ["auto", 0.1])
@pytest.mark.parametrize("kind", ["neuron", "patch", "match", "adam", "lbfgs"])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(tiny_files, tmp_path, kind, memory):
    files, _ = tiny_files
    run = tiny_inversion(kind, memory) if kind in ("adam", "lbfgs") else tiny_steps(kind, memory)
    targets = np.random.default_rng(5).random((2, 3, 16, 16), dtype=np.float32) if run.matches else None
    unbroken = perform_until(run, files, targets)
    steps = run.descent.steps * len(make_plan(run, torch.device("cpu")).groups)
    assert memory == "auto" or steps > run.descent.steps
    path, said, reached = tmp_path / "run.state.safetensors", [], [0]

    def checkpoint() -> Checkpoint:
        found = Checkpoint(path, 0, CONTEXT, state_arrays(run), said.append)
        reached.append(found.step)
        return found

    for kill_after in range(30, steps, 35):
        with pytest.raises(Killed):
            perform_until(run, files, targets, checkpoint(), kill_after)
    # The second time, the run was finished, and a build that was killed before it recorded this asks again.
    for _ in range(2):
        resumed = perform_until(run, files, targets, checkpoint())
        assert resumed.keys() == unbroken.keys()
        for name in unbroken:
            np.testing.assert_array_equal(resumed[name], unbroken[name])
    assert reached == sorted(reached) and 0 < reached[-2] < reached[-1] == steps
    assert said[-1] == f"resumes from step {steps}"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_resumes_in_the_middle_of_a_jitter(tiny_files, tmp_path):
    files, _ = tiny_files
    run, path = tiny_steps("neuron", "auto"), tmp_path / "run.state.safetensors"
    with pytest.raises(Killed):
        perform_until(run, files, None, Checkpoint(path, 0, CONTEXT, state_arrays(run), print), kill_after=80)
    checkpoint = Checkpoint(path, 0, CONTEXT, state_arrays(run), print)
    assert checkpoint.step == 60 and checkpoint.state["group_images"].shape[-1] == 20


def test_a_resumed_run_that_diverged_says_so_again(tiny_files, tmp_path):
    files, _ = tiny_files
    run, path = tiny.tiny_run("neuron", (0,)), tmp_path / "run.state.safetensors"
    run = replace(run, descent=replace(run.descent, octaves=(Octave(16, 1, (3e38, 3e38)),), scale=1e30))
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="not finite after step 0"):
            perform_until(run, files, None, Checkpoint(path, 0, CONTEXT, state_arrays(run), print))
    assert path.exists()


def test_a_state_depends_on_everything_that_its_run_depends_on(tiny_files, monkeypatch):
    files, _ = tiny_files
    run = tiny.tiny_run("neuron", (2, 5))
    other_files = {**files, "tiny_gpt2": files["tiny_wide"]}
    photographs = np.zeros((1, 3, 2, 2), dtype=np.float32)

    def bound(run=run, files=files, targets=photographs, code="a") -> dict:
        plan = make_plan(run, torch.device("cpu"))
        return conditions(describe(run, files, plan), plan, targets, code)

    def other(**changes) -> set[str]:
        one, two = bound(), bound(**changes)
        return {name for name in one if one[name] != two[name]}

    assert other() == set()
    assert other(run=replace(run, seed=8)) == {"settings", "seeds"}
    assert other(run=replace(run, layers=(1, 2))) == {"settings", "layers", "groups"}
    assert other(run=replace(run, memory=0.1)) == {"settings", "groups"}
    assert other(run=replace(run, precision="bfloat16")) == {"settings", "precision"}
    assert other(files=other_files) == {"weight_files"}
    renamed = replace(run, name="x", probe=replace(run.probe, name="y", label="z"))
    assert other(run=renamed) == set()  # names change no number
    assert other(targets=photographs + 1) == {"photographs"}
    assert other(code="b") == {"code"}
    expected = bound()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    found = bound()
    assert {name for name in found if found[name] != expected[name]} == {"processor", "threads"}


ARRAYS = {"images", "loss"}


def written(path: Path, **changes) -> None:
    write_arrays(path, {name: np.zeros((1, 1)) for name in ARRAYS}, {"context": {**CONTEXT, **changes}, "step": 20})


def test_a_state_of_the_same_settings_is_used(tmp_path):
    path, said = tmp_path / "run.state.safetensors", []
    written(path)
    checkpoint = Checkpoint(path, 60, CONTEXT, ARRAYS, said.append)
    assert checkpoint.step == 20 and checkpoint.state["images"].shape == (1, 1)
    assert said == ["resumes from step 20"]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"settings": {"seed": 8}}, "settings"), ({"device": "H100", "threads": 4}, "device, threads")],
)
def test_a_state_of_other_settings_is_not_used(tmp_path, change, named):
    path, said = tmp_path / "run.state.safetensors", []
    written(path, **change)
    checkpoint = Checkpoint(path, 60, CONTEXT, ARRAYS, said.append)
    assert checkpoint.state is None and checkpoint.step == 0
    assert said == [f"starts from step 0: the state {path} was made with other {named}"]


FACTS = {
    "no context": {"step": 20}, "no step": {"context": CONTEXT}, "a list": [], "a number": 3,
    "a context of another kind": {"context": None, "step": 20},
    "a step of another kind": {"context": CONTEXT, "step": "20"},
}  # fmt: skip


@pytest.mark.parametrize("broken", ["cut", "empty", "foreign", "without an array", *FACTS])
def test_a_broken_state_is_not_used(tmp_path, broken):
    path, said = tmp_path / "run.state.safetensors", []
    written(path)
    whole = path.read_bytes()
    if broken == "without an array":
        write_arrays(path, {"images": np.zeros((1, 1))}, {"context": CONTEXT, "step": 20})
    elif broken in FACTS:
        write_arrays(path, {name: np.zeros((1, 1)) for name in ARRAYS}, FACTS[broken])
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "foreign": b"{}" * 100}[broken])
    assert Checkpoint(path, 60, CONTEXT, ARRAYS, said.append).state is None
    (line,) = said
    assert line.startswith(f"starts from step 0: the state {path} cannot be used: ") and "\n" not in line


def test_a_state_is_due_when_its_seconds_are_over(tmp_path):
    assert Checkpoint(tmp_path / "a", 0, {}, ARRAYS, print).is_due()
    assert not Checkpoint(tmp_path / "a", 60, {}, ARRAYS, print).is_due()
