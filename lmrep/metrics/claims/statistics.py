"""Statistics behind the claims, on arrays and without torch: of changes by patch, of fits, and their spread."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from math import isfinite

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from lmrep.metrics.measures import row_means

Array = npt.NDArray[np.float64]

DRAWS = 1000  # of the bootstrap
LEVEL = 0.95  # of its intervals
FEWEST = 3  # cells of panels and seeds: fewer give no interval
RATES = np.geomspace(1e-3, 10, 500)  # decays that a fit tries, per whole image and as exponents


@dataclass(frozen=True)
class Cutoff:
    """The change below which a patch counts as unchanged: a share of the largest in its image, or in pixel values."""

    level: float
    relative: bool = True

    def __str__(self) -> str:
        return f"{self.level:g} of the largest change" if self.relative else f"a change of {self.level:g}"


UNCHANGED = Cutoff(0.1)
CUTOFFS = (Cutoff(0.05), Cutoff(0.2), Cutoff(0.02, relative=False))  # others, that a verdict may depend on


def rank_correlation(changes: Array) -> Array:
    """Spearman's rank correlation of changes [..., patch] with the number of the patch; in [-1, 1].

    NaN where all patches changed alike.
    """
    # Patches below it less those above, twice the centred rank: scipy.stats ranks too, but takes 2 s to import.
    one, other = changes[..., :, None], changes[..., None, :]
    ranks = (one > other).sum(axis=-1) - (one < other).sum(axis=-1)
    index = np.arange(changes.shape[-1]) - (changes.shape[-1] - 1) / 2
    spread = np.sqrt((ranks**2).sum(axis=-1) * (index**2).sum())
    found: Array = ratio((ranks * index).sum(axis=-1), spread)
    return found


def share_unchanged(changes: Array, cutoff: Cutoff = UNCHANGED) -> Array:
    """The share of patches that changed by less than the cutoff, of [..., patch]; in [0, 1].

    NaN where no patch changed.
    """
    largest = changes.max(axis=-1, keepdims=True)
    few: Array = (changes < cutoff.level * (largest if cutoff.relative else 1.0)).mean(axis=-1)
    return np.where(largest[..., 0] > 0, few, np.nan)


def effective_share(changes: Array) -> Array:
    """The effective number of patches as a share of all, of changes [..., patch]; in (0, 1].

    The number is the exponential of the entropy of the change as a distribution over patches (Hill 1973, order 1):
    n for n patches that change alike, 1 for a single one. NaN where no patch changed.
    """
    shares = ratio(changes, changes.sum(axis=-1, keepdims=True))
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    found: Array = np.exp(-(shares * logs).sum(axis=-1)) / changes.shape[-1]
    return found


def centre_of_mass(changes: Array) -> Array:
    """Where the change of [..., patch] lies in the order of patches: 0 all in the first, 1 all in the last.

    NaN where no patch changed.
    """
    positions = np.linspace(0, 1, changes.shape[-1])
    found: Array = ratio((changes * positions).sum(axis=-1), changes.sum(axis=-1))
    return found


def rounded(value: float, digits: int = 6) -> float | None:
    """A number for JSON, with a few significant digits; None for one that is not finite, which JSON does not have."""
    return float(f"{value:.{digits}g}") if isfinite(value) else None


def top_to_bottom(changes: Array) -> Array:
    """The natural logarithm of the change of the top row of patches over that of the bottom row, of [..., patch].

    0 where both changed alike. NaN where one of them did not change.
    """
    first, last = row_means(changes)
    both = (first > 0) & (last > 0)
    found: Array = np.where(both, np.log(np.where(both, first, 1.0) / np.where(both, last, 1.0)), np.nan)
    return found


def fit_errors(profiles: Array) -> dict[str, Array]:
    """Squared errors [...] of the best fits to profiles [..., patch] of falling weights, with x = 0 .. 1 over patches.

    linear: a - b x. exponential: a exp(-b x). power: a i^-b, for the number i of the patch from 1. Two parameters each.
    The decay b of exponential and power is one of RATES: finer steps change a difference of AICs by less than 1%.
    """
    count = profiles.shape[-1]
    positions, numbers = np.linspace(0, 1, count), np.arange(1, count + 1)
    centred = profiles - profiles.mean(axis=-1, keepdims=True)
    line = positions - positions.mean()
    slope = (centred @ line) / (line @ line)
    shapes = {
        "exponential": np.exp(-np.outer(RATES, positions)),
        "power": numbers ** -RATES[:, None],
    }
    whole = (profiles**2).sum(axis=-1)
    errors = {"linear": ((centred - slope[..., None] * line) ** 2).sum(axis=-1)}
    for name, shape in shapes.items():
        units = shape / np.linalg.norm(shape, axis=-1, keepdims=True)
        longest = np.abs(profiles @ units.T).max(axis=-1)  # of the projections
        errors[name] = np.maximum(whole - longest**2, 0)
    return errors


def aic(errors: Array, count: int, parameters: int) -> Array:
    """Akaike's information criterion (1974) of a fit with normal errors: n ln(error / n) + 2 (parameters + 1)."""
    found: Array = count * np.log(np.maximum(errors, 1e-300) / count) + 2 * (parameters + 1)
    return found


def curvature(profiles: Array) -> Array:
    """How much better a curved fall fits profiles [..., patch] than a straight one: a difference of AICs.

    That of the linear fit minus the lower one of exponential and power law. NaN for profiles that are flat.
    """
    count, errors = profiles.shape[-1], fit_errors(profiles)
    curved = aic(np.minimum(errors["exponential"], errors["power"]), count, 2)
    found: Array = np.where(np.ptp(profiles, axis=-1) > 0, aic(errors["linear"], count, 2) - curved, np.nan)
    return found


@dataclass(frozen=True)
class Counts:
    """How often each draw of a bootstrap takes each panel and each seed: [draw, panel, seed]."""

    counts: Array

    def means(self, cells: Array) -> Array:
        """The weighted means [draw, ...] of cells [panel, seed, ...]; cells that are NaN count as missing.

        NaN where a draw has none of the cells that are there.
        """
        flat = cells.reshape(-1, *cells.shape[2:])
        there = np.isfinite(flat)
        counts = self.counts.reshape(len(self.counts), -1)
        total = np.tensordot(counts, np.where(there, flat, 0.0), axes=1)
        return ratio(total, np.tensordot(counts, there.astype(float), axes=1))

    @cached_property
    def different(self) -> tuple["Counts", npt.NDArray[np.intp]]:
        """The draws that differ, and for each draw which of them it is: few panels and seeds are soon drawn alike."""
        rows, inverse = np.unique(self.counts.reshape(len(self.counts), -1), axis=0, return_inverse=True)
        return Counts(rows.reshape(-1, *self.counts.shape[1:])), inverse.ravel()

    def spread(self, statistic: Callable[[Array], Array], cells: Array) -> Array:
        """The statistic [draw, ...] of the means of cells, computed once for draws that are alike."""
        draws, inverse = self.different
        return statistic(draws.means(cells))[inverse]


@cache
def bootstrap(panels: int, seeds: int) -> tuple[Counts, Counts, Counts]:
    """DRAWS of a pigeonhole bootstrap: panels and seeds are drawn independently, each with replacement.

    Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1: for cells of two crossed factors, where a
    draw of single cells would take panels that share a seed, or seeds that share a panel, for independent ones. Where
    a seed gives every panel a start of its own, as without jitter, the panels of a seed share nothing, and this is
    cautious. The draws are the same in every call. Returns those of both, of the panels alone, and of the seeds alone.
    """
    draws = np.random.default_rng(0)
    of_panels = draws.multinomial(panels, np.full(panels, 1 / panels), DRAWS)[:, :, None].astype(float)
    of_seeds = draws.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS)[:, None, :].astype(float)
    all_panels, all_seeds = np.ones((1, panels, 1)), np.ones((1, 1, seeds))
    return Counts(of_panels * of_seeds), Counts(of_panels * all_seeds), Counts(all_panels * of_seeds)


def interval(
    draws: Array, values: Array, panels: npt.ArrayLike, seeds: npt.ArrayLike, together: int = 1
) -> tuple[Array, Array]:
    """The interval [...] at LEVEL around values [...], from the draws [3, draw, ...] of `bootstrap`; NaN without draws.

    panels, seeds: how many there are, one number or [...]. together: how many intervals shall hold together at LEVEL.

    A percentile interval of few units is too narrow for two reasons: its variance lacks a factor n / (n - 1), and it
    has the tails of a normal distribution (Hesterberg 2015, "What teachers should know about the bootstrap", The
    American Statistician 69). Both are corrected: its ends are moved outwards by the missing variance, and by a
    quantile of Student's t over that of the normal distribution. The degrees of freedom are those of the sum of two
    variances, of panels and of seeds (Satterthwaite 1946). A single panel or seed does not vary.

    Intervals that hold together share the chance of error (Bonferroni). So far out, the draws have no quantiles, and
    Satterthwaite's approximation misses too often: each variance has its own quantile of t there (Banerjee 1960,
    "Approximate confidence interval for linear functions of means of k populations", Sankhya 22), a safe bound.
    """
    if not values.size:  # which numpy's quantiles do not take
        return values, values
    some, tail = np.isfinite(draws).any(axis=(0, 1)), (1 - LEVEL) / 2
    kept = np.where(some, draws, 0.0)
    low, high = np.nanquantile(kept[0], [tail, 1 - tail], axis=0) - np.nanmean(kept[0], axis=0)
    found, *apart = np.nanvar(kept, axis=1)
    free = [np.maximum(np.asarray(count) - 1, 1) for count in (panels, seeds)]
    parts = [variance * (n + 1) / n for variance, n in zip(apart, free, strict=True)]
    whole = parts[0] + parts[1]
    freedom = ratio(whole**2, parts[0] ** 2 / free[0] + parts[1] ** 2 / free[1])
    quantiles = stdtrit(np.maximum(freedom, 1), 1 - tail)
    if together > 1:
        each = [stdtrit(n, 1 - tail / together) ** 2 * variance for variance, n in zip(parts, free, strict=True)]
        quantiles = np.sqrt(ratio(each[0] + each[1], whole))
    tails = np.where(whole > 0, quantiles / ndtri(1 - tail), 1.0)
    wider = tails * np.sqrt(np.maximum(ratio(whole, found), 1))
    wider = np.where(found > 0, wider, 1.0)
    return np.where(some, values + wider * low, np.nan), np.where(some, values + wider * high, np.nan)


def filled(cells: Array) -> Array:
    """Cells [panel, seed, ...] whose missing seeds (NaN) are the mean of the panel's others; NaN without any.

    So a panel with fewer seeds counts as much as the others.
    """
    there = np.isfinite(cells)
    means = ratio(np.where(there, cells, 0.0).sum(axis=1), there.sum(axis=1).astype(float))
    return np.where(there, cells, means[:, None])


def ratio(above: Array, below: Array) -> Array:
    shape = np.broadcast(above, below).shape
    found: Array = np.divide(above, below, out=np.full(shape, np.nan), where=below > 0)
    return found
