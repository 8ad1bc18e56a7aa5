"""What the distance between outputs does to a search: SSIM after the same passes, of each distance.

    python benchmarks/distance.py
    python benchmarks/distance.py --config laptop.yaml --runs smollm2_inverted --blocks 1 4 15 30

Each search of a run, on one photograph at a time, goes on for the passes of the run, with each of --distances. All start
from the same noise. The output distance ratio is an L1 distance and favours none of the two. Prints Markdown.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from common import ROOT
from unfinished import long_search

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.plan import settle
from lmrep.errors import InputError
from lmrep.inputs.workspace import load_study
from lmrep.metrics.markdown import table
from lmrep.study.kinds import NORMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "miniature.yaml")
    parser.add_argument("--runs", nargs="+", default=["gpt2_inverted", "vit_base_inverted", "vit_large_inverted"])
    parser.add_argument("--images", nargs="+", default=["chelsea", "coffee"])
    parser.add_argument("--blocks", type=int, nargs="+", help="default: the first, a middle one and the last of a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the start noise")
    parser.add_argument("--distances", nargs="+", choices=NORMS, default=["l2", "pareto"])
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    study = load_study(options.config)
    rows = []
    for name in options.runs:
        run = study.runs[name]
        layers = options.blocks or sorted({run.layers[0], run.layers[len(run.layers) // 2], run.layers[-1]})
        for image in options.images:
            for seed in options.seeds:
                found = []
                for norm in options.distances:
                    one = replace(run, layers=tuple(layers), seed=seed, descent=replace(run.descent, distance=norm))
                    found.append(long_search(study, one, image, run.descent.steps, 10, False).curves)
                    print(f"{name} {image} {seed} {norm}", file=sys.stderr, flush=True)
                for layer in layers:
                    ends = [curves[layer] for curves in found]
                    numbers = [f"{end.ssim[-1]:.2f} ({end.correlation:.2f}; {end.ratio:.3f})" for end in ends]
                    rows.append([name, image, str(seed), str(layer), *numbers])
    print("SSIM, and in brackets the correlation and the output distance ratio:\n")
    print(table(["run", "photograph", "seed", "block", *options.distances], rows))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
