"""Run files: what is written is read, and a run's layers put together again."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from lmrep.errors import InputError
from lmrep.descent.experiment import describe, perform
from lmrep.descent.plan import make_plan
from lmrep.files import ArrayFile, merge_layers, read_arrays, write_arrays

CPU = torch.device("cpu")


def make(run, files, targets) -> ArrayFile:
    plan = make_plan(run, CPU)
    return ArrayFile(perform(run, files, targets, plan), describe(run, files, plan))


@pytest.mark.models
@pytest.mark.parametrize("objective", ["neuron", "patch", "match"])
def test_jobs_of_some_layers_each_make_the_run(tiny_files, tmp_path, objective):
    files, _ = tiny_files
    targets = np.random.default_rng(5).random((2, 3, 16, 16), dtype=np.float32) if objective == "match" else None
    run = tiny.tiny_run(objective, ("a", "b") if objective == "match" else (2, 5))
    whole = make(run, files, targets)
    parts = [make(replace(run, layers=layers), files, targets) for layers in ((1, 3), (2,))]
    for part in parts:
        write_arrays(tmp_path / f"{part.facts['layers']}", part.arrays, part.facts)
    merged = merge_layers([read_arrays(tmp_path / f"{part.facts['layers']}") for part in parts])
    assert merged.facts == read_back(whole, tmp_path).facts
    assert merged.arrays.keys() == whole.arrays.keys()
    for name in whole.arrays:
        np.testing.assert_allclose(merged[name], whole[name], rtol=1e-4, atol=1e-5)


def read_back(file: ArrayFile, folder) -> ArrayFile:
    write_arrays(folder / "whole", file.arrays, file.facts)
    return read_arrays(folder / "whole")


def part(layers: list[int], **changes) -> ArrayFile:
    images = np.array(layers, dtype=np.float32).reshape(-1, 1)
    facts = {"run": "r", "layers": layers, "settings": {"layers": layers, "seed": 0}, "device": "cpu"}
    return ArrayFile({"images": images}, {**facts, **changes})


def test_layers_come_into_their_order():
    merged = merge_layers([part([4, 6]), part([1, 5]), part([2])])
    assert merged.facts["layers"] == merged.facts["settings"]["layers"] == [1, 2, 4, 5, 6]
    assert merged["images"].ravel().tolist() == [1, 2, 4, 5, 6]


def test_all_devices_are_named():
    assert merge_layers([part([1], device="H100"), part([2], device="A100")]).facts["device"] == "A100, H100"


@pytest.mark.parametrize("changes", [{"precision": "float32"}, {"settings": {"layers": [2], "seed": 1}}])
def test_jobs_that_were_not_made_alike_are_refused(changes):
    with pytest.raises(InputError, match=f"runs.r: its jobs were made with different {next(iter(changes))}$"):
        merge_layers([part([1], precision="bfloat16"), part([2], **{"precision": "bfloat16", **changes})])
