"""Candidates: the right photograph first, then other pictures, each as far away as its output is."""

import numpy as np
import pytest
import torch
from tiny import tiny_run

from lmrep.files import ArrayFile, write_arrays
from lmrep.inputs.images import prepare
from lmrep.inputs.shipped import SHIPPED, shipped_pixels
from lmrep.metrics.candidates import COUNT
from lmrep.metrics.measures import ssim
from lmrep.study.sources import Image
from lmrep.workflow.candidates import BATCH, PICTURES, SAME, compare, other_pictures, rows_of_runs

IMAGES = {"cat": Image("cat", skimage="chelsea"), "coil": Image("coil", drawing="tesla_coil")}
SIZE = 16


def test_the_pictures_are_shipped_and_as_many_as_an_image_needs():
    assert set(PICTURES) <= set(SHIPPED) and len(set(PICTURES)) == len(PICTURES) == COUNT
    assert not set(SAME) & set(PICTURES)
    assert (shipped_pixels("cat") == shipped_pixels("chelsea")).all()


@pytest.mark.parametrize("own", [*SHIPPED, ""])
def test_no_image_is_compared_with_itself(own):
    image = Image("x", skimage=own) if own else Image("x", drawing="tesla_coil")
    others = other_pictures(image)
    assert len(set(others)) == COUNT - 1
    assert SAME.get(own, own) not in others and own not in others


def make_run(targets, images, panels, seeds=()):
    facts = {"run": "r", "layers": [1, 3], "panels": panels, "size": SIZE, "seeds": {"run": 0, "panels": list(seeds)}}
    return ArrayFile({"images": images, "targets": targets}, facts)


@pytest.mark.models
def test_distances_are_those_of_outputs_in_one_pass(gpt2_probe):
    """Two seeds of one photograph, and another one; more pictures than one pass takes."""
    draws, panels = np.random.default_rng(0), ["cat", "cat", "coil"]
    cat, coil = draws.random((2, 3, SIZE, SIZE), dtype=np.float32)
    run = make_run(np.stack([cat, cat, coil]), draws.random((2, 3, 3, SIZE, SIZE), dtype=np.float32), panels, (4, 7, 4))
    run["images"][1, 2] = coil
    (found,) = compare([run], gpt2_probe, IMAGES)
    assert found["candidates"].shape == (3, COUNT, 3, SIZE, SIZE) and found["candidate_distance"].shape == (2, 3, COUNT)
    assert COUNT > BATCH
    names = found.facts["candidates"]
    assert names[0] == names[1] and names[0][0] == "cat" and names[2][0] == "coil"
    assert "chelsea" not in names[0] and "chelsea" in names[2]
    for panel, target in enumerate((cat, cat, coil)):
        pictures = [target, *(prepare(shipped_pixels(name), SIZE, "crop") for name in names[panel][1:])]
        assert (found["candidates"][panel] == np.stack(pictures)).all()
        theirs = gpt2_probe(torch.from_numpy(np.stack(pictures)), [1, 3])
        for place, layer in enumerate((1, 3)):
            own = gpt2_probe(torch.from_numpy(run["images"][place, panel][None]), [layer])[0]
            expected = (own - theirs[place]).abs().sum(dim=(1, 2))
            assert found["candidate_distance"][place, panel] == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-3)
    assert found["candidate_distance"][1, 2, 0] == pytest.approx(0, abs=1e-3)  # the photograph itself
    assert found["candidate_distance"][1, 2].argmin() == 0


@pytest.mark.models
def test_runs_of_one_probe_are_compared_as_each_alone(gpt2_probe):
    """Other blocks, other photographs, and pictures in other batches."""
    draws = np.random.default_rng(3)
    cat, coil = draws.random((2, 3, SIZE, SIZE), dtype=np.float32)
    first = make_run(np.stack([cat]), draws.random((2, 1, 3, SIZE, SIZE), dtype=np.float32), ["cat"])
    second = make_run(np.stack([coil, cat]), draws.random((1, 2, 3, SIZE, SIZE), dtype=np.float32), ["coil", "cat"])
    second.facts["layers"] = [2]
    for run, found in zip((first, second), compare([first, second], gpt2_probe, IMAGES), strict=True):
        (alone,) = compare([run], gpt2_probe, IMAGES)
        assert found.facts == alone.facts and (found["candidates"] == alone["candidates"]).all()
        assert found["candidate_distance"] == pytest.approx(alone["candidate_distance"], rel=1e-4, abs=1e-3)


@pytest.mark.models
def test_the_rows_of_runs_come_from_their_files_and_weights(tmp_path, tiny_files):
    """Block 3 has the photograph itself: the first candidate is the nearest by both measures."""
    files, _ = tiny_files
    spec = tiny_run("match", ("cat",))
    target = np.random.default_rng(1).random((1, 3, SIZE, SIZE), dtype=np.float32)
    images = np.random.default_rng(2).random((3, 1, 3, SIZE, SIZE), dtype=np.float32)
    images[2] = target
    arrays = {name: images for name in ("images", "earlier", "initial")}
    arrays |= {name: target for name in ("targets", "shifted", "baseline")}
    arrays |= {"loss": np.ones((3, 4)), "output_distance": np.ones((3, 1)), "shifted_output_distance": np.ones((3, 1))}
    facts = {"run": spec.name, "objective": "match", "probe": "tiny", "weights": "trained", "layers": [1, 2, 3],
             "panels": ["cat"], "size": SIZE, "grid": 4, "seeds": {"run": 7}, "optimiser": "gradient",
             "passes": 4}  # fmt: skip
    write_arrays(tmp_path / "run.safetensors", arrays, facts)
    rows = list(rows_of_runs({tmp_path / "run.safetensors": spec}, files, IMAGES))
    assert [(row["layer"], row["candidate"]) for row in rows] == [(b, n) for b in (1, 2, 3) for n in range(COUNT)]
    assert {(row["run"], row["seed"], row["image"]) for row in rows} == {(spec.name, 7, "cat")}
    last = rows[2 * COUNT :]
    assert (last[0]["name"], last[0]["ssim"], last[0]["output_distance"]) == ("cat", 1, pytest.approx(0, abs=1e-3))
    assert all(row["ssim"] < 1 and row["output_distance"] > 1 for row in last[1:])
    assert rows[0]["ssim"] == pytest.approx(ssim(images[0, 0], target[0]), abs=1e-6)
