"""Tables: a row for each measured image or patch, and the same numbers after a round trip."""

import numpy as np
import pytest

from lmrep.errors import InputError
from lmrep.files import ArrayFile
from lmrep.metrics.tables import TABLES, accuracy, patches, read_table, write_table

RNG = np.random.default_rng(0)


def make_run(objective, panels):
    images = RNG.random((2, len(panels), 3, 12, 12), dtype=np.float32)
    arrays = {"images": images, "initial": np.zeros_like(images)}
    if objective == "match":
        arrays["targets"] = images[0]
        arrays |= {"output_distance": np.array([[1, 2.0]] * 2), "shifted_output_distance": np.array([[4, 4.0]] * 2)}
    facts = {"run": "r", "objective": objective, "probe": "p", "weights": "trained", "layers": [2, 5], "panels": panels}
    return ArrayFile(arrays, facts | {"size": 12, "grid": 3, "seeds": {"run": 7}})


def test_accuracy_has_a_row_for_each_image_and_layer():
    rows = list(accuracy(make_run("match", ["cat", "coil"])))
    assert [(row["image"], row["layer"]) for row in rows] == [("cat", 2), ("cat", 5), ("coil", 2), ("coil", 5)]
    assert [row["output_distance_ratio"] for row in rows] == [0.25, 0.25, 0.5, 0.5]
    assert rows[0]["ssim"] == 1 and rows[1]["ssim"] < 1
    assert all((row["run"], row["probe"], row["weights"], row["seed"]) == ("r", "p", "trained", 7) for row in rows)
    assert list(accuracy(make_run("neuron", [3, 8]))) == []


def test_patches_has_a_row_for_each_layer_panel_and_patch():
    rows = list(patches(make_run("neuron", [3, 8])))
    assert len(rows) == 2 * 2 * 9
    assert [rows[0][key] for key in ("run", "layer", "panel", "patch")] == ["r", 2, 3, 0]
    assert [rows[-1][key] for key in ("layer", "panel", "patch")] == [5, 8, 8]


def test_a_table_gives_back_what_was_written(tmp_path):
    rows = list(accuracy(make_run("match", ["cat", "coil"])))
    write_table(tmp_path / "t.tsv", TABLES["accuracy"], rows)
    back = read_table(tmp_path / "t.tsv", TABLES["accuracy"])
    assert [row["image"] for row in back] == [row["image"] for row in rows]
    assert [row["ssim"] for row in back] == pytest.approx([row["ssim"] for row in rows], rel=1e-8)
    write_table(tmp_path / "u.tsv", TABLES["accuracy"], back)
    assert (tmp_path / "t.tsv").read_bytes() == (tmp_path / "u.tsv").read_bytes()
    with pytest.raises(InputError, match=r"t\.tsv: columns are"):
        read_table(tmp_path / "t.tsv", TABLES["patches"])
