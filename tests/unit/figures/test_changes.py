"""Maps of change: each patch has the colour of its own change, and none at all is white."""

import numpy as np
import pytest
from legible import assert_legible, texts
from matplotlib.patches import Rectangle
from small_runs import PATCH, SIDE, feature_run

from lmrep.figures.changes import LEAST, draw_changes
from lmrep.figures.page import PAGE, TALLEST
from lmrep.figures.shown import Shown
from lmrep.files import ArrayFile


def changed_run(objective="patch", layers=(1, 2), panels=(0, 5), grid=SIDE):
    """A run whose patches change by 0.1, 0.2 and so on, but in panel 1 those after patch 5 not at all."""
    run = feature_run(objective, layers, panels, grid=grid)
    baseline = run["images"][0].copy()
    images = np.repeat(baseline[None], len(layers), axis=0)
    for patch in range(grid**2):
        row, column = (PATCH * place for place in divmod(patch, grid))
        images[..., row : row + PATCH, column : column + PATCH] += 0.1 * (patch + 1)
    if len(panels) == 2:
        images[:, 1, :, 2 * PATCH :] = baseline[1, :, 2 * PATCH :]
    return ArrayFile({"images": images, "baseline": baseline}, run.facts)


def changes(run, title="Where the image of one patch changes", label="GPT-2"):
    return draw_changes(Shown(title, {"a": label}, {"a": run.facts["layers"]}, runs={"a": run}))


def test_each_patch_has_its_change_relative_to_the_largest_of_its_picture():
    figure = changes(changed_run())
    *maps, key = figure.axes[0].images
    assert len(maps) == 4 and key.get_array().shape == (1, 256)
    whole, part = (picture.get_array() for picture in maps[:2])
    np.testing.assert_allclose(whole.ravel(), np.arange(1, 10) / 9, rtol=1e-5)
    np.testing.assert_allclose(part.ravel()[:6], np.arange(1, 7) / 6, rtol=1e-5)
    assert part.mask.ravel().tolist() == [False] * 6 + [True] * 3 and not whole.mask.any()
    assert (maps[0].norm.vmin, maps[0].norm.vmax) == (LEAST, 1)
    assert {picture.get_interpolation() for picture in maps} == {"nearest"}  # a patch does not run into the next
    assert {"0.1", "1", f"{LEAST:g} or less"} <= {*texts(figure)}


def test_the_colours_of_the_maps_are_those_of_the_key():
    *maps, key = changes(changed_run()).axes[0].images
    for share, place in ((LEAST, 0.0), (1.0, 1.0), (LEAST**0.5, 0.5)):
        np.testing.assert_allclose(maps[0].to_rgba(np.array([share])), key.to_rgba(np.array([place])), atol=0.02)


def test_small_changes_look_alike_and_none_is_white():
    run = changed_run(layers=(1,), panels=(0,))
    run["images"][0, 0] = run["baseline"][0]
    run["images"][0, 0, :, :PATCH, :PATCH] += 1
    run["images"][0, 0, :, :PATCH, PATCH : 2 * PATCH] += LEAST / 50
    picture = changes(run).axes[0].images[0]
    assert picture.get_array().ravel().tolist() == [pytest.approx(1), LEAST, *[None] * 7]
    assert picture.get_cmap()(np.ma.masked_all(1))[0, 3] == 0  # the page shows through


def test_an_image_that_did_not_change_is_all_white():
    run = changed_run(layers=(1,), panels=(0,))
    run["images"][:] = run["baseline"]
    assert changes(run).axes[0].images[0].get_array().mask.all()


def test_the_maximised_patch_has_its_outline_in_its_map():
    figure = changes(changed_run(layers=(3,)))
    x, right, _, top = figure.axes[0].images[1].get_extent()
    side = (right - x) / SIDE
    outlines = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    bounds = [outline.get_bbox().bounds for outline in outlines]
    assert sum(np.allclose(each, (x + 2 * side, top + side, side, side)) for each in bounds) == 2
    assert len(bounds) == 2 * (2 + 1)  # and a frame around each map
    assert len(changes(changed_run("neuron")).axes[0].patches) == 4


@pytest.mark.parametrize("layers", [1, 6, 24])
@pytest.mark.parametrize("panels", [1, 16])
def test_any_number_of_blocks_and_panels_fits_a_page(layers, panels):
    figure = changes(changed_run(layers=range(1, layers + 1), panels=range(196 - panels, 196), grid=14))
    assert figure.get_figwidth() == PAGE and figure.get_figheight() <= TALLEST
    assert_legible(figure)


def test_a_figure_of_changes_takes_exactly_one_run():
    run = changed_run()
    with pytest.raises(ValueError, match="expected one run"):
        draw_changes(Shown("t", {"a": "l", "b": "l"}, {}, runs={"a": run, "b": run}))
