"""What runs cost, and how their layers are dealt out to jobs."""

import copy

import pytest
import yaml
from conftest import ROOT

from lmrep.study.config import make_study
from lmrep.study.cost import deal_layers, run_flops, run_seconds, shards

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
    longest = max(study.runs.values(), key=run_flops)
    jobs = {"minutes": run_seconds(longest, study.speed) / 60 / 2.5}
    assert len(shards(longest, jobs, study.speed)) == 3
    assert all(len(shards(run, jobs, study.speed)) <= 3 for run in study.runs.values())


def test_one_job_does_the_whole_run(study):
    assert all(shards(run, 1, study.speed) == (run,) for run in study.runs.values())
