"""How far SSIM still rises after the end of a search, as a multiple of its rise in the last quarter of the passes.

    python benchmarks/unfinished.py
    python benchmarks/unfinished.py --optimiser lbfgs --passes 3000
    python benchmarks/unfinished.py --start 0.7 0.25 --images chelsea
    python benchmarks/unfinished.py --config laptop.yaml --runs smollm2_inverted --blocks 1 4 15 30 --figure ends.png

The verdicts widen the SSIM of a search that has not converged by such a multiple (`WIDENING` in
lmrep/metrics/claims/inversion.py). Each search of a run, on one photograph, goes on for many more passes than the run
gives it. Each of --ends is taken as the end of a search: the rise in its last quarter, and the rise from there to the
end of all passes. That one is too low where the long search has not converged either. Searches that moved by less than
.01 count as converged, and those that are further from their goal than the noisy photograph are widened to 1: neither
is listed, see `converged` and `unfinished`. A last table says where the long searches themselves end: SSIM, its rise in
their last quarter, correlation with the photograph, and output distance ratio. Prints Markdown. With --figure it draws
where they end, too.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from common import add_searches, pick_layers, weight_files
from inversion import Curve, curve, in_turn
from matplotlib import style

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.descend import EARLIER
from lmrep.descent.match import shift_noise
from lmrep.descent.plan import make_plan, settle
from lmrep.errors import InputError
from lmrep.figures.page import MARGIN, PAGE, STYLE, make_canvas, place_image, save_figure, title_height
from lmrep.figures.shown import Shown
from lmrep.inputs.workspace import LoadedStudy, load_pixels, load_study
from lmrep.metrics.markdown import table
from lmrep.metrics.measures import CONVERGED
from lmrep.probe.probe import load_probe
from lmrep.study.kinds import NORMS
from lmrep.study.spec import Run

FACTORS = (1, 2, 3, 4, 6, 8, 12, 16)


class Ends(NamedTuple):
    """Where the searches of one photograph [3, size, size] end, by block."""

    probe: str
    photograph: npt.NDArray[np.float32]
    curves: dict[int, Curve]


@torch.no_grad()
def long_search(study: LoadedStudy, run: Run, image: str, passes: int, every: int, float64: bool) -> Ends:
    """Lets the searches of a run on one photograph go on for `passes`, and measures SSIM every few of them."""
    (octave,) = run.descent.octaves
    descent = replace(run.descent, octaves=(replace(octave, steps=passes),))
    run = replace(run, descent=descent, panels=(image,), panel_seeds=())
    files, trained = weight_files(study, run), run.weights == "trained"
    exact = load_probe(run.probe, files, max(run.layers), torch.device("cpu"), run.seed, trained)
    target = torch.from_numpy(load_pixels(study, image, run.probe.stem.size))[None]
    if float64:
        exact, target = exact.in_precision(torch.float64).double(), target.double()
    probe = exact if float64 else exact.in_precision(make_plan(run, target.device).precision)
    kept = list(in_turn(run, probe, target, every))
    shifted = target + shift_noise(run)
    curves = {
        layer: curve([images[index] for images in kept], target, exact, layer, shifted)
        for index, layer in enumerate(run.layers)
    }
    return Ends(run.probe.label, target[0].numpy(), curves)


def rises(found: Curve, end: int) -> tuple[float, float, float]:
    """SSIM at the end of a search, its rise in the last quarter before, and its rise from there to the last pass."""
    then, now = (float(np.interp(passes, found.passes, found.ssim)) for passes in (EARLIER * end, end))
    return now, now - then, float(found.ssim[-1]) - now


def draw(rows: Sequence[Ends], title: str, path: Path) -> None:
    """A line of pictures for each photograph: itself, and what was re-created from each block."""
    page = Shown(title, {}, {})
    gap, heading, note = 0.06, 0.2, 0.28
    across = 1 + max(len(row.curves) for row in rows)
    side = (PAGE - 2 * MARGIN - gap * (across - 1)) / max(across, 5)
    top = title_height(page) + 0.06
    with style.context(["default", str(STYLE)]):
        figure, axes = make_canvas(top + len(rows) * (heading + side + note), page)
        for line, row in enumerate(rows):
            down = top + line * (heading + side + note) + heading
            axes.text(MARGIN, down - 0.06, row.probe, size=8, weight="bold")
            shown = [("photograph", row.photograph)]
            shown += [
                (f"block {layer}\nSSIM {found.ssim[-1]:.2f}, r {found.correlation:.2f}", found.image)
                for layer, found in row.curves.items()
            ]
            for place, (name, image) in enumerate(shown):
                left = MARGIN + place * (side + gap)
                place_image(axes, image, left, down, side, side, interpolation="none")
                axes.text(left, down + side + 0.03, name, size=6, va="top")
        save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_searches(parser)
    parser.add_argument("--optimiser", choices=["lbfgs", "preconditioned_lbfgs"], help="default: the run's own")
    parser.add_argument("--distance", choices=NORMS, help="between outputs; default: the run's own")
    parser.add_argument("--start", type=float, nargs=2, metavar=("MEAN", "SD"), help="default: the run's own noise")
    parser.add_argument("--passes", type=int, default=2000)
    parser.add_argument("--ends", type=int, nargs="+", default=[100, 160, 360])
    parser.add_argument("--every", type=int, default=10, help="passes between two measurements of SSIM")
    parser.add_argument("--float64", action="store_true", help="search in float64, on models of our own blocks")
    parser.add_argument("--figure", type=Path, help="a png, pdf or svg file")
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    study = load_study(options.config)
    rows, ends, ratios, pictures = [], [], [], []
    for name in options.runs:
        run = study.runs[name]
        start = ("normal", *options.start) if options.start else run.descent.start
        optimiser = options.optimiser or run.descent.optimiser
        distance = options.distance or run.descent.distance
        run = replace(run, descent=replace(run.descent, optimiser=optimiser, distance=distance, start=start))
        run = replace(run, layers=pick_layers(run, options.blocks))
        for image in options.images:
            pictures.append(long_search(study, run, image, options.passes, options.every, options.float64))
            for layer, found in pictures[-1].curves.items():
                last = (found.ssim[-1], found.moved, found.correlation, found.ratio)
                ends.append([name, image, str(layer), *(f"{value:.3f}" for value in last)])
                for end in options.ends:
                    now, rise, rest = rises(found, end)
                    if rise < CONVERGED:
                        continue
                    ratios.append(rest / rise)
                    numbers = [f"{value:.3f}" for value in (now, rise, rest)] + [f"{rest / rise:.1f}"]
                    rows.append([name, image, str(layer), str(end), *numbers])
            print(f"{name} {image}", file=sys.stderr, flush=True)
    print(table(["run", "photograph", "block", "passes", "SSIM", "last quarter", "rises further", "multiple"], rows))
    print("\n" + summary(ratios))
    heads = ["run", "photograph", "block", f"SSIM, {options.passes} passes", "last quarter", "r", "distance ratio"]
    print("\n" + table(heads, ends))
    if options.figure:
        draw(pictures, f"Photographs re-created from the outputs of blocks in {options.passes} passes", options.figure)


def summary(ratios: Sequence[float]) -> str:
    """How many cases (a search and an end) rise by no more than each of FACTORS times the last quarter."""
    shares = [f"{np.mean(np.array(ratios) <= factor):.0%}" for factor in FACTORS]
    return table(["at most, times the last quarter", *map(str, FACTORS)], [[f"of {len(ratios)} cases", *shares]])


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
