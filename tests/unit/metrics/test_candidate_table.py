"""The table of candidates: its rows, which runs are in it, and what is refused when it is read."""

import numpy as np
import pytest
from made_up import STUDY

from lmrep.errors import InputError
from lmrep.files import ArrayFile
from lmrep.metrics.candidates import CANDIDATES, COUNT, candidate_rows, candidate_runs, read_candidates
from lmrep.metrics.measures import correlation, ssim
from lmrep.metrics.tsv import write_table

RNG = np.random.default_rng(0)


def compared():
    """A run of two blocks, and of one photograph from two seeds, as `workflow.candidates.compare` gives it."""
    arrays = {
        "images": RNG.random((2, 2, 3, 12, 12), dtype=np.float32),
        "initial": np.repeat(RNG.random((1, 2, 3, 12, 12), dtype=np.float32), 2, axis=0),
        "candidates": RNG.random((2, 3, 3, 12, 12), dtype=np.float32),
        "candidate_distance": RNG.random((2, 2, 3), dtype=np.float32),
    }
    facts = {"run": "r", "layers": [2, 5], "panels": ["cat", "cat"], "seeds": {"run": 4, "panels": [4, 7]}}
    return ArrayFile(arrays, facts | {"candidates": [["cat", "moon", "clock"]] * 2})


def test_a_row_is_an_image_beside_a_candidate():
    run = compared()
    rows = list(candidate_rows(run))
    keys = [(row["seed"], row["layer"], row["candidate"], row["name"]) for row in rows]
    names = list(enumerate(("cat", "moon", "clock")))
    assert keys == [(seed, layer, *name) for seed in (4, 7) for layer in (2, 5) for name in names]
    row = rows[10]  # of the second panel, the second block, the second candidate
    assert row["ssim"] == pytest.approx(ssim(run["images"][1, 1], run["candidates"][1, 1]), abs=1e-6)
    assert row["ssim_start"] == pytest.approx(ssim(run["initial"][1, 1], run["candidates"][1, 1]), abs=1e-6)
    assert row["correlation"] == pytest.approx(correlation(run["images"][1, 1], run["candidates"][1, 1]))
    assert row["output_distance"] == run["candidate_distance"][1, 1, 1]
    assert rows[0].keys() == CANDIDATES.columns.keys()


def test_a_table_has_the_trained_inversions_of_one_language_model():
    found = candidate_runs(STUDY)
    assert found.keys() == {"gpt2_mini"}
    assert [run.name for run in found["gpt2_mini"]] == [
        "gpt2_match", "gpt2_inverted", "gpt2_unmasked_inverted", "gpt2_bos_inverted", "gpt2_dct_inverted",
    ]  # fmt: skip


RUNS = candidate_runs(STUDY)["gpt2_mini"][:2]


def whole_table():
    return [
        {"run": run.name, "seed": seed, "image": panel, "layer": layer, "candidate": number, "name": "x", "ssim": 0.5,
         "ssim_start": 0.1, "correlation": 0.5, "output_distance": 2.0}
        for run in RUNS
        for panel, seed in zip(run.panels, run.start_seeds, strict=True)
        for layer in run.layers
        for number in range(COUNT)
    ]  # fmt: skip


def test_a_whole_table_is_read_back(tmp_path):
    path = tmp_path / "candidates.tsv"
    write_table(path, CANDIDATES, whole_table())
    assert read_candidates(path, RUNS) == whole_table()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows[1:], "has no row of run gpt2_match, image chelsea, seed 0, layer 1, candidate 0; delete"),
        (lambda rows: rows + rows[-1:], "has two rows of run gpt2_inverted, image moon, seed 2, layer 6, candidate 19"),
        (lambda rows: [*rows, rows[0] | {"candidate": 20}], "has rows that are not in the study: run gpt2_match"),
        (lambda rows: [row for row in rows if row["run"] == "gpt2_match"], "has no row of run gpt2_inverted"),
    ],
)
def test_a_table_that_is_not_whole_is_refused_by_row(tmp_path, change, expected):
    path = tmp_path / "candidates.tsv"
    write_table(path, CANDIDATES, change(whole_table()))
    with pytest.raises(InputError) as error:
        read_candidates(path, RUNS)
    assert str(error.value).startswith(f"{path}: {expected}") and str(error.value).endswith("and build again")
