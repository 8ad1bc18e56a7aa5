"""The descent: against steps written out by hand, and its properties."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from ticks import Ticks

from lmrep.descent import objectives
from lmrep.descent.checkpoint import Watch
from lmrep.descent.descend import descend, input_gradient
from lmrep.descent.experiment import describe
from lmrep.descent.experiment import perform as perform_plan
from lmrep.descent.plan import make_plan
from lmrep.descent.priors import between, blur, generator, normal, resize, start_noise, window
from lmrep.study.spec import Descent, Octave

pytestmark = pytest.mark.models
CPU = torch.device("cpu")


def perform(run, files, photographs):
    return perform_plan(run, files, photographs, make_plan(run, CPU))


def test_one_pass_has_the_gradients_of_each_image_alone(gpt2_probe):
    images = torch.rand(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    goals = [objectives.neuron((4, 9), 1, 200.0)] * 3
    gradient, losses = input_gradient(gpt2_probe, images, [1, 2, 3], goals)
    for place, layer in enumerate((1, 2, 3)):
        for panel, neuron in enumerate((4, 9)):
            alone = images[place, panel][None].requires_grad_()
            loss = sum(200.0 - gpt2_probe(alone, [layer])[0][0, token, neuron] for token in range(1, 17))
            loss.backward()
            torch.testing.assert_close(losses[place, panel], loss.detach(), rtol=1e-5, atol=1e-3)
            torch.testing.assert_close(gradient[place, panel], alone.grad[0], rtol=1e-3, atol=1e-5)


def test_a_gradient_agrees_with_finite_differences(gpt2_probe):
    image = torch.rand(1, 1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    goal = [objectives.patch((7,), 1, 200.0)]
    gradient, _ = input_gradient(gpt2_probe, image, [2], goal)
    direction = gradient / gradient.norm()
    step = 1e-2
    ahead, behind = (input_gradient(gpt2_probe, image + s * direction, [2], goal)[1].item() for s in (step, -step))
    assert (ahead - behind) / (2 * step) == pytest.approx(gradient.norm().item(), rel=2e-2)


def test_objectives_are_the_sums_that_they_say():
    outputs = torch.arange(2 * 5 * 3, dtype=torch.float32).view(2, 5, 3)
    assert objectives.neuron((0, 2), 1, 100.0)(outputs).tolist() == [
        sum(100.0 - outputs[0, t, 0].item() for t in range(1, 5)),
        sum(100.0 - outputs[1, t, 2].item() for t in range(1, 5)),
    ]
    assert objectives.patch((0, 3), 1, 100.0)(outputs).tolist() == [
        sum(100.0 - outputs[0, 1, n].item() for n in range(3)),
        sum(100.0 - outputs[1, 4, n].item() for n in range(3)),
    ]
    assert objectives.match(outputs.flip(0))(outputs).tolist() == [225.0, 225.0]


def test_a_photograph_whose_output_is_zero_is_refused_by_the_squared_distance():
    targets = torch.stack([torch.ones(5, 3), torch.zeros(5, 3)])
    assert objectives.match(targets)(torch.ones(2, 5, 3)).tolist() == [0.0, 15.0]
    with pytest.raises(FloatingPointError, match="the output of a photograph is zero"):
        objectives.match(targets, "l2")
    with pytest.raises(FloatingPointError, match="the output of coil is zero"):
        objectives.match(targets, "l2", ("cat", "coil"))


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_a_photograph_whose_tokens_are_all_alike_is_refused_by_the_pareto_distance(rounding):
    flat = torch.full((5, 3), 0.7) + rounding * torch.rand(5, 3, generator=torch.Generator().manual_seed(6))
    with pytest.raises(FloatingPointError, match="the output of coil is the same at all tokens"):
        objectives.match(torch.stack([torch.rand(5, 3), flat]), "pareto", ("cat", "coil"))


def test_the_pareto_distance_divides_squared_errors_by_the_sizes_of_neuron_and_token():
    generator = torch.Generator().manual_seed(3)
    targets, outputs = (torch.randn(2, 5, 3, generator=generator) for _ in range(2))
    targets[..., 1] += 100  # a neuron may sit far from zero
    targets[0, :, 2] = 7.0  # and one may not vary
    losses = objectives.match(targets, "pareto")(outputs)
    for target, output, found in zip(targets.double(), outputs.double(), losses, strict=True):
        spread = (target - target.mean(0)).numpy()
        neuron = [np.linalg.norm(spread[:, n]) / 5**0.5 for n in range(3)]
        neuron = [size + 0.1 * np.mean(neuron) for size in neuron]
        token = [np.linalg.norm(spread[t] / neuron) / 3**0.5 for t in range(5)]
        token = [size + 0.1 * np.mean(token) for size in token]
        missed = whole = 0.0
        for t in range(5):
            for n in range(3):
                missed += (output[t, n] - target[t, n]).item() ** 2 / (neuron[n] * token[t])
                whole += spread[t, n] ** 2 / (neuron[n] * token[t])
        assert found.item() == pytest.approx(missed / whole, rel=1e-5)


def test_the_pareto_distance_is_0_at_the_target_and_1_at_its_mean_token():
    targets = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(3))
    targets[0, 0, 0] = 1000
    loss = objectives.match(targets, "pareto")
    assert loss(targets).tolist() == [0, 0]
    assert loss(targets.mean(dim=1, keepdim=True).expand_as(targets)).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("large", [(slice(None), 5), (0, slice(None)), (0, 5)], ids=["neuron", "token", "one value"])
def test_large_activations_decide_less_of_the_pareto_distance(large):
    targets, outputs = (torch.randn(1, 60, 40, generator=torch.Generator().manual_seed(seed)) for seed in (4, 5))
    targets[0][large] *= 1000
    right = outputs.clone()
    right[0][large] = targets[0][large]  # all but the large values are wrong

    def share(norm):
        loss = objectives.match(targets, norm)
        return (loss(right) / loss(outputs)).item()  # what the others weigh

    assert share("l2") < 0.1
    assert share("pareto") > 10 * share("l2")


@pytest.mark.parametrize("norm", ["l1", "l2", "pareto"])
def test_an_output_that_is_not_finite_is_not_called_zero_or_flat(norm):
    targets = torch.rand(1, 5, 3)
    targets[0, 2, 1] = torch.nan
    assert objectives.match(targets, norm, ("cat",))(torch.rand(1, 5, 3)).isnan().all()  # the descent names the step


def test_an_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="'L2': expected l1, l2 or pareto"):
        objectives.match(torch.rand(1, 5, 3), "L2")


def test_steps_are_those_written_out_by_hand(gpt2_probe):
    descent = Descent(("uniform", 0.5, 0.6), (Octave(16, 2, (0.1, 0.05), (1.5, 0.5)),), scale=2.0, constant=200.0)
    image = start_noise(descent.start, 16, 0, "neuron 3")
    found, losses, _ = descend(gpt2_probe, image[None, None], [2], [objectives.neuron((3,), 1, 200.0)], descent, seed=0)
    by_hand = image[None]
    for rate, sigma in ((0.1, 1.5), (0.05, 0.5)):
        leaf = by_hand.clone().requires_grad_()
        (200.0 - gpt2_probe(leaf, [2])[0][0, 1:, 3]).sum().backward()
        by_hand = blur(leaf.detach() - rate * 2.0 * leaf.grad, sigma)
    torch.testing.assert_close(found[0], by_hand, rtol=1e-4, atol=1e-5)
    assert losses.shape == (2, 1, 1)


def test_jitter_updates_one_crop_and_octaves_grow_the_image(gpt2_probe):
    octaves = (Octave(16, 1, (0.1, 0.1)), Octave(24, 1, (0.1, 0.1), (1.0, 1.0)))
    descent = Descent(("uniform", 0.5, 0.6), octaves, constant=200.0)
    start = start_noise(descent.start, 16, 3, "neuron 3")[None, None]
    goal = [objectives.neuron((3,), 1, 200.0)]
    one, _, _ = descend(gpt2_probe, start, [1], goal, replace(descent, octaves=octaves[:1]), seed=3)
    two, _, _ = descend(gpt2_probe, start, [1], goal, descent, seed=3)
    grown = resize(one[0], 24)
    rows, columns = window(octaves[1], 16, 3, 1)
    outside = torch.ones(24, 24, dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(two[0][..., outside], grown[..., outside])
    assert not torch.equal(two[0][..., rows, columns], grown[..., rows, columns])


def test_windows_stay_inside_and_reach_every_place():
    octave = Octave(20, 1, (1.0, 1.0))
    places = {(window(octave, 16, 0, s)[0].start, window(octave, 16, 0, s)[1].start) for s in range(400)}
    assert places == {(top, left) for top in range(5) for left in range(5)}


def test_a_blur_keeps_what_is_flat_and_is_a_gaussian():
    flat = torch.full((1, 3, 9, 9), 0.4)
    torch.testing.assert_close(blur(flat, 1.2), flat)
    dot = torch.zeros(1, 3, 9, 9)
    dot[..., 4, 4] = 1
    spread = blur(dot, 1.2)[0, 0]
    assert spread[4, 5] / spread[4, 4] == pytest.approx(np.exp(-0.5 / 1.2**2), rel=1e-5)
    assert spread.sum() == pytest.approx(1.0, rel=1e-5)


def test_draws_do_not_depend_on_the_draws_before_them():
    once = torch.rand(4, generator=generator(1, "jitter", 5))
    torch.rand(9, generator=generator(1, "jitter", 4))
    assert torch.equal(once, torch.rand(4, generator=generator(1, "jitter", 5)))
    assert not torch.equal(once, torch.rand(4, generator=generator(1, "jitter", 6)))
    assert not torch.equal(once, torch.rand(4, generator=generator(1, "start", 5)))
    assert not torch.equal(once, torch.rand(4, generator=generator(2, "jitter", 5)))


def test_rates_fall_linearly_from_the_first_value_to_the_last():
    assert [between((1.0, 0.1), step, 4) for step in range(4)] == pytest.approx([1.0, 0.7, 0.4, 0.1])
    assert between((1.0, 0.1), 0, 1) == 1.0


@pytest.mark.parametrize("objective", ["neuron", "patch", "match"])
def test_small_passes_change_no_result_beyond_rounding(tiny_files, targets, objective):
    files, _ = tiny_files
    panels = ("a", "b") if objective == "match" else (2, 5)
    photographs = targets if objective == "match" else None
    whole = perform(tiny.tiny_run(objective, panels), files, photographs)
    split = perform(tiny.tiny_run(objective, panels, memory=0.1), files, photographs)
    again = perform(tiny.tiny_run(objective, panels), files, photographs)
    for name in whole:
        np.testing.assert_allclose(whole[name], split[name], rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(whole[name], again[name])


def test_a_run_has_the_arrays_that_it_promises(tiny_files, targets):
    files, _ = tiny_files
    run = tiny.tiny_run("match", ("a", "b"))
    arrays, facts = perform(run, files, targets), describe(run, files, make_plan(run, CPU))
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {
        "images": (3, 2, 3, 16, 16), "initial": (3, 2, 3, 16, 16), "baseline": (2, 3, 16, 16), "loss": (3, 4),
        "targets": (2, 3, 16, 16), "shifted": (2, 3, 16, 16), "earlier": (3, 2, 3, 16, 16), "output_distance": (3, 2),
        "shifted_output_distance": (3, 2),
    }  # fmt: skip
    assert set(facts["weight_files"]) == {"tiny_vit", "tiny_gpt2"}
    assert (arrays["loss"][:, -1] < arrays["loss"][:, 0]).all()


def test_a_photograph_matches_itself(tiny_files, targets):
    files, _ = tiny_files
    run = tiny.tiny_run("match", ("a", "b"))
    still = replace(
        run, descent=replace(run.descent, start=("normal", 0.5, 0.0), octaves=(Octave(16, 1, (1e-9, 1e-9)),))
    )
    grey = np.full_like(targets, 0.5)
    arrays = perform(still, files, grey)
    assert np.abs(arrays["output_distance"]).max() < 1e-2
    assert (arrays["shifted_output_distance"] > 1).all()


def test_a_patch_of_gpt2_changes_nothing_after_it_and_one_of_a_vit_does(tiny_files):
    files, _ = tiny_files
    arrays = perform(tiny.tiny_run("patch", (5,)), files, None)
    changed = arrays["images"] != arrays["initial"]
    patches = changed.reshape(3, 1, 3, 4, 4, 4, 4).any(axis=(2, 4, 6)).reshape(3, 16)
    assert not patches[:, 6:].any()
    assert patches[:, :6].all()
    arrays = perform(tiny.tiny_run("patch", (5,), tiny.probe_of(tiny.VIT, tiny.VIT, "vit")), files, None)
    assert (arrays["images"] != arrays["initial"]).reshape(3, 3, 4, 4, 4, 4).any(axis=(1, 3, 5)).all()


def test_a_descent_that_explodes_says_at_which_step(gpt2_probe):
    descent = Descent(("uniform", 0.5, 0.6), (Octave(16, 3, (1e38, 1e38)),), scale=1e38, constant=200.0)
    start = start_noise(descent.start, 16, 0, "neuron 3")[None, None]
    with pytest.raises(FloatingPointError, match="at step 1: a lower rate"):
        descend(gpt2_probe, start, [1], [objectives.neuron((3,), 1, 200.0)], descent, seed=0)


def descend_by(clock, probe, steps=60, rate=0.01, passes=None):
    """A descent whose checks are timed by a clock: its result, and the steps at which it reported.

    `passes`: a list that gets an entry a pass.
    """
    descent = Descent(("uniform", 0.5, 0.6), (Octave(16, steps, (rate, rate)),), scale=rate, constant=200.0)
    start, told = start_noise(descent.start, 16, 0, "neuron 3")[None, None], []
    neuron = objectives.neuron((3,), 1, 200.0)

    def goal(outputs):
        if passes is not None:
            passes.append(1)
        return neuron(outputs)

    found = descend(
        probe, start, [1], [goal], descent, 0, report=lambda progress: told.append(len(progress.losses)), clock=clock
    )
    return found, told


def test_a_descent_reports_by_time_and_not_by_steps(gpt2_probe):
    slow, told = descend_by(Ticks(18.0), gpt2_probe)  # seconds: a step of ViT-L on a CPU
    assert told == list(range(1, 61))
    quick, told = descend_by(Ticks(0.06), gpt2_probe)
    assert told[:2] == [1, 18] and told[-1] == 60 and len(told) == 5  # to report is to wait for the device
    never, told = descend_by(lambda: 0.0, gpt2_probe)
    assert told == [1, 60]
    for other in (quick, never):
        assert all(torch.equal(one, two) for one, two in zip(slow, other, strict=True))


def test_a_slow_descent_that_explodes_says_so_within_a_step(gpt2_probe):
    passes = []
    with pytest.raises(FloatingPointError, match="at step 1: a lower rate"):
        descend_by(Ticks(18.0), gpt2_probe, rate=1e38, passes=passes)
    assert len(passes) == 2
    with pytest.raises(FloatingPointError, match="at step 1: a lower rate"):
        descend_by(Ticks(0.01), gpt2_probe, rate=1e38)


def test_a_run_in_several_passes_counts_steps_and_says_when_it_measures(tiny_files, targets):
    files, _ = tiny_files
    run, said = tiny.tiny_run("match", ("a", "b"), memory=0.1), []
    plan = make_plan(run, CPU)
    perform_plan(run, files, targets, plan, Watch(lambda steps, loss: said.append((steps, loss)), clock=Ticks(9.0)))
    measured = [steps for steps, loss in said if loss is None]
    assert len(measured) == len(plan.groups) > 1
    steps = [steps for steps, _ in said]
    assert steps == sorted(steps) and 0 < steps[0] < 1 and said[-1] == (run.descent.steps, None)


def test_a_further_panel_changes_no_other(tiny_files, targets):
    files, _ = tiny_files
    few, more = (perform(tiny.tiny_run("neuron", panels), files, None) for panels in ((2, 5), (9, 2, 5)))
    for name in ("images", "initial"):
        np.testing.assert_allclose(few[name], more[name][:, 1:], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(few["initial"], more["initial"][:, 1:])
    swapped = perform(tiny.tiny_run("match", ("b", "a")), files, targets[::-1].copy())
    matched = perform(tiny.tiny_run("match", ("a", "b")), files, targets)
    np.testing.assert_array_equal(matched["initial"], swapped["initial"][:, ::-1])
    for name in ("output_distance", "shifted_output_distance"):
        np.testing.assert_allclose(matched[name], swapped[name][:, ::-1], rtol=1e-4)


def test_panels_are_named_by_what_they_are():
    assert tiny.tiny_run("neuron", (5,)).panel_names == ("neuron 5",)
    assert tiny.tiny_run("patch", (45,)).panel_names == ("patch 45",)
    assert tiny.tiny_run("match", ("chelsea",)).panel_names == ("chelsea",)


def test_seeds_are_panels_with_starts_of_their_own(tiny_files, targets):
    files, _ = tiny_files
    several = tiny.tiny_run("match", ("a", "a"), panel_seeds=(7, 8))
    both = perform(several, files, np.stack([targets[0]] * 2))
    for place, seed in enumerate((7, 8)):
        alone = perform(tiny.tiny_run("match", ("a",), panel_seeds=(seed,)), files, targets[:1])
        np.testing.assert_array_equal(both["initial"][:, place], alone["initial"][:, 0])
        np.testing.assert_allclose(both["images"][:, place], alone["images"][:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(both["shifted"][0], both["shifted"][1])  # one yardstick for all seeds
    shift = normal((3, 16, 16), 0.0, 1 / 18, generator(7, "shift", "a"))  # the author's, and apart from the start's
    np.testing.assert_allclose(both["shifted"][0] - targets[0], shift, atol=1e-6)
    facts = describe(several, files, make_plan(several, CPU))
    assert facts["seeds"] == {"run": 7, "panels": [7, 8]}


def test_what_a_descent_had_after_three_quarters_is_what_a_shorter_one_ends_with(tiny_files, targets):
    files, _ = tiny_files
    run = tiny.tiny_run("match", ("a", "b"))
    for optimiser in ("lbfgs", "preconditioned_lbfgs", "adam"):
        inverted = replace(run.descent, optimiser=optimiser, distance="l2", octaves=(Octave(16, 40, (0.02, 0.02)),))
        short = replace(inverted, octaves=(Octave(16, 30, (0.02, 0.02)),))
        whole, part = (perform(replace(run, descent=each), files, targets) for each in (inverted, short))
        np.testing.assert_array_equal(whole["earlier"], part["images"])
        assert (whole["loss"][:, -1] <= part["loss"][:, -1]).all()


@pytest.mark.parametrize("distance", ["l2", "pareto"])
def test_lbfgs_gets_much_nearer_than_the_same_passes_of_gradient_descent(tiny_files, targets, distance):
    files, _ = tiny_files
    run = tiny.tiny_run("match", ("a", "b"))
    plain = replace(run.descent, octaves=(Octave(16, 60, (0.02, 0.002)),))
    inverted = replace(plain, optimiser="lbfgs", distance=distance)
    near, far = (perform(replace(run, descent=each), files, targets)["output_distance"] for each in (inverted, plain))
    assert (near < far / 3).all()


def test_a_descent_may_be_resumed_twice_from_one_state(gpt2_probe):
    inverted = Descent(("normal", 0.7, 0.05), (Octave(16, 60),), optimiser="lbfgs", distance="l2", history=4)
    start = start_noise(inverted.start, 16, 0, "a")[None, None]
    goals = [objectives.match(gpt2_probe(torch.full((1, 3, 16, 16), 0.4), [2])[0], "l2")]
    kept = []  # a state a step; the moves of one from the middle are written over
    whole = descend(
        gpt2_probe, start, [2], goals, inverted, 0, report=lambda state: kept.append(deepcopy(state)), clock=Ticks(1)
    )
    for _ in range(2):
        again = descend(gpt2_probe, start, [2], goals, inverted, 0, done=kept[30])
        assert torch.equal(again[0], whole[0]) and torch.equal(again[2], whole[2])
