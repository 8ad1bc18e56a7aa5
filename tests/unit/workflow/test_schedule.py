"""What a scheduler is told: more for larger runs and later attempts, and the longest run first."""

from dataclasses import replace

import pytest
import tiny

from lmrep.study.cost import Speed, run_flops
from lmrep.study.spec import Octave
from lmrep.workflow.schedule import START_MINUTES, rank, run_memory, run_minutes, trace_memory

pytestmark = pytest.mark.models
RUN = tiny.tiny_run("neuron", (0, 1))


def test_memory_counts_the_weights_and_grows_with_each_attempt():
    wide = replace(RUN, probe=tiny.probe_of(replace(tiny.WIDE, width=1024), replace(tiny.WIDE, width=1024, depth=24)))
    few, many = replace(wide, layers=(1,)), replace(wide, layers=(1, 24))
    block = 12 * 1024**2 * 4 // 10**6  # MB
    assert run_memory(many, 1) - run_memory(few, 1) == pytest.approx(3 * 23 * block, rel=0.01)
    assert run_memory(many, 2) == run_memory(many, 1) * 3 // 2
    assert run_memory(replace(RUN, memory=64.0), 1) < run_memory(RUN, 1)


def test_a_trace_asks_for_the_memory_of_its_weights_and_for_more_with_each_attempt():
    assert [trace_memory(RUN, attempt) for attempt in (1, 2, 3)] == [8000, 12000, 16000]
    large = replace(tiny.WIDE, width=4096, depth=32)
    run = replace(RUN, probe=tiny.probe_of(large, large), layers=(32,))
    weights = 3 * 32 * 12 * 4096**2 * 4 / 10**6  # MB
    assert weights < trace_memory(run, 1) < run_memory(run, 1) and trace_memory(run, 2) == trace_memory(run, 1) * 3 // 2
    assert trace_memory(replace(run, memory=64_000.0), 1) == trace_memory(run, 1)  # a GPU's, and a trace needs no GPU


def test_memory_counts_the_history_of_lbfgs():
    octaves = (Octave(224, 1),)
    plain = replace(RUN, layers=(1, 2), descent=replace(RUN.descent, octaves=octaves))
    inverted = replace(plain, descent=replace(plain.descent, optimiser="lbfgs", history=40))
    image = 3 * 224**2 * 4 / 10**6  # MB
    assert run_memory(inverted, 1) - run_memory(plain, 1) == pytest.approx(2 * 80 * 2 * image, rel=0.01)


def test_minutes_are_three_times_the_estimate_and_time_to_start():
    speed = Speed({"float32": run_flops(RUN) / 1e9 / 599.9, "bfloat16": 1e9}, step=0.01)  # ten minutes
    assert run_minutes(RUN, speed, 1) == START_MINUTES + 30
    assert run_minutes(RUN, speed, 3) == 3 * (START_MINUTES + 30)
    assert run_minutes(RUN, Speed({"float32": 1e6}, step=0.01), 1) == START_MINUTES + 1


def test_the_longest_run_comes_first():
    runs = [replace(RUN, layers=layers) for layers in ((1,), (1, 2, 3), (2,))]
    assert [rank(run, sorted(map(run_flops, runs))) for run in runs] == [0, 2, 1]
