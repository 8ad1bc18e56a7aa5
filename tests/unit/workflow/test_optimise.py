"""What a job says of a stem that loses part of a photograph."""

import numpy as np
import pytest
import tiny

from lmrep.workflow.optimise import lost_shares

pytestmark = pytest.mark.models
BASIS = {"basis": "dct", "patch": 8, "size": 16}


@pytest.mark.parametrize("centre", [False, True])
def test_the_power_that_a_narrow_basis_loses(centre):
    probe = tiny.probe_of(BASIS, tiny.GPT2, centre=centre)  # 48 of 192 values of a patch
    run = tiny.tiny_run("match", ("flat", "rough"), probe)
    flat, rough = np.full((3, 16, 16), 0.75, "f"), np.random.default_rng(0).random((3, 16, 16), "f")
    shares = lost_shares(run, np.stack([flat, rough]))
    assert shares["flat"] == pytest.approx(0, abs=1e-6)
    # White noise has its power above 0 spread evenly over the values of a patch; a quarter of them is kept.
    mean = 0.0 if centre else 0.5
    expected = 0.75 * (1 / 12) / (1 / 12 + mean**2)
    assert shares["rough"] == pytest.approx(expected, rel=0.1)


def test_a_wide_basis_and_a_run_without_photographs_lose_nothing():
    wide = tiny.probe_of({"basis": "dct", "patch": 4, "size": 16}, tiny.GPT2)
    assert lost_shares(tiny.tiny_run("match", ("a",), wide), np.zeros((1, 3, 16, 16), "f")) == {}
    narrow = tiny.probe_of(BASIS, tiny.GPT2)
    assert lost_shares(tiny.tiny_run("neuron", (0,), narrow), None) == {}
