"""What the distance between outputs does to a search: SSIM after the same passes, of each distance.

    python benchmarks/distance.py
    python benchmarks/distance.py --config laptop.yaml --runs smollm2_inverted --blocks 1 4 15 30

Each search of a run, on one photograph at a time, is made once with each of --distances, in as many passes as the run
has. All start from the same noise. The output distance ratio is an L1 distance, which neither l2 nor pareto minimises.
"Outlier" is the largest variance of a neuron over the patches of the photograph's output, divided by the median
neuron's. Prints Markdown.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from common import ROOT, weight_files
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "miniature.yaml")
    parser.add_argument("--runs", nargs="+", default=["gpt2_inverted", "vit_base_inverted", "vit_large_inverted"])
    parser.add_argument("--images", nargs="+", default=["chelsea", "coffee"])
    parser.add_argument("--blocks", type=int, nargs="+", help="default: the first, a middle one and the last of a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the start noise, and of untrained blocks")
    parser.add_argument("--distances", nargs="+", choices=NORMS, default=["l2", "pareto"])
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    study, rows = load_study(options.config), []
    for name in options.runs:
        run = study.runs[name]
        layers = options.blocks or sorted({run.layers[0], run.layers[len(run.layers) // 2], run.layers[-1]})
        for image in options.images:
            for seed in options.seeds:
                rows += compare(study, replace(run, layers=tuple(layers), seed=seed), image, options.distances)
    print("SSIM, and in brackets the correlation and the output distance ratio:\n")
    print(table(["run", "photograph", "seed", "block", "outlier", *options.distances], rows))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
