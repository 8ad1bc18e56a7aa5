"""Rates from the first gradient: the first step changes the pixels of every layer by `first_step`."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import save_file
from ticks import Ticks

from lmrep.api import make_run
from lmrep.descent.checkpoint import Checkpoint, Watch
from lmrep.descent.experiment import conditions, describe, perform, state_arrays
from lmrep.descent.plan import make_plan
from lmrep.files import ArrayFile, merge_layers, read_arrays
from lmrep.progress import ignore
from lmrep.study.spec import Octave

pytestmark = pytest.mark.models
CPU = torch.device("cpu")
CONTEXT = {"settings": "these"}
FIRST_STEP = 0.03
PLAIN = (Octave(16, 30, (1.0, 0.5)),)
JITTERED = (Octave(16, 30, (1.0, 0.5), (1.5, 0.5)), Octave(20, 24, (0.8, 0.2)))


def run_of(objective: str, optimiser: str = "gradient", octaves=PLAIN, first_step=FIRST_STEP, **changes):
    run = tiny.tiny_run(objective, ("a", "b") if objective == "match" else (2, 13), **changes)
    descent = replace(run.descent, octaves=octaves, optimiser=optimiser, first_step=first_step, distance="l2")
    return replace(run, descent=descent)


def first(run, **changes):
    """The run with nothing but its first step, without a blur."""
    octave = replace(run.descent.octaves[0], steps=1, sigma=None, **changes)
    return replace(run, descent=replace(run.descent, octaves=(octave,)))


def done(run, files, targets, report=ignore, checkpoint=None):
    photographs = targets if run.matches else None
    return perform(run, files, photographs, make_plan(run, CPU), Watch(report, checkpoint, Ticks(0.3)))


def changes(arrays) -> np.ndarray:
    """The RMS change [layer] of the pixels from the start."""
    moved = arrays["images"].astype(float) - arrays["initial"]
    return np.sqrt((moved**2).mean(axis=(1, 2, 3, 4)))


CASES = [("neuron", "gradient", PLAIN), ("neuron", "gradient", JITTERED), ("patch", "gradient", PLAIN),
         ("patch", "adam", PLAIN), ("match", "gradient", PLAIN), ("match", "adam", PLAIN)]  # fmt: skip


@pytest.mark.parametrize("memory", ["auto", 0.1])
@pytest.mark.parametrize(("objective", "optimiser", "octaves"), CASES)
def test_the_first_step_changes_every_layer_by_first_step(tiny_files, targets, objective, optimiser, octaves, memory):
    files, _ = tiny_files
    run = run_of(objective, optimiser, octaves, memory=memory)
    whole, step = done(run, files, targets), done(first(run), files, targets)
    assert whole["rates"].shape == (3,) and whole["rates"].dtype == np.float32
    np.testing.assert_array_equal(whole["rates"], step["rates"])
    np.testing.assert_allclose(changes(step), FIRST_STEP, rtol=1e-5)
    half = done(first(run, rate=(0.5, 0.1)), files, targets)
    np.testing.assert_allclose(changes(half), FIRST_STEP / 2, rtol=1e-5)


def test_rates_are_those_of_the_gradients_written_out(tiny_files, gpt2_probe):
    files, _ = tiny_files
    run = run_of("neuron")
    run = replace(run, descent=replace(run.descent, scale=3.0))
    arrays = done(run, files, None)
    for place, layer in enumerate(run.layers):
        images = torch.from_numpy(arrays["initial"][place]).requires_grad_()
        outputs = gpt2_probe(images, [layer])[0][:, 1:]
        (outputs[0, :, 2].sum() + outputs[1, :, 13].sum()).backward()
        expected = FIRST_STEP / (3 * images.grad.double().square().mean().sqrt().item())
        assert arrays["rates"][place] == pytest.approx(expected, rel=1e-5)
    with_adam = done(run_of("neuron", "adam"), files, None)["rates"]
    np.testing.assert_allclose(with_adam, FIRST_STEP, rtol=1e-3)  # it changes each pixel by about its rate


def test_a_run_takes_the_steps_of_one_with_the_same_rates_of_its_own(tiny_files):
    files, _ = tiny_files
    run = run_of("neuron", octaves=JITTERED, layers=(2,))
    found = done(run, files, None)
    (rate,) = found["rates"].tolist()
    own = tuple(replace(octave, rate=(rate * octave.rate[0], rate * octave.rate[1])) for octave in JITTERED)
    plain = done(run_of("neuron", octaves=own, first_step=0.0, layers=(2,)), files, None)
    assert plain.keys() | {"rates"} == found.keys() != plain.keys()
    for name in plain:
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("objective", "optimiser", "octaves"), CASES)
def test_rates_do_not_depend_on_passes_or_jobs(tiny_files, targets, objective, optimiser, octaves):
    files, _ = tiny_files
    run = first(run_of(objective, optimiser, octaves))
    small, whole = replace(run, memory=0.1), done(run, files, targets)
    assert len(make_plan(small, CPU).groups) > len(make_plan(run, CPU).groups)
    np.testing.assert_allclose(done(small, files, targets)["rates"], whole["rates"], rtol=1e-6)
    shards = []
    for layers in ((1, 3), (2,)):
        shard = replace(run, layers=layers)
        shards.append(ArrayFile(done(shard, files, targets), describe(shard, files, make_plan(shard, CPU))))
    merged = merge_layers(shards)
    assert merged.arrays.keys() == whole.keys()
    np.testing.assert_allclose(merged["rates"], whole["rates"], rtol=1e-6)
    np.testing.assert_allclose(merged["images"], whole["images"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", ["auto", 0.1])
@pytest.mark.parametrize(("objective", "optimiser", "octaves"), [CASES[1], CASES[5]])
def test_a_run_that_is_killed_keeps_its_rates(tiny_files, targets, tmp_path, objective, optimiser, octaves, memory):
    files, _ = tiny_files
    run, path = run_of(objective, optimiser, octaves, memory=memory), tmp_path / "run.state.safetensors"
    unbroken, reported = done(run, files, targets), []
    steps = run.descent.steps

    def checkpoint() -> Checkpoint:
        return Checkpoint(path, 0, CONTEXT, state_arrays(run), print)

    for kill_after in (0.3 * steps, 0.6 * steps):

        def report(taken: float, loss: float | None, kill_after: float = kill_after) -> None:
            reported.append(taken)
            if taken >= kill_after:
                raise tiny.Killed

        with pytest.raises(tiny.Killed):
            done(run, files, targets, report, checkpoint())
        np.testing.assert_array_equal(read_arrays(path)["rates"], unbroken["rates"])
    resumed = done(run, files, targets, lambda taken, loss: reported.append(taken), checkpoint())
    assert max(reported) == steps  # the pass of the first gradient is no step
    assert resumed.keys() == unbroken.keys()
    for name in unbroken:
        np.testing.assert_array_equal(resumed[name], unbroken[name])


def test_a_resumed_run_takes_the_rates_of_its_state(tiny_files, tmp_path, monkeypatch):
    files, _ = tiny_files
    run, path = run_of("neuron"), tmp_path / "run.state.safetensors"
    unbroken = done(run, files, None, checkpoint=Checkpoint(path, 0, CONTEXT, state_arrays(run), print))
    monkeypatch.delattr("lmrep.descent.groups.first_rates")
    again = done(run, files, None, checkpoint=Checkpoint(path, 0, CONTEXT, state_arrays(run), print))
    np.testing.assert_array_equal(again["rates"], unbroken["rates"])


def test_a_state_of_another_first_step_is_not_used(tiny_files):
    files, _ = tiny_files
    run = run_of("neuron")
    one, two = (
        conditions(each, describe(each, files, make_plan(each, CPU)), make_plan(each, CPU), None, "code")
        for each in (run, replace(run, descent=replace(run.descent, first_step=0.04)))
    )
    assert {name for name in one if one[name] != two[name]} == {"settings"}


@pytest.mark.parametrize("optimiser", ["gradient", "adam"])
def test_a_gradient_of_zero_is_refused(tiny_files, tmp_path, optimiser):
    files, models = tiny_files
    blind = {name: tensor.contiguous() for name, tensor in models["tiny_vit"].state_dict().items()}
    blind["patch_embed.proj.weight"] = torch.zeros_like(blind["patch_embed.proj.weight"])
    save_file(blind, tmp_path / "blind.safetensors")
    with pytest.raises(FloatingPointError, match=r"^the first gradient of layer 1 is zero: first_step needs .* start$"):
        done(run_of("neuron", optimiser), {**files, "tiny_vit": tmp_path / "blind.safetensors"}, None)


def test_a_start_that_is_no_number_is_refused(tiny_files):
    files, _ = tiny_files
    run = run_of("neuron")
    run = replace(run, descent=replace(run.descent, start=("normal", float("inf"), 0.0)))
    with pytest.raises(FloatingPointError, match="the loss of the start is nan: expected another start"):
        done(run, files, None)


def test_a_rate_from_python_replaces_first_step():
    run = run_of("neuron")
    study = SimpleNamespace(runs={"neurons": run})
    probe = SimpleNamespace(study=study, spec=run.probe, weights="trained", seed=7, precision="float32")
    settings = ("maximise", probe, "neuron", 1, (2,))
    assert make_run(*settings, None, None, None).descent == run.descent
    own = make_run(*settings, None, 3, 0.5).descent
    assert own.first_step == 0.0 and own.octaves == (Octave(16, 3, (0.5, 0.5)),)
    for ends in ([0.5, 0.1], (0.5, 0.1)):
        assert make_run(*settings, None, 3, ends).descent.octaves == (Octave(16, 3, (0.5, 0.1)),)
