"""What the distance between outputs does to a search: SSIM after the same passes, of each distance.

    python benchmarks/distance.py
    python benchmarks/distance.py --config laptop.yaml --runs smollm2_inverted --blocks 1 4 15 30
    python benchmarks/distance.py --config laptop.yaml --runs smollm2_inverted_untrained --distances
    python benchmarks/distance.py --builds with_l2/results/laptop with_pareto/results/laptop

Each search of a run, on one photograph at a time, is made once with each of --distances, in as many passes as the run
has. All start from the same noise. The output distance ratio is an L1 distance, which neither l2 nor pareto minimises.
"Outlier" is the largest variance of a neuron over the patches of the photograph's output, divided by the median
neuron's; with no distances it is all that is measured. --builds compares the inversions of two builds of a study
instead. Prints Markdown.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import add_searches, pick_layers, weight_files
from unfinished import long_search

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.plan import settle
from lmrep.errors import InputError
from lmrep.inputs.workspace import LoadedStudy, load_pixels, load_study
from lmrep.metrics.markdown import table
from lmrep.probe.probe import load_probe
from lmrep.study.kinds import NORMS
from lmrep.study.spec import Run


@torch.no_grad()
def outliers(study: LoadedStudy, run: Run, image: str) -> list[float]:
    """At each block of a run: the largest variance of a neuron over the patches, divided by the median one."""
    files, trained = weight_files(study, run), run.weights == "trained"
    probe = load_probe(run.probe, files, max(run.layers), torch.device("cpu"), run.seed, trained)
    target = torch.from_numpy(load_pixels(study, image, run.probe.stem.size))[None]
    variances = [output[0, run.probe.stem.first_patch :].var(dim=0) for output in probe(target, run.layers)]
    return [(found.max() / found.median()).item() for found in variances]


def compare(study: LoadedStudy, run: Run, image: str, norms: Sequence[str]) -> list[list[str]]:
    """A row for each block of a run: its outlier, and where the search with each distance ends."""
    found = []
    for norm in norms:
        one = replace(run, descent=replace(run.descent, distance=norm))
        found.append(long_search(study, one, image, run.descent.steps, 10, False).curves)
        print(f"{run.name} {image} {run.seed} {norm}", file=sys.stderr, flush=True)
    rows = []
    for layer, outlier in zip(run.layers, outliers(study, run, image), strict=True):
        ends = [curves[layer] for curves in found]
        numbers = [f"{end.ssim[-1]:.2f} ({end.correlation:.2f}; {end.ratio:.3f})" for end in ends]
        rows.append([run.name, image, str(run.seed), str(layer), f"{outlier:.3g}", *numbers])
    return rows


def chosen(run: str) -> bool:
    """Whether a run is an inversion by the study's own search: others have one distance in all builds."""
    return "_inverted" in run and not run.endswith(("_lbfgs", "_distance"))


def compare_builds(*builds: Path) -> str:
    """Mean SSIM of each inverted run in two builds of a study, its largest changes, and how many searches failed."""
    cells = []
    for build in builds:
        with (build / "evidence" / "accuracy.tsv").open() as file:
            rows = csv.DictReader(file, delimiter="\t")
            keys = ("run", "image", "seed", "layer")
            cells.append({tuple(row[key] for key in keys): row for row in rows if chosen(row["run"])})
    found = []
    for run in dict.fromkeys(cell[0] for cell in cells[1] if cell in cells[0]):
        pairs = [(cells[0][cell], row) for cell, row in cells[1].items() if cell[0] == run and cell in cells[0]]
        before, after = (np.array([float(row["ssim"]) for row in rows]) for rows in zip(*pairs, strict=True))
        failed = [sum(float(row["output_distance_ratio"]) >= 1 for row in rows) for rows in zip(*pairs, strict=True)]
        gains = np.maximum((after - before).max(), 0), np.maximum((before - after).max(), 0)
        means = [f"{value:.2f}" for value in (before.mean(), after.mean(), *gains)]
        found.append([run, str(len(pairs)), *means, *map(str, failed)])
    heads = ["SSIM, l2", "SSIM, pareto", "largest gain", "largest loss", "failed, l2", "failed, pareto"]
    return table(["run", "searches", *heads], found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_searches(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the start noise, and of untrained blocks")
    parser.add_argument("--distances", nargs="*", choices=NORMS, default=["l2", "pareto"])
    parser.add_argument("--builds", type=Path, nargs=2, metavar=("L2", "PARETO"), help="folders of results")
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    if options.builds:
        print(compare_builds(*options.builds))
        return
    study, rows = load_study(options.config), []
    for name in options.runs:
        run = study.runs[name]
        layers = pick_layers(run, options.blocks)
        for image in options.images:
            for seed in options.seeds:
                rows += compare(study, replace(run, layers=layers, seed=seed), image, options.distances)
    print("SSIM, and in brackets the correlation and the output distance ratio:\n")
    print(table(["run", "photograph", "seed", "block", "outlier", *options.distances], rows))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
