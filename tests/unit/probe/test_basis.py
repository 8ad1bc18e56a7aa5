"""Stems without weights: orthonormal bases of the pixels of a patch."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from scipy.fft import dctn

from lmrep.descent.experiment import describe, perform
from lmrep.descent.plan import make_plan
from lmrep.probe.probe import load_probe
from lmrep.probe.stem import BasisStem, ViTStem, dct_kernels, random_kernels
from lmrep.probe.trace import trace

pytestmark = pytest.mark.models
CPU = torch.device("cpu")
KERNELS = {"dct": dct_kernels, "random": random_kernels}
WORDS = replace(tiny.GPT2, bos=4)


def images(count=3, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def basis(name="dct", patch=4, size=16):
    return {"basis": name, "patch": patch, "size": size}


def stem_of(name, width, patch=4, size=16):
    stack = replace(tiny.GPT2, width=width, heads=1)
    return BasisStem(tiny.probe_of(basis(name, patch, size), stack).stem)


def frequencies(patch):
    """Down and across, lowest first."""
    found = [(v, u) for v in range(patch) for u in range(patch)]
    return sorted(found, key=lambda f: (f[0] ** 2 + f[1] ** 2, f))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("patch", "width"), [(1, 3), (4, 48), (4, 61), (5, 100), (12, 432), (12, 576)])
def test_a_basis_is_orthonormal(name, patch, width):
    kernels = KERNELS[name](patch, width)
    assert kernels.shape == (width, 3, patch, patch)
    columns = kernels.flatten(1)
    torch.testing.assert_close(columns.T @ columns, torch.eye(3 * patch**2, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("patch", "width"), [(4, 48), (4, 61), (8, 192)])
def test_the_transpose_gives_the_image_back(name, patch, width):
    stem = stem_of(name, width, patch)
    tokens = stem(images())
    assert tokens.shape == (3, (16 // patch) ** 2, width)
    torch.testing.assert_close(stem.inverted(tokens), images(), rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens.square().sum(dim=2), stem.patches(images()).square().sum(dim=2))
    assert stem.lost_power(images()).max() < 1e-10


def test_a_basis_of_smollm2s_size_gives_the_image_back():
    stem = stem_of("dct", 576, patch=12, size=144)
    torch.testing.assert_close(stem.inverted(stem(images(2, 144))), images(2, 144), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("patch", "width"), [(4, 48), (4, 61), (4, 20)])
def test_dct_tokens_are_scipys_lowest_frequencies_first(patch, width):
    tokens = stem_of("dct", width, patch)(images()).numpy()
    picture = images().numpy()[1]
    theirs = dctn(picture[:, 4:8, 8:12], axes=(1, 2), norm="ortho")  # row 1, column 2 of 4 x 4 patches
    ours = np.array([theirs[channel, v, u] for v, u in frequencies(patch) for channel in range(3)])[:width]
    np.testing.assert_allclose(tokens[1, 6, : len(ours)], ours, atol=1e-5)
    assert not tokens[..., 3 * patch**2 :].any()  # a stack that is wider


@pytest.mark.parametrize("width", [1, 12, 20, 47])
def test_a_smaller_width_loses_the_power_of_the_frequencies_left_out(width):
    whole = stem_of("dct", 48)(images())
    lost = whole[..., width:].square().sum(dim=(1, 2)) / whole.square().sum(dim=(1, 2))
    stem = stem_of("dct", width)
    torch.testing.assert_close(stem(images()), whole[..., :width])
    torch.testing.assert_close(stem.lost_power(images()), lost, rtol=1e-4, atol=1e-6)
    assert lost.min() > 0
    assert stem.lost_power(torch.zeros(1, 3, 16, 16)).tolist() == [0]


def test_a_uniform_image_needs_only_the_lowest_frequency():
    grey = torch.full((1, 3, 16, 16), 0.3)
    assert stem_of("dct", 3).lost_power(grey).item() < 1e-10


def test_a_random_basis_is_the_same_every_time_and_mixes_channels():
    before = torch.random.get_rng_state()
    first = random_kernels(4, 60)
    assert torch.equal(first, random_kernels(4, 60)) and torch.equal(before, torch.random.get_rng_state())
    assert (first.square().sum(dim=(2, 3)) > 0).all()


def test_a_vit_stem_without_a_file_is_refused():
    with pytest.raises(ValueError, match="expected the weight file of a ViT's stem"):
        ViTStem(tiny.probe_of(tiny.VIT, tiny.GPT2).stem, None)


@pytest.mark.parametrize("first", ["none", "bos"])
@pytest.mark.parametrize("name", KERNELS)
def test_settings_of_a_probe_work_with_a_basis(tiny_files, name, first):
    files, models = tiny_files
    settings = {"first_token": first, "centre": True, "scale": 2}
    probe = load_probe(tiny.probe_of(basis(name), WORDS, **settings), files, 3, CPU)
    noise = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(9))
    tokens = probe.tokens(noise)
    words, begin = models["tiny_gpt2"].wte.weight, probe.spec.stem.first_patch
    assert begin == int(first == "bos")
    if begin:
        assert torch.equal(tokens[:, 0], words[4].expand(64, -1))
    expected = 2 * words.square().mean().sqrt().item()
    assert tokens[:, begin:].square().mean().sqrt().item() == pytest.approx(expected, rel=0.03)
    back = probe.stem.inverted(tokens[:, begin:] / probe.scale)
    torch.testing.assert_close(back + 0.5, noise, rtol=0, atol=1e-5)


def test_a_trace_has_the_basis_functions_as_kernels(tiny_files):
    files, _ = tiny_files
    probe = load_probe(tiny.probe_of(basis(), WORDS, first_token="bos"), files, 2, CPU)
    arrays, facts = trace(probe, [1, 2], images(1)[0].numpy())
    np.testing.assert_array_equal(arrays["kernels"], dct_kernels(4, 48).float().numpy())
    assert (facts["first_token"], facts["basis"], facts["grid"]) == ("bos", True, 4)


@pytest.mark.parametrize(("weights", "first"), [("trained", "bos"), ("untrained", "bos"), ("untrained", "none")])
@pytest.mark.parametrize("objective", ["neuron", "match"])
def test_a_run_behind_a_basis_needs_no_file_of_a_stem(tiny_files, weights, first, objective):
    files, _ = tiny_files
    panels, targets = ((1, 2), None) if objective == "neuron" else (("a",), images(1).numpy())
    run = tiny.tiny_run(objective, panels, tiny.probe_of(basis(), WORDS, first_token=first), weights=weights)
    needed = {each.name: files[each.name] for each in run.weight_files}
    assert set(needed) == ({"tiny_gpt2"} if weights == "trained" or first == "bos" else set())
    plan = make_plan(run, CPU)
    arrays, facts = perform(run, needed, targets, plan), describe(run, needed, plan)
    assert arrays["images"].shape == (3, len(panels), 3, 16, 16)
    assert np.isfinite(arrays["images"]).all() and (arrays["images"] != arrays["initial"]).any(axis=(2, 3, 4)).all()
    assert set(facts["weight_files"]) == set(needed)
    assert facts["settings"]["probe"]["stem"]["options"] == {"basis": "dct"}
