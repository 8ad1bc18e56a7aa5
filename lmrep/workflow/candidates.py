"""Re-created images beside other pictures, and their outputs beside those of the pictures: is the right one nearest?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
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
from lmrep.metrics.tables import Row
from lmrep.probe.probe import Probe, load_probe
from lmrep.study.spec import Image, Run

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
    for path, run in runs.items():
        stem = weights[run.probe.stem.weights.name] if run.probe.stem.weights else None
        stack, depth = weights[run.probe.stack.name], max(run.layers)
        probe = load_probe(run.probe, stem, stack, depth, torch.device("cpu"))
        yield from candidate_rows(compare(read_run(path, run), probe, images))


@torch.no_grad()
def compare(run: ArrayFile, probe: Probe, images: Mapping[str, Image]) -> ArrayFile:
    """The run file of a match with its candidates, as `metrics.candidates` takes it.

    `probe`: that of the run, with its blocks at least. `images`: those of the study, by name.
    Adds the arrays `candidates` [panel, candidate, 3, size, size] in [0, 1], candidate 0 being the panel's target, and
    `candidate_distance` [layer, panel, candidate], L1 between outputs in float32; and the fact `candidates`, their
    names by panel.
    """
    layers, panels, size = run.facts["layers"], run.facts["panels"], run.facts["size"]
    others = [other_pictures(images[panel]) for panel in panels]
    used = sorted({name for names in others for name in names})
    # Panels of several seeds share a photograph, and all panels share pictures: each goes through the blocks once.
    pictures = {("target", panel): run["targets"][place] for place, panel in enumerate(panels)}
    pictures |= {("other", name): other_picture(name, size) for name in used}
    places = {key: place for place, key in enumerate(pictures)}
    chosen = [
        [places["target", panel], *(places["other", name] for name in names)]
        for panel, names in zip(panels, others, strict=True)
    ]
    stacked = np.stack(list(pictures.values()))
    found = distances(probe, layers, torch.from_numpy(run["images"]), torch.from_numpy(stacked)).numpy()
    added = {
        "candidates": stacked[np.array(chosen)],
        "candidate_distance": np.take_along_axis(found, np.array(chosen)[None], axis=2),
    }
    names = [[panel, *rest] for panel, rest in zip(panels, others, strict=True)]
    return replace(run, arrays=run.arrays | added, facts=run.facts | {"candidates": names})


def distances(probe: Probe, layers: list[int], images: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """L1 distances [layer, panel, picture] between the outputs of images [layer, panel, ...] and of pictures."""
    own = [
        torch.cat([probe(part, [layer])[0] for part in group.split(BATCH)])
        for layer, group in zip(layers, images, strict=True)
    ]
    parts = []
    for part in pictures.split(BATCH):
        outputs = zip(own, probe(part, layers), strict=True)
        parts.append(torch.stack([torch.stack([distance(there, one) for one in ours]) for ours, there in outputs]))
    return torch.cat(parts, dim=2)
