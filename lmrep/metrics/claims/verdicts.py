"""What a claim measures, the rule of its verdict, and how the two give holds, fails or open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

import numpy as np

from lmrep.metrics.claims.samples import Sample
from lmrep.metrics.claims.statistics import FEWEST, Array, Counts, bootstrap, filled, interval

HOLDS, FAILS, OPEN = "holds", "fails", "open"
EARLY = 4  # the first quarter of the blocks, rounded up, counts as early
WHERE = {  # what a rule looks at, in words
    "every": "in every block",
    "mean": "on average over the blocks",
    "early": "on average over the first quarter of the blocks",
    "every_early": "in every block of the first quarter",
    "first": "in the first block",
    "change": "from the first block to the last",
}


OTHERWISE = {  # what a verdict may depend on, and how the other ways to ask are called
    "descent": "by another descent",
    "regime": "in another regime",
    "stem": "behind another stem",
    "cutoff": "with another cutoff",
    "measure": "by another measure",
    "seed": "by one seed alone",
    "image": "by one image alone",
}
PARTS = ("seed", "image")  # of a way to ask: the others ask in another way
WAYS = [name for name in OTHERWISE if name not in PARTS]
CAUSES, OTHER_WAYS = (f"{', '.join(names[:-1])} or {names[-1]}" for names in ([*OTHERWISE], WAYS))


def early_blocks(blocks: Sequence[int], depth: int) -> list[int]:
    """The indices of the blocks that lie in the first quarter of a stack."""
    return [index for index, block in enumerate(blocks) if block <= ceil(depth / EARLY)]


ARRAYS = ("values", "draws", "falls", "rises", "panels", "seeds")  # of Measured, blocks last


@dataclass(frozen=True)
class Measured:
    """A statistic by block, with what the bootstrap makes of it.

    `values` [block]; `draws` [3, draw, block], see `bootstrap`; `falls`, `rises` [block]: by how much it may yet fall
    or rise, because a search behind it has not converged. `panels`, `seeds` [block]: how many its interval comes from.
    """

    blocks: tuple[int, ...]
    values: Array
    draws: Array
    falls: Array
    rises: Array
    panels: Array
    seeds: Array

    def bounds(self, together: int = 1) -> tuple[Array, Array]:
        """The interval of each block, wider where a search has not converged. `together`: see `interval`."""
        low, high = interval(self.draws, self.values, self.panels, self.seeds, together)
        return low - self.falls, high + self.rises

    def at(self, index: int) -> "Measured":
        """One of its values."""
        part = {name: getattr(self, name)[..., [index]] for name in ARRAYS}
        return replace(self, blocks=self.blocks[index : index + 1], **part)

    def joined(self, where: str, depth: int) -> "Measured":
        """The blocks that a rule looks at: see WHERE. A mean and a change are one value, of no block."""
        last, early = len(self.blocks) - 1, early_blocks(self.blocks, depth)
        if where == "change" and last:
            parts = {name: getattr(self, name) for name in ("values", "draws")}
            change = {name: part[..., [last]] - part[..., [0]] for name, part in parts.items()}
            falls, rises = self.falls[[last]] + self.rises[[0]], self.rises[[last]] + self.falls[[0]]
            counts = {name: getattr(self, name)[[0, last]].min(keepdims=True) for name in ("panels", "seeds")}
            return replace(self, blocks=(), falls=falls, rises=rises, **change, **counts)
        first = [0] if self.blocks[:1] == (1,) else []
        whole = [] if where == "change" else list(range(last + 1))  # one block does not change
        kept = {"first": first, "early": early, "every_early": early}.get(where, whole)
        part = {name: getattr(self, name)[..., kept] for name in ARRAYS}
        if where in ("early", "mean") and kept:
            least = {name: part[name].min(keepdims=True) for name in ("panels", "seeds")}
            part = {name: array.mean(axis=-1, keepdims=True) for name, array in part.items()} | least
        return replace(self, blocks=() if where in ("early", "mean") else tuple(self.blocks[n] for n in kept), **part)


@dataclass(frozen=True)
class Scale:
    """What a number counts, in a word or two, and the lowest and the highest value that a block can have."""

    unit: str
    least: float = -inf
    most: float = inf


@dataclass(frozen=True)
class Rule:
    """When one part of a claim holds: its interval lies above a threshold, or not above it.

    It fails if the interval lies on the other side, and is open if the threshold is inside or nothing was measured.
    `gate`: a condition without which the claim is open. `scale`: of the number; an interval of few images, which may
    go beyond it, is cut to it. `others`: a smaller and a larger threshold that one might have set instead, where half
    and twice would make no sense.
    """

    what: str
    side: str  # "above" or "at most"
    threshold: float
    where: str  # a key of WHERE
    scale: Scale
    gate: bool = False
    others: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.what} {WHERE[self.where]}: {self.side} {self.threshold:.3g}"

    def bounds(self, measured: Measured, joined: bool = False) -> tuple[Array, Array]:
        """The intervals of values within `scale`. `joined`: the values are what the rule looks at, maybe a change."""
        least, most = self.scale.least, self.scale.most
        if joined and self.where == "change":
            least, most = least - most, most - least
        low, high = measured.bounds()
        return np.clip(low, least, most), np.clip(high, least, most)

    def other_thresholds(self) -> tuple[float, float]:
        """A threshold of a smaller and one of a larger size than its own; 0 has no other."""
        return self.others or (self.threshold / 2, self.threshold * 2)

    def verdicts(self, measured: Measured, together: int = 1) -> list[str]:
        """Of each value by itself."""
        low, high = measured.bounds(together)
        above, below = low > self.threshold, high <= self.threshold
        holds, fails = (above, below) if self.side == "above" else (below, above)
        return [HOLDS if yes else FAILS if no else OPEN for yes, no in zip(holds, fails, strict=True)]

    def verdict(self, measured: Measured | None, depth: int, together: int = 1) -> str:
        """Of every block that the rule looks at: holds in all, fails in some, or else open."""
        found = set(self.verdicts(measured.joined(self.where, depth), together)) if measured else set()
        return FAILS if FAILS in found else HOLDS if found == {HOLDS} else OPEN

    def decisive(self, measured: Measured, depth: int) -> Measured | None:
        """The one value that decides: of several blocks with the rule's verdict, the one furthest to the wrong side.

        None if the rule's blocks have no value.
        """
        looked, verdict = measured.joined(self.where, depth), self.verdict(measured, depth)
        side = 1 if self.side == "above" else -1
        found = [
            (side * looked.values[index], index)
            for index, own in enumerate(self.verdicts(looked))
            if own == verdict and np.isfinite(looked.values[index])
        ]
        return looked.at(min(found)[1]) if found else None


def decide(rules: Sequence[Rule], measured: Sequence[Measured | None], depth: int, together: int = 1) -> str:
    """The verdict of a claim: all its rules must hold; one that fails decides, unless a gate is not passed."""
    found = [(rule.gate, rule.verdict(part, depth, together)) for rule, part in zip(rules, measured, strict=True)]
    if any(gate and verdict != HOLDS for gate, verdict in found):
        return OPEN
    verdicts = {verdict for gate, verdict in found if not gate}
    return FAILS if FAILS in verdicts else OPEN if OPEN in verdicts else HOLDS


def measure(sample: Sample | None, falls: Sample | None = None, rises: Sample | None = None) -> Measured | None:
    """The mean over panels and seeds of a sample [panel, seed, block], with its bootstrap."""
    return measure_means(sample, lambda means: means, falls, rises)


def measure_means(
    sample: Sample | None,
    statistic: Callable[[Array], Array],
    falls: Sample | None = None,
    rises: Sample | None = None,
) -> Measured | None:
    """A statistic [block] of the means over panels and seeds of a sample [panel, seed, block, ...], see `filled`.

    Blocks with fewer than FEWEST images have no interval.
    """
    if sample is None:
        return None
    cells, panels, seeds = sample.values, len(sample.panels), len(sample.seeds)
    there = np.asarray(np.isfinite(cells).all(axis=tuple(range(3, cells.ndim))))
    whole = filled(np.where(there.reshape(*there.shape, *[1] * (cells.ndim - 3)), cells, np.nan))
    means = statistic(Counts(np.ones((1, panels, seeds))).means(whole))[0]
    draws = np.stack([counts.spread(statistic, whole) for counts in bootstrap(panels, seeds)])
    enough = there.sum(axis=(0, 1)) >= FEWEST
    zeros = np.zeros(len(sample.blocks))
    return Measured(
        sample.blocks, means, np.where(enough, draws, np.nan),
        zeros if falls is None else np.nanmean(filled(falls.values), axis=(0, 1)),
        zeros if rises is None else np.nanmean(filled(rises.values), axis=(0, 1)),
        there.any(axis=1).sum(axis=0), there.any(axis=0).sum(axis=0),
    )  # fmt: skip
