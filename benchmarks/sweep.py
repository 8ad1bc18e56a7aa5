"""Which rates and numbers of steps flatten the loss of each run of a study. miniature.yaml rests on this sweep.

    python benchmarks/sweep.py miniature.yaml --rates 1e-2 2e-2 4e-2 --steps 150 300 --runs gpt2_match

Every combination is a whole descent: the rate falls within it, so a shorter one cannot be read off a longer one.
Prints a table. `last tenth`: the share of the loss's whole fall that the last tenth of the steps brings (near 0 when
flat). `loss`: the last loss divided by the first. `change (RMS)`: of the pixels, from the start. `outside [0, 1]`: the
share of pixel values. `ssim` (match only): the mean over images at the first, middle and last block. Given a folder
of run files in place of a config, it prints what they reached.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from common import photographs, weight_files

from lmrep.descent.experiment import perform
from lmrep.descent.plan import make_plan
from lmrep.errors import InputError
from lmrep.files import read_arrays
from lmrep.inputs.workspace import LoadedStudy, load_study
from lmrep.metrics.measures import ssim
from lmrep.study.spec import Octave, Run


def with_rate(run: Run, rate: float, steps: int, fall: float) -> Run:
    """The run with one octave at the probe's size, where the rate falls from `rate` to `rate / fall`."""
    octaves = (Octave(run.probe.stem.size, steps, (rate, rate / fall)),)
    return replace(run, descent=replace(run.descent, octaves=octaves))


def flatness(loss: np.ndarray) -> tuple[float, float]:
    """From losses [layer, step]: the share of the fall in the last tenth of steps, and the last loss over the first."""
    loss = loss.astype(np.float64)
    tenth = loss[:, -1 - max(1, loss.shape[1] // 10)]
    return ((tenth - loss[:, -1]) / (loss[:, 0] - loss[:, -1])).mean(), (loss[:, -1] / loss[:, 0]).mean()


def built(folder: Path) -> None:
    """Prints the same measures for the run files of a build, at the rates and steps of its config."""
    print("| run | steps | last tenth | loss |\n|---|---|---|---|")
    for path in sorted(folder.glob("*.safetensors")):
        run = read_arrays(path)
        size = run.facts["settings"]["descent"]["octaves"][-1]["steps"]
        # Each octave starts at a loss of its own, so only the last one counts here.
        last, ratio = flatness(run["loss"][:, -size:])
        print(f"| {run.facts['run']} | {run['loss'].shape[1]} | {last:.3f} | {ratio:.3f} |")


def measure(study: LoadedStudy, name: str, rate: float, steps: int, fall: float) -> list[str]:
    torch.set_num_threads(1)
    run = with_rate(study.runs[name], rate, steps, fall)
    targets = photographs(study, run)
    try:
        arrays = perform(run, weight_files(study, run), targets, make_plan(run, torch.device("cpu")))
    except FloatingPointError as error:
        return [name, f"{rate:g}", f"{fall:g}", str(steps), str(error), "", "", "", ""]
    last, ratio = flatness(arrays["loss"])
    images = arrays["images"]
    outside = ((images < 0) | (images > 1)).mean()
    scores = "-"
    if targets is not None:
        blocks = (0, len(run.layers) // 2, len(run.layers) - 1)
        means = [np.mean([ssim(i, t) for i, t in zip(images[b], targets, strict=True)]) for b in blocks]
        scores = " ".join(f"{mean:.3f}" for mean in means)
    distance = np.sqrt(((images - arrays["initial"]) ** 2).mean())
    return [
        name, f"{rate:g}", f"{fall:g}", str(steps),
        f"{last:.3f}", f"{ratio:.3f}", f"{distance:.3f}", f"{outside:.2f}", scores,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a study, or the folder of run files that a build of it left")
    parser.add_argument("--rates", type=float, nargs="+")
    parser.add_argument("--steps", type=int, nargs="+")
    parser.add_argument("--falls", type=float, nargs="+", default=[10], help="the first rate over the last")
    parser.add_argument("--runs", nargs="+", help="of the study; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args()
    if Path(options.config).is_dir():
        built(Path(options.config))
        return
    if not options.rates or not options.steps:
        parser.error("a study is swept over --rates and --steps")
    study = load_study(options.config)
    cases = list(product(options.runs or study.runs, options.rates, options.steps, options.falls))
    print("| run | rate | fall | steps | last tenth | loss | change (RMS) | outside [0, 1] | ssim |")
    print("|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(measure, study, *case) for case in cases]
        for future in futures:
            print("| " + " | ".join(future.result()) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
