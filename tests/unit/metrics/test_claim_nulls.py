"""What the data does not support does not hold: noise, no change at all, and patches in a random order."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import yaml
from conftest import ROOT
from made_up import COUNT, STUDY, change, jolt, make_cells, verdict, view_of

from lmrep.inputs.images import prepare
from lmrep.inputs.shipped import shipped_pixels
from lmrep.metrics.claims.samples import BY_CORRELATION, BY_SSIM
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import HOLDS
from lmrep.metrics.measures import correlation, high_frequency_error, ssim, ssim_by_row, ssim_grey
from lmrep.study.config import make_study
from lmrep.study.words import main_probes

STUDIES = {"made up": STUDY} | {
    name: make_study(yaml.safe_load((ROOT / f"{name}.yaml").read_text())) for name in ("miniature", "laptop")
}
SIZE, DRAWN = 66, 6  # px, and how many noise images stand for all
PHOTOGRAPHS = ("chelsea", "coffee", "immunohistochemistry")
OTHERS = ("astronaut", "rocket", "camera", "coins", "clock", "moon", "page", "grass")  # of COUNT candidates
# These say how much of the input changes, whatever the order. Patches in another order leave them as they are.
ORDERLESS = {"much_is_unchanged", "unchanged_early", "deeper_is_broader", "deeper_patch_is_broader"}
# Noise of a start, of pixels without any order, and of an image that no one has optimised.
NOISES = {
    "start": lambda draws: draws.normal(0.7, 0.05, (3, SIZE, SIZE)),
    "pixels": lambda draws: draws.uniform(0, 1, (3, SIZE, SIZE)),
}


def holding(study, cells, names=CLAIMS, likeness=BY_SSIM):
    """The claims that hold, and for which model."""
    return {
        (name, probe.name)
        for name in names
        for probe in main_probes(study)
        if CLAIMS[name].asked_of(probe)
        and verdict(name, replace(view_of(cells, probe.name, study), likeness=likeness)) == HOLDS
    }


def of_features():
    return [name for name, claim in CLAIMS.items() if claim.panels != "images"]


def no_change(run, *key):
    return np.zeros(run.probe.stem.patches)


def noisy_change(run, *key):
    """Of an image that is its start and noise besides: the root mean square of so many pixels."""
    stem, draws = run.probe.stem, jolt(run.name, *key)
    return 0.05 * np.sqrt(draws.chisquare(3 * stem.patch**2, stem.patches) / (3 * stem.patch**2))


def random_change(run, *key):
    """Each patch changes by a random amount that no other patch tells."""
    return np.abs(jolt(run.name, *key).standard_normal(run.probe.stem.patches))


@cache
def picture(name):
    return prepare(shipped_pixels(name), SIZE, "crop")


@cache
def noise_measures(noise, photograph, number):
    """What noise has in the tables of a match: accuracy, rows and candidates, the photograph first."""
    draws = np.random.default_rng(number)
    image, start = NOISES[noise](draws), NOISES["start"](draws)
    target = picture(photograph)
    found = ssim(image, target)
    accuracy = {"ssim": found, "ssim_earlier": found, "ssim_grey": ssim_grey(target), "ssim_start": ssim(start, target)}
    held = correlation(image, target)
    accuracy |= {"correlation": held, "correlation_earlier": held}
    accuracy |= {"output_distance_ratio": 0.9, "high_frequency_error": high_frequency_error(image, target)}
    beside = [target, *map(picture, OTHERS)]
    similar, away = [ssim(image, one) for one in beside], [np.abs(image - one).sum() for one in beside]
    spare = COUNT - len(beside)  # pictures that are far from it: they cannot come before the photograph
    candidates = {"ssim": np.array(similar + [-1.0] * spare), "output_distance": np.array(away + [1e9] * spare)}
    candidates["ssim_start"] = np.array([ssim(start, one) for one in beside] + [-1.0] * spare)
    candidates["correlation"] = np.array([correlation(image, one) for one in beside] + [-1.0] * spare)
    return accuracy, candidates, image


@cache
def noise_rows(noise, photograph, number, grid):
    return ssim_by_row(noise_measures(noise, photograph, number)[2], picture(photograph), grid)


def noisy_tables(noise, gave_up=False):
    """The tables of runs whose images are all noise. `gave_up`: their outputs are far from the photograph's."""
    names: dict[str, int] = {}

    def of(run, panel, seed, block):
        photograph = PHOTOGRAPHS[names.setdefault(panel, len(names) % len(PHOTOGRAPHS))]
        return noise, photograph, int(jolt(run.name, panel, seed, block).integers(DRAWN))

    def accuracy(*key):
        return noise_measures(*of(*key))[0] | ({"output_distance_ratio": 1.5} if gave_up else {})

    return {
        "accuracy": accuracy,
        "rows": lambda run, *key: noise_rows(*of(run, *key), run.probe.stem.grid),
        "candidates": lambda *key: noise_measures(*of(*key))[1],
    }


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("change", [no_change, noisy_change, random_change])
def test_no_change_and_noise_give_no_holds(name, change):
    study = STUDIES[name]
    assert holding(study, make_cells(study, change=change), of_features()) == set()


@pytest.mark.parametrize("likeness", [BY_SSIM, BY_CORRELATION], ids=lambda likeness: likeness.column)
@pytest.mark.parametrize("gave_up", [False, True])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", STUDIES)
def test_images_of_noise_give_no_holds(name, noise, gave_up, likeness):
    study = STUDIES[name]
    cells = make_cells(study, change=noisy_change, **noisy_tables(noise, gave_up))
    assert holding(study, cells, [claim for claim in CLAIMS if claim not in of_features()], likeness) == set()


def shuffled(run, *key):
    return jolt("order", run.name, *key).permutation(change(run, *key))


def test_patches_in_a_random_order_give_no_holds():
    ordered, mixed = (make_cells(change=made) for made in (change, shuffled))
    names = set(of_features())
    assert holding(STUDY, mixed, names - ORDERLESS) == set()
    assert {name for name, _ in holding(STUDY, ordered, names - ORDERLESS)} == names - ORDERLESS
    assert holding(STUDY, mixed, ORDERLESS) == holding(STUDY, ordered, ORDERLESS) != set()
