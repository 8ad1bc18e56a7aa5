"""Run files: written files read back unchanged, and layers of several jobs merge into one run."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import save_file

from lmrep.descent.experiment import describe, perform
from lmrep.descent.plan import make_plan
from lmrep.errors import InputError
from lmrep.files import ArrayFile, check_arrays, merge_layers, read_arrays, write_arrays

CPU = torch.device("cpu")
PICTURES = "its images [layers, 3, side, side]"


def make(run, files, targets) -> ArrayFile:
    plan = make_plan(run, CPU)
    return ArrayFile(perform(run, files, targets, plan), describe(run, files, plan))


@pytest.mark.models
@pytest.mark.parametrize("kind", ["neuron", "patch", "match", "lbfgs"])
def test_jobs_of_some_layers_each_merge_into_the_whole_run(tiny_files, targets, tmp_path, kind):
    files, _ = tiny_files
    targets = targets if kind in ("match", "lbfgs") else None
    run = tiny.tiny_run("match" if kind == "lbfgs" else kind, (2, 5) if targets is None else ("a", "b"))
    if kind == "lbfgs":
        run = replace(run, descent=replace(run.descent, optimiser="lbfgs", distance="l2"))
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
    facts |= {"precision": "bfloat16", "panels": ["y"], "seeds": {"run": 0}}
    arrays = {"images": images, "targets": np.zeros(3), "shifted": np.zeros(3)}
    return ArrayFile(arrays, {**facts, **changes})


def with_arrays(file: ArrayFile, **changes) -> ArrayFile:
    """A file with other arrays; None takes one away."""
    arrays = {name: array for name, array in {**file.arrays, **changes}.items() if array is not None}
    return replace(file, arrays=arrays)


def test_merged_layers_are_in_order():
    merged = merge_layers([part([4, 6]), part([1, 5]), part([2])])
    assert merged.facts["layers"] == merged.facts["settings"]["layers"] == [1, 2, 4, 5, 6]
    assert merged["images"].ravel().tolist() == [1, 2, 4, 5, 6]


def test_the_merged_file_lists_all_devices():
    assert merge_layers([part([1], device="H100"), part([2], device="A100")]).facts["device"] == "A100, H100"


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (part([2], precision="float32"), "b: has other precision than a; expected the same in all"),
        (part([2], panels=["x"], seeds={"run": 1}), "b: has other panels, seeds than a; expected the same in all"),
        (part([2], settings={"layers": [2], "seed": 1}), "b: has other settings than a; expected the same in all"),
        (part([2, 1]), "b: has layers [1] again; expected each in one file"),
        (part([4]), "a and the files beside it: have no layers [2]"),
        (with_arrays(part([2]), targets=np.ones(3)), "b: has other targets than a; expected the same in all"),
        (with_arrays(part([2]), shifted=None), "b: has other shifted than a; expected the same in all"),
    ],
)
def test_jobs_that_do_not_belong_together_are_refused(other, line):
    one = part([1, 4] if other.facts["layers"] != [4] else [1])
    with pytest.raises(InputError) as refused:
        merge_layers([replace(one, path="a"), replace(other, path="b")], [1, 2, 4])
    assert str(refused.value) == line
    assert merge_layers([one, part([2])])["images"].ravel().tolist() == sorted([*one.facts["layers"], 2])


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.int8])
def test_a_file_that_is_not_float32_is_refused(tmp_path, precision):
    save_file({"images": torch.zeros(2, dtype=precision)}, tmp_path / "other", metadata={"lmrep": "{}"})
    with pytest.raises(InputError, match=r"other: expected a file of float32 arrays .*\(not float32: images\)"):
        read_arrays(tmp_path / "other")


def test_array_files_keep_arrays_and_facts_with_equal_bytes(tmp_path):
    arrays = {"images": np.random.default_rng(0).random((2, 3)), "loss": np.arange(3)}
    for name in "ab":
        write_arrays(tmp_path / name, arrays, {"panels": ["x"], "layers": [1]})
    back = read_arrays(tmp_path / "a")
    assert back.facts == {"panels": ["x"], "layers": [1]}
    assert back["images"].dtype == np.float32
    np.testing.assert_array_equal(back["images"], arrays["images"].astype(np.float32))
    assert {*read_arrays(tmp_path / "a", ["loss"]).arrays} == {"loss"}
    assert read_arrays(tmp_path / "a", ()) == ArrayFile({}, back.facts, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("lmrep", [None, "{", "[1]", '"x"', "[" * 5000])
def test_metadata_that_is_not_a_json_object_is_refused_in_one_line(tmp_path, lmrep):
    save_file({"images": torch.zeros(2)}, tmp_path / "other", metadata={"lmrep": lmrep} if lmrep else None)
    with pytest.raises(InputError, match="other: expected a file of float32 arrays with"):
        read_arrays(tmp_path / "other")


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"loss": np.zeros(2)}, "has no images"),
        ({"images": np.zeros((2, 3, 4, 4))}, f"{PICTURES} have the shape [2, 3, 4, 4], expected [3, 3, 4, 4]"),
        ({"images": np.zeros((3, 3, 4, 5))}, f"{PICTURES} have the shape [3, 3, 4, 5], expected [3, 3, 4, 4]"),
        ({"images": np.zeros((3, 4, 4, 4))}, f"{PICTURES} have the shape [3, 4, 4, 4], expected [3, 3, 4, 4]"),
        ({"images": np.zeros((3, 3, 4))}, f"{PICTURES} have the shape [3, 3, 4], expected [3, 3, side, side]"),
        ({"images": np.full((3, 3, 4, 4), np.nan)}, "its images are not all finite"),
        ({"images": np.full((3, 3, 4, 4), np.inf)}, "its images are not all finite"),
        ({"images": np.zeros((3, 3, 4, 4)), "loss": np.zeros(2)}, "its loss [layers] have the shape [2], expected [3]"),
    ],
)  # fmt: skip
def test_arrays_of_another_shape_are_refused(arrays, line):
    shapes = {"images": ("layers", 3, "side", "side"), "loss": ("layers",)}
    good = ArrayFile({"images": np.zeros((3, 3, 4, 4)), "loss": np.zeros(3), "more": np.zeros(1)}, {}, "file")
    check_arrays(good, shapes, {"layers": 3})
    with pytest.raises(InputError) as refused:
        check_arrays(ArrayFile(arrays, {}, "file"), shapes, {"layers": 3})
    assert str(refused.value) == f"file: {line}"


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_file_that_is_not_ours_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_arrays(tmp_path / "bad")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path / "absent")
