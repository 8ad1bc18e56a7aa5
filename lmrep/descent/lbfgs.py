"""L-BFGS for many images at once, each a problem of its own. Kept apart: its edits rerun no runs but those of L-BFGS.

Shapes: see `optimisers`.
"""

import torch
from torch import Tensor

from lmrep.descent.optimisers import Rate, State
from lmrep.study.spec import Descent


class LBFGS:
    """Limited-memory BFGS with a weak Wolfe line search by bisection, one problem an image, one pass a trial.

    Two-loop recursion: Nocedal and Wright (2006), algorithm 7.4, with their names: s, y, rho, gamma, alpha, beta.
    Line search: Lewis and Overton (2013), algorithm 2.6, with the constants of Nocedal and Wright. A search ends after
    TRIALS passes: with the last trial if the loss fell enough there, else it fails. An image whose search fails, or
    whose direction does not descend, forgets its history and starts again along its gradient; the others go on. No
    pass reads a number back from the device, so a GPU does not wait for Python.
    """

    arrays = ("point", "loss", "slope", "gradient", "direction", "step", "low", "high", "trials", "s", "y", "rho",
              "gamma", "oldest")  # fmt: skip
    DECREASE, CURVATURE = 1e-4, 0.9  # the constants of the two Wolfe conditions
    FIRST = 0.05  # the largest change of a pixel in a first step downhill
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
            "s": images.new_zeros(*kept, pixels), "y": images.new_zeros(*kept, pixels),
            "rho": images.new_zeros(kept), "gamma": one.clone(),
        }  # fmt: skip
        self.state |= {name: torch.zeros_like(one) for name in ("slope", "step", "low", "high", "trials", "oldest")}
        self.restart(torch.ones_like(losses, dtype=torch.bool))

    def precondition(self, gradient: Tensor) -> Tensor:
        """Multiplies a gradient by the first guess of the inverse Hessian, without its scale gamma. Here: by 1."""
        return gradient

    def step(self, images: Tensor, losses: Tensor, gradient: Tensor, rate: Rate, step: int | Tensor) -> Tensor:
        # On a GPU every step repeats the same operations, also on empty slots, which weigh nothing.
        self.most = self.history if isinstance(step, Tensor) else min(self.history, step)
        if not self.state:
            self.begin(images, losses, gradient)
        else:
            self.judge(images, losses, gradient)
        return self.state["point"] + wide(self.state["step"]) * self.state["direction"]

    def judge(self, images: Tensor, losses: Tensor, gradient: Tensor) -> None:
        """Accepts each image's trial, or narrows the bracket of its step, or gives up its search."""
        now = self.state
        falls = losses <= now["loss"] + self.DECREASE * now["step"] * now["slope"]  # False where the loss is not finite
        bends = dot(gradient, now["direction"]) >= self.CURVATURE * now["slope"]
        now["trials"] = now["trials"] + 1
        accepted = falls & (bends | (now["trials"] >= self.TRIALS))
        now["high"] = torch.where(falls, now["high"], now["step"])
        now["low"] = torch.where(falls & ~bends, now["step"], now["low"])
        now["step"] = torch.where(now["high"].isinf(), 2 * now["low"], (now["low"] + now["high"]) / 2)
        failed = ~accepted & (now["trials"] >= self.TRIALS)
        self.remember(accepted, images - now["point"], gradient - now["gradient"])
        for name, value in (("point", images), ("gradient", gradient)):
            now[name] = torch.where(wide(accepted), value, now[name])
        now["loss"] = torch.where(accepted, losses, now["loss"])
        now["direction"] = torch.where(wide(accepted), self.direction(), now["direction"])
        now["slope"] = torch.where(accepted, dot(now["gradient"], now["direction"]), now["slope"])
        self.search(accepted, torch.ones_like(losses))
        self.restart(failed | (accepted & ~(now["slope"] < 0)))

    def search(self, chosen: Tensor, step: Tensor) -> None:
        """Begins a line search at `step` for the chosen images."""
        for name, value in (("step", step), ("low", 0.0), ("high", torch.inf), ("trials", 0.0)):
            fresh = value if isinstance(value, Tensor) else torch.full_like(step, value)
            self.state[name] = torch.where(chosen, fresh, self.state[name])

    def restart(self, chosen: Tensor) -> None:
        """Forgets the history of the chosen images and turns them downhill by the first guess."""
        now = self.state
        downhill = -self.precondition(now["gradient"])
        now["rho"] = torch.where(chosen[..., None], 0.0, now["rho"])
        now["direction"] = torch.where(wide(chosen), downhill, now["direction"])
        now["slope"] = torch.where(chosen, dot(now["gradient"], downhill), now["slope"])
        largest = downhill.abs().flatten(2).amax(2)
        self.search(chosen, torch.where(largest > 0, self.FIRST / largest, 0.0))

    def slots(self) -> Tensor:
        """Where the history's flattened first three axes hold each image's pairs, oldest first: [slot, image]."""
        oldest = self.state["oldest"].flatten().long()
        turn = torch.arange(self.history, device=oldest.device)[:, None]
        image = torch.arange(len(oldest), device=oldest.device)
        return image * self.history + (oldest + turn) % self.history

    def remember(self, accepted: Tensor, s: Tensor, y: Tensor) -> None:
        """Puts a move s and its change of gradient y in the oldest slot, in the history of the accepted images.

        A rho of 0 marks an empty slot: it takes no part in the recursion.
        """
        now, product, square = self.state, dot(s, y), dot(y, y)
        kept = accepted & (product > self.FLAT * square)
        oldest = self.slots()[0]
        for name, new in (("s", s.flatten(2)), ("y", y.flatten(2)), ("rho", 1 / product)):
            held, added = now[name].flatten(0, 2), new.flatten(0, 1)  # a view: histories take most of the memory
            held[oldest] = torch.where(kept.flatten().view(-1, *[1] * (added.ndim - 1)), added, held[oldest])
        now["oldest"] = torch.where(kept, (now["oldest"] + 1) % self.history, now["oldest"])
        now["gamma"] = torch.where(kept, product / dot(y, self.precondition(y)), now["gamma"])

    def direction(self) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, by the two-loop recursion."""
        now, slots = self.state, self.slots()[self.history - self.most :]
        s, y = (now[name].flatten(0, 2) for name in ("s", "y"))
        rho = now["rho"].flatten()[slots]
        found = now["gradient"].flatten(2).flatten(0, 1).clone()
        alpha = torch.empty_like(rho)
        for slot in reversed(range(self.most)):
            alpha[slot] = rho[slot] * (s[slots[slot]] * found).sum(-1)
            found.addcmul_(alpha[slot][:, None], y[slots[slot]], value=-1)
        found = found * now["gamma"].flatten()[:, None]
        found = self.precondition(found.view_as(now["gradient"])).flatten(2).flatten(0, 1)
        for slot in range(self.most):
            beta = rho[slot] * (y[slots[slot]] * found).sum(-1)
            found.addcmul_((alpha[slot] - beta)[:, None], s[slots[slot]])
        return -found.view_as(now["gradient"])

    def reached(self, images: Tensor) -> Tensor:
        return self.state.get("point", images)

    def losses(self, losses: Tensor) -> Tensor:
        return self.state["loss"]


def wide(values: Tensor) -> Tensor:
    """[layer, panel] as [layer, panel, 1, 1, 1], to go with images."""
    return values[..., None, None, None]


def dot(one: Tensor, other: Tensor) -> Tensor:
    """The inner products [layer, panel] of two sets of images [layer, panel, 3, size, size]."""
    return (one * other).flatten(2).sum(2)
