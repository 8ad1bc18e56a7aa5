"""Re-created images beside other pictures, and their outputs beside those of the pictures: is the right one nearest?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lmrep.descent.objectives import distance
from lmrep.files import ArrayFile
from lmrep.inputs.images import prepare
from lmrep.inputs.shipped import shipped_pixels
from lmrep.metrics.candidates import COUNT, candidate_rows
from lmrep.metrics.reading import read_run
from lmrep.metrics.tsv import Row
from lmrep.probe.probe import Probe, load_probe
from lmrep.study.sources import Image
from lmrep.study.spec import Run

# They come with scikit-image, so no build needs a network for them. The first ones are of everyday things, as the
# article's photographs are; scans and a silhouette come last. One more than an image needs: it may be one of them.
PICTURES = (
    "astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "stereo_motorcycle", "clock", "moon",
    "hubble_deep_field", "retina", "immunohistochemistry", "cell", "microaneurysms", "grass", "gravel", "brick",
    "page", "text", "horse",
)  # fmt: skip
SAME = {"cat": "chelsea"}  # two names of one picture
BATCH = 8  # images of a pass: 24 blocks of a ViT-L keep 200 MB of outputs for as many


def other_pictures(image: Image) -> list[str]:
    """The pictures that an image is told apart from: the first of PICTURES that are not the one it is made of."""
    own = SAME.get(image.skimage, image.skimage)
    return [name for name in PICTURES if name != own][: COUNT - 1]


@cache
def other_picture(name: str, size: int) -> npt.NDArray[np.float32]:
    """One of PICTURES as a probe of `size` px sees it: [3, size, size] in [0, 1]."""
    return prepare(shipped_pixels(name), size, "crop")


def rows_of_runs(runs: Mapping[Path, Run], weights: Mapping[str, Path], images: Mapping[str, Image]) -> Iterator[Row]:
    """The rows of the table of candidates, run by run.

    `runs`: by their files. `weights`: files by the names of the weights. `images`: those of the study, by name.
    Raises InputError for a file that is not as the study says.
    """
    for spec, group in groupby(runs.items(), key=lambda item: item[1].probe):
        shared = dict(group)
        depth = max(max(run.layers) for run in shared.values())
        loaded = load_probe(spec, weights, depth, torch.device("cpu"))
        # Packed weights, as in a descent: the threads of plain products spin where they outnumber the cores.
        probe = loaded.in_precision(torch.float32, keep=False)
        files = [read_run(path, run) for path, run in shared.items()]
        for run in compare(files, probe, images):
            yield from candidate_rows(run)


@torch.no_grad()
def compare(runs: Sequence[ArrayFile], probe: Probe, images: Mapping[str, Image]) -> Iterator[ArrayFile]:
    """The run files of matches of one probe with their candidates, as `metrics.candidates` takes them.

    `probe`: with the blocks of all runs at least. `images`: those of the study, by name.
    Adds the arrays `candidates` [panel, candidate, 3, size, size] in [0, 1], candidate 0 being the panel's target, and
    `candidate_distance` [layer, panel, candidate], L1 between outputs in float32; and the fact `candidates`, their
    names by panel.
    """
    # Panels of several seeds share a photograph, and all panels share pictures: each goes through the blocks once.
    photographs = {panel: run["targets"][index] for run in runs for index, panel in enumerate(run.facts["panels"])}
    used = sorted({name for panel in photographs for name in other_pictures(images[panel])})
    pictures = {("target", panel): photograph for panel, photograph in photographs.items()}
    pictures |= {("other", name): other_picture(name, probe.spec.stem.size) for name in used}
    indices = {key: index for index, key in enumerate(pictures)}
    stacked = np.stack(list(pictures.values()))
    for run, found in zip(runs, distances(probe, runs, torch.from_numpy(stacked)), strict=True):
        names = [[panel, *other_pictures(images[panel])] for panel in run.facts["panels"]]
        chosen = np.array(
            [[indices["target", own], *(indices["other", name] for name in others)] for own, *others in names]
        )
        added = {
            "candidates": stacked[chosen],
            "candidate_distance": np.take_along_axis(found.numpy(), chosen[None], axis=2),
        }
        yield replace(run, arrays=run.arrays | added, facts=run.facts | {"candidates": names})


def distances(probe: Probe, runs: Sequence[ArrayFile], pictures: torch.Tensor) -> list[torch.Tensor]:
    """For each run, L1 distances [layer, panel, picture] between the outputs of its images and of pictures."""
    layers = sorted({layer for run in runs for layer in run.facts["layers"]})
    own = [
        [
            (layer, torch.cat([probe(part, [layer])[0] for part in torch.from_numpy(group).split(BATCH)]))
            for layer, group in zip(run.facts["layers"], run["images"], strict=True)
        ]
        for run in runs
    ]
    parts = []
    for part in pictures.split(BATCH):
        there = dict(zip(layers, probe(part, layers), strict=True))
        parts.append(
            [
                torch.stack([torch.stack([distance(there[layer], one) for one in ours]) for layer, ours in outputs])
                for outputs in own
            ]
        )
    return [torch.cat(found, dim=2) for found in zip(*parts, strict=True)]
