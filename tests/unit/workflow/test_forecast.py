"""How long a build takes: by the config, on the cores that there are, and by the measured speed of its first runs."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from ticks import Ticks

from lmrep.study.config import make_study
from lmrep.study.cost import run_seconds, speed_of
from lmrep.workflow import forecast
from lmrep.workflow.forecast import SECONDS_TO_START, Stopwatch, begin, correct, makespan

CONFIGS = {name: yaml.safe_load((ROOT / f"{name}.yaml").read_text()) for name in ("config", "miniature")}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A function that forecasts a study on a machine of some cores with bfloat16, in a folder of its own."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecast, "cpu_has_bfloat16", lambda: True)

    def on(cores: int, name: str = "config", given: int | None = None, only: tuple[str, ...] = (), gpus=(), cards=1):
        monkeypatch.setattr(forecast, "available_cores", lambda: cores)
        study = make_study(copy.deepcopy(CONFIGS[name]))
        runs = {Path(f"{run.name}.safetensors"): run for run in study.runs.values() if not only or run.name in only}
        return begin(study.name, forecast.forecast(study, runs, gpus, given or cores, cards))

    return on


def seconds_of(name: str, run: str, gflops: float) -> float:
    """Seconds of a run's job at `gflops`."""
    study = make_study(copy.deepcopy(CONFIGS[name]))
    return SECONDS_TO_START + run_seconds(study.runs[run], speed_of({"cpu": gflops}, "cpu"))


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_a_run_has_no_more_cores_than_there_are(build, cores):
    one = build(cores, only=("gpt2_match",))  # of four threads
    assert one.slots == 1
    assert one.seconds() == pytest.approx(seconds_of("config", "gpt2_match", 140 * cores))
    exact = build(cores, only=("gpt2_neurons",))
    assert exact.seconds() == pytest.approx(seconds_of("config", "gpt2_neurons", 80 * cores))


def test_runs_side_by_side_share_the_cores(build):
    names = ("gpt2_match", "vit_base_match")
    alone = seconds_of("config", "gpt2_match", 4 * 140)
    assert build(8, only=names).seconds() == pytest.approx(alone)  # two at a time, of four threads each
    assert build(4, only=names).seconds() == pytest.approx(2 * alone)
    assert build(4, only=names, given=8).seconds() == pytest.approx(
        2 * alone, rel=0.01
    )  # --cores says more than there are
    assert build(16, only=names, given=2).seconds() == pytest.approx(2 * alone)  # a run keeps its threads
    gpus = ["H100", "H100"]
    one, two = (build(8, only=names, gpus=gpus, cards=cards).seconds() for cards in (1, 2))
    assert one == pytest.approx(2 * two) and build(8, only=names, gpus=gpus, cards=9).slots == 2


# Seconds of some jobs of the miniature, on one core of an AMD Zen 4 each.
MEASURED = {
    "gpt2_neurons_jittered": 32.9, "gpt2_neurons": 14.1, "gpt2_match": 33.9, "vit_base_match_untrained": 12.8,
    "vit_large_match": 64.4, "gpt2_inverted": 40.4, "vit_base_inverted_untrained": 19.6, "vit_large_inverted": 76.9,
    "gpt2_unmasked_inverted": 19.0, "gpt2_text_neurons": 14.7,
}  # fmt: skip


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_the_miniature_takes_what_was_measured_within_30_percent(build, cores):
    found = build(cores, "miniature", only=tuple(MEASURED)).seconds()
    assert found == pytest.approx(max(sum(MEASURED.values()) / cores, max(MEASURED.values())), rel=0.3)


def test_the_longest_job_starts_first_and_the_last_one_ends_the_build():
    assert makespan([1, 1, 1, 3], 2) == 3 and makespan([3, 3, 3], 2) == 6
    assert makespan([5], 4) == 5 and makespan([], 4) == 0


def test_a_processor_without_bfloat16_takes_as_long_as_float32(build, monkeypatch):
    monkeypatch.setattr(forecast, "cpu_has_bfloat16", lambda: False)
    assert build(4, only=("gpt2_match",)).seconds() == pytest.approx(seconds_of("config", "gpt2_match", 4 * 80))


def test_of_a_resumed_run_only_the_steps_that_are_left_count(build, monkeypatch):
    whole = build(4, only=("gpt2_match",)).seconds() - SECONDS_TO_START
    taken = {"gpt2_match": 750.0}
    monkeypatch.setattr(forecast, "steps_taken", lambda path, settings: taken[path.stem])
    assert build(4, only=("gpt2_match",)).seconds() == pytest.approx(SECONDS_TO_START + whole / 4)
    taken["gpt2_match"] = float("inf")  # finished, and not recorded
    assert build(4, only=("gpt2_match",)).seconds() == SECONDS_TO_START


def test_the_first_measured_run_corrects_the_whole_build(build):
    names = ("gpt2_match", "vit_base_match", "gpt2_inverted")
    found = build(4, only=names)
    paths = [Path(f"{name}.safetensors") for name in names]
    seconds = [found.parts[str(path)].seconds for path in paths]
    whole = correct("article", paths[0], 3 * seconds[0])
    assert whole == pytest.approx(3 * SECONDS_TO_START + 3 * sum(seconds))  # float32 is not measured yet
    assert correct("article", paths[1], 2 * seconds[1]) is None  # bfloat16 is
    corrected = correct("article", paths[2], seconds[2])
    assert corrected == pytest.approx(3 * SECONDS_TO_START + 3 * seconds[0] + 2 * seconds[1] + seconds[2])
    assert correct("article", Path("another.safetensors"), 1.0) is None
    assert correct("another", paths[0], 1.0) is None


def test_a_later_build_begins_with_what_was_measured(build):
    found = build(4, only=("gpt2_match",))
    path, expected = Path("gpt2_match.safetensors"), found.seconds()
    correct("article", path, 3 * found.parts[str(path)].seconds)
    for _ in range(2):
        again = build(4, only=("vit_base_match",))
        assert again.known == {"bfloat16": pytest.approx(3)}
        assert again.seconds() == pytest.approx(3 * (expected - SECONDS_TO_START) + SECONDS_TO_START)
    assert build(4, only=("vit_base_match",), gpus=["H100"]).known == {}  # another device
    forecast.forget("article")
    assert build(4, only=("gpt2_match",)).seconds() == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"parts": 3}', '{"parts": {"a": {"b": 1}}}'])
def test_a_broken_forecast_is_no_forecast(build, content):
    forecast.forecast_path("article").write_text(content)
    assert forecast.read("article") is None and correct("article", Path("a"), 1.0) is None
    assert build(4, only=("gpt2_match",)).known == {}


def test_steps_are_measured_after_the_first_for_two_seconds():
    told = []
    stopwatch = Stopwatch(told.append, Ticks(1.0))
    for steps, loss in ((1, 0.5), (1.5, 0.4), (2.5, 0.3), (9, 0.2), (20, 0.1)):
        stopwatch(steps, loss)
    assert told == [pytest.approx(2 / 1.5)]


def test_a_measurement_of_distances_is_no_step():
    told = []
    stopwatch = Stopwatch(told.append, Ticks(5.0))
    for steps, loss in ((1, 0.5), (1, None), (1, 0.5)):
        stopwatch(steps, loss)
    assert told == []


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= forecast.available_cores() <= 4096


def test_a_part_of_a_run_is_a_part_of_the_estimate(build):
    study = make_study(copy.deepcopy(CONFIGS["config"]))
    run = study.runs["gpt2_match"]
    parts = {Path(f"{layer}.safetensors"): replace(run, layers=(layer,)) for layer in run.layers}
    found = forecast.one_by_one(study, parts) - len(parts) * SECONDS_TO_START
    overhead = study.speed.step * run.descent.steps
    whole = run_seconds(run, study.speed)
    assert found - len(parts) * overhead == pytest.approx(whole - overhead)
