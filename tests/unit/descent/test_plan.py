"""How a run is split, and in which precision it goes."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from lmrep.descent import objectives
from lmrep.descent import plan as plans
from lmrep.descent.descend import input_gradient
from lmrep.descent.experiment import describe, perform
from lmrep.descent.lbfgs import LBFGS
from lmrep.descent.plan import (
    LIBRARY,
    Group,
    Plan,
    counted_history,
    image_bytes,
    make_plan,
    pick_device,
    pick_precision,
    split,
)
from lmrep.descent.priors import start_noise
from lmrep.errors import InputError
from lmrep.study.spec import Octave

pytestmark = pytest.mark.models
CPU = torch.device("cpu")
VIT = tiny.probe_of(tiny.VIT, tiny.VIT, "vit")


@pytest.mark.parametrize("objective", ["neuron", "patch"])
@pytest.mark.parametrize("memory", ["auto", 0.1])
def test_steps_are_those_of_the_run_and_not_of_its_passes(objective, memory):
    run = tiny.tiny_run(objective, (2, 5, 9), memory=memory)  # of 4 steps
    plan = make_plan(run, CPU)
    taken = [plan.steps_before(run, group, step) for group in range(len(plan.groups)) for step in range(1, 5)]
    assert taken == sorted(set(taken)) and taken[-1] == 4
    if len(plan.groups) == 1:
        assert taken == [1, 2, 3, 4]
    deep, shallow = (replace(run, layers=(layer,)) for layer in (3, 1))
    both = Plan(CPU, torch.float32, (Group(slice(0, 1), slice(0, 3), None), Group(slice(1, 2), slice(0, 3), None)))
    assert both.steps_before(replace(run, layers=deep.layers + shallow.layers), 0, 4) == pytest.approx(4 * 4 / 6)


@pytest.mark.parametrize(
    ("layers", "panels", "blocks"),
    [((1, 4, 8, 12), 16, 400.0), ((1, 4, 8, 12), 16, 60.0), (tuple(range(1, 25)), 2, 40.0), ((2, 5), 3, 0.5)],
)
@pytest.mark.parametrize("more", [0.0, 6.5])
def test_a_split_covers_everything_once_within_its_budget(layers, panels, blocks, more):
    seen = np.zeros((len(layers), panels), int)
    for rows, columns in split(layers, panels, blocks, more):
        passed = np.broadcast_to(np.array(layers)[:, None] + more, seen.shape)[rows, columns]
        assert passed.sum() <= blocks or passed.size == 1
        seen[rows, columns] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_bytes_counted_are_those_that_autograd_keeps(gpt2_probe, precision):
    run = tiny.tiny_run("neuron", (0,))
    block = gpt2_probe.in_precision(precision).blocks[0]
    tokens = torch.rand(4, run.probe.stem.tokens, 48).requires_grad_()
    kept = {}

    def pack(tensor):
        if not any(tensor.untyped_storage().data_ptr() == p.untyped_storage().data_ptr() for p in block.parameters()):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = block(tokens)
    assert sum(kept.values()) / 4 == pytest.approx(
        image_bytes(run.probe.stack, run.probe.stem.tokens, CPU, precision), rel=0.03
    )
    out.sum().backward()


def test_a_search_on_a_card_counts_its_memory_too(monkeypatch):
    run = tiny.tiny_run("match", ("a", "b"))
    run = replace(run, descent=replace(run.descent, optimiser="lbfgs", distance="l2", octaves=(Octave(16, 8),)))
    images, state, card = torch.rand(3, 2, 3, 16, 16), {}, torch.device("cuda")
    LBFGS(run.descent, state).step(images, torch.ones(3, 2), images, 1.0, 0)
    held = counted_history(run, card)
    assert held == (state["s"].nbytes + state["y"].nbytes) / 6
    assert counted_history(run, CPU) == counted_history(replace(run, memory=64), card) == 0
    image = image_bytes(run.probe.stack, run.probe.stem.tokens, card, torch.float32)
    monkeypatch.setattr(plans, "budget", lambda memory, device: 4 * held + 6 * image)  # 1 + 2 + 3 blocks are passed
    groups = [(group.layers, group.panels) for group in make_plan(run, card).groups]
    assert groups == [(slice(0, 3), slice(0, 1)), (slice(0, 3), slice(1, 2))]
    monkeypatch.setattr(plans, "budget", lambda memory, device: 6 * held + 12 * image)
    assert len(make_plan(run, card).groups) == 1


def test_a_block_of_the_library_counts_as_several_of_ours():
    ours = replace(tiny.GPT2, width=128, heads=2)
    library = replace(ours, family="transformers", heads=0)  # its heads are unknown before it is loaded
    for precision in (torch.float32, torch.bfloat16):
        assert image_bytes(library, 17, CPU, precision) == LIBRARY * image_bytes(ours, 17, CPU, precision)
    narrow = replace(library, width=48)
    one = replace(narrow, heads=1)
    assert image_bytes(narrow, 17, CPU, torch.float32) == image_bytes(one, 17, CPU, torch.float32)


def test_a_pass_of_gpt2_ends_at_the_last_token_that_its_patches_need():
    run = tiny.tiny_run("patch", (0, 11, 12, 3))
    assert [group.tokens for group in make_plan(run, CPU).groups] == [2, 14, 5]
    assert [group.panels for group in make_plan(run, CPU).groups] == [slice(0, 1), slice(1, 3), slice(3, 4)]
    apart = make_plan(replace(run, memory=0.2), CPU).groups
    assert [group.panels for group in apart] == [slice(panel, panel + 1) for panel in range(4)]
    assert [group.tokens for group in make_plan(replace(run, probe=VIT), CPU).groups] == [None]
    assert [group.tokens for group in make_plan(tiny.tiny_run("neuron", (0, 5)), CPU).groups] == [None]


def test_tokens_after_a_patch_change_no_result(tiny_files):
    files, _ = tiny_files
    run = tiny.tiny_run("patch", (0, 11, 12, 3))
    whole = Plan(CPU, torch.float32, (Group(slice(0, 3), slice(0, 4), None),))
    long = perform(run, files, None, whole)
    short = perform(run, files, None, make_plan(run, CPU))
    for name in long:
        np.testing.assert_allclose(long[name], short[name], rtol=1e-4, atol=1e-5)


def test_bfloat16_gradients_are_float32s_rounded(gpt2_probe):
    images = torch.stack([start_noise(("normal", 0.5, 0.2), 16, 0, f"neuron {n}") for n in range(2)])[None]
    goal = [objectives.match(torch.zeros(2, 17, 48))]
    exact, loss = input_gradient(gpt2_probe, images, [3], goal)
    rounded, near = input_gradient(gpt2_probe.in_precision(torch.bfloat16), images, [3], goal)
    assert not torch.equal(exact, rounded)
    assert ((exact - rounded).norm() / exact.norm()).item() < 0.05
    torch.testing.assert_close(near, loss, rtol=0.01, atol=0)


def test_a_run_says_its_precision(tiny_files):
    files, _ = tiny_files
    for precision in ("float32", "bfloat16"):
        run = tiny.tiny_run("neuron", (0,), precision=precision)
        assert describe(run, files, make_plan(run, CPU))["precision"] == precision


def test_auto_is_float32_for_a_line_search():
    run = tiny.tiny_run("match", ("a",), precision="auto")
    assert make_plan(replace(run, descent=replace(run.descent, optimiser="lbfgs")), CPU).precision == torch.float32
    forced = replace(run, precision="bfloat16", descent=replace(run.descent, optimiser="lbfgs"))
    assert make_plan(forced, CPU).precision == torch.bfloat16


def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch):
    for found, expected in (({"avx512_bf16": True}, torch.bfloat16), ({"avx512_f": True}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        assert pick_precision("auto", CPU) == expected
        assert pick_precision("float32", CPU) == torch.float32
        assert pick_precision("bfloat16", CPU) == torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told():
    assert pick_device("auto") == CPU
    with pytest.raises(InputError, match="device: cuda"):
        pick_device("cuda")
