"""The tables of a study: a row for each measured image, row of patches, patch or layer. A new one is one of TABLES."""

import math
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from lmrep.files import ArrayFile
from lmrep.metrics.measures import converged, largest_changes, patch_changes, patch_shares, row_means, ssim_by_row
from lmrep.metrics.tsv import Key, Row, Table
from lmrep.study.kinds import METRICS, OBJECTIVES, load
from lmrep.study.spec import Run


def accuracy_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of accuracy.tsv for a run file, by panel and layer: every metric of `kinds.METRICS`.

    No rows for a run without targets: nothing says what its images should be.
    """
    metrics = {name: (load(metric.function), metric.takes) for name, metric in METRICS.items()}
    for panel, seed, image in _photographs(run):
        still = {"initial": run["initial"][0, panel], "target": run["targets"][panel], "shifted": run["shifted"][panel]}
        same = {  # in all layers
            name: metric(*(still[key] for key in takes))
            for name, (metric, takes) in metrics.items() if still.keys() >= {*takes}
        }  # fmt: skip
        for index, layer in enumerate(run.facts["layers"]):
            offered = still | {
                "image": run["images"][index, panel], "earlier": run["earlier"][index, panel],
                "output_distance": run["output_distance"][index, panel],
                "shifted_output_distance": run["shifted_output_distance"][index, panel],
            }  # fmt: skip
            row = {key: run.facts[key] for key in ("run", "probe", "weights", "optimiser", "passes")}
            row |= {"seed": seed, "image": image, "layer": layer} | same
            row |= {
                name: metric(*(offered[key] for key in takes))
                for name, (metric, takes) in metrics.items() if name not in same
            }  # fmt: skip
            now, earlier = ([row[name + when] for name in ("ssim", "correlation")] for when in ("", "_earlier"))
            yield row | {"converged": converged(now, earlier, row["output_distance_ratio"])}


def band_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of rows.tsv for a run file, by panel, layer and row of patches (0 is the top); none without targets."""
    for panel, seed, image in _photographs(run):
        for index, layer in enumerate(run.facts["layers"]):
            means = ssim_by_row(run["images"][index, panel], run["targets"][panel], run.facts["grid"])
            for number, mean in enumerate(means):
                row = {"run": run.facts["run"], "seed": seed, "image": image, "layer": layer}
                yield row | {"row": number, "ssim": float(mean)}


def patch_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of patches.tsv for any run file, by layer, panel and patch.

    The change is from the start, as the run's own resizing and blur alone carry it on (`descent.priors.baseline`): they
    change an image without any gradient. An image larger than the probe's (`facts["size"]`) was optimised in random
    crops. A patch is then one of as many equal parts of the whole image.
    """
    seeds = panel_seeds(run)
    for index, layer in enumerate(run.facts["layers"]):
        for number, panel in enumerate(run.facts["panels"]):
            changes = patch_changes(run["images"][index, number], run["baseline"][number], run.facts["grid"])
            for patch, change in enumerate(changes):
                row = {"run": run.facts["run"], "layer": layer, "panel": panel, "patch": patch}
                yield row | {"change": float(change), "seed": seeds[number]}


def order_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of order.tsv for a run file, by layer: how the change falls from the top row of patches to the bottom.

    The change of a patch is that of `patch_rows`, larger images included. `first_patch`: of patch 0, the mean over
    panels. `first_row`, `last_row`: the mean over panels and the patches of the top row, of the bottom row. `ratio`:
    the first over the last, infinite if the last row did not change. No rows unless one neuron was maximised.
    """
    if OBJECTIVES[run.facts["objective"]].panels != "neurons":
        return
    grid = run.facts["grid"]
    for layer, images in zip(run.facts["layers"], run["images"], strict=True):
        pairs = zip(images, run["baseline"], strict=True)
        changes = np.mean([patch_changes(image, start, grid) for image, start in pairs], axis=0)
        first, last = map(float, row_means(changes))
        row = {"first_patch": float(changes[0]), "first_row": first, "last_row": last}
        yield _layer_row(run, layer) | row | {"ratio": first / last if last > 0 else math.inf}


def reach_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of reach.tsv for a run file, by layer: how far from the maximised patch the image changed.

    `own`, `before`, `after`: the share of the squared change in that patch, in the earlier ones and in the later ones,
    the mean over panels that have such patches; 0 if none has any. `largest_after`: the largest absolute change of a
    pixel value in any later patch, over all panels; exactly 0 in a causal stack, unless a blur spreads the change. No
    rows unless one patch was maximised, and none for an image larger than the probe's: it was optimised in random
    crops, so the patch has no one place in it.
    """
    if OBJECTIVES[run.facts["objective"]].panels != "patches" or not optimised_whole(run):
        return
    grid, panels = run.facts["grid"], run.facts["panels"]
    for layer, images in zip(run.facts["layers"], run["images"], strict=True):
        found: dict[str, list[float]] = {"own": [], "before": [], "after": []}
        largest = 0.0
        for patch, image, start in zip(panels, images, run["baseline"], strict=True):
            shares = patch_shares(image, start, grid)
            for name, part in (("own", shares[[patch]]), ("before", shares[:patch]), ("after", shares[patch + 1 :])):
                found[name] += [float(part.sum())] * bool(part.size)
            largest = max(largest, float(largest_changes(image, start, grid)[patch + 1 :].max(initial=0)))
        means = {name: float(np.mean(values or 0.0)) for name, values in found.items()}
        yield _layer_row(run, layer) | means | {"largest_after": largest}


def optimised_whole(run: ArrayFile) -> bool:
    """Whether a run's images have the probe's size. A larger one is optimised in crops: a patch has no place there."""
    return bool(run["images"].shape[-1] == run.facts["size"])


def _layer_row(run: ArrayFile, layer: int) -> Row:
    return {key: run.facts[key] for key in ("run", "probe", "weights")} | {"layer": layer}


def _photographs(run: ArrayFile) -> Iterator[tuple[int, int, str]]:
    """The panels of a run that has targets, each as its index, the seed of its start and the name of its photograph."""
    if "targets" not in run.arrays:
        return
    panels = run.facts["panels"]
    yield from zip(range(len(panels)), panel_seeds(run), panels, strict=True)


def panel_seeds(run: ArrayFile) -> list[int]:
    """The seed of each panel's start."""
    seeds = run.facts["seeds"]
    return list(seeds.get("panels") or [seeds["run"]] * len(run.facts["panels"]))


def panel_keys(run: Run) -> list[tuple[str, int]]:
    """What tells the panels of a run apart: the name of each, and the seed of its start."""
    return list(zip(map(str, run.panels), run.start_seeds, strict=True))


def accuracy_keys(run: Run) -> Iterable[Key]:
    return ((*panel, layer) for panel, layer in product(panel_keys(run) if run.matches else [], run.layers))


def band_keys(run: Run) -> Iterable[Key]:
    return ((*key, row) for key, row in product(accuracy_keys(run), range(run.probe.stem.grid)))


def patch_keys(run: Run) -> Iterable[Key]:
    return ((*panel, *rest) for panel, *rest in product(panel_keys(run), run.layers, range(run.probe.stem.patches)))


def order_keys(run: Run) -> Iterable[Key]:
    return ((layer,) for layer in run.layers if OBJECTIVES[run.objective].panels == "neurons")


def reach_keys(run: Run) -> Iterable[Key]:
    placed = run.descent.octaves[-1].size == run.probe.stem.size
    return ((layer,) for layer in run.layers if placed and OBJECTIVES[run.objective].panels == "patches")


LAYER = {"run": str, "probe": str, "weights": str, "layer": int}  # columns of the tables with a row a layer
IMAGE = ("image", "seed", "layer")
TABLES = {
    "accuracy": Table(
        {"run": str, "probe": str, "weights": str, "seed": int, "image": str, "layer": int, "optimiser": str,
         "passes": int, "converged": bool} | dict.fromkeys(METRICS, float),
        accuracy_rows, IMAGE, accuracy_keys, [name for name, metric in METRICS.items() if metric.unbounded],
    ),
    "rows": Table(
        {"run": str, "seed": int, "image": str, "layer": int, "row": int, "ssim": float},
        band_rows, (*IMAGE, "row"), band_keys,
    ),
    "patches": Table(
        {"run": str, "layer": int, "panel": str, "patch": int, "change": float, "seed": int},
        patch_rows, ("panel", "seed", "layer", "patch"), patch_keys,
    ),
    "order": Table(
        LAYER | dict.fromkeys(("first_patch", "first_row", "last_row", "ratio"), float),
        order_rows, ("layer",), order_keys, ("ratio",),
    ),
    "reach": Table(
        LAYER | dict.fromkeys(("own", "before", "after", "largest_after"), float),
        reach_rows, ("layer",), reach_keys,
    ),
}  # fmt: skip
