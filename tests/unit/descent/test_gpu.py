"""Descents on a GPU: the same bytes every time and after a kill, the CPU's numbers, and what a graph must not change.

Without a GPU, the tests of graphs record and repeat the operations of a CPU.
"""

import gc
import weakref
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from architectures import ARCHITECTURES, ENCODERS, write_model
from graphs import Mark, RecordedGraph
from ticks import Ticks

from lmrep import api
from lmrep.descent import graph, objectives
from lmrep.descent.descend import Progress, descend
from lmrep.descent.experiment import perform
from lmrep.descent.graph import GraphedStep
from lmrep.descent.optimisers import Gradient
from lmrep.descent.plan import make_plan
from lmrep.descent.priors import baseline, resize, start_noise
from lmrep.probe.probe import load_probe
from lmrep.study.kinds import OBJECTIVES, OPTIMISERS
from lmrep.study.sources import Weights
from lmrep.study.spec import Descent, Octave

pytestmark = pytest.mark.models
CPU = torch.device("cpu")
GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
needs_gpu = pytest.mark.skipif(GPU == CPU, reason="this machine has no GPU")
NOISE = ("normal", 0.7, 0.05)
BLURRED = (Octave(16, 7, (0.02, 0.01), (1.5, 0.5)), Octave(20, 6, (0.01, 0.005), (1.0, 0.4)))
DESCENTS = {
    "gradient": Descent(NOISE, BLURRED, scale=1.0),
    "adam": Descent(NOISE, (Octave(16, 12, (0.05, 0.01)),), optimiser="adam"),
    "lbfgs": Descent(NOISE, (Octave(16, 30),), optimiser="lbfgs", distance="l2", history=5),
    "preconditioned_lbfgs": Descent(
        NOISE, (Octave(16, 30),), optimiser="preconditioned_lbfgs", distance="pareto", history=5
    ),
}


@pytest.fixture(autouse=True)
def as_in_a_build(monkeypatch):
    """The deterministic mode of a build, for one test; without a GPU, graphs of a CPU's operations."""
    if GPU == CPU:
        monkeypatch.setattr(graph, "makes_graphs", lambda device: True)
        monkeypatch.setattr(graph, "stream_of", lambda device: None)
        monkeypatch.setattr(graph, "mark", lambda device: Mark())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", RecordedGraph)
        monkeypatch.setattr(torch.cuda, "graph", lambda recorded, stream: recorded)
        current = ["the default"]
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: current[-1])
        monkeypatch.setattr(torch.cuda, "set_stream", current.append)
    with api.settled(torch.get_num_threads()):
        yield


@pytest.fixture(scope="module")
def probe(tiny_files):
    files, _ = tiny_files
    spec = tiny.tiny_run("neuron", (0,)).probe
    return load_probe(spec, files, 3, GPU)


@pytest.fixture
def captures(monkeypatch):
    """The graphs that are captured."""
    found, capture = [], GraphedStep.capture

    def counted(step, given):
        capture(step, given)
        found.append(step.graph)

    monkeypatch.setattr(GraphedStep, "capture", counted)
    return found


@pytest.fixture
def uncollected():
    """No garbage collection, so that what a cycle of references keeps stays."""
    gc.disable()
    yield
    gc.enable()


def begin(probe, name: str):
    """What a descent of the named kind begins with: its start, layers and objectives."""
    descent = DESCENTS[name]
    photographs = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5)).to(GPU)
    outputs = probe(photographs, (1, 2, 3))
    start = torch.stack([start_noise(NOISE, 16, 0, panel) for panel in "ab"]).to(GPU)
    goals = [objectives.match(output, descent.distance) for output in outputs]
    return start.expand(3, -1, -1, -1, -1), (1, 2, 3), goals


def follow(probe, name: str, **options) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(descend(probe, *begin(probe, name), DESCENTS[name], 0, **options))


def waits(objective):
    """The objective, which reads a number back from the GPU: torch cannot capture that."""
    return lambda output: objective(output) * (1.0 + 0 * output.sum().item())


def plain_steps(monkeypatch) -> None:
    """From here on, no step becomes a graph."""
    monkeypatch.setattr(GraphedStep, "capture", lambda step, given: None)


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("objective", ["neuron", "patch", "match"])
def test_the_same_bytes_twice_and_the_cpus_numbers(tiny_files, targets, objective, precision):
    files, _ = tiny_files
    panels = ("a", "b") if objective == "match" else (2, 5)
    targets = targets if objective == "match" else None
    run = tiny.tiny_run(objective, panels, precision=precision)
    one, two = (perform(run, files, targets, make_plan(run, GPU)) for _ in range(2))
    here = perform(run, files, targets, make_plan(run, CPU))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
        if precision == "float32":
            np.testing.assert_allclose(one[name], here[name], rtol=1e-2, atol=1e-3)


def test_every_optimiser_is_here():
    assert DESCENTS.keys() == OPTIMISERS.keys()


@pytest.mark.parametrize("name", DESCENTS)
def test_a_graph_changes_no_byte(probe, captures, monkeypatch, name):
    graphed = follow(probe, name)
    assert len(captures) == 1 and captures[0] is not None
    plain_steps(monkeypatch)
    assert all(map(torch.equal, graphed, follow(probe, name)))


@pytest.mark.parametrize("name", DESCENTS)
def test_a_resumed_descent_equals_an_unbroken_one(probe, name):
    states: list[Progress] = []

    whole = follow(probe, name, report=lambda progress: states.append(deepcopy(progress)), clock=Ticks(1))
    assert len(states) == DESCENTS[name].steps
    for state in states[: -1 : 1 if GPU != CPU else 5]:
        assert all(map(torch.equal, whole, follow(probe, name, done=state)))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_graph_changes_no_byte_of_a_run(tiny_files, captures, monkeypatch, objective):
    files, _ = tiny_files
    match = OBJECTIVES[objective].matches
    targets = np.random.default_rng(5).random((3, 3, 16, 16), dtype=np.float32) if match else None
    run = tiny.tiny_run(objective, ("a", "b", "c") if match else (2, 5, 2))
    run = replace(run, descent=replace(run.descent, scale=1.0, first_step=0.02))
    graphed = perform(run, files, targets, make_plan(run, GPU))
    assert captures and None not in captures
    plain_steps(monkeypatch)
    plain = perform(run, files, targets, make_plan(run, GPU))
    for name, array in graphed.items():
        np.testing.assert_array_equal(array, plain[name])


def test_the_baseline_is_a_descent_whose_gradients_are_zero(probe):
    octaves = (Octave(16, 3, (1, 1), (1.2, 0.8)), Octave(20, 4, (1, 1)), Octave(24, 5, (1, 1), (0.8, 0.4)))
    start = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3)).to(GPU)
    goals = [lambda output: 0 * output.sum(dim=(1, 2))] * 2
    begin = start.expand(2, -1, -1, -1, -1)
    images, _, _ = descend(probe, begin, [1, 2], goals, Descent(("normal", 0, 1), octaves), seed=7)
    found = baseline(start, octaves, 16, 7)
    assert found.shape == (2, 3, 24, 24)
    assert torch.equal(images, found.expand(2, -1, -1, -1, -1))
    assert torch.equal(baseline(start, (Octave(20, 4, (1, 1)),), 16, 7), resize(start, 20))
    assert torch.equal(baseline(start, (Octave(16, 3, (1, 1)), Octave(16, 9, (1, 1))), 16, 7), start)


def test_python_is_at_most_two_steps_ahead_of_the_card(probe, monkeypatch):
    """What reads a clock or a loss between two steps would otherwise come late by all that are queued."""
    marks, ahead, make = [], [], graph.mark

    def noted(device):
        marks.append(make(device))
        return marks[-1]

    def clock():
        ahead.append(sum(not mark.query() for mark in marks))
        return 0.0

    monkeypatch.setattr(graph, "mark", noted)
    follow(probe, "adam", clock=clock)
    assert len(marks) == DESCENTS["adam"].steps - 1  # the first step is no replay
    assert max(ahead) == 2 if GPU == CPU else max(ahead) <= 2


class Lagged(Gradient):
    """Descends along the gradient of two steps before, which its arrays hand on to each other."""

    arrays = ("one", "two")

    def step(self, images, losses, gradient, rate, step):
        s = self.state
        s["two"] = s.get("one", gradient)
        s["one"] = gradient
        return images - rate * s["two"]


class Twice(Gradient):
    """Has one array under two names after its first step."""

    arrays = ("slow", "fast")

    def step(self, images, losses, gradient, rate, step):
        s = self.state
        s["slow"], s["fast"] = (
            (0.9 * s["slow"] + gradient, 0.1 * s["fast"] + gradient) if s else (gradient, gradient)
        )  # fmt: skip
        return images - rate * (s["slow"] + s["fast"])


class Late(Gradient):
    """Records the losses of the step before: an array that this step replaces."""

    arrays = ("now",)

    def step(self, images, losses, gradient, rate, step):
        self.before = self.state.get("now", losses)
        self.state["now"] = losses
        return images - rate * gradient

    def losses(self, losses):
        return self.before


@pytest.mark.parametrize("optimiser", [Lagged, Twice, Late])
def test_arrays_of_a_state_may_share_memory(probe, monkeypatch, optimiser):
    monkeypatch.setattr("lmrep.descent.descend.load", lambda path: optimiser)
    graphed = follow(probe, "adam")
    plain_steps(monkeypatch)
    assert all(map(torch.equal, graphed, follow(probe, "adam")))


def test_a_descent_that_breaks_off_gives_its_memory_back(probe, captures):
    def interrupt(progress: Progress) -> None:
        if len(progress.losses) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:  # with the frame of the descent
        follow(probe, "adam", report=interrupt, clock=Ticks(1))
    (recorded,) = map(weakref.ref, captures)
    captures.clear()
    gc.collect()
    assert recorded() is None and kept.traceback


def test_a_step_that_waits_for_the_gpu_is_taken_all_the_same(probe, monkeypatch, uncollected):
    start, layers, goals = begin(probe, "adam")
    begun, kind = [], torch.cuda.CUDAGraph

    def noted():
        made = kind()
        begun.append(weakref.ref(made))
        return made

    monkeypatch.setattr(torch.cuda, "CUDAGraph", noted)
    with torch.no_grad():
        with pytest.warns(UserWarning, match="torch cannot capture it"):
            found = descend(probe, start, layers, [waits(goals[0]), *goals[1:]], DESCENTS["adam"], 0)
        gone = [reference() is None for reference in begun]
        expected = descend(probe, start, layers, goals, DESCENTS["adam"], 0)
    assert gone == [True]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_failed_capture_does_not_change_the_stream(probe, monkeypatch):
    """torch 2.11 stays on the stream of the capture."""
    before, capture = torch.cuda.current_stream(), torch.cuda.graph

    @contextmanager
    def stays(recorded, stream):
        try:
            with capture(recorded, stream=stream):
                yield
        finally:
            torch.cuda.set_stream(stream)

    monkeypatch.setattr(torch.cuda, "graph", stays)
    start, layers, goals = begin(probe, "adam")
    with torch.no_grad(), pytest.warns(UserWarning, match="torch cannot capture it"):
        descend(probe, start, layers, [waits(goals[0]), *goals[1:]], DESCENTS["adam"], 0)
    assert torch.cuda.current_stream() == before


@pytest.mark.parametrize("name", ARCHITECTURES if GPU != CPU else ("gemma3_text", "gpt2", "modernbert"))
def test_blocks_of_transformers_give_the_cpus_numbers_in_a_graph(tmp_path, tiny_files, captures, name):
    files, _ = tiny_files
    write_model(tmp_path, name)
    weights = Weights(name, "transformers", width=tiny.VIT.width, depth=3, causal=name not in ENCODERS)
    probes = [load_probe(tiny.probe_of(tiny.VIT, weights), files | {name: tmp_path}, 3, at) for at in (GPU, CPU)]
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    for one, other in zip(probes[0](images.to(GPU), (1, 2, 3)), probes[1](images, (1, 2, 3)), strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-3)
    for precision in (torch.float32, torch.bfloat16):
        one, two = (follow(probes[0].in_precision(precision), "adam") for _ in range(2))
        assert all(map(torch.equal, one, two))
    assert len(captures) == 4 and None not in captures
