"""Targets drawn by this program, where a photograph may not be shipped."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw
from skimage.filters import gaussian

from lmrep.errors import InputError

Array = npt.NDArray[np.float64]
Strokes = list[tuple[Array, float]]  # (line [points, 2], width), both in image sides

OVERSAMPLING = 2  # drawn this much larger, then averaged
TOROID = (0.5, 0.5, 0.185, 0.052)  # centre x and y, half width, half height; all lengths in image sides
COLUMN = (0.5, 0.07, 0.55, 0.87)  # centre x, half width, top, bottom
WINDINGS = 26
# (standard deviation in image sides, strength, colour) of the light around a discharge, core outwards
GLOW = (
    (0.0015, 2.6, (1.00, 0.93, 1.00)),
    (0.0060, 2.2, (0.74, 0.52, 1.00)),
    (0.0220, 2.4, (0.46, 0.26, 1.00)),
    (0.0900, 3.0, (0.27, 0.14, 0.62)),
)


def bolt(rng: np.random.Generator, start: Array, end: Array, roughness: float = 0.17) -> Array:
    """Returns a jagged line from `start` to `end`, [points, 2], by midpoint displacement (Fournier et al., 1982)."""
    points = np.stack([start, end])
    for _ in range(6):
        step = np.diff(points, axis=0)
        aside = np.stack([-step[:, 1], step[:, 0]], axis=1) * rng.uniform(-roughness, roughness, (len(step), 1))
        middle = (points[:-1] + points[1:]) / 2 + aside
        points = np.insert(points, np.arange(1, len(points)), middle, axis=0)
    return points


def discharge(rng: np.random.Generator, start: Array, end: Array, width: float) -> Strokes:
    """Returns a bolt and its branches, each thinner and shorter than its parent."""
    line = bolt(rng, start, end)
    strokes: Strokes = [(line, width)]
    if width < 0.0022:
        return strokes
    angle, length = math.atan2(*(end - start)[::-1]), float(np.hypot(*(end - start)))
    for place in rng.uniform(0.2, 0.75, rng.integers(2, 5)):
        turned = angle + rng.choice([-1, 1]) * rng.uniform(0.3, 0.9)
        reach = length * (1 - place) * rng.uniform(0.5, 1.0)
        root = line[int(place * (len(line) - 1))]
        tip = root + reach * np.array([math.cos(turned), math.sin(turned)])
        strokes += discharge(rng, root, tip, width * rng.uniform(0.45, 0.6))
    return strokes


def draw_strokes(strokes: Strokes, side: int) -> Array:
    """Draws the strokes, bright on black, [side, side] in [0, 1]; a bolt gets thinner towards its tip."""
    canvas = Picture.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    for line, width in sorted(strokes, key=lambda stroke: stroke[1]):
        for i, (a, b) in enumerate(pairwise(line)):
            left = 1 - 0.6 * i / len(line)
            shade = round(255 * min(1.0, (width / 0.009) ** 0.4) * (0.55 + 0.45 * left))
            thick = max(1, round(width * left * side))
            pen.line([*(a * side), *(b * side)], fill=shade, width=thick)
            pen.circle(tuple(b * side), thick / 2 - 0.5, fill=shade)
    return np.asarray(canvas, dtype=float) / 255


def paint(scene: Array, mask: npt.NDArray[np.bool_], colour: Array) -> None:
    """Paints `colour` [h, w, 3] over `scene` [h, w, 3] where `mask` [h, w] is true."""
    scene[mask] = np.broadcast_to(colour, scene.shape)[mask]


def draw_apparatus(scene: Array, x: Array, y: Array) -> None:
    """Paints floor, base with primary winding, secondary column and toroid into `scene` [h, w, 3].

    `x` and `y` [h, w] are the pixels' places in image sides.
    """
    floor = 0.9 - 0.02 * (x - 0.5) ** 2
    paint(scene, y > floor, (np.array([0.17, 0.13, 0.26]) * np.exp(-7 * (x - 0.5) ** 2)[..., None]))

    # A cylinder is bright where it faces the light; the discharge above lights its top most.
    cx, half, top, bottom = COLUMN
    across = np.clip((x - cx) / half, -1, 1)
    facing = np.sqrt(1 - across**2) * 0.6 + 0.5 * np.exp(-(((across + 0.35) / 0.22) ** 2))
    turn = 0.62 + 0.38 * np.sin(2 * math.pi * WINDINGS * (y - top) / (bottom - top) + 0.5 * across)
    lit = 1.0 - 0.45 * (y - top) / (bottom - top)
    copper = (facing * turn * lit)[..., None] * np.array([0.86, 0.44, 0.24]) + 0.02
    paint(scene, (abs(x - cx) < half) & (y > top) & (y < bottom), copper)

    for level, wide in ((0.80, 0.150), (0.83, 0.165), (0.86, 0.180)):
        ring = ((x - cx) / wide) ** 2 + ((y - level) / 0.014) ** 2
        shine = np.sqrt(np.clip(1 - ring, 0, 1))[..., None] * np.array([0.78, 0.42, 0.22])
        paint(scene, ring < 1, 0.04 + 0.7 * shine * (1 - 0.6 * abs(x - cx - 0.02) / wide)[..., None])
    base = (abs(x - cx) < 0.21) & (y > 0.875) & (y < 0.945)
    paint(scene, base, (0.07 + 0.16 * np.clip(1 - (y - 0.875) / 0.07, 0, 1))[..., None] * np.array([0.9, 0.8, 1.1]))

    cx, cy, wide, high = TOROID
    u, v = (x - cx) / wide, (y - cy) / high
    inside = abs(u) ** 2.6 + abs(v) ** 2.0 < 1
    # Polished metal reflects violet light above, a bright band, a dark horizon and a faint floor below.
    metal = 0.30 + 0.75 * np.exp(-(((v + 0.45) / 0.2) ** 2)) - 0.24 * np.exp(-(((v - 0.25) / 0.28) ** 2))
    metal = metal + 0.16 * np.exp(-(((v - 0.75) / 0.15) ** 2)) + 0.25 * np.exp(-(((u + 0.45) / 0.2) ** 2)) * (v < 0.1)
    metal = metal * (1 - 0.55 * abs(u) ** 3)
    paint(scene, inside, metal[..., None] * np.array([0.86, 0.82, 1.0]))


def draw_tesla_coil(size: int = 512, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draws a Tesla coil in the dark with discharges, uint8 [size, size, 3]; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    side = size * OVERSAMPLING
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    scene = np.full((side, side, 3), (0.012, 0.010, 0.022))
    draw_apparatus(scene, x, y)

    cx, cy, wide, high = TOROID
    strokes: Strokes = []
    for angle in np.linspace(-1.12 * math.pi, 0.12 * math.pi, 9) + rng.uniform(-0.09, 0.09, 9):
        way = np.array([math.cos(angle), math.sin(angle)])
        root = np.array([cx, cy]) + 0.92 * way * (wide, high)
        tip = np.array([cx, cy]) + way * rng.uniform(0.40, 0.52)
        strokes += discharge(rng, root, tip, rng.uniform(0.0085, 0.012))
    arcs = draw_strokes(strokes, side)

    light = -np.log1p(-np.clip(scene, 0, 0.98))  # the tone curve below then returns the scene
    blur: Callable[[Array, float], Array] = gaussian  # scikit-image has no types
    for sigma, strength, colour in GLOW:
        blurred = blur(arcs, sigma * side)
        light += strength * blurred[..., None] * np.array(colour)
    picture = 1 - np.exp(-light)
    picture = picture.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean((1, 3))
    picture += rng.normal(0, 0.006, (size, size, 1))  # a sensor's grain
    levels: npt.NDArray[np.uint8] = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return levels


DRAWINGS = {"tesla_coil": draw_tesla_coil}


def draw(name: str) -> npt.NDArray[np.uint8]:
    """Returns the drawing `name`, uint8 [h, w, 3]; raises InputError if there is none."""
    if name not in DRAWINGS:
        raise InputError(f"'{name}' is not one of the drawings: {', '.join(sorted(DRAWINGS))}")
    return DRAWINGS[name]()
