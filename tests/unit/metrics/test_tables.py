"""Tables: a row for each measured image, row of patches or patch, and the same numbers after a round trip."""

import numpy as np
import pytest

from lmrep.errors import InputError
from lmrep.files import ArrayFile
from lmrep.metrics.measures import best_grey, correlation, flip, high_frequency_error, psnr, ssim, ssim_by_row
from lmrep.metrics.tables import TABLES, accuracy_rows, band_rows, order_rows, patch_rows, reach_rows
from lmrep.metrics.tsv import Table, read_table, write_table

RNG = np.random.default_rng(0)
FLOATS = ["ssim", "psnr", "output_distance_ratio", "flip", "correlation", "high_frequency_error"]
FLOORS = ["ssim_earlier", "ssim_start", "ssim_grey", "ssim_shifted", "correlation_earlier"]


def make_run(objective, panels, seeds=None):
    """A run with layers 2 and 5, in which layer 2 is the photograph itself and layer 5 stands still at the end."""
    images = RNG.random((2, len(panels), 3, 12, 12), dtype=np.float32)
    start = RNG.random(images.shape[1:], dtype=np.float32)
    arrays = {"images": images, "initial": np.stack([start] * 2), "baseline": start}
    facts = {"run": "r", "objective": objective, "probe": "p", "weights": "trained", "layers": [2, 5], "panels": panels}
    facts |= {"size": 12, "grid": 3, "seeds": {"run": 7} | ({"panels": seeds} if seeds else {})}
    facts |= {"optimiser": "lbfgs", "passes": 40}
    if objective == "match":
        distances = np.array([1, 2.0, 3][: len(panels)])
        arrays |= {"targets": images[0], "earlier": np.stack([RNG.random(images[0].shape), images[1]])}
        arrays["shifted"] = images[0] + RNG.normal(0, 1 / 18, images[0].shape)
        arrays |= {
            "output_distance": np.stack([distances] * 2),
            "shifted_output_distance": np.full((2, len(panels)), 4),
        }
    return ArrayFile(arrays, facts)


def test_the_columns_of_the_accuracy_table_have_an_order():
    keys = ["run", "probe", "weights", "seed", "image", "layer", "optimiser", "passes", "converged"]
    assert list(TABLES["accuracy"].columns) == [*keys, *FLOATS, *FLOORS]


def test_accuracy_has_a_row_for_each_image_and_layer():
    rows = list(accuracy_rows(make_run("match", ["cat", "coil"])))
    assert [(row["image"], row["layer"]) for row in rows] == [("cat", 2), ("cat", 5), ("coil", 2), ("coil", 5)]
    assert [row["output_distance_ratio"] for row in rows] == [0.25, 0.25, 0.5, 0.5]
    assert rows[0]["ssim"] == 1 and rows[1]["ssim"] < 1
    assert all((row["run"], row["probe"], row["weights"], row["seed"]) == ("r", "p", "trained", 7) for row in rows)
    assert all((row["optimiser"], row["passes"]) == ("lbfgs", 40) for row in rows)
    assert list(accuracy_rows(make_run("neuron", [3, 8]))) == []


def test_metrics_and_floors_are_measured_on_their_own_images():
    run = make_run("match", ["cat", "coil"])
    row, target = list(accuracy_rows(run))[3], run["targets"][1]
    image = run["images"][1, 1]
    expected = [ssim(image, target), psnr(image, target), 0.5, flip(image, target), correlation(image, target)]
    expected += [high_frequency_error(image, target)]
    expected += [ssim(run[name][1, 1], target) for name in ("earlier", "initial")]
    expected += [best_grey(target)[1], ssim(run["shifted"][1], target)]
    expected += [correlation(run["earlier"][1, 1], target)]
    assert [row[name] for name in FLOATS + FLOORS] == expected
    assert all(type(row[name]) is float for name in FLOATS + FLOORS)


def test_a_row_says_whether_its_descent_has_converged():
    rows = list(accuracy_rows(make_run("match", ["cat"])))
    assert [(row["layer"], row["converged"]) for row in rows] == [(2, False), (5, True)]


def test_panels_have_the_seeds_of_their_starts():
    run = make_run("match", ["cat"] * 3, seeds=[0, 1, 5])
    rows = list(accuracy_rows(run))
    assert [(row["seed"], row["layer"]) for row in rows] == [(0, 2), (0, 5), (1, 2), (1, 5), (5, 2), (5, 5)]
    assert {row["image"] for row in rows} == {"cat"}
    assert [row["seed"] for row in band_rows(run)] == [0] * 6 + [1] * 6 + [5] * 6


def test_the_table_of_rows_has_the_ssim_of_each_row_of_patches():
    run = make_run("match", ["cat", "coil"])
    rows = list(band_rows(run))
    assert [(row["image"], row["layer"], row["row"]) for row in rows[:4]] == [
        ("cat", 2, 0), ("cat", 2, 1), ("cat", 2, 2), ("cat", 5, 0)
    ]  # fmt: skip
    assert [row["ssim"] for row in rows[-3:]] == list(ssim_by_row(run["images"][1, 1], run["targets"][1], 3))
    assert all((row["run"], row["seed"]) == ("r", 7) for row in rows) and len(rows) == 12
    assert list(band_rows(make_run("patch", [3]))) == []


def test_patches_has_a_row_for_each_layer_panel_and_patch():
    rows = list(patch_rows(make_run("neuron", [3, 8])))
    assert len(rows) == 2 * 2 * 9
    assert [rows[0][key] for key in ("run", "layer", "panel", "patch")] == ["r", 2, 3, 0]
    assert [rows[-1][key] for key in ("layer", "panel", "patch")] == [5, 8, 8]


def moved(objective, panels, changes, size=12, weights="trained"):
    """A run with layers 1 and 4 on 3 x 3 patches whose changes are known.

    changes [layer, panel, patch]: of every pixel of the patch.
    """
    side, shape = size // 3, (2, len(panels), 3, size, size)
    start = RNG.random((len(panels), 3, size, size)).round(2)
    grown = np.reshape(changes, (2, len(panels), 3, 3)).repeat(side, axis=2).repeat(side, axis=3)
    arrays = {"baseline": start, "images": start + np.broadcast_to(grown[:, :, None], shape)}
    facts = {"run": "r", "objective": objective, "probe": "p", "weights": weights, "layers": [1, 4], "panels": panels}
    return ArrayFile(arrays, facts | {"size": 12, "grid": 3, "seeds": {"run": 0}})


def test_order_compares_the_top_row_of_patches_with_the_bottom_row():
    changes = [
        [[0.6, 0.3, 0.3, 1, 1, 1, 0.1, 0.2, 0.3], [0.2, 0.1, 0.3, 1, 1, 1, 0.1, 0.2, 0.3]],
        [[0.4, 0.4, -0.4, 0, 0, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0, 0, 0, 0, 0, 0]],
    ]
    rows = list(order_rows(moved("neuron", [3, 8], changes, weights="untrained")))
    assert [list(row) for row in rows] == [list(TABLES["order"].columns)] * 2
    assert [list(row.values())[:4] for row in rows] == [["r", "p", "untrained", 1], ["r", "p", "untrained", 4]]
    assert list(rows[0].values())[4:] == pytest.approx([0.4, 0.3, 0.2, 1.5])
    assert list(rows[1].values())[4:] == pytest.approx([0.3, 0.3, 0, np.inf])


def test_order_is_of_the_mean_over_panels():
    changes = np.tile(np.repeat([0.3, 0.2, 0.1], 3), (2, 3, 1)) * np.array([1, 2, 9])[:, None]
    for row in order_rows(moved("neuron", [3, 8, 9], changes)):
        assert list(row.values())[4:] == pytest.approx([1.2, 1.2, 0.4, 3])


def test_order_agrees_with_the_changes_of_patches_and_with_plain_numpy():
    run = make_run("neuron", [3, 8])
    difference = run["images"].astype(np.float64) - run["baseline"]
    rms = np.sqrt((difference.reshape(2, 2, 3, 3, 4, 3, 4) ** 2).mean(axis=(2, 4, 6))).mean(axis=1)  # [layer, 3, 3]
    table = list(patch_rows(run))
    for index, row in enumerate(order_rows(run)):
        expected = [rms[index, 0, 0], rms[index, 0].mean(), rms[index, 2].mean()]
        assert list(row.values())[4:] == pytest.approx([*expected, expected[1] / expected[2]])
        changes = [other["change"] for other in table if other["layer"] == row["layer"] and other["patch"] == 0]
        assert row["first_patch"] == pytest.approx(np.mean(changes))


def test_order_takes_an_image_larger_than_the_probes_in_equal_parts():
    run = moved("neuron", [3], np.tile(np.repeat([0.4, 0.2, 0.1], 3), (2, 1, 1)), size=30)
    for row in order_rows(run):
        assert list(row.values())[4:] == pytest.approx([0.4, 0.4, 0.1, 4], rel=1e-5)


def test_reach_shares_the_squared_change_between_the_patch_and_what_is_before_and_after_it():
    changes = [
        [[0, 0.1, 0, 0, 0.3, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0]],
        [[0, 0, 0, 0.1, 0.1, 0, 0, 0, -0.2], [0.1, 0, 0, 0, 0, 0, 0, 0.1, 0], [0.2, 0, 0, 0, 0, 0, 0, 0, 0]],
    ]
    rows = list(reach_rows(moved("patch", [4, 0, 8], changes)))
    assert [list(row) for row in rows] == [list(TABLES["reach"].columns)] * 2
    assert [list(row.values())[:4] for row in rows] == [["r", "p", "trained", 1], ["r", "p", "trained", 4]]
    assert list(rows[0].values())[4:] == pytest.approx([(0.9 + 1 + 0) / 3, (0.1 + 0) / 2, 0, 0])
    assert rows[0]["after"] == rows[0]["largest_after"] == 0  # exactly, as in a causal stack
    own, before, after = (1 / 6 + 1 / 2 + 0) / 3, (1 / 6 + 1) / 2, (4 / 6 + 1 / 2) / 2
    assert list(rows[1].values())[4:] == pytest.approx([own, before, after, 0.2])


def test_reach_agrees_with_plain_numpy():
    run = make_run("patch", [0, 4, 8])
    difference = run["images"].astype(np.float64) - run["baseline"]
    for index, row in enumerate(reach_rows(run)):
        shares, after = [], []  # panel 0 has nothing before it, panel 8 nothing after
        for panel, patch in enumerate(run.facts["panels"]):
            place = np.repeat(np.repeat(np.arange(9).reshape(3, 3), 4, axis=0), 4, axis=1)
            squares, here = (difference[index, panel] ** 2).sum(axis=0), difference[index, panel]
            sums = [squares[place == patch].sum(), squares[place < patch].sum(), squares[place > patch].sum()]
            shares.append(np.array(sums) / squares.sum())
            after += list(np.abs(here[:, place > patch]).ravel())
        assert list(row.values())[4:] == pytest.approx([*np.mean(shares, axis=0) * [1, 3 / 2, 3 / 2], max(after)])


def test_order_is_of_neurons_and_reach_of_patches_that_have_a_place():
    assert list(order_rows(make_run("patch", [3]))) == list(order_rows(make_run("match", ["cat"]))) == []
    assert list(reach_rows(make_run("neuron", [3]))) == list(reach_rows(make_run("match", ["cat"]))) == []
    assert list(reach_rows(moved("patch", [3], np.ones((2, 1, 9)), size=30))) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_table_gives_back_what_was_written(tmp_path, name):
    table = TABLES[name]
    objective, panels = {"order": ("neuron", [3, 8]), "reach": ("patch", [4, 0])}.get(name, ("match", ["cat", "coil"]))
    rows = list(table.rows(make_run(objective, panels)))
    write_table(tmp_path / "t.tsv", table, rows)
    back = read_table(tmp_path / "t.tsv", table)
    assert len(back) == len(rows) > 0
    for row, written in zip(back, rows, strict=True):
        assert list(row) == list(table.columns)
        for column, kind in table.columns.items():
            assert row[column] == (pytest.approx(written[column], rel=1e-8) if kind is float else kind(written[column]))
        assert all(type(row[column]) is kind for column, kind in table.columns.items())
    write_table(tmp_path / "u.tsv", table, back)
    assert (tmp_path / "t.tsv").read_bytes() == (tmp_path / "u.tsv").read_bytes()


SMALL = Table(
    {"run": str, "layer": int, "converged": bool, "psnr": float},
    lambda run: iter(()),
    ("layer",),
    lambda run: (),
    ("psnr",),
)


def test_bools_are_yes_and_no(tmp_path):
    rows = [{"run": "r", "layer": 1, "converged": bool(value), "psnr": np.inf} for value in (0, 1)]
    write_table(tmp_path / "t.tsv", SMALL, rows)
    assert (tmp_path / "t.tsv").read_text() == "run\tlayer\tconverged\tpsnr\nr\t1\tno\tinf\nr\t1\tyes\tinf\n"
    assert read_table(tmp_path / "t.tsv", SMALL) == rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r\t1\tyes\t", "psnr is '', expected a number"),
        ("r\t1\tyes\tnan", "psnr is 'nan', expected a number"),
        ("r\t1\tyes\t-inf", "psnr is '-inf', expected a number"),
        ("r\t1\tyes", "has 3 values, expected 4"),
        ("r\t1\tyes\t2\t", "has 5 values, expected 4"),
        ("", "has 0 values, expected 4"),
        ("\t1\tyes\t2", "run is '', expected a text"),
        ("r\t1_0\tyes\t2", "layer is '1_0', expected a whole number"),
        ("r\t 1\tyes\t2", "layer is ' 1', expected a whole number"),
        ("r\t\tyes\t2", "layer is '', expected a whole number"),
        ("r\t1.5\tyes\t2", "layer is '1.5', expected a whole number"),
        ("r\t1\tTrue\t2", "converged is 'True', expected yes or no"),
    ],
)
def test_a_bad_value_is_refused_with_its_file_line_and_column(tmp_path, line, message):
    (tmp_path / "t.tsv").write_text(f"run\tlayer\tconverged\tpsnr\nr\t1\tyes\t2\n{line}\n")
    with pytest.raises(InputError) as refused:
        read_table(tmp_path / "t.tsv", SMALL)
    assert str(refused.value) == f"{tmp_path / 't.tsv'}: line 3: {message}"


def test_other_columns_are_refused(tmp_path):
    write_table(tmp_path / "t.tsv", TABLES["patches"], [])
    with pytest.raises(InputError, match=r"t\.tsv: columns are"):
        read_table(tmp_path / "t.tsv", TABLES["accuracy"])


def test_only_some_columns_may_be_infinite(tmp_path):
    table = TABLES["order"]
    values = {"first_patch": 1.0, "first_row": 1.0, "last_row": 0.0, "ratio": np.inf}
    row = {"run": "r", "probe": "p", "weights": "trained", "layer": 1} | values
    write_table(tmp_path / "t.tsv", table, [row])
    assert read_table(tmp_path / "t.tsv", table) == [row]
    write_table(tmp_path / "t.tsv", table, [row | {"first_row": np.inf}])
    with pytest.raises(InputError, match="line 2: first_row is 'inf', expected a number"):
        read_table(tmp_path / "t.tsv", table)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\0\0", b'run\t"layer\n', b"run" * 50000])
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "t.tsv").write_bytes(content)
    for path in (tmp_path / "t.tsv", tmp_path / "absent.tsv", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: ") as refused:
            read_table(path, TABLES["order"])
        assert "\n" not in str(refused.value)
