"""What runs cost, and how their layers are dealt out to jobs."""

import copy
from dataclasses import replace

import pytest
import yaml
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.study.config import make_study
from lmrep.study.cost import Speed, deal_layers, precision_of, run_flops, run_seconds, shards, speed_of
from lmrep.study.schema import check_schema

CONFIGS = {name: yaml.safe_load((ROOT / f"{name}.yaml").read_text()) for name in ("config", "miniature")}


@pytest.fixture(params=CONFIGS)
def study(request):
    return make_study(copy.deepcopy(CONFIGS[request.param]))


def test_cost_is_linear_in_panels_and_steps_and_sums_the_blocks_passed():
    neurons = make_study(CONFIGS["miniature"]).runs["gpt2_neurons"]
    tokens, width = 122, 108
    linears = 2 * (2 * tokens * 12 * width**2)  # forward, and back to the input
    block = linears + 6 * (2 * tokens**2 * width)  # attention: two products forward, four back
    assert run_flops(neurons) == block * 16 * sum(neurons.layers) * neurons.descent.steps


@pytest.mark.parametrize("depth", [1, 6, 12, 24])
@pytest.mark.parametrize("jobs", [1, 2, 3, 5, 30])
def test_jobs_share_the_layers_of_a_run_at_about_equal_cost(depth, jobs):
    layers = tuple(range(1, depth + 1))
    dealt = deal_layers(layers, jobs)
    assert sorted(layer for hand in dealt for layer in hand) == list(layers)
    assert len(dealt) == min(jobs, depth)
    assert all(hand and list(hand) == sorted(hand) for hand in dealt)
    assert max(map(sum, dealt)) <= max(1.2 * sum(layers) / len(dealt), depth)


def test_runs_are_shared_out_by_number_or_by_minutes(study):
    for run in study.runs.values():
        parts = shards(run, 4, study.speed)
        assert len(parts) == min(4, len(run.layers))
        assert sum(map(run_flops, parts)) == pytest.approx(run_flops(run))
    longest = max(study.runs.values(), key=lambda run: run_seconds(run, study.speed))
    jobs = {"minutes": run_seconds(longest, study.speed) / 60 / 2.5}
    assert len(shards(longest, jobs, study.speed)) == 3
    assert all(len(shards(run, jobs, study.speed)) <= 3 for run in study.runs.values())


def test_one_job_does_the_whole_run(study):
    assert all(shards(run, 1, study.speed) == (run,) for run in study.runs.values())


# Seconds of the steps of some runs: on one core of an AMD Zen 4 each, with a start of 4 s less; and on an H200, by the
# milliseconds of a step in benchmarks/gpu.md.
MEASURED = {
    ("miniature", "cpu"): {
        "gpt2_neurons_jittered": 29, "gpt2_neurons": 10, "gpt2_match": 30, "vit_base_match_untrained": 9,
        "vit_large_match": 60, "gpt2_inverted": 36, "vit_base_inverted_untrained": 16, "vit_large_inverted": 73,
        "gpt2_unmasked_inverted": 15, "gpt2_text_neurons": 11,
    },
    ("config", "cuda"): {
        "gpt2_neurons_jittered": 3.1, "gpt2_neurons": 6.4, "gpt2_match": 4.3, "vit_large_match": 23.3,
        "gpt2_inverted": 13.4, "vit_large_inverted": 68.4,
    },
}  # fmt: skip


@pytest.mark.parametrize("name, kind, run", [(*where, run) for where, runs in MEASURED.items() for run in runs])
def test_the_estimate_is_what_was_measured_within_30_percent(name, kind, run):
    study = make_study(copy.deepcopy(CONFIGS[name]))
    seconds = run_seconds(study.runs[run], speed_of(study.gflops, kind))
    assert seconds == pytest.approx(MEASURED[name, kind][run], rel=0.3)


def test_a_patch_of_a_causal_stack_costs_the_tokens_up_to_it():
    runs = make_study(copy.deepcopy(CONFIGS["miniature"])).runs
    gpt2, vit = runs["gpt2_patches"], runs["vit_base_patches"]
    assert 0.4 < run_flops(gpt2) / run_flops(vit) < 0.6
    first, last = (run_flops(replace(gpt2, panels=(patch,))) for patch in (0, 120))
    assert first < 0.02 * last


def test_each_run_has_the_speed_of_its_precision(study):
    speed = speed_of({"cpu": {"bfloat16": 100.0, "float32": 50.0}}, "cpu", 2)
    assert speed == Speed({"bfloat16": 200.0, "float32": 100.0}, 0.01)
    assert speed_of({"cpu": 7.0}, "cpu", 2).gflops == {"bfloat16": 14.0, "float32": 14.0}
    neurons, match, inverted = (study.runs[name] for name in ("gpt2_neurons", "gpt2_match", "gpt2_inverted"))
    assert [precision_of(run) for run in (neurons, match, inverted)] == ["float32", "bfloat16", "float32"]
    assert precision_of(match, bfloat16=False) == "float32"
    quick, slow = (run_seconds(match, speed, bfloat16) for bfloat16 in (True, False))
    overhead = 0.01 * match.descent.steps
    assert slow - overhead == pytest.approx(2 * (quick - overhead))


def test_a_config_may_give_one_number_for_any_precision():
    raw = copy.deepcopy(CONFIGS["config"])
    for gflops in (5, {"bfloat16": 5, "float32": 5}):
        raw["gflops"] = {"cpu": gflops, "cuda": gflops}
        check_schema(raw)
        assert make_study(raw).speed.gflops == {"bfloat16": 5, "float32": 5}
        assert make_study(raw | {"device": "cpu"}).speed.gflops == {"bfloat16": 20, "float32": 20}
    for wrong in ({"bfloat16": 5}, {"bfloat16": 5, "float32": 0}, {"bfloat16": 5, "float32": 5, "int8": 9}):
        raw["gflops"]["cpu"] = wrong
        with pytest.raises(InputError, match=r"gflops\.cpu"):
            check_schema(raw)
