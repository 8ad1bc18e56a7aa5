"""The statistics behind the claims, on data whose answer is known, or against another way to it."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import spearmanr

from lmrep.metrics.claims.statistics import (
    DRAWS,
    Cutoff,
    aic,
    bootstrap,
    centre_of_mass,
    curvature,
    effective_share,
    fit_errors,
    interval,
    rank_correlation,
    share_unchanged,
    top_to_bottom,
)

PATCHES = 121
X, NUMBERS = np.linspace(0, 1, PATCHES), np.arange(1, PATCHES + 1)
STATISTICS = (rank_correlation, share_unchanged, effective_share, centre_of_mass, top_to_bottom, curvature)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_rank_correlation_is_scipys():
    changes = np.round(np.abs(noise(3, 4, PATCHES)), 1)  # rounded: with ties
    expected = [[spearmanr(row, range(PATCHES)).statistic for row in rows] for rows in changes]
    assert rank_correlation(changes) == pytest.approx(np.array(expected), abs=1e-12)
    assert rank_correlation(np.exp(-X)) == pytest.approx(-1) and rank_correlation(X**3) == pytest.approx(1)


def test_a_patch_is_unchanged_below_a_tenth_of_the_largest():
    assert share_unchanged(np.array([10.0, 1.0, 0.99, 0.0])) == 0.5
    assert share_unchanged(np.ones(7)) == 0
    assert share_unchanged(np.array([10.0, 1.0, 0.99, 0.0]), Cutoff(0.2)) == 0.75


def test_a_patch_may_count_as_unchanged_below_a_change_of_its_own():
    cutoff = Cutoff(0.02, relative=False)
    assert share_unchanged(np.array([10.0, 1.0, 0.019, 0.02]), cutoff) == 0.25
    assert share_unchanged(np.array([0.01, 0.001]), cutoff) == 1
    assert np.isnan(share_unchanged(np.zeros(2), cutoff))


@pytest.mark.parametrize("patches", [1, 2, 17, PATCHES])
def test_the_effective_number_of_equal_patches_is_their_number(patches):
    changes = np.zeros(PATCHES)
    changes[:patches] = 0.37
    assert effective_share(changes) * PATCHES == pytest.approx(patches)


def test_the_effective_number_of_a_geometric_fall_is_that_of_its_entropy():
    """Shares (1 - q) q^n have the entropy (-q ln q - (1 - q) ln(1 - q)) / (1 - q)."""
    q = 0.7
    entropy = -(q * np.log(q) + (1 - q) * np.log(1 - q)) / (1 - q)
    assert effective_share(q ** np.arange(PATCHES)) * PATCHES == pytest.approx(np.exp(entropy))


def test_the_centre_of_mass_runs_from_first_to_last():
    assert centre_of_mass(np.eye(5)).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert centre_of_mass(np.ones(5)) == 0.5 and centre_of_mass(np.array([3.0, 0, 0, 1])) == 0.25


def test_top_to_bottom_is_the_logarithm_of_a_ratio():
    changes = np.repeat([[4.0, 2.0, 0.5]], 3, axis=0).T.ravel()
    assert top_to_bottom(changes) == pytest.approx(np.log(8)) and top_to_bottom(changes[::-1]) == pytest.approx(
        -np.log(8)
    )


@pytest.mark.parametrize("statistic", STATISTICS)
def test_no_change_has_no_statistic(statistic):
    changes = np.stack([np.zeros(PATCHES), np.exp(-X)])
    found = statistic(changes)
    assert np.isnan(found[0]) and np.isfinite(found[1])


@pytest.mark.parametrize(
    ("shape", "profile"),
    [("linear", 3 - 2 * X), ("exponential", 2 * np.exp(-5 * X)), ("power", 2 * NUMBERS**-0.8)],
)
def test_a_profile_is_fitted_by_its_own_shape(shape, profile):
    errors = fit_errors(profile.astype(float))
    assert errors[shape] < 5e-4 * (profile.astype(float) ** 2).sum()
    assert all(error > 20 * errors[shape] for name, error in errors.items() if name != shape)


@pytest.mark.parametrize(("rate", "sign"), [(6.0, 1), (0.02, 0)])
def test_curvature_is_positive_for_a_curved_fall_only(rate, sign):
    profile = np.exp(-rate * X) + 0.02 * noise(PATCHES)
    assert (curvature(profile) > 10) == bool(sign)
    assert curvature(3 - 2.9 * X + 0.02 * noise(PATCHES)) < -10


def squared_error(function, profile, start):
    places = X if function.__name__ == "exponential" else NUMBERS
    found, _ = curve_fit(function, places, profile, p0=start)
    return ((profile - function(places, *found)) ** 2).sum()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("curved", ["exponential", "power"])
def test_curvature_is_the_difference_of_aics_of_scipys_fits(seed, curved):
    def exponential(x, a, b):
        return a * np.exp(-b * x)

    def power(i, a, b):
        return a * i**-b

    profile = exponential(X, 1, 3) if curved == "exponential" else power(NUMBERS, 1, 0.6)
    profile = profile + 0.03 * noise(PATCHES, seed=seed)
    line = ((profile - np.polyval(np.polyfit(X, profile, 1), X)) ** 2).sum()
    best = min(squared_error(exponential, profile, (1, 2)), squared_error(power, profile, (1, 0.5)))
    expected = PATCHES * np.log(line / PATCHES) - PATCHES * np.log(best / PATCHES)  # as many parameters
    assert expected - 2 < curvature(profile) < expected + 1e-6  # the decays of RATES are steps apart


def test_an_aic_punishes_parameters():
    assert aic(np.array(50.0), 100, 2) == pytest.approx(100 * np.log(0.5) + 6)
    assert aic(np.array(50.0), 100, 3) - aic(np.array(50.0), 100, 2) == 2


def two_way(rng, panels, seeds, of_panels, of_seeds, own):
    cells = of_panels * rng.standard_normal((panels, 1)) + of_seeds * rng.standard_normal((1, seeds))
    return cells + own * rng.standard_normal((panels, seeds))


@pytest.mark.parametrize(("of_panels", "of_seeds"), [(1, 0.1), (0.1, 1), (1, 1)])
def test_the_bootstrap_has_the_spread_of_a_two_way_design(of_panels, of_seeds):
    """Of the means of many simulated tables. A bootstrap of single cells would find a third of that at most."""
    rng, panels, seeds, own = np.random.default_rng(1), 12, 10, 0.2
    tables = [two_way(rng, panels, seeds, of_panels, of_seeds, own) for _ in range(400)]
    weights = bootstrap(panels, seeds)[0]
    spread = np.sqrt(np.mean([weights.means(table).var() for table in tables[:200]]))
    expected = np.sqrt(of_panels**2 / panels + of_seeds**2 / seeds + own**2 / (panels * seeds))
    assert np.std([table.mean() for table in tables]) == pytest.approx(expected, rel=0.1)
    assert spread == pytest.approx(expected, rel=0.15)


def test_means_leave_out_missing_cells_and_draws_without_any():
    cells = np.array([[1.0, np.nan], [3.0, 5.0]])
    weights = bootstrap(2, 2)[0]
    assert weights.counts.shape == (DRAWS, 2, 2) and (weights.counts.sum(axis=(1, 2)) == 4).all()
    found = weights.means(cells)
    only_missing = weights.counts[:, 0, 1] == 4
    assert only_missing.any() and (np.isnan(found) == only_missing).all()
    drawn = weights.counts[~only_missing]
    there = np.nan_to_num(cells)
    expected = (drawn * there).sum(axis=(1, 2)) / (drawn * np.isfinite(cells)).sum(axis=(1, 2))
    assert found[~only_missing] == pytest.approx(expected)


@pytest.mark.parametrize(("panels", "seeds"), [(3, 2), (5, 3), (16, 3)])
def test_draws_that_are_alike_share_one_statistic(panels, seeds):
    cells, seen = np.abs(noise(panels, seeds, 4, PATCHES)), []

    def statistic(means):
        seen.append(len(means))
        return effective_share(means)

    for weights in bootstrap(panels, seeds):
        found = weights.spread(statistic, cells)
        assert found == pytest.approx(effective_share(weights.means(cells)), rel=1e-12)
        assert seen[-1] == len(np.unique(weights.counts, axis=0)) <= DRAWS


def test_an_interval_of_many_holds_nineteen_of_twenty_draws():
    some = np.stack([np.arange(1001.0), np.full(1001, np.nan)], axis=1)
    low, high = interval(np.stack([some, some, 0 * some]), np.array([500.0, 0]), 10**6, 1)
    assert (low[0], high[0]) == pytest.approx((25, 975), rel=1e-4) and np.isnan([low[1], high[1]]).all()


def test_an_interval_of_cells_that_do_not_vary_is_a_point():
    low, high = interval(np.full((3, 9, 1), 7.0), np.array([7.0]), 2, 3)
    assert (low, high) == (7, 7)


@pytest.mark.parametrize(
    ("panels", "seeds"), [(2, 2), (2, 3), (2, 5), (3, 1), (6, 1), (4, 3), (16, 3)], ids=lambda count: str(count)
)
@pytest.mark.parametrize(("of_panels", "of_seeds", "own"), [(1, 0.1, 0.1), (0.1, 1, 0.1), (1, 1, 0.2), (0.1, 0.1, 1)])
def test_an_interval_of_few_misses_the_truth_as_seldom_as_it_says(panels, seeds, of_panels, of_seeds, own):
    """Of 1000 simulated tables with a mean of 0, each side should miss 2.5%. With one seed, seeds cannot vary."""
    rng, tables = np.random.default_rng(1), 1000
    cells = of_panels * rng.standard_normal((panels, 1, tables)) + own * rng.standard_normal((panels, seeds, tables))
    cells += of_seeds * rng.standard_normal((1, seeds, tables)) * (seeds > 1)
    draws = np.stack([weights.means(cells) for weights in bootstrap(panels, seeds)])
    low, high = interval(draws, cells.mean(axis=(0, 1)), panels, seeds)
    assert max((low > 0).mean(), (high < 0).mean()) < 0.06


@pytest.mark.parametrize(("panels", "seeds"), [(4, 1), (6, 3), (16, 3)])
@pytest.mark.parametrize(
    ("draw", "mean", "least", "most"),
    [("standard_normal", 0, 0.03, 0.08), ("standard_exponential", 1, 0.05, 0.14), ("lognormal", 0.5, 0.1, 0.19)],
)
def test_skewed_panels_are_missed_more_often(panels, seeds, draw, mean, least, most):
    """Of both sides together; the page of claims has the numbers of benchmarks/told.py."""
    rng, tables = np.random.default_rng(1), 1000
    of_panels = getattr(rng, draw)(size=(panels, 1, tables))
    cells = of_panels - (np.exp(mean) if draw == "lognormal" else mean)
    cells = cells + 0.2 * rng.standard_normal((panels, seeds, tables))
    cells += 0.2 * rng.standard_normal((1, seeds, tables)) * (seeds > 1)
    draws = np.stack([weights.means(cells) for weights in bootstrap(panels, seeds)])
    low, high = interval(draws, cells.mean(axis=(0, 1)), panels, seeds)
    assert least < ((low > 0) | (high < 0)).mean() < most


def test_a_bootstrap_draws_the_same_in_every_call():
    one = bootstrap(5, 3)
    bootstrap.cache_clear()
    two = bootstrap(5, 3)
    assert all((first.counts == second.counts).all() for first, second in zip(one, two, strict=True))
