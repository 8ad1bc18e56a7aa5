"""Rows of the tables that figures read, and the check that a chart's parts are on its page and apart."""

import numpy as np

LABELS = {"gpt2": "GPT-2", "vit": "ViT-L/16"}
FLOORS = {"ssim_start": 0.02, "ssim_grey": 0.28, "ssim_shifted": 0.85}
GRADIENT = {"optimiser": "gradient", "passes": 600}
LBFGS = {"optimiser": "lbfgs", "passes": 400}


def accuracy_row(run="run", layer=1, ssim=0.5, converged=True, image="dog", **changes):
    row = {"run": run, "probe": "gpt2", "weights": "trained", "seed": 0, "image": image, "layer": layer}
    return row | GRADIENT | {"converged": converged, "ssim": ssim, "correlation": ssim} | FLOORS | changes


def accuracy_rows(
    images=("dog", "tesla_coil"), depths=(("gpt2", 6), ("vit", 12)), weights=("trained", "untrained"), suffix="",
    lift=0.0, **changes,
):  # fmt: skip
    """A run for each probe and its weights, called by both and `suffix`; blocks from the last to the first."""
    return [
        accuracy_row(
            f"{probe}_{kind}{suffix}", layer, 0.9 / layer - 0.1 * (kind != "trained") + lift, image=image, probe=probe,
            weights=kind, **changes,
        )
        for probe, depth in depths
        for kind in weights
        for image in images
        for layer in range(depth, 0, -1)
    ]  # fmt: skip


def patch_rows(runs=("a",), layers=(1, 4), panels=2, patches=9):
    random = np.random.default_rng(0)
    return [
        {"run": run, "layer": layer, "panel": str(panel), "seed": 0, "patch": patch, "change": random.uniform(0.1, 1)}
        for run in runs
        for layer in layers
        for panel in range(panels)
        for patch in range(patches)
    ]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def panels(figure):
    """The axes of a chart; the first ones are the whole page."""
    return figure.axes[1:]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def assert_clear(figure):
    """Title, axes with their labels, and legend are on the canvas and apart."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    (title,) = figure.axes[0].texts
    parts = [title.get_window_extent(), figure.legends[0].get_window_extent()]
    parts += [axes.get_tightbbox(renderer) for axes in panels(figure)]
    for index, box in enumerate(parts):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 + 1, index
        for other in parts[:index]:
            assert not box.padded(-2).overlaps(other), index
