"""What bfloat16 changes at every block of a study's runs, compared with float32.

    python benchmarks/precision.py miniature.yaml
    python benchmarks/precision.py config.yaml --fresh --runs gpt2_match --steps 300 --layers 1 4 12

Each run is computed in float32 and in bfloat16. If they differ by more than 0.01, it is also computed in float32 from a
start moved by normal noise of 1e-5 of a pixel's range. If that changes a picture as much, no precision settles it.
The table gives the largest difference over the panels of each block: in the SSIM to the target for reconstructions,
otherwise 1 - SSIM of the two pictures. --fresh uses random weights and a photograph that ships with
scikit-image, not those of the study. Prints Markdown.
"""

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from common import photographs, shorten, weight_files
from contestants import write_stem

from lmrep.descent import experiment
from lmrep.descent.plan import make_plan, settle
from lmrep.descent.priors import generator, normal, start_noise
from lmrep.inputs.images import prepare
from lmrep.inputs.shipped import shipped_pixels
from lmrep.inputs.workspace import LoadedStudy, load_study
from lmrep.metrics.measures import ssim
from lmrep.study.cost import run_flops
from lmrep.study.spec import Run

NUDGE, LIMIT = 1e-5, 0.01


def nudged_noise(start: tuple[str, float, float], size: int, seed: int, name: str) -> torch.Tensor:
    return start_noise(start, size, seed, name) + normal((3, size, size), 0.0, NUDGE, generator(seed, "nudge", name))


def make_images(
    study: LoadedStudy, fresh: bool, variant: tuple[Run, str, bool]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images [layer, panel, 3, size, size] of a run in one precision, and its targets [panel, 3, size, size]."""
    run, precision, nudged = variant
    settle(1)
    run, size, targets = replace(run, precision=precision), run.probe.stem.size, None
    if run.objective == "match" and fresh:
        targets = np.stack([prepare(shipped_pixels("chelsea"), size, "crop")] * len(run.panels))
    else:
        targets = photographs(study, run)
    with tempfile.TemporaryDirectory() as folder:
        if fresh:
            torch.manual_seed(0)
            files = write_stem(run, folder)
            run = replace(run, weights="untrained")
        else:
            files = weight_files(study, run)
        with patch.object(experiment, "start_noise", nudged_noise if nudged else start_noise):
            arrays = experiment.perform(run, files, targets, make_plan(run, torch.device("cpu")))
    return arrays["images"], targets


def difference(ours: np.ndarray, others: np.ndarray, targets: np.ndarray | None) -> str:
    """The largest difference over the panels of each block."""
    blocks = []
    for one, other in zip(ours, others, strict=True):
        if targets is None:
            found = [1 - ssim(a, np.clip(b, 0, 1)) for a, b in zip(one, other, strict=True)]
        else:
            found = [abs(ssim(a, t) - ssim(b, t)) for a, b, t in zip(one, other, targets, strict=True)]
        blocks.append(max(found))
    return " ".join(f"{found:.3f}" for found in blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--runs", nargs="*", help="default: all")
    parser.add_argument("--steps", type=int, help="of each octave, at most")
    parser.add_argument("--layers", nargs="*", type=int)
    parser.add_argument("--panels", type=int, help="the first of each run")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    study = load_study(arguments.config)
    runs = []
    for name in arguments.runs or study.runs:
        run = shorten(study.runs[name], arguments.steps or 10**9)
        layers, panels = tuple(sorted(set(arguments.layers or run.layers))), run.panels[: arguments.panels]
        runs.append(replace(run, layers=layers, panels=panels, panel_seeds=run.panel_seeds[: arguments.panels]))
    runs.sort(key=lambda run: -run_flops(run))
    print("| run | blocks | bfloat16 | float32, start moved by 1e-5 |\n|---|---|---|---|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        make = partial(make_images, study, arguments.fresh)
        pairs = [
            (run, pool.submit(make, (run, "float32", False)), pool.submit(make, (run, "bfloat16", False)))
            for run in runs
        ]
        rows = []
        for run, exact, rounded in pairs:
            (ours, targets), (others, _) = exact.result(), rounded.result()
            found = difference(others, ours, targets)
            again = pool.submit(make, (run, "float32", True)) if max(map(float, found.split())) > LIMIT else None
            rows.append((run, ours, targets, found, again))
        for run, ours, targets, found, again in rows:
            moved = difference(again.result()[0], ours, targets) if again else "-"
            print(f"| {run.name} | {' '.join(map(str, run.layers))} | {found} | {moved} |", flush=True)


if __name__ == "__main__":
    main()
