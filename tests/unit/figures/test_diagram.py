"""The diagram: drawn from the trace, its parts in order, nothing on anything else."""

from itertools import pairwise

import numpy as np
import pytest
from legible import assert_legible, texts
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lmrep.figures.diagram import BODY, NEURON, OUTPUT, PATCH, TOKENS, draw_diagram
from lmrep.figures.page import PAGE
from lmrep.figures.sheet import by, raster, stack_slots
from lmrep.figures.shown import Shown
from lmrep.files import ArrayFile

TITLE = "How an image enters the stack, and what is maximised"


def trace(side=3, patch=4, width=48, kernels=True, **changes):
    facts = {
        "first_token": "class", "basis": False, "causal": True, "layers": [1, 2, 3], "depth": 6, "size": side * patch,
        "grid": side, "patch": patch, "neurons": [0, 1, 20], "patches": [0, 4, 8],
    } | changes  # fmt: skip
    random = np.random.default_rng(0)
    tokens = side**2 + (facts["first_token"] != "none")
    arrays = {
        "image": random.uniform(0, 1, (3, side * patch, side * patch)),
        "tokens": random.normal(0, 1, (tokens, width)),
        "activations": random.normal(0, 1, (len(facts["layers"]), tokens, width)),
    }
    if kernels:
        arrays["kernels"] = random.normal(0, 1, (width, 3, patch, patch))
    return ArrayFile({name: array.astype(np.float32) for name, array in arrays.items()}, facts)


def diagram(run, stem="ViT-B/16", stack="GPT-2"):
    return draw_diagram(Shown(TITLE, {}, {}, trace=run, stem=stem, stack=stack))


def outline(figure, colour):
    """Left, upper, width and height, in, of the one outline in a colour."""
    (found,) = (
        patch
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_edgecolor()) == colour.lower()
    )
    return found.get_bbox().bounds


def matrix(figure, place):
    (found,) = (image for image in figure.axes[0].images if image.get_extent()[0] == place[0])
    return found


def test_patches_are_cut_row_by_row():
    image = np.arange(3 * 6 * 6).reshape(3, 6, 6)
    patches = raster(image, 2)
    assert patches.shape == (9, 3, 2, 2)
    np.testing.assert_array_equal(patches[5], image[:, 2:4, 4:6])


def test_image_patches_kernels_and_matrices_come_from_the_trace():
    run = trace()
    figure = diagram(run)
    images = figure.axes[0].images
    np.testing.assert_array_equal(images[0].get_array(), np.moveaxis(run["image"], 0, -1))
    cut = raster(run["image"], 4)
    for image, patch in zip(images[1:7], (0, 1, 2, 3, 4, 8), strict=True):
        np.testing.assert_array_equal(image.get_array(), np.moveaxis(cut[patch], 0, -1))
    for image, kernel in zip(images[7:22], run["kernels"], strict=False):
        shown = np.moveaxis(np.asarray(image.get_array()), -1, 0)
        assert (shown.min(), shown.max()) == (0, 1)
        np.testing.assert_allclose(np.corrcoef(shown.ravel(), kernel.ravel())[0, 1], 1, rtol=1e-5)
    np.testing.assert_array_equal(matrix(figure, TOKENS).get_array(), run["tokens"])
    np.testing.assert_array_equal(matrix(figure, OUTPUT).get_array(), run["activations"][1])


def test_zero_is_mid_grey():
    low, high = matrix(diagram(trace()), TOKENS).get_clim()
    assert low == -high < 0


def test_the_outlines_hold_one_neuron_of_the_patches_and_one_patch():
    run = trace()
    figure = diagram(run)
    x, right, bottom, top = matrix(figure, OUTPUT).get_extent()
    column, row = (right - x) / 48, BODY / 10
    left, upper, width, height = outline(figure, NEURON)
    np.testing.assert_allclose(left + width / 2, x + 1.5 * column)  # neuron 1, the middle one
    np.testing.assert_allclose((upper, upper + height), (top + row, bottom))  # not the class token
    left, upper, width, height = outline(figure, PATCH)
    np.testing.assert_allclose((left, upper, width, height), (x, top + 5 * row, right - x, row))  # patch 4
    found = texts(figure)
    assert "one neuron, all patches" in found and "all neurons, one patch" in found


def test_only_the_first_neurons_of_a_wide_stack_are_shown_unless_a_later_one_is_maximised():
    run = trace(patch=6, width=108)
    figure = diagram(run)
    np.testing.assert_array_equal(matrix(figure, OUTPUT).get_array(), run["activations"][1][:, :64])
    assert "neurons 1 to 64 of 108 shown" in texts(figure)
    whole = diagram(trace(patch=6, width=108, neurons=[107]))
    assert matrix(whole, OUTPUT).get_array().shape[1] == 108
    assert_legible(whole)


def test_causal_and_full_attention_are_told_apart():
    def seen(figure):
        return sum(to_hex(patch.get_facecolor()) == "#777777" for patch in figure.axes[0].patches)

    causal, full = diagram(trace()), diagram(trace(causal=False))
    assert (seen(causal), seen(full)) == (15, 25)
    assert "each token\nsees itself and\nearlier ones" in texts(causal)
    assert "each token\nsees itself and\nearlier ones" not in texts(full)


def test_without_convolution_or_class_token():
    figure = diagram(trace(kernels=False, first_token="none"))
    assert "no convolution" in texts(figure) and "class" not in texts(figure)
    assert len(figure.axes[0].images) == 1 + 6 + 2
    assert "class" in texts(diagram(trace()))
    assert_legible(figure)


def test_kernels_of_zeros_are_not_counted():
    run = trace(basis=True)
    run["kernels"][40:] = 0
    assert f"15 of 40 kernels,\n{by(3, 4, 4)} each" in texts(diagram(run, stem="DCT basis"))
    run["kernels"][12:] = 0
    figure = diagram(run, stem="DCT basis")
    assert f"12 of 12 kernels,\n{by(3, 4, 4)} each" in texts(figure)
    assert len(figure.axes[0].images) == 1 + 6 + 12 + 2


def test_a_basis_is_named_as_such_and_a_bos_too():
    figure = diagram(trace(basis=True, first_token="bos"), stem="DCT basis")
    assert "DCT basis" in texts(figure) and "start" in texts(figure)
    assert not any("convolution" in text or "class" in text for text in texts(figure))
    assert_legible(figure)


def test_what_no_run_maximises_is_not_outlined():
    figure = diagram(trace(neurons=[]))
    assert "one neuron, all patches" not in texts(figure) and "all neurons, one patch" in texts(figure)
    assert outline(figure, PATCH)
    assert "all neurons, one patch" not in texts(diagram(trace(patches=[])))


def test_long_labels_fit():
    figure = diagram(trace(), "ViT-B (miniature)", "GPT-2 (miniature)")
    assert_legible(figure)
    found = texts(figure)
    assert found.index("ViT-B (miniature)") + 1 == found.index("convolution")
    assert found.index("GPT-2 (miniature),") + 1 == found.index("6 blocks")
    longest = "vit_large_patch14_reg4_dinov2.lvd142m_with_more_behind_it_in_the_name"
    assert_legible(diagram(trace(), longest, longest))
    assert_legible(diagram(trace(), "WWW MMM " * 6, "GPT-2"))


def test_the_parts_follow_each_other():
    figure = diagram(trace())
    heads = ["Image", "Patches", "Stem", "Tokens", "Stack", "Output of block 2"]
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert all(before[0] < after[0] for before, after in pairwise(places[head] for head in heads))
    assert len({places[head][1] for head in heads}) == 1
    assert figure.get_figwidth() == PAGE


@pytest.mark.parametrize(("depth", "block", "slots"), [
    (1, 1, [1]), (6, 4, [1, 2, 3, 4, 5, 6]), (12, 8, [1, 2, None, 8, None, 12]), (12, 12, [1, 2, None, 12]),
    (24, 3, [1, 2, 3, None, 24]),
])  # fmt: skip
def test_a_deep_stack_is_shortened(depth, block, slots):
    assert stack_slots(depth, block) == slots
    assert_legible(diagram(trace(depth=depth, layers=[block])))


def test_the_articles_sizes_fit():
    sizes = {"side": 14, "patch": 16, "width": 768, "depth": 12, "layers": [1, 4, 8, 12]}
    assert_legible(diagram(trace(**sizes, patches=[15, 50, 100, 160])))
    assert_legible(diagram(trace(**sizes, patches=[195])))


def test_a_diagram_needs_a_trace_with_blocks():
    with pytest.raises(ValueError, match="expected a trace"):
        diagram(None)
    for layers in ([], [0]):
        with pytest.raises(ValueError, match="expected at least one block"):
            diagram(trace(layers=layers))


def test_the_output_shown_is_of_the_middle_block_whether_the_stem_is_traced_or_not():
    run = trace(layers=[0, 1, 2])
    figure = diagram(run)
    assert "Output of block 2" in texts(figure) and "Output of block 2" in texts(diagram(trace(layers=[1, 2])))
    np.testing.assert_array_equal(matrix(figure, OUTPUT).get_array(), run["activations"][2])
