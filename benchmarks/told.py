"""Prints the numbers in README, docs/methods.md and docs/claims.md that no results table holds.

    python benchmarks/told.py blocks                    # what untrained and trained blocks add to the stem's tokens
    python benchmarks/told.py neurons results/laptop    # the order of the change, neuron by neuron
    python benchmarks/told.py brightness results/laptop    # the mean of re-created images, from two starts
    python benchmarks/told.py intervals                 # how often intervals of the claims miss the truth

They come from the miniature's models, from run files of a build and from simulations. Prints rows of Markdown tables.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from common import ROOT  # it also makes lmrep importable

import lmrep
from lmrep.figures.importance import geometric_mean
from lmrep.metrics.claims.statistics import bootstrap, interval
from lmrep.metrics.measures import patch_changes, row_means

STUDIES, QUESTIONS = 500, 36  # that are simulated, and how many each asks
SHAPES = {"normal": 0.0, "exponential": 1.0, "lognormal": float(np.exp(0.5))}  # of panels -> their mean


def show(*cells: object) -> None:
    print(f"| {' | '.join(f'{cell:.2f}' if isinstance(cell, float) else str(cell) for cell in cells)} |", flush=True)


def blocks() -> None:
    """The norm of all that blocks have added to the tokens of `chelsea`, over the tokens' own."""
    study = lmrep.load_study(ROOT / "miniature.yaml")
    show("probe", "weights", "after block 1", "after the last")
    for name in ("gpt2", "vit_base", "vit_large"):
        for trained in (False, True):
            probe = lmrep.load_probe(study, name, trained=trained)
            image = lmrep.load_image(study, "chelsea", probe)
            with torch.no_grad():
                stem, first, last = probe(image[None], [0, 1, probe.spec.stack.depth])
            added = (float((output - stem).norm() / stem.norm()) for output in (first, last))
            show(name, "trained" if trained else "untrained", *added)


def neurons(results: Path) -> None:
    """Change of the top row of patches over that of the bottom row: the geometric mean of neurons, and the range."""
    show("run", "block", "geometric mean", "lowest", "highest")
    for path in sorted((results / "runs").glob("*_neurons*.safetensors")):
        run = lmrep.open_run(path)
        for images, block in zip(run["images"], run.facts["layers"], strict=True):
            pairs = zip(images, run["baseline"], strict=True)
            rows = np.array([row_means(patch_changes(image, start, run.facts["grid"])) for image, start in pairs])
            ratios = rows[:, 0] / rows[:, 1]
            show(path.stem, block, geometric_mean(ratios.tolist()), float(ratios.min()), float(ratios.max()))


def brightness(results: Path) -> None:
    """The mean pixel value, clipped, of photographs and of what is re-created of them."""
    show("run", "image", "block", "target", "start", "re-created")
    for dark in sorted((results / "runs").glob("*_inverted_dark.safetensors")):
        for path in (dark.with_name(dark.name.replace("_dark", "")), dark):
            run = lmrep.open_run(path)
            for layer, block in enumerate(run.facts["layers"]):
                for panel, image in enumerate(run.facts["panels"]):
                    pictures = run["targets"][panel], run["initial"][layer, panel], run["images"][layer, panel]
                    show(path.stem, image, block, *(float(np.clip(picture, 0, 1).mean()) for picture in pictures))


def intervals() -> None:
    """The share of simulated tables whose interval misses their mean, and of studies in which a corrected one does."""
    show("panels", "seeds", "values of panels", "missed", "studies with one missed when corrected")
    for panels, seeds in ((4, 1), (6, 1), (4, 2), (6, 3), (9, 3), (16, 3)):
        for shape, mean in SHAPES.items():
            draws = np.random.default_rng(1)
            draw = {"normal": draws.standard_normal, "exponential": draws.standard_exponential}.get(shape)
            missed: list[npt.NDArray[np.bool_]] = []
            for _ in range(STUDIES):  # one at a time, for the memory of the bootstrap
                size = (panels, 1, QUESTIONS)
                cells = (draw(size) if draw else draws.lognormal(size=size)) - mean
                cells = cells + 0.2 * draws.standard_normal((panels, seeds, QUESTIONS))
                cells += 0.2 * draws.standard_normal((1, seeds, QUESTIONS)) * (seeds > 1)
                spread = np.stack([counts.means(cells) for counts in bootstrap(panels, seeds)])
                ends = [interval(spread, cells.mean(axis=(0, 1)), panels, seeds, many) for many in (1, QUESTIONS)]
                missed.append(np.stack([(low > 0) | (high < 0) for low, high in ends]))
            alone, together = np.stack(missed, axis=1)
            show(panels, seeds, shape, float(alone.mean()), float(together.any(axis=1).mean()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["blocks", "neurons", "brightness", "intervals"])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/laptop"))
    chosen = parser.parse_args()
    if chosen.table in ("blocks", "intervals"):
        {"blocks": blocks, "intervals": intervals}[chosen.table]()
    else:
        {"neurons": neurons, "brightness": brightness}[chosen.table](chosen.results)
