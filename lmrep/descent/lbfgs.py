"""L-BFGS for many images at once, each a problem of its own. A module apart: its edits rerun no other optimiser's runs.

Shapes: see `optimisers`.
"""

import torch
from torch import Tensor

from lmrep.descent.optimisers import Rate, State
from lmrep.study.spec import Descent


class LBFGS:
    """Limited-memory BFGS with a weak Wolfe line search by bisection, one problem an image, one pass a trial.

    Two-loop recursion: Nocedal and Wright (2006), algorithm 7.4. Line search: Lewis and Overton (2013), algorithm 2.6,
    with the constants of Nocedal and Wright. A search ends after TRIALS passes: with the last trial if the loss fell
    enough there, else it fails. An image whose search fails, or whose direction does not descend, forgets its history
    and starts again along its gradient; the others go on. No pass reads a number back from the device, so a GPU does
    not wait for Python.
    """

    arrays = ("point", "loss", "slope", "gradient", "direction", "step", "low", "high", "trials", "moves", "turns",
              "curvatures", "scale", "oldest")  # fmt: skip
    DECREASE, CURVATURE = 1e-4, 0.9  # the constants of the two Wolfe conditions
    FIRST = 0.05  # the largest change of a pixel in a first step along the gradient
    TRIALS = 20  # passes of one line search
    FLAT = 1e-10  # a move counts if its curvature is at least this part of the squared change of gradient

    def __init__(self, descent: Descent, state: State):
        self.history, self.state = descent.history, state
        self.most = 0  # moves that an image can remember by now

    def begin(self, images: Tensor, losses: Tensor, gradient: Tensor) -> None:
        """The state at the start: no history, and a first step along the gradient."""
        one, kept = torch.ones_like(losses), (*losses.shape, self.history)
        pixels = images[0, 0].numel()
        self.state |= {
            "point": images.clone(), "loss": losses.clone(), "gradient": gradient.clone(),
            "direction": torch.zeros_like(images),
            "moves": images.new_zeros(*kept, pixels), "turns": images.new_zeros(*kept, pixels),
            "curvatures": images.new_zeros(kept), "scale": one.clone(),
        }  # fmt: skip
        self.state |= {name: torch.zeros_like(one) for name in ("slope", "step", "low", "high", "trials", "oldest")}
        self.restart(torch.ones_like(losses, dtype=torch.bool))

    def step(self, images: Tensor, losses: Tensor, gradient: Tensor, rate: Rate, step: int | Tensor) -> Tensor:
        # A step on a GPU repeats the same operations: empty places weigh nothing.
        self.most = self.history if isinstance(step, Tensor) else min(self.history, step)
        if not self.state:
            self.begin(images, losses, gradient)
        else:
            self.judge(images, losses, gradient)
        return self.state["point"] + wide(self.state["step"]) * self.state["direction"]

    def judge(self, images: Tensor, losses: Tensor, gradient: Tensor) -> None:
        """Accepts each image's trial, or narrows the bracket of its step, or gives up its search."""
        s = self.state
        falls = losses <= s["loss"] + self.DECREASE * s["step"] * s["slope"]  # False where the loss is not finite
        bends = dot(gradient, s["direction"]) >= self.CURVATURE * s["slope"]
        s["trials"] = s["trials"] + 1
        accepted = falls & (bends | (s["trials"] >= self.TRIALS))
        s["high"] = torch.where(falls, s["high"], s["step"])
        s["low"] = torch.where(falls & ~bends, s["step"], s["low"])
        s["step"] = torch.where(s["high"].isinf(), 2 * s["low"], (s["low"] + s["high"]) / 2)
        failed = ~accepted & (s["trials"] >= self.TRIALS)
        self.remember(accepted, images - s["point"], gradient - s["gradient"])
        for name, value in (("point", images), ("gradient", gradient)):
            s[name] = torch.where(wide(accepted), value, s[name])
        s["loss"] = torch.where(accepted, losses, s["loss"])
        s["direction"] = torch.where(wide(accepted), self.direction(), s["direction"])
        s["slope"] = torch.where(accepted, dot(s["gradient"], s["direction"]), s["slope"])
        self.search(accepted, torch.ones_like(losses))
        self.restart(failed | (accepted & ~(s["slope"] < 0)))

    def search(self, chosen: Tensor, step: Tensor) -> None:
        """Begins a line search at `step` for the chosen images."""
        for name, value in (("step", step), ("low", 0.0), ("high", torch.inf), ("trials", 0.0)):
            fresh = value if isinstance(value, Tensor) else torch.full_like(step, value)
            self.state[name] = torch.where(chosen, fresh, self.state[name])

    def restart(self, chosen: Tensor) -> None:
        """Forgets the history of the chosen images and turns them along their gradients."""
        s = self.state
        s["curvatures"] = torch.where(chosen[..., None], 0.0, s["curvatures"])
        s["direction"] = torch.where(wide(chosen), -s["gradient"], s["direction"])
        s["slope"] = torch.where(chosen, -dot(s["gradient"], s["gradient"]), s["slope"])
        largest = s["gradient"].abs().flatten(2).amax(2)
        self.search(chosen, torch.where(largest > 0, self.FIRST / largest, 0.0))

    def places(self) -> Tensor:
        """Where the history's flattened first three axes hold each image's moves, oldest first: [place, image]."""
        oldest = self.state["oldest"].flatten().long()
        turn = torch.arange(self.history, device=oldest.device)[:, None]
        image = torch.arange(len(oldest), device=oldest.device)
        return image * self.history + (oldest + turn) % self.history

    def remember(self, accepted: Tensor, moves: Tensor, turns: Tensor) -> None:
        """Puts a move and its change of gradient in the place of the oldest, in the history of the accepted images.

        A curvature of 0 marks an empty place: it takes no part in the recursion.
        """
        s, product, square = self.state, dot(moves, turns), dot(turns, turns)
        kept = accepted & (product > self.FLAT * square)
        oldest = self.places()[0]
        for name, new in (("moves", moves.flatten(2)), ("turns", turns.flatten(2)), ("curvatures", 1 / product)):
            held, added = s[name].flatten(0, 2), new.flatten(0, 1)  # a view: histories take most of the memory
            held[oldest] = torch.where(kept.flatten().view(-1, *[1] * (added.ndim - 1)), added, held[oldest])
        s["oldest"] = torch.where(kept, (s["oldest"] + 1) % self.history, s["oldest"])
        s["scale"] = torch.where(kept, product / square, s["scale"])

    def direction(self) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, by the two-loop recursion."""
        s, places = self.state, self.places()[self.history - self.most :]
        moves, turns = (s[name].flatten(0, 2) for name in ("moves", "turns"))
        curvatures = s["curvatures"].flatten()[places]
        found = s["gradient"].flatten(2).flatten(0, 1).clone()
        weights = torch.empty_like(curvatures)
        for place in reversed(range(self.most)):
            weights[place] = curvatures[place] * (moves[places[place]] * found).sum(-1)
            found.addcmul_(weights[place][:, None], turns[places[place]], value=-1)
        found = found * s["scale"].flatten()[:, None]
        for place in range(self.most):
            back = curvatures[place] * (turns[places[place]] * found).sum(-1)
            found.addcmul_((weights[place] - back)[:, None], moves[places[place]])
        return -found.view_as(s["gradient"])

    def reached(self, images: Tensor) -> Tensor:
        return self.state.get("point", images)

    def losses(self, losses: Tensor) -> Tensor:
        return self.state["loss"]


def wide(values: Tensor) -> Tensor:
    """[layer, panel] as [layer, panel, 1, 1, 1], to go with images."""
    return values[..., None, None, None]


def dot(one: Tensor, other: Tensor) -> Tensor:
    """The products [layer, panel] of two sets of images."""
    return (one * other).flatten(2).sum(2)
