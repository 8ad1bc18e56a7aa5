"""The probe as a picture: how an image becomes tokens, what the blocks make of them, and what is maximised."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from lmrep.figures.page import GREY, fold, make_canvas, place_image, styled, title_height
from lmrep.figures.sheet import Array, Sheet, by, raster, spread, stack_slots
from lmrep.figures.shown import Shown

Facts = Mapping[str, Any]
NEURON, PATCH = "#D55E00", "#0072B2"  # the colours of one neuron and of one patch
BODY, MIDDLE = 1.9, 0.6  # in: height of the matrices; from their top, where the arrows go
# in, from the left of the page: where each part begins, and its width
IMAGE, PATCHES, KERNELS, TOKENS, STACK, OUTPUT = (
    (0.08, 1.14), (1.38, 0.46), (2.03, 0.66), (3.12, 0.98), (4.28, 0.9), (5.57, 1.16),
)  # fmt: skip
ROOM = 1.0  # in, for the words above the stem and above the stack
SHOWN_NEURONS = 64  # of the output, if those that are maximised are among them
THINNEST = 0.045  # in, of an outline around one row or column
FIRST = {"class": "class", "bos": "start", "none": ""}  # the token before patch 0 -> its name beside its row


def middle(values: Sequence[int]) -> int | None:
    return values[len(values) // 2] if values else None


def show_image(sheet: Sheet, image: Array, patch: int) -> None:
    x, width = IMAGE
    size, side = image.shape[-1], image.shape[-1] // patch
    sheet.head(IMAGE, "Image", f"{by(size, size)} px")
    place_image(sheet.axes, image, x, sheet.top, width, width)
    at = np.arange(side + 1) * width / side
    sheet.axes.hlines(sheet.top + at[1:-1], x, x + width, color="white", linewidth=0.5)
    sheet.axes.vlines(x + at[1:-1], sheet.top, sheet.top + width, color="white", linewidth=0.5)
    sheet.note(x, width + 0.07, f"cut into {by(side, side)} patches,\nnumbered row by row")


def show_patches(sheet: Sheet, image: Array, patch: int) -> None:
    """The first patches and the last one, one below the other."""
    x, width = PATCHES
    sheet.head(PATCHES, "Patches", f"{by(patch, patch)} px")
    patches = raster(image, patch)
    cell, gap = 0.26, 0.04
    first = min(len(patches) - 1, 5)
    for slot, index in enumerate([*range(first), len(patches) - 1]):
        y = slot * (cell + gap) + (0.11 if slot == first else 0)
        sheet.note(x + width - cell - 0.04, y + cell / 2, f"{index + 1}", ha="right", va="center")
        place_image(sheet.axes, patches[index], x + width - cell, sheet.top + y, cell, cell)
    if first < len(patches) - 1:
        dots = sheet.top + first * (cell + gap) + 0.035 + np.array([-0.025, 0.005, 0.035])
        sheet.axes.plot(np.full(3, x + width - cell / 2), dots, ".", color=GREY, markersize=1.8)


def show_stem(sheet: Sheet, kernels: Array | None, detail: str, patch: int) -> None:
    """The first kernels, each with its own colour scale, or a box for raw pixels if there are none."""
    x, width = KERNELS
    sheet.head(KERNELS, "Stem", detail)
    if kernels is None:
        box = Rectangle(
            (x, sheet.top + 0.1), width, 2 * MIDDLE - 0.2, facecolor="#f2f2f2", edgecolor=GREY, linewidth=0.6
        )
        sheet.axes.add_patch(box)
        text = f"raw pixels\n{by(3, patch, patch)}\n= {3 * patch**2}"
        sheet.note(x + width / 2, MIDDLE, text, ha="center", va="center")
        return
    gap = 0.03
    cell = (width - 2 * gap) / 3
    count = int(kernels.any(axis=(1, 2, 3)).sum())  # a basis in a wider stack ends in kernels of zeros
    shown = min(count, 15)
    for index, kernel in enumerate(kernels[:shown]):
        y = sheet.top + index // 3 * (cell + gap)
        place_image(sheet.axes, spread(kernel), x + index % 3 * (cell + gap), y, cell, cell)
    sheet.note(x, -(-shown // 3) * (cell + gap) + 0.04, f"{shown} of {count} kernels,\n{by(3, patch, patch)} each")


def show_matrix(sheet: Sheet, place: tuple[float, float], values: Array, name: str) -> None:
    """Values [token, neuron]: zero is mid-grey, black and white are minus and plus the 98th percentile of |value|.

    `name`: of the token before patch 0, if there is one.
    """
    x, width = place
    limit = float(np.percentile(np.abs(values), 98)) or 1.0
    place_image(sheet.axes, values, x, sheet.top, width, BODY, cmap="gray", vmin=-limit, vmax=limit)
    row = BODY / len(values)
    first: float = row / 2 + (row if name else 0)
    if name:
        sheet.note(x - 0.04, row / 2 - 0.03, name, ha="right", va="center")
        first = max(first, 0.08)
    sheet.note(x - 0.04, first, "1", ha="right", va="center")
    sheet.note(x - 0.04, BODY - row / 2, f"{len(values) - bool(name)}", ha="right", va="center")


def show_stack(sheet: Sheet, facts: Facts, detail: str, block: int) -> None:
    """The blocks in a row, the one whose output is shown in black, and which tokens see which."""
    x, width = STACK
    sheet.head(STACK, "Stack", detail)
    slots = stack_slots(facts["depth"], block)
    pitch = width / len(slots)
    slab, height = min(0.72 * pitch, 0.2), 2 * MIDDLE
    sheet.axes.plot(
        (x + pitch / 2, x + width - pitch / 2), (sheet.top + MIDDLE,) * 2, color=GREY, linewidth=0.9, zorder=1
    )
    for slot, number in enumerate(slots):
        centre = x + (slot + 0.5) * pitch
        if number is None:
            gap = Rectangle((centre - 0.06, sheet.top + MIDDLE - 0.05), 0.12, 0.1, color="white", zorder=2)
            sheet.axes.add_patch(gap)
            sheet.note(centre, MIDDLE, "…", ha="center", va="center", size=7)
            continue
        chosen = number == block
        face, edge, ink = ("black", "black", "white") if chosen else ("#e8e8e8", GREY, "black")
        sheet.axes.add_patch(
            FancyBboxPatch(
                (centre - slab / 2 + 0.02, sheet.top + 0.02), slab - 0.04, height - 0.04, zorder=2, linewidth=0.6,
                boxstyle="round,pad=0.02", facecolor=face, edgecolor=edge,
            )
        )  # fmt: skip
        sheet.note(centre, MIDDLE, f"{number}", ha="center", va="center", color=ink, zorder=3)
        if chosen:  # its output leaves below, for the matrix on the right
            sheet.axes.plot((centre, centre), sheet.top + height + np.array([0, 0.12]), color=GREY, linewidth=0.9)
            sheet.arrow(centre, OUTPUT[0] - 0.04, height + 0.12)
    show_sight(sheet, x, height + 0.25, facts["causal"])


def show_sight(sheet: Sheet, x: float, down: float, causal: bool) -> None:
    """Which tokens (columns) each token (row) attends to, for five of them."""
    cell, count = 0.07, 5
    for row in range(count):
        for column in range(count):
            seen = column <= row or not causal
            corner = (x + column * cell, sheet.top + down + row * cell)
            colour = "#777777" if seen else "white"
            sheet.axes.add_patch(Rectangle(corner, cell, cell, facecolor=colour, edgecolor="#bbbbbb", linewidth=0.4))
    text = "each token\nsees itself and\nearlier ones" if causal else "each token\nsees them all"
    sheet.note(x + count * cell + 0.06, down + count * cell / 2, text, va="center")


def show_output(sheet: Sheet, values: Array, facts: Facts, block: int) -> None:
    """One block's output, with two outlines: a maximised neuron of all patches, all neurons of a patch."""
    x, width = OUTPUT
    neurons, name = values.shape[1], FIRST[facts["first_token"]]
    first = int(bool(name))
    neuron, patch = middle(facts["neurons"]), middle(facts["patches"])
    shown = neurons if neuron is not None and neuron >= SHOWN_NEURONS else min(neurons, SHOWN_NEURONS)
    sheet.head(OUTPUT, f"Output of block {block}", by(f"{len(values)} tokens", f"{neurons} neurons"))
    show_matrix(sheet, OUTPUT, values[:, :shown], name)
    row, column = BODY / len(values), width / shown
    look: dict[str, Any] = {"fill": False, "linewidth": 1.1}
    if neuron is not None:
        wide = max(column, THINNEST)
        left, down = x + (neuron + 0.5) * column - wide / 2, first * row
        sheet.axes.add_patch(Rectangle((left, sheet.top + down), wide, BODY - down, edgecolor=NEURON, **look))
        sheet.note(min(left, x + 0.22), BODY + 0.05, "one neuron, all patches", color=NEURON, size=6.5)
    if patch is not None:
        thick, token = max(row, THINNEST), (patch + first + 0.5) * row
        sheet.axes.add_patch(Rectangle((x, sheet.top + token - thick / 2), width, thick, edgecolor=PATCH, **look))
        beside = min(max(token, 0.55), BODY - 0.55)
        sheet.note(x + width + 0.06, beside, "all neurons, one patch", color=PATCH, rotation=90, va="center", size=6.5)
    range_shown = f"neurons 1 to {shown} of {neurons}" if shown < neurons else f"all {neurons} neurons"
    sheet.note(x, BODY + 0.19, f"{range_shown} shown")


@styled
def draw_diagram(shown: Shown) -> Figure:
    """The probe at work on one image, left to right: patches, stem, tokens, blocks, and what is maximised.

    shown.trace: `image` [3, size, size] in [0, 1], `kernels` [width, 3, p, p] (none where patches enter as raw pixels),
    `tokens` [token, width], `activations` [layer, token, width], the first token included. Facts: `first_token` (class,
    bos or none), `basis` (whether the stem is one), `causal` (whether a token sees only itself and earlier ones),
    `layers`, `patch` (px), `depth`, and the maximised `neurons` and `patches` (from 0). The output shown is that of the
    middle one of `layers` above 0, the stem.

    Raises ValueError without a trace or without such a layer in it.
    """
    trace = shown.trace
    if trace is None:
        raise ValueError("expected a trace for a diagram")
    facts, tokens, kernels = trace.facts, trace["tokens"], trace.arrays.get("kernels")
    block = middle([layer for layer in facts["layers"] if layer])
    if block is None:
        raise ValueError("expected at least one block in a diagram's trace")
    stem = f"{fold(shown.stem, ROOM, 6)}\nconvolution" if kernels is not None else "no convolution"
    stem = fold(shown.stem, ROOM, 6) if facts["basis"] else stem
    stack = f"{fold(f'{shown.stack},', ROOM, 6)}\n{facts['depth']} block{'s' if facts['depth'] > 1 else ''}"
    lines = max(2, *(len(detail.splitlines()) for detail in (stem, stack)))
    top = title_height(shown) + 0.26 + 0.1 * lines
    figure, axes = make_canvas(top + BODY + 0.34, shown)
    sheet = Sheet(axes, top, lines)

    show_image(sheet, trace["image"], facts["patch"])
    show_patches(sheet, trace["image"], facts["patch"])
    show_stem(sheet, kernels, stem, facts["patch"])
    name = FIRST[facts["first_token"]]
    order = f",\n{name} token first" if name else ""
    sheet.head(TOKENS, "Tokens", by(*tokens.shape) + order)
    show_matrix(sheet, TOKENS, tokens, name)
    show_stack(sheet, facts, stack, block)
    show_output(sheet, trace["activations"][facts["layers"].index(block)], facts, block)
    sheet.arrow(IMAGE[0] + IMAGE[1] + 0.04, PATCHES[0] + 0.02, MIDDLE)
    sheet.arrow(PATCHES[0] + PATCHES[1] + 0.04, KERNELS[0] - 0.04, MIDDLE)
    sheet.arrow(KERNELS[0] + KERNELS[1] + 0.04, TOKENS[0] - 0.04, MIDDLE)
    sheet.arrow(TOKENS[0] + TOKENS[1] + 0.04, STACK[0], MIDDLE)
    return figure
