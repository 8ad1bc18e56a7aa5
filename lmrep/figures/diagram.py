"""The probe as a picture: how an image becomes tokens, what the blocks make of them, and what is maximised."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from lmrep.files import ArrayFile
from lmrep.figures.page import make_canvas, place_image, styled, title_height

NEURON, PATCH, GREY = "#D55E00", "#0072B2", "#555555"  # one neuron, one patch, everything said besides
BODY, MIDDLE = 1.9, 0.6  # in: height of the matrices; from their top, where the arrows go
# in, from the left of the page: where each part begins, and its width
IMAGE, PATCHES, KERNELS, TOKENS, STACK, OUTPUT = (
    (0.08, 1.14), (1.38, 0.46), (2.03, 0.66), (3.12, 0.98), (4.28, 0.9), (5.57, 1.16),
)  # fmt: skip
SHOWN_NEURONS = 64  # of the output, where those that are maximised lie among them
THINNEST = 0.045  # in, of an outline around one row or column


@dataclass(frozen=True)
class Page:
    """Where to draw: `top` is the upper edge of every part, in."""

    axes: Axes
    top: float

    def head(self, place: tuple[float, float], name: str, detail: str) -> None:
        self.axes.text(place[0], self.top - 0.3, name, size=7.5, weight="bold")
        for line, text in enumerate(detail.splitlines()):
            self.axes.text(place[0], self.top - 0.185 + 0.1 * line, text, size=6, color=GREY)

    def note(self, x: float, down: float, text: str, **look) -> None:
        look = {"size": 6, "color": GREY, "va": "top", "linespacing": 1.2} | look
        self.axes.text(x, self.top + down, text, **look)

    def arrow(self, start: float, end: float, down: float = MIDDLE) -> None:
        look = {"arrowstyle": "-|>,head_width=0.16,head_length=0.3", "color": GREY, "linewidth": 0.9, "shrinkA": 0}
        y = self.top + down
        self.axes.annotate("", (end, y), (start, y), arrowprops=look | {"shrinkB": 0})


def by(*counts: object) -> str:
    """Sizes as one reads them, such as 3 x 16 x 16, with the proper sign."""
    return " \N{MULTIPLICATION SIGN} ".join(str(count) for count in counts)


def raster(image: np.ndarray, patch: int) -> np.ndarray:
    """An image [3, size, size] as its patches [patch, 3, p, p], row by row."""
    side = image.shape[-1] // patch
    cut = image.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4)
    return cut.reshape(side**2, 3, patch, patch)


def spread(values: np.ndarray) -> np.ndarray:
    """A kernel's weights on [0, 1]."""
    span = np.ptp(values)
    return (values - values.min()) / (span if span > 0 else 1)


def middle(values: list):
    return values[len(values) // 2] if values else None


def show_image(page: Page, image: np.ndarray, patch: int) -> None:
    x, width = IMAGE
    size, side = image.shape[-1], image.shape[-1] // patch
    page.head(IMAGE, "Image", f"{by(size, size)} px")
    place_image(page.axes, image, x, page.top, width, width)
    at = np.arange(side + 1) * width / side
    page.axes.hlines(page.top + at[1:-1], x, x + width, color="white", linewidth=0.5)
    page.axes.vlines(x + at[1:-1], page.top, page.top + width, color="white", linewidth=0.5)
    page.note(x, width + 0.07, f"cut into {by(side, side)} patches,\nnumbered row by row")


def show_patches(page: Page, image: np.ndarray, patch: int) -> None:
    """The first patches and the last one, below each other."""
    x, width = PATCHES
    page.head(PATCHES, "Patches", f"{by(patch, patch)} px")
    patches = raster(image, patch)
    cell, gap = 0.26, 0.04
    first = min(len(patches) - 1, 5)
    for slot, index in enumerate([*range(first), len(patches) - 1]):
        y = slot * (cell + gap) + (0.11 if slot == first else 0)
        page.note(x + width - cell - 0.04, y + cell / 2, f"{index + 1}", ha="right", va="center")
        place_image(page.axes, patches[index], x + width - cell, page.top + y, cell, cell)
    if first < len(patches) - 1:
        y = page.top + first * (cell + gap) + 0.035 + np.array([-0.025, 0.005, 0.035])
        page.axes.plot(np.full(3, x + width - cell / 2), y, ".", color=GREY, markersize=1.8)


def show_stem(page: Page, kernels: np.ndarray | None, stem: str, patch: int) -> None:
    """The first kernels, each with its own colour scale, or that there are none."""
    x, width = KERNELS
    if kernels is None:
        page.head(KERNELS, "Stem", "no convolution")
        box = Rectangle(
            (x, page.top + 0.1), width, 2 * MIDDLE - 0.2, facecolor="#f2f2f2", edgecolor=GREY, linewidth=0.6
        )
        page.axes.add_patch(box)
        text = f"raw pixels\n{by(3, patch, patch)}\n= {3 * patch**2}"
        page.note(x + width / 2, MIDDLE, text, ha="center", va="center")
        return
    page.head(KERNELS, "Stem", f"{stem}\nconvolution")
    gap = 0.03
    cell = (width - 2 * gap) / 3
    for index, kernel in enumerate(kernels[:15]):
        y = page.top + index // 3 * (cell + gap)
        place_image(page.axes, spread(kernel), x + index % 3 * (cell + gap), y, cell, cell)
    shown = min(len(kernels), 15)
    page.note(
        x, -(-shown // 3) * (cell + gap) + 0.04, f"{shown} of {len(kernels)} kernels,\n{by(3, patch, patch)} each"
    )


def show_matrix(page: Page, place: tuple[float, float], values: np.ndarray, class_token: bool) -> None:
    """Values [token, neuron], zero mid-grey, black and white at minus and plus their 98th percentile."""
    x, width = place
    limit = float(np.percentile(np.abs(values), 98)) or 1.0
    place_image(page.axes, values, x, page.top, width, BODY, cmap="gray", vmin=-limit, vmax=limit)
    row = BODY / len(values)
    first = row / 2 + (row if class_token else 0)
    if class_token:
        page.note(x - 0.04, row / 2 - 0.03, "class", ha="right", va="center")
        first = max(first, 0.08)
    page.note(x - 0.04, first, "1", ha="right", va="center")
    page.note(x - 0.04, BODY - row / 2, f"{len(values) - class_token}", ha="right", va="center")


def stack_slots(depth: int, block: int) -> list[int | None]:
    """The blocks to draw, all of a short stack, else the first, the last and `block`; None: some left out."""
    shown = sorted({1, 2, block, depth} if depth > 6 else range(1, depth + 1))
    slots: list[int | None] = []
    for number in shown:
        if slots and number > shown[shown.index(number) - 1] + 1:
            slots.append(None)
        slots.append(number)
    return slots


def show_stack(page: Page, facts: dict, block: int) -> None:
    """The blocks in a row, the one whose output is shown in black, and which tokens see which."""
    x, width = STACK
    depth, causal = facts["depth"], facts["family"] == "gpt2"
    page.head(STACK, "Stack", f"{facts['stack']},\n{depth} block{'s' if depth > 1 else ''}")
    slots = stack_slots(depth, block)
    pitch = width / len(slots)
    slab, height = min(0.72 * pitch, 0.2), 2 * MIDDLE
    page.axes.plot(
        (x + pitch / 2, x + width - pitch / 2), (page.top + MIDDLE,) * 2, color=GREY, linewidth=0.9, zorder=1
    )
    for slot, number in enumerate(slots):
        centre = x + (slot + 0.5) * pitch
        if number is None:
            gap = Rectangle((centre - 0.06, page.top + MIDDLE - 0.05), 0.12, 0.1, color="white", zorder=2)
            page.axes.add_patch(gap)
            page.note(centre, MIDDLE, "…", ha="center", va="center", size=7)
            continue
        chosen = number == block
        face, edge, ink = ("black", "black", "white") if chosen else ("#e8e8e8", GREY, "black")
        page.axes.add_patch(
            FancyBboxPatch(
                (centre - slab / 2 + 0.02, page.top + 0.02), slab - 0.04, height - 0.04, zorder=2, linewidth=0.6,
                boxstyle="round,pad=0.02", facecolor=face, edgecolor=edge,
            )
        )  # fmt: skip
        page.note(centre, MIDDLE, f"{number}", ha="center", va="center", color=ink, zorder=3)
        if chosen:  # its output leaves below, for the matrix on the right
            page.axes.plot((centre, centre), page.top + height + np.array([0, 0.12]), color=GREY, linewidth=0.9)
            page.arrow(centre, OUTPUT[0] - 0.04, height + 0.12)
    show_sight(page, x, height + 0.25, causal)


def show_sight(page: Page, x: float, down: float, causal: bool) -> None:
    """Which tokens (columns) each token (row) attends to, for five of them."""
    cell, count = 0.07, 5
    for row in range(count):
        for column in range(count):
            seen = column <= row or not causal
            corner = (x + column * cell, page.top + down + row * cell)
            colour = "#777777" if seen else "white"
            page.axes.add_patch(Rectangle(corner, cell, cell, facecolor=colour, edgecolor="#bbbbbb", linewidth=0.4))
    text = "each token\nsees itself and\nearlier ones" if causal else "each token\nsees them all"
    page.note(x + count * cell + 0.06, down + count * cell / 2, text, va="center")


def show_output(page: Page, values: np.ndarray, facts: dict, block: int) -> None:
    """One block's output; of what is maximised, one neuron of all patches and all neurons of one patch outlined."""
    x, width = OUTPUT
    neurons, first = values.shape[1], int(facts["class_token"])
    neuron, patch = middle(facts["neurons"]), middle(facts["patches"])
    shown = neurons if neuron is not None and neuron >= SHOWN_NEURONS else min(neurons, SHOWN_NEURONS)
    page.head(OUTPUT, f"Output of block {block}", by(f"{len(values)} tokens", f"{neurons} neurons"))
    show_matrix(page, OUTPUT, values[:, :shown], facts["class_token"])
    row, column = BODY / len(values), width / shown
    look = {"fill": False, "linewidth": 1.1}
    if neuron is not None:
        wide = max(column, THINNEST)
        left, down = x + (neuron + 0.5) * column - wide / 2, first * row
        page.axes.add_patch(Rectangle((left, page.top + down), wide, BODY - down, edgecolor=NEURON, **look))
        page.note(min(left, x + 0.22), BODY + 0.05, "one neuron, all patches", color=NEURON, size=6.5)
    if patch is not None:
        thick, token = max(row, THINNEST), (patch + first + 0.5) * row
        page.axes.add_patch(Rectangle((x, page.top + token - thick / 2), width, thick, edgecolor=PATCH, **look))
        beside = min(max(token, 0.55), BODY - 0.55)
        page.note(x + width + 0.06, beside, "all neurons, one patch", color=PATCH, rotation=90, va="center", size=6.5)
    range_shown = f"neurons 1 to {shown} of {neurons}" if shown < neurons else f"all {neurons} neurons"
    page.note(x, BODY + 0.19, f"{range_shown} shown")


@styled
def draw_diagram(trace: ArrayFile, title: str) -> Figure:
    """The probe at work on one image, left to right: patches, stem, tokens, blocks, and what is maximised.

    trace: `image` [3, size, size] in [0, 1], `kernels` [width, 3, p, p] (none where patches enter as raw pixels),
    `tokens` [token, width], `activations` [layer, token, width], the class token first; facts: `stem` and `stack`
    (labels), `class_token`, `layers`, `patch` and `size` (px), `depth`, `neurons` and `patches` (from 0, those
    maximised), `family` of the stack ("gpt2" is causal). The output shown is that of the middle one of `layers`.
    """
    facts, tokens = trace.facts, trace["tokens"]
    block = middle(facts["layers"])
    top = title_height(title) + 0.46
    figure, axes = make_canvas(top + BODY + 0.34, title)
    page = Page(axes, top)

    show_image(page, trace["image"], facts["patch"])
    show_patches(page, trace["image"], facts["patch"])
    show_stem(page, trace.arrays.get("kernels"), facts["stem"], facts["patch"])
    order = ",\nclass token first" if facts["class_token"] else ""
    page.head(TOKENS, "Tokens", by(*tokens.shape) + order)
    show_matrix(page, TOKENS, tokens, facts["class_token"])
    show_stack(page, facts, block)
    show_output(page, trace["activations"][facts["layers"].index(block)], facts, block)
    page.arrow(IMAGE[0] + IMAGE[1] + 0.04, PATCHES[0] + 0.02)
    page.arrow(PATCHES[0] + PATCHES[1] + 0.04, KERNELS[0] - 0.04)
    page.arrow(KERNELS[0] + KERNELS[1] + 0.04, TOKENS[0] - 0.04)
    page.arrow(TOKENS[0] + TOKENS[1] + 0.04, STACK[0])
    return figure
