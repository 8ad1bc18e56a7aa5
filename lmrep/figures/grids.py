"""Pictures of pictures: optimised panels block by block, and re-created images beside their target."""

from math import ceil, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lmrep.files import ArrayFile
from lmrep.figures.page import PAGE, make_canvas, place_image, styled, title_height

MARGIN, GAP = 0.08, 0.04  # in: around the page, between panels
LABEL, HEADING = 0.115, 0.2  # in: the line above a panel, the line above a block
COLUMNS = 9  # pictures in a line, the target among them
LARGEST = 1.9  # in, the side of a panel where few must fill the page
GREY = "#555555"


def panel_label(objective: str, panel: int, side: int) -> str:
    """Neurons by number, patches by (row, column), both from 1."""
    return f"{panel + 1}" if objective == "neuron" else f"({panel // side + 1}, {panel % side + 1})"


def outline_patch(axes: Axes, panel: int, side: int, x: float, y: float, size: float) -> None:
    """A thin black line with a white rim around a patch of the picture whose top left corner is (x, y) in."""
    patch = size / side
    corner = (x + panel % side * patch, y + panel // side * patch)
    for colour, width in (("white", 1.3), ("black", 0.5)):
        axes.add_patch(Rectangle(corner, patch, patch, fill=False, color=colour, linewidth=width))


def block_columns(blocks: int) -> int:
    """Two blocks side by side; three where two would make the figure longer than a page."""
    return min(blocks, 2 if blocks <= 4 else 3)


@styled
def draw_features(run: ArrayFile, title: str, label: str) -> Figure:
    """The panels of a feature run, a near-square grid for each block.

    run: a run file whose objective is neuron or patch; `images` [layer, panel, 3, h, w], shown clipped to
    [0, 1]. label: the probe's, shown at each block's heading. Where one patch was maximised and the image is the
    probe's own size, a thin outline marks that patch.
    """
    images, objective, panels = run["images"], run.facts["objective"], run.facts["panels"]
    stem = run.facts["settings"]["probe"]["stem"]
    side = stem["size"] // stem["patch"]
    # In an image larger than the probe's, a patch has no one place: it was optimised in random crops.
    outlined = objective == "patch" and images.shape[-1] == stem["size"]

    across = ceil(sqrt(len(panels)))
    down = ceil(len(panels) / across)
    columns = block_columns(len(images))
    rows = ceil(len(images) / columns)
    apart = 0.2  # in, between blocks
    block = (PAGE - 2 * MARGIN - (columns - 1) * apart) / columns
    size = min((block - (across - 1) * GAP) / across, LARGEST)
    width = size * across + GAP * (across - 1)
    height = HEADING + down * (size + LABEL) + (down - 1) * GAP
    top = title_height(title) + 0.06
    figure, axes = make_canvas(top + rows * height + (rows - 1) * 0.12 + MARGIN, title)

    for index, layer in enumerate(run.facts["layers"]):
        x = MARGIN + index % columns * (width + apart)
        y = top + index // columns * (height + 0.12)
        axes.text(x, y + 0.13, f"Block {layer}", size=8, weight="bold")
        axes.text(x + width, y + 0.13, label, size=7, color=GREY, ha="right")
        for place, panel in enumerate(panels):
            px = x + place % across * (size + GAP)
            py = y + HEADING + place // across * (size + LABEL + GAP) + LABEL
            place_image(axes, images[index, place], px, py, size, size)
            axes.text(px, py - 0.025, panel_label(objective, panel, side), size=6, color=GREY)
            if outlined:
                outline_patch(axes, panel, side, px, py, size)
    return figure


def place_captioned(axes: Axes, image: np.ndarray, x: float, y: float, size: float, above: str, below: str) -> None:
    axes.text(x + size / 2, y - 0.035, above, size=6.5, ha="center")
    place_image(axes, image, x, y, size, size)
    axes.text(x + size / 2, y + size + 0.035, below, size=6.5, color=GREY, ha="center", va="top")


@styled
def draw_reconstructions(
    rows: list[tuple[str, ArrayFile, list[int], dict[int, float]]], image: str, title: str
) -> Figure:
    """One image re-created from the outputs of blocks: its target, then a picture for each block, a row a run.

    rows: the run's label, its file (objective match), the blocks to show and the SSIM of every one of them.
    image: the name of a panel that every run has. Blocks that one line cannot hold go on below.
    """
    most = max(len(blocks) for _, _, blocks, _ in rows)
    lines = ceil(most / (COLUMNS - 1))
    across = 1 + ceil(most / lines)
    apart = 0.12  # in, between the target and its reconstructions
    size = min((PAGE - 2 * MARGIN - apart - (across - 1) * GAP) / across, LARGEST)
    line = 0.14 + size + 0.17  # in: heading, picture, SSIM
    heights = [HEADING + line * ceil(len(blocks) / (across - 1)) + 0.06 for _, _, blocks, _ in rows]
    y = title_height(title) + 0.04
    figure, axes = make_canvas(y + sum(heights) + MARGIN - 0.06, title)

    for (label, run, blocks, ssim), height in zip(rows, heights, strict=True):
        panel, layers = run.facts["panels"].index(image), run.facts["layers"]
        axes.text(MARGIN, y + 0.13, label, size=8, weight="bold")
        place_captioned(axes, run["targets"][panel], MARGIN, y + HEADING + 0.14, size, "target", "")
        for index, block in enumerate(blocks):
            x = MARGIN + size + GAP + apart + index % (across - 1) * (size + GAP)
            py = y + HEADING + index // (across - 1) * line + 0.14
            picture = run["images"][layers.index(block), panel]
            place_captioned(axes, picture, x, py, size, f"block {block}", f"SSIM {ssim[block]:.2f}")
        y += height
    return figure
