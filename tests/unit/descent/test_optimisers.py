"""The optimisers on problems of known solution, beside scipy's and torch's own."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from scipy.optimize import minimize
from torch.utils._python_dispatch import TorchDispatchMode

from lmrep.descent.lbfgs import LBFGS
from lmrep.descent.optimisers import Adam, Gradient
from lmrep.descent.preconditioned import PreconditionedLBFGS
from lmrep.study.spec import Descent, Octave

pytestmark = pytest.mark.models
SIDE = 4  # px; an image has 3 x 4 x 4 values
PIXELS = 3 * SIDE**2


def descent(**changes) -> Descent:
    return Descent(("normal", 0.5, 0.1), (Octave(SIDE, 1),), **changes)


def quadratics(count: int, condition: float = 1e3):
    """Convex problems (x - c)' A (x - c) / 2: images [1, count, 3, side, side], a loss, and the solutions."""
    rng = np.random.default_rng(count)
    bases = np.stack([np.linalg.qr(rng.normal(size=(PIXELS, PIXELS)))[0] for _ in range(count)])
    matrices = bases * np.geomspace(1, condition, PIXELS) @ bases.transpose(0, 2, 1)
    centres = rng.random((count, PIXELS))
    a, c = torch.from_numpy(matrices), torch.from_numpy(centres)

    def loss(images):
        away = images.flatten(2)[0] - c
        return 0.5 * torch.einsum("ni,nij,nj->n", away, a, away)[None]

    return torch.zeros(1, count, 3, SIDE, SIDE, dtype=torch.float64), loss, (matrices, centres)


def with_a_cliff(loss):
    """The loss, but nothing except the start has a finite one in the second problem."""

    def found(images):
        losses = loss(images)
        cliff = torch.where(images[0, 1].abs().sum() > 0, torch.nan, 1.0)
        return torch.stack([losses[0, 0], losses[0, 1] * cliff, losses[0, 2]])[None]

    return found


def rosenbrock(images):
    """A curved valley in 48 dimensions; its lowest point is 1 everywhere, with a loss of 0."""
    x = images.flatten(2)
    return (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2).sum(-1)


def passes(optimiser, images, loss, count, rate=0.0):
    """`count` passes; returns the result and the losses after each."""
    history = []
    for step in range(count):
        leaf = images.detach().requires_grad_()
        losses = loss(leaf)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        images = optimiser.step(leaf.detach(), losses.detach(), gradient, rate, step)
        history.append(optimiser.losses(losses.detach()))
    return optimiser.reached(images), torch.stack(history)


@pytest.mark.parametrize("count", [1, 64])
@pytest.mark.parametrize("optimiser", [LBFGS, PreconditionedLBFGS])
def test_lbfgs_solves_convex_problems_as_scipy_does(optimiser, count):
    images, loss, (matrices, centres) = quadratics(count)
    found, history = passes(optimiser(descent(), {}), images, loss, 150)
    assert (history.diff(dim=0) <= 0).all()  # what it records is the best so far
    for place in range(0, count, 16):
        matrix, centre = matrices[place], centres[place]
        calls = []

        def problem(x, matrix=matrix, centre=centre, calls=calls):
            calls.append(0.5 * (x - centre) @ matrix @ (x - centre))
            return calls[-1], matrix @ (x - centre)

        scipys = minimize(problem, np.zeros(PIXELS), jac=True, method="L-BFGS-B", options={"maxcor": 40, "maxfun": 150})
        np.testing.assert_allclose(scipys.x, centre, atol=1e-3)
        np.testing.assert_allclose(found[0, place].flatten(), centre, atol=1e-3)
        # To one part in a million it needs about as many passes.
        ours, theirs = (np.argmax(np.array(each) < 1e-6 * calls[0]) for each in (history[:, 0, place].numpy(), calls))
        assert 0 < ours <= 1.5 * theirs


def test_problems_of_a_batch_are_solved_as_each_alone():
    images, loss, (matrices, centres) = quadratics(3)
    together, _ = passes(LBFGS(descent(), {}), images, loss, 60)
    for place in range(3):
        a, c = torch.from_numpy(matrices[place]), torch.from_numpy(centres[place])

        def alone(x, a=a, c=c):
            return 0.5 * torch.einsum("i,ij,j->", x.flatten() - c, a, x.flatten() - c)[None, None]

        found, _ = passes(LBFGS(descent(), {}), images[:, :1], alone, 60)
        np.testing.assert_allclose(found[0, 0], together[0, place], rtol=1e-6, atol=1e-8)


def weigh(images, exponent=1):
    """Images [..., side, side] with their frequencies f divided by max(f, 1)^exponent, by scipy."""
    frequencies = np.sqrt(sum(np.square(np.indices((SIDE, SIDE))))) / 2
    return idctn(dctn(images, axes=(-2, -1)) / np.maximum(frequencies, 1) ** exponent, axes=(-2, -1))


def test_the_first_guess_divides_every_cosine_by_a_power_of_its_frequency():
    images, _, _ = quadratics(2)
    images = torch.rand(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for search, exponent in (
        (PreconditionedLBFGS(descent(), {}), 1),
        (PreconditionedLBFGS(descent(), {}, exponent=0.5), 0.5),
    ):
        found = search.precondition(images)
        np.testing.assert_allclose(found, weigh(images.numpy(), exponent), rtol=1e-12, atol=1e-12)
    assert torch.equal(LBFGS(descent(), {}).precondition(images), images)


def test_preconditioning_is_a_change_of_variables():
    """Of z with x = P^(1/2) z, the plain search makes the same moves, after a first one of the same length."""
    images, loss, _ = quadratics(1, 50)

    root = PreconditionedLBFGS(descent(), {}, exponent=0.5).precondition
    leaf = images.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf).sum(), leaf)

    class Plain(LBFGS):
        FIRST = LBFGS.FIRST * float(root(gradient).abs().max() / root(root(gradient)).abs().max())

    images = images.detach()
    for count in (5, 20):
        found, _ = passes(PreconditionedLBFGS(descent(), {}), images, loss, count)
        same, _ = passes(Plain(descent(), {}), images, lambda z: loss(root(z)), count)
        np.testing.assert_allclose(found, root(same), rtol=1e-6, atol=1e-8)


def test_a_search_that_expects_smooth_images_finds_them_sooner():
    images, _, (matrices, _) = quadratics(4, 1e4)
    a = torch.from_numpy(matrices)
    drawn = torch.rand(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    smooth = torch.from_numpy(weigh(weigh(drawn.numpy())))

    def loss(images):
        away = (images - smooth).flatten(2)[0]
        return 0.5 * torch.einsum("ni,nij,nj->n", away, a, away)[None]

    errors = [
        (passes(optimiser(descent(), {}), images, loss, 25)[0] - smooth).square().mean(dim=(0, 2, 3, 4))
        for optimiser in (LBFGS, PreconditionedLBFGS)
    ]
    assert (errors[1] < 0.8 * errors[0]).all()


@pytest.mark.parametrize("kind", [LBFGS, PreconditionedLBFGS])
def test_the_two_loop_recursion_is_the_inverse_of_bfgs_written_out(kind):
    images, loss, _ = quadratics(2, 50)
    optimiser = kind(descent(history=5), {})
    passes(optimiser, images, loss, 12)
    s = optimiser.state
    for place in range(2):
        guess = optimiser.precondition(torch.eye(PIXELS, dtype=torch.float64).view(1, -1, 3, SIDE, SIDE))
        inverse = guess.view(PIXELS, PIXELS) * s["gamma"][0, place]
        oldest = int(s["oldest"][0, place])
        for k in [*range(oldest, 5), *range(oldest)]:
            move, turn, rho = s["s"][0, place, k], s["y"][0, place, k], s["rho"][0, place, k]
            left = torch.eye(PIXELS, dtype=torch.float64) - rho * torch.outer(move, turn)
            inverse = left @ inverse @ left.T + rho * torch.outer(move, move)
        expected = -(inverse @ s["gradient"][0, place].flatten())
        np.testing.assert_allclose(optimiser.direction()[0, place].flatten(), expected, rtol=1e-8, atol=1e-12)


def test_lbfgs_follows_a_curved_valley_about_as_fast_as_torchs_own():
    start = torch.full((1, 2, 3, SIDE, SIDE), 0.6, dtype=torch.float64)
    start[0, 1] = 0.3
    found, history = passes(LBFGS(descent(), {}), start, rosenbrock, 300)
    np.testing.assert_allclose(found, torch.ones_like(found), atol=1e-3)
    for place in range(2):
        leaf = start[:, place : place + 1].clone().requires_grad_()
        theirs = torch.optim.LBFGS([leaf], max_iter=300, max_eval=300, history_size=40, line_search_fn="strong_wolfe",
                                   tolerance_grad=0, tolerance_change=0)  # fmt: skip
        calls = []

        def closure(leaf=leaf, calls=calls, theirs=theirs):
            theirs.zero_grad()
            value = rosenbrock(leaf).sum()
            value.backward()
            calls.append(value.item())
            return value

        theirs.step(closure)
        ours = int((history[:, 0, place] < 1e-6).nonzero()[0])
        assert ours <= 1.6 * next(index for index, value in enumerate(calls) if value < 1e-6)


def test_a_problem_whose_line_search_fails_does_not_stop_the_others():
    images, loss, (_, centres) = quadratics(3)
    found, history = passes(LBFGS(descent(), {}), images, with_a_cliff(loss), 150)
    assert torch.equal(found[0, 1], images[0, 1]) and torch.isfinite(history).all()
    for place in (0, 2):
        np.testing.assert_allclose(found[0, place].flatten(), centres[place], atol=1e-3)


def test_a_search_that_fails_forgets_the_history():
    images, loss, _ = quadratics(2)
    optimiser = LBFGS(descent(), {})
    images, _ = passes(optimiser, images, loss, 20)
    assert (optimiser.state["rho"] != 0).sum(dim=-1).min() > 5
    for step in range(20, 20 + LBFGS.TRIALS):
        before = optimiser.state["point"].clone()
        leaf = images.detach().requires_grad_()
        losses = loss(leaf)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        broken = torch.stack([losses[0, 0], losses[0, 1] * torch.nan])[None].detach()
        images = optimiser.step(images, broken, gradient, 0.0, step)
        if not optimiser.state["rho"][0, 1].any():
            break
    assert not optimiser.state["rho"][0, 1].any() and optimiser.state["rho"][0, 0].any()
    assert torch.equal(optimiser.state["point"][0, 1], before[0, 1])
    # It starts again along its gradient, and no pixel moves further than by FIRST.
    assert torch.equal(optimiser.state["direction"][0, 1], -optimiser.state["gradient"][0, 1])
    assert (images[0, 1] - before[0, 1]).abs().max().item() == pytest.approx(LBFGS.FIRST)


def test_a_first_step_moves_the_furthest_pixel_by_a_twentieth():
    images, loss, _ = quadratics(2)
    leaf = images.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf).sum(), leaf)
    moved = LBFGS(descent(), {}).step(images.detach(), loss(images).detach(), gradient, 0.0, 0) - images.detach()
    assert moved.abs().flatten(2).amax(2)[0].tolist() == pytest.approx([0.05, 0.05])


def test_a_move_across_the_change_of_gradient_is_not_remembered():
    """s y is 1.2 and y y 5e11: by Nocedal and Wright's curvature condition such a pair would spoil the estimate."""
    images = torch.zeros(1, 1, 3, SIDE, SIDE, dtype=torch.float64)
    gradient, swings = torch.ones_like(images), torch.ones_like(images)
    swings.view(-1)[::2] = -1
    for across, remembered in ((1e5, False), (1e2, True)):
        optimiser = LBFGS(descent(), {})
        one = optimiser.step(images, torch.zeros(1, 1), gradient, 0.0, 0)
        optimiser.step(one, -torch.ones(1, 1), 0.5 * gradient + across * swings, 0.0, 1)
        assert torch.equal(optimiser.state["point"], one)  # accepted
        assert optimiser.state["rho"].any().item() == remembered


def test_a_problem_that_is_solved_at_its_start_stays_there():
    images = torch.full((1, 1, 3, SIDE, SIDE), 0.25, dtype=torch.float64)
    found, _ = passes(LBFGS(descent(), {}), images, lambda x: ((x - 0.25) ** 2).flatten(2).sum(2), 5)
    assert torch.equal(found, images)


def test_lbfgs_takes_no_more_than_its_history():
    images, loss, _ = quadratics(1)
    optimiser = LBFGS(descent(history=3), {})
    passes(optimiser, images, loss, 30)
    assert optimiser.state["s"].shape == (1, 1, 3, PIXELS)
    assert set(optimiser.state) == set(LBFGS.arrays)


def test_a_step_of_lbfgs_copies_no_history():
    images, loss, _ = quadratics(8)
    optimiser = LBFGS(descent(history=40), {})
    found, _ = passes(optimiser, images, loss, 3)
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        passes(optimiser, found, loss, 3)
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert largest < optimiser.state["s"].nbytes / 4


class NoReadBack(TorchDispatchMode):
    """Raises where a number goes from the device to Python, or a shape depends on one."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        if name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::masked_select"):
            raise AssertionError(f"{name} waits for the device")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimiser", [LBFGS, PreconditionedLBFGS, Adam, Gradient])
def test_a_step_never_waits_for_the_device(optimiser):
    images, loss, _ = quadratics(3)  # the second fails its searches, and restarts
    with NoReadBack():
        _, history = passes(optimiser(descent(), {}), images, with_a_cliff(loss), 60, 1e-3)
    assert (history[-1, 0, [0, 2]] < history[0, 0, [0, 2]]).all()


def test_what_reads_a_number_back_is_seen():
    with NoReadBack(), pytest.raises(AssertionError, match="waits"):
        torch.ones(2).any().item()


def test_adam_is_torchs_own():
    images, loss, _ = quadratics(2, 10)
    found, _ = passes(Adam(descent(), {}), images, loss, 30, rate=0.02)
    leaf = images.clone().requires_grad_()
    theirs = torch.optim.Adam([leaf], lr=0.02)
    for _ in range(30):
        theirs.zero_grad()
        loss(leaf).sum().backward()
        theirs.step()
    np.testing.assert_allclose(found, leaf.detach(), rtol=1e-6)


def test_gradient_descent_is_the_formula():
    images, loss, (matrices, centres) = quadratics(1, 10)
    found, _ = passes(Gradient(descent(scale=3.0), {}), images, loss, 1, rate=0.01)
    np.testing.assert_allclose(found.flatten(), 0.01 * 3 * matrices[0] @ centres[0])


def test_a_loss_without_a_lower_bound_keeps_falling():
    images = torch.zeros(1, 1, 3, SIDE, SIDE, dtype=torch.float64)
    _, history = passes(LBFGS(descent(), {}), images, lambda x: -x.flatten(2).sum(2), 60)
    assert history[-1, 0, 0] < history[20, 0, 0] < history[0, 0, 0]
