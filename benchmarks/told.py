"""Prints the numbers in README and docs/methods.md that no results table holds.

    python benchmarks/told.py blocks                    # what fresh and trained blocks add to the stem's tokens
    python benchmarks/told.py neurons results/laptop    # the order of the change, neuron by neuron
    python benchmarks/told.py brightness results/laptop    # the mean of re-created images, from two starts

They come from the miniature's models and from run files of a build. Prints rows of Markdown tables.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from common import ROOT  # it also makes lmrep importable

import lmrep
from lmrep.figures.importance import geometric_mean
from lmrep.metrics.measures import patch_changes, row_means


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
            show(name, "trained" if trained else "fresh", *added)


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["blocks", "neurons", "brightness"])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results/laptop"))
    chosen = parser.parse_args()
    if chosen.table == "blocks":
        blocks()
    else:
        {"neurons": neurons, "brightness": brightness}[chosen.table](chosen.results)
