"""What the preconditioner of L-BFGS does, and what the photograph and the start have to do with it.

    python benchmarks/preconditioner.py
    python benchmarks/preconditioner.py --config laptop.yaml --probes minilm --blocks 1 3 6

Each search of run <probe>_inverted is made with several exponents e of the weights 1 / f^e of spatial frequencies f: 0
is L-BFGS, 1 is preconditioned L-BFGS. One photograph, one seed, trained blocks. Where the output determines the image,
e should change the speed alone. The controls ask what is due to the expectation that images are smooth:

- rough start: noise of standard deviation .25 instead of .05. What the output does not determine stays as rough;
- shuffled: the photograph with its pixels in a random order, and a start with its mean. It is not smooth at all;
- lossy stem: tokens of a DCT basis that keeps 108 of the 363 numbers of a patch, and no block. Gradients see no
  others, so e = 0 cannot find them; what e > 0 finds above that is guessed.

The first table has the SSIM with the photograph, and in brackets the output distance ratio, after all passes of the
run. The second has the passes after which the SSIM stays above that of e = 0 after all passes. "flat means" is the SSIM
of the photograph with each patch as its mean colour, interpolated: what a smooth guess from these means alone would
get. Prints Markdown.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import ROOT, pick_layers, weight_files
from inversion import Curve, curve, in_turn
from torch import Tensor
from torch.nn import functional as F

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.match import shift_noise
from lmrep.descent.plan import settle
from lmrep.descent.preconditioned import PreconditionedLBFGS
from lmrep.errors import InputError
from lmrep.inputs.workspace import LoadedStudy, load_pixels, load_study
from lmrep.metrics.markdown import table
from lmrep.metrics.measures import ssim
from lmrep.probe.probe import load_probe
from lmrep.study.kinds import NORMS
from lmrep.study.reading import read_config
from lmrep.study.spec import Run

EXPONENTS = (0.0, 0.5, 1.0, 2.0)
EVERY = 10  # passes between two measurements of SSIM
ROUGH = 0.25  # standard deviation of the start noise, pixel values
PATCH = 11  # px, of the stem that loses most of one


def shuffled(photograph: Tensor) -> Tensor:
    """A photograph [3, size, size] with its pixels in a random order, the same in all channels."""
    order = torch.randperm(photograph[0].numel(), generator=torch.Generator().manual_seed(0))
    return photograph.flatten(1)[:, order].view_as(photograph)


def flat_means(photograph: Tensor, patch: int) -> float:
    """The SSIM of a photograph [3, size, size] with its patches' mean colours, interpolated."""
    means = F.avg_pool2d(photograph[None], patch)
    blurred = F.interpolate(means, photograph.shape[-1], mode="bicubic")[0].clamp(0, 1)
    return ssim(blurred.numpy(), photograph.numpy())


def alone(run: Run, image: str, distance: str | None) -> Run:
    """The run with one photograph, and another distance if one is given."""
    descent = replace(run.descent, distance=distance or run.descent.distance)
    return replace(run, panels=(image,), panel_seeds=(), descent=descent)


def conditions(run: Run, photograph: Tensor) -> Iterator[tuple[str, Run, Tensor]]:
    """The run, and its controls: a name, the run, and the photograph to re-create."""
    _, mean, _ = run.descent.start

    def started(mean: float, deviation: float) -> Run:
        return replace(run, descent=replace(run.descent, start=("normal", mean, deviation)))

    yield "photograph", run, photograph
    yield "rough start", started(mean, ROUGH), photograph
    yield "shuffled", started(photograph.mean().item(), run.descent.start[2]), shuffled(photograph)


@torch.no_grad()
def curves(study: LoadedStudy, run: Run, photograph: Tensor, exponents: Sequence[float]) -> list[list[Curve]]:
    """SSIM against passes, [block, exponent]."""
    files, target = weight_files(study, run), photograph[None]
    probe = load_probe(run.probe, files, max(run.layers), torch.device("cpu"), run.seed)
    found: list[list[Curve]] = [[] for _ in run.layers]
    for exponent in exponents:
        kept = list(in_turn(run, probe, target, EVERY, PreconditionedLBFGS(run.descent, {}, exponent)))
        for index, (block, layer) in enumerate(zip(found, run.layers, strict=True)):
            images = [images[index] for images in kept]
            block.append(curve(images, target, probe, layer, target + shift_noise(run)))
    return found


def ends(found: Sequence[Curve]) -> list[str]:
    """SSIM and ratio at the end, by exponent."""
    return [f"{each.ssim[-1]:.2f} ({each.ratio:.3f})" for each in found]


def sooner(found: Sequence[Curve]) -> list[str]:
    """The SSIM of the first exponent at the end, and the passes after which each of the others stays above it."""
    level = float(found[0].ssim[-1])
    reached = [each.reached(level) for each in found[1:]]
    return [f"{level:.2f}", *(str(each[0]) if each else "not reached" for each in reached)]


def lossy(config: Mapping[str, Any], like: str) -> LoadedStudy:
    """The study with a run `lossy_inverted`, as the run `like`, of a stem that loses most of a patch, and no block."""
    raw = deepcopy(dict(config))
    run = raw["runs"][like]
    raw["probes"]["lossy"] = {
        "label": "lossy stem",
        "stem": {"basis": "dct", "patch": PATCH, "size": 66},
        "stack": raw["probes"][run["probe"]]["stack"],
    }
    raw["runs"]["lossy_inverted"] = run | {"probe": "lossy", "layers": [0]}
    return load_study(raw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "miniature.yaml")
    parser.add_argument("--probes", nargs="+", default=["gpt2", "vit_base", "vit_large"])
    parser.add_argument("--blocks", type=int, nargs="+", help="default: the first, a middle one and the last of a run")
    parser.add_argument("--image", default="chelsea")
    parser.add_argument("--distance", choices=NORMS, help="between outputs; default: the run's own")
    parser.add_argument("--exponents", type=float, nargs="+", default=EXPONENTS)
    options = parser.parse_args()
    settle(1)
    keep_freed_memory()
    study, rows, passes = load_study(options.config), [], []
    for probe in options.probes:
        run = study.runs[f"{probe}_inverted"]
        layers = pick_layers(run, options.blocks)
        run = alone(replace(run, layers=layers), options.image, options.distance)
        photograph = torch.from_numpy(load_pixels(study, options.image, run.probe.stem.size))
        floor = f"{flat_means(photograph, run.probe.stem.patch):.2f}"
        for name, each, goal in conditions(run, photograph):
            for layer, found in zip(layers, curves(study, each, goal, options.exponents), strict=True):
                rows.append([run.probe.label, name, str(layer), *ends(found), "-" if name == "shuffled" else floor])
                passes.append([run.probe.label, name, str(layer), *sooner(found)])
            print(f"{probe}, {name}", file=sys.stderr, flush=True)
    if options.config == ROOT / "miniature.yaml":
        study = lossy(read_config(options.config), "gpt2_inverted")
        run = alone(study.runs["lossy_inverted"], options.image, options.distance)
        photograph = torch.from_numpy(load_pixels(study, options.image, run.probe.stem.size))
        (found,) = curves(study, run, photograph, options.exponents)
        rows.append(["lossy stem", "photograph", "stem", *ends(found), f"{flat_means(photograph, PATCH):.2f}"])
    heads = [f"e = {exponent:g}" for exponent in options.exponents]
    print(table(["probe", "target and start", "block", *heads, "flat means"], rows))
    print("\n" + table(["probe", "target and start", "block", f"SSIM, {heads[0]}", *heads[1:]], passes))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"lmrep: {error}")
