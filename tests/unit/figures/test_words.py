"""Words on figures: an SSIM says whether it is a lower bound, and a note says what is clipped."""

import numpy as np
import pytest
from rows import LBFGS, accuracy_row

from lmrep.figures.shown import Shown
from lmrep.figures.words import (
    block_name,
    clip_note,
    clipped_share,
    first_rows,
    floors_text,
    headings,
    method_text,
    ssim_text,
)


def test_runs_are_called_trained_or_untrained_only_where_they_differ():
    labels = {"a": "GPT-2", "b": "ViT"}
    assert headings(Shown("t", labels, {}, weights={"a": "untrained", "b": "untrained"})) == labels
    assert headings(Shown("t", labels, {})) == labels
    found = headings(Shown("t", labels, {}, weights={"a": "trained", "b": "untrained"}))
    assert found == {"a": "GPT-2, trained", "b": "ViT, untrained"} and list(found) == ["a", "b"]


def test_block_0_is_called_the_stem():
    assert [block_name(block) for block in (0, 1, 2.0, 0.0)] == ["stem", "block 1", "block 2", "stem"]


def test_an_ssim_that_has_not_converged_has_a_sign():
    assert ssim_text(accuracy_row(ssim=0.638)) == "SSIM 0.64"
    assert ssim_text(accuracy_row(ssim=0.638, converged=False)) == "SSIM ≥ 0.64"
    assert ssim_text(accuracy_row(ssim=-0.02, converged=False)) == "SSIM ≥ -0.02"


def test_floors_are_in_one_line():
    assert floors_text(accuracy_row()) == "SSIM of start noise 0.02, flat grey 0.28, noisy target 0.85"


def test_a_method_is_named_with_its_passes():
    assert method_text([accuracy_row(), accuracy_row(passes=200)]) == "article's descent, 200 to 600 passes"
    assert method_text([accuracy_row(**LBFGS)]) == "L-BFGS, 400 passes"
    both = [accuracy_row(**LBFGS), accuracy_row(optimiser="adam", passes=400)]
    assert method_text(both) == "L-BFGS or Adam, 400 passes"


def test_searches_that_lower_different_distances_name_them():
    rows = [accuracy_row(run=name, **LBFGS) for name in ("a", "b")]
    distances = {"a": "l2", "b": "pareto"}
    found = headings(Shown("t", {"a": "GPT-2", "b": "GPT-2", "c": "GPT-2"}, {}, distances=distances))
    assert found == {"a": "GPT-2, distance l2", "b": "GPT-2, distance pareto", "c": "GPT-2"}
    assert method_text(rows, distances) == "L-BFGS (l2) or L-BFGS (pareto), 400 passes"
    mixed = [accuracy_row(run="c"), rows[0]]
    assert method_text(mixed, distances) == "article's descent or L-BFGS (l2), 400 to 600 passes"


def test_the_first_seed_comes_first():
    rows = [accuracy_row(ssim=0.5 + seed / 10, seed=seed) for seed in range(3)]
    assert first_rows(rows) == {("run", "dog", 1): rows[0]}


def test_a_pixel_is_clipped_if_any_channel_is():
    image = np.full((3, 2, 2), 0.5, np.float32)
    assert clipped_share(image) == 0
    image[:, 0, 0] = 0, 1, 0.5  # the ends themselves are not clipped
    assert clipped_share(image) == 0
    image[1, 0, 1] = 1.001
    assert clipped_share(image) == 0.25
    image[:, 1, 1] = -0.1
    assert clipped_share(image) == 0.5


@pytest.mark.parametrize(("shares", "note"), [
    ([0.0], ""), ([0.0099], ""), ([0.01], "1% clipped"), ([0.124], "12% clipped"), ([1.0], "100% clipped"),
    ([0.0, 0.004], ""), ([0.03, 0.17, 0.05], "3 to 17% clipped"), ([0.0, 0.2], "0 to 20% clipped"),
    ([0.201, 0.202], "20% clipped"),
])  # fmt: skip
def test_the_note_says_what_share_is_clipped(shares, note):
    pictures = np.full((len(shares), 3, 1, 10_000), 0.5)
    for picture, share in zip(pictures, shares, strict=True):
        picture[1, 0, : round(share * 10_000)] = 1.5
    assert clip_note(pictures) == note
