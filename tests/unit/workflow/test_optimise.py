"""The job of one run: what it says, and what a rerun of a finished one does."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from lmrep.descent.checkpoint import state_path
from lmrep.errors import InputError
from lmrep.study.config import Study
from lmrep.workflow import forecast, optimise
from lmrep.workflow.forecast import Forecast, Part
from lmrep.workflow.optimise import lost_shares

pytestmark = pytest.mark.models
BASIS = {"basis": "dct", "patch": 8, "size": 16}


@pytest.mark.parametrize("centre", [False, True])
def test_the_power_that_a_narrow_basis_loses(centre):
    probe = tiny.probe_of(BASIS, tiny.GPT2, centre=centre)  # 48 of 192 values of a patch
    run = tiny.tiny_run("match", ("flat", "rough"), probe)
    flat, rough = np.full((3, 16, 16), 0.75, "f"), np.random.default_rng(0).random((3, 16, 16), "f")
    shares = lost_shares(run, np.stack([flat, rough]))
    assert shares["flat"] == pytest.approx(0, abs=1e-6)
    # White noise has its power above 0 spread evenly over the values of a patch; a quarter of them is kept.
    mean = 0.0 if centre else 0.5
    expected = 0.75 * (1 / 12) / (1 / 12 + mean**2)
    assert shares["rough"] == pytest.approx(expected, rel=0.1)


def test_a_wide_basis_and_a_run_without_photographs_lose_nothing():
    wide = tiny.probe_of({"basis": "dct", "patch": 4, "size": 16}, tiny.GPT2)
    assert lost_shares(tiny.tiny_run("match", ("a",), wide), np.zeros((1, 3, 16, 16), "f")) == {}
    narrow = tiny.probe_of(BASIS, tiny.GPT2)
    assert lost_shares(tiny.tiny_run("neuron", (0,), narrow), None) == {}


@pytest.fixture
def job(tiny_files, tmp_path, monkeypatch):
    """A function that does the job of a run in a folder of its own and returns its log."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optimise, "settle", lambda threads: None)  # it would change torch for all tests
    study = Study("tiny", "cpu", 1, 60, 1, ("png",), {"cpu": 1, "cuda": 1}, {}, {}, {}, {}, {})

    def perform(run, code="a") -> str:
        log = io.StringIO()
        optimise.optimise(study, run, tiny_files[0], [], Path("run.safetensors"), code, log)
        return log.getvalue()

    return perform


def test_a_finished_run_that_was_not_recorded_comes_back_without_computing(job, monkeypatch):
    run, output = tiny.tiny_run("neuron", (2, 5)), Path("run.safetensors")
    assert "step 4 of 4" in job(run)
    before = output.read_bytes()
    assert sorted(path.name for path in Path().glob("run*")) == [
        "run.safetensors", "run.state.json", "run.state.safetensors",
    ]  # fmt: skip
    assert state_path(output).stat().st_ino == output.stat().st_ino  # no second copy of the arrays
    output.unlink()
    with monkeypatch.context() as patched:
        patched.delattr(optimise, "perform")
        assert job(run) == "lmrep: was finished before: its file is put back\n"
    assert output.read_bytes() == before
    output.unlink()
    assert "starts from step 0" in job(run, code="b") and output.read_bytes() == before


def test_a_job_corrects_the_estimate_of_its_build(job, monkeypatch):
    parts = {name: Part(0.001, 1.0, "float32") for name in ("run.safetensors", "another.safetensors")}
    forecast.write("tiny", Forecast("cpu", 1, 1, parts))
    monkeypatch.setattr(forecast, "SECONDS_TO_MEASURE", 0.0)
    run = tiny.tiny_run("neuron", (2, 5))
    octaves = tuple(replace(octave, steps=200) for octave in run.descent.octaves)
    said = job(replace(run, descent=replace(run.descent, octaves=octaves)))
    assert "lmrep: by the measured speed of tiny_neuron, all runs of this build take about " in said
    found = forecast.read("tiny")
    assert found.measured.keys() == {"run.safetensors"} and found.factor("float32") > 1


def test_a_file_with_more_blocks_than_the_config_asks_for_is_told(job):
    shallow = tiny.probe_of(tiny.VIT, replace(tiny.GPT2, depth=2))
    said = job(tiny.tiny_run("neuron", (2,), shallow, layers=(1, 2)))
    assert "weights.tiny_gpt2: its file has 3 blocks; the config's depth takes only 2" in said
    assert "blocks" not in job(tiny.tiny_run("neuron", (2,)))


def test_a_weight_file_that_was_damaged_is_told_in_one_line(job, tiny_files, tmp_path, monkeypatch):
    damaged = tmp_path / "tiny_gpt2.safetensors"
    damaged.write_bytes(tiny_files[0]["tiny_gpt2"].read_bytes()[:1000])
    monkeypatch.setitem(tiny_files[0], "tiny_gpt2", damaged)
    with pytest.raises(InputError, match=r"weights.tiny_gpt2: .*not a readable safetensors file"):
        job(tiny.tiny_run("neuron", (2,)))
