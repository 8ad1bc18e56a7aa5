"""A run that is killed and resumed has the same bytes; a state of other settings is not used."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from ticks import Ticks

from lmrep.descent.checkpoint import Checkpoint, Watch, facts_path, forget_state, state_path, steps_taken
from lmrep.descent.experiment import conditions, describe, perform, state_arrays
from lmrep.descent.plan import make_plan
from lmrep.errors import InputError
from lmrep.files import read_arrays, write_arrays
from lmrep.study.kinds import OPTIMISERS
from lmrep.study.spec import Octave, identity

pytestmark = pytest.mark.models
CONTEXT = {"settings": {"seed": 7}, "layers": [1, 2, 3], "device": "cpu"}
OCTAVES = (Octave(16, 30, (0.02, 0.01), (1.5, 0.5)), Octave(20, 24, (0.02, 0.01)))


def tiny_steps(objective: str, memory: float | str):
    """A run of 30 or 54 steps in one pass or in several, with a jitter where its objective allows one."""
    run = tiny.tiny_run(objective, ("a", "b") if objective == "match" else (2, 5), memory=memory)
    octaves = OCTAVES[:1] if objective == "match" else OCTAVES
    return replace(run, descent=replace(run.descent, octaves=octaves))


def tiny_inversion(optimiser: str, memory: float | str):
    """A match of 50 steps by an optimiser with a state of its own."""
    run = tiny.tiny_run("match", ("a", "b"), memory=memory)
    octaves = (Octave(16, 50, (0.02, 0.01)),)
    descent = replace(run.descent, octaves=octaves, optimiser=optimiser, distance="pareto", history=6)
    return replace(run, descent=descent)


def perform_until(run, files, targets, checkpoint=None, kill_after=None, seconds=0.3):
    """The run's arrays, or tiny.Killed at the first report of `kill_after` steps or more; a step takes `seconds`."""

    def report(steps: float, loss: float | None) -> None:
        if kill_after is not None and steps >= kill_after:
            raise tiny.Killed

    plan = make_plan(run, torch.device("cpu"))
    return perform(run, files, targets, plan, Watch(report, checkpoint, Ticks(seconds)))


@pytest.mark.parametrize("memory", ["auto", 0.1])
@pytest.mark.parametrize("kind", ["neuron", "patch", "match", "adam", "lbfgs", "preconditioned_lbfgs"])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(tiny_files, targets, tmp_path, kind, memory):
    files, _ = tiny_files
    run = tiny_inversion(kind, memory) if kind in OPTIMISERS else tiny_steps(kind, memory)
    targets = targets if run.matches else None
    unbroken = perform_until(run, files, targets)
    steps, passes = run.descent.steps, len(make_plan(run, torch.device("cpu")).groups)
    assert memory == "auto" or passes > 1
    path, said, reached = tmp_path / "run.state.safetensors", [], [0]

    def checkpoint() -> Checkpoint:
        found = Checkpoint(path, 0, CONTEXT, state_arrays(run), said.append)
        reached.append(found.step)
        return found

    # A state is written at steps that depend on the time; no array does.
    for kill_after, seconds in ((0.2, 0.02), (0.35, 9.0), (0.6, 0.21), (0.97, 0.3)):
        with pytest.raises(tiny.Killed):
            perform_until(run, files, targets, checkpoint(), kill_after * steps, seconds)
    resumed = perform_until(run, files, targets, checkpoint())
    assert resumed.keys() == unbroken.keys()
    for name in unbroken:
        np.testing.assert_array_equal(resumed[name], unbroken[name])
    assert reached == sorted(reached) and 0 < reached[-2] < reached[-1] < steps
    assert said[-1] == f"resumes from step {int(reached[-1])}"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_resumes_in_the_middle_of_a_jitter(tiny_files, tmp_path):
    files, _ = tiny_files
    run, path = tiny_steps("neuron", "auto"), tmp_path / "run.state.safetensors"
    with pytest.raises(tiny.Killed):
        perform_until(
            run, files, None, Checkpoint(path, 0, CONTEXT, state_arrays(run), print), kill_after=48, seconds=9
        )
    checkpoint = Checkpoint(path, 0, CONTEXT, state_arrays(run), print)
    assert checkpoint.step == 47 and checkpoint.state["group_images"].shape[-1] == 20


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
        return conditions(run, describe(run, files, plan), plan, targets, code)

    def other(**changes) -> set[str]:
        one, two = bound(), bound(**changes)
        return {name for name in one if one[name] != two[name]}

    assert other() == set()
    assert other(run=replace(run, seed=8)) == {"settings", "seeds"}
    assert other(run=replace(run, layers=(1, 2))) == {"settings", "layers", "groups"}
    assert other(run=replace(run, memory=0.1)) == {"settings", "groups"}
    assert other(run=replace(run, precision="bfloat16")) == {"settings", "precision"}
    assert other(files=other_files) == {"weight_files"}
    swapped = {"tiny_gpt2": files["tiny_vit"], "tiny_vit": files["tiny_gpt2"]}
    assert other(files=swapped) == {"weight_files"}  # which file is the stem's and which the stack's
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
    write_arrays(
        path, {name: np.zeros((1, 1)) for name in ARRAYS}, {"context": {**CONTEXT, **changes}, "group": 1, "step": 20.5}
    )


def test_a_state_of_the_same_settings_is_used(tmp_path):
    path, said = tmp_path / "run.state.safetensors", []
    written(path)
    checkpoint = Checkpoint(path, 60, CONTEXT, ARRAYS, said.append)
    assert (checkpoint.step, checkpoint.group) == (20.5, 1) and checkpoint.state["images"].shape == (1, 1)
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
    "no context": {"group": 0, "step": 20}, "no step": {"context": CONTEXT, "group": 0}, "a list": [], "a number": 3,
    "no group": {"context": CONTEXT, "step": 20}, "a context of another kind": {"context": None, "step": 20},
    "a step of another kind": {"context": CONTEXT, "group": 0, "step": "20"},
}  # fmt: skip


@pytest.mark.parametrize("broken", ["cut", "empty", "foreign", "without an array", *FACTS])
def test_a_broken_state_is_not_used(tmp_path, broken):
    path, said = tmp_path / "run.state.safetensors", []
    written(path)
    whole = path.read_bytes()
    if broken == "without an array":
        write_arrays(path, {"images": np.zeros((1, 1))}, {"context": CONTEXT, "group": 0, "step": 20})
    elif broken in FACTS:
        write_arrays(path, {name: np.zeros((1, 1)) for name in ARRAYS}, FACTS[broken])
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "foreign": b"{}" * 100}[broken])
    assert Checkpoint(path, 60, CONTEXT, ARRAYS, said.append).state is None
    (line,) = said
    assert line.startswith(f"starts from step 0: the state {path} cannot be used: ") and "\n" not in line


def test_a_state_is_due_when_its_seconds_are_over(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a", 60, {}, ARRAYS, print, Ticks(25))
    assert [checkpoint.is_due() for _ in range(4)] == [False, False, True, True]
    checkpoint.write({}, 0, 1)
    assert [checkpoint.is_due() for _ in range(3)] == [False, False, True]


def finished(tmp_path: Path, said: list[str], context=CONTEXT) -> tuple[Path, Checkpoint]:
    """A run's file, and a checkpoint that has kept it in place of a state."""
    output = tmp_path / "run.safetensors"
    written(state_path(output))
    write_arrays(output, {"images": np.ones((2, 3))}, {"run": "tiny"})
    checkpoint = Checkpoint(state_path(output), 60, context, ARRAYS, said.append)
    checkpoint.keep(output)
    said.clear()
    return output, checkpoint


@pytest.mark.parametrize("links", [True, False])
def test_a_finished_run_is_put_back_after_its_output_is_deleted(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise PermissionError("no links on this file system")

        monkeypatch.setattr(os, "link", refuse)
    said = []
    output, checkpoint = finished(tmp_path, said)
    assert not checkpoint.put_back(output)  # it was made just now
    before = output.read_bytes()
    assert (output.stat().st_nlink == 2) == links  # the arrays are there once
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run.safetensors", "run.state.json", "run.state.safetensors",
    ]  # fmt: skip
    output.unlink()  # by Snakemake, which has not recorded the run
    again = Checkpoint(state_path(output), 60, CONTEXT, ARRAYS, said.append)
    assert again.put_back(output) and output.read_bytes() == before
    assert again.state is None and again.step == 0
    assert (output.stat().st_nlink == 2) == links
    assert said == ["was finished before: its file is put back"]
    assert again.put_back(output)  # Snakemake may have left it there
    forget_state(output)
    assert list(tmp_path.iterdir()) == [output] and output.read_bytes() == before


@pytest.mark.parametrize("broken", ["other settings", "an edited file", "no facts", "broken facts"])
def test_a_finished_run_of_other_settings_or_bytes_is_not_put_back(tmp_path, broken):
    said, context = [], {**CONTEXT, "device": "H100"} if broken == "other settings" else CONTEXT
    output, _ = finished(tmp_path, said)
    state = state_path(output)
    if broken == "an edited file":
        write_arrays(state, {"images": np.zeros((2, 3))}, {"run": "tiny"})
    elif broken == "no facts":
        facts_path(state).unlink()
    elif broken == "broken facts":
        facts_path(state).write_text("[]")
    output.unlink()
    checkpoint = Checkpoint(state, 60, context, ARRAYS, said.append)
    assert not checkpoint.put_back(output) and not output.exists() and checkpoint.state is None
    (line,) = said
    assert line.startswith(f"starts from step 0: the state {state} ")
    assert line.endswith("was made with other device") == (broken == "other settings")


def test_a_state_is_written_over_a_finished_run_of_other_settings(tmp_path):
    said = []
    output, _ = finished(tmp_path, said)
    other = {**CONTEXT, "device": "H100"}
    before = output.read_bytes()
    Checkpoint(state_path(output), 60, other, ARRAYS, said.append).write({name: np.zeros(1) for name in ARRAYS}, 0, 3)
    assert Checkpoint(state_path(output), 60, other, ARRAYS, said.append).step == 3
    assert output.read_bytes() == before  # the link goes, not what it names


def test_a_full_disk_costs_the_second_name_and_not_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    said = []
    output, _ = finished(tmp_path, said)
    assert output.exists() and Checkpoint(state_path(output), 60, CONTEXT, ARRAYS, said.append).step == 20.5


def test_the_steps_of_a_state_are_known_without_its_run(tmp_path):
    run, output = tiny.tiny_run("neuron", (0,)), tmp_path / "run.safetensors"
    settings, said = identity(run), []
    assert steps_taken(output, settings) == 0
    written(state_path(output), settings=settings)
    assert steps_taken(output, settings) == 20.5
    assert steps_taken(output, identity(replace(run, seed=8))) == 0
    finished(tmp_path, said, {**CONTEXT, "settings": settings})
    assert steps_taken(output, settings) == float("inf")
    assert steps_taken(output, identity(replace(run, seed=8))) == 0
    facts_path(state_path(output)).unlink()
    assert steps_taken(output, settings) == 0
    state_path(output).write_bytes(b"")
    assert steps_taken(output, settings) == 0
    with pytest.raises(InputError):
        read_arrays(state_path(output))
