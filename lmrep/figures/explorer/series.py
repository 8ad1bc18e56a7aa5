"""What the explorer shows of a run: the pictures of each panel, block by block, and the numbers beside them."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lmrep.figures.grids import panel_label
from lmrep.files import ArrayFile
from lmrep.metrics.claims.samples import is_jittered
from lmrep.metrics.claims.statistics import rounded
from lmrep.study.config import Study
from lmrep.study.kinds import ARTICLE, OBJECTIVES, OPTIMISERS, PANELS
from lmrep.study.spec import Run

LOOKS = {1500: (144, 50), 10**9: (88, 30)}  # px and WebP's quality of pictures, by how many: the article has about 5000
WIDEST = 16383  # px, of a WebP
POINTS = 50  # of a loss curve, at most
DIGITS = 4
QUESTIONS = {"neurons": "one neuron of all patches", "patches": "all neurons of one patch", "images": "a photograph"}
WAYS = {True: "with blur and jitter", False: "without blur and jitter"}
Pixels = npt.NDArray[np.float32]
Entry = dict[str, Any]


def webp(pictures: Pixels, side: int, quality: int) -> str:
    """Pictures [picture, 3, height, width] in [0, 1] side by side as one WebP, each `side` px wide, as a data URI.

    `quality`: WebP's, 0 to 100.
    """
    levels = np.round(np.clip(pictures, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    strip = Image.new("RGB", (side * len(levels), side))
    for index, picture in enumerate(levels):
        strip.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), (side * index, 0))
    file = io.BytesIO()
    strip.save(file, "WEBP", quality=quality, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def curve(losses: Sequence[float]) -> list[tuple[int, float | None]]:
    """The steps and losses of a curve, at most POINTS of them, more of the early ones, where it falls."""
    last = len(losses) - 1
    few = len(losses) <= POINTS
    steps = range(last + 1) if few else sorted({round(step) for step in np.geomspace(1, last + 1, POINTS) - 1})
    return [(step, rounded(losses[step], DIGITS)) for step in steps]


def panel_name(run: Run, panel: int | str) -> str:
    """A panel as the figures call it: neurons from 1, patches by row and column, photographs by name."""
    kind = OBJECTIVES[run.objective].panels
    return f"{PANELS[kind]} {panel_label(kind, panel, run.probe.stem.grid)}" if isinstance(panel, int) else panel


def way_of(run: Run) -> str:
    """How a run searched, in words."""
    if run.matches:
        label = OPTIMISERS[run.descent.optimiser].label
        return label if run.descent.optimiser == ARTICLE else f"{label}, distance {run.descent.distance}"
    return WAYS[is_jittered(run)]


def picture_look(study: Study) -> tuple[int, int]:
    """The largest width (px) and the quality of a study's pictures on its page. The more pictures, the less of both."""
    runs = [study.runs[name] for name in study.runs_of("evidence")]
    count = sum(len(run.layers) * len(run.panels) for run in runs)
    return next(look for most, look in LOOKS.items() if count <= most)


def describe_run(run: Run, file: ArrayFile, names: Mapping[str, str], side: int) -> Entry:
    """What all panels of a run share. `names`: see `study.words.model_names`; `side`: see `picture_look`."""
    question = QUESTIONS[OBJECTIVES[run.objective].panels]
    return {
        "model": names[run.probe.name], "weights": run.weights, "question": question, "way": way_of(run),
        "blocks": list(run.layers), "side": min(side, run.probe.stem.size, WIDEST // len(run.layers)),
        "loss": [curve(losses) for losses in file["loss"].tolist()],
    }  # fmt: skip


def panels_of(run: Run, file: ArrayFile, rows: Iterable[Mapping[str, Any]], side: int, quality: int) -> Iterator[Entry]:
    """Each panel of a run: its pictures, and for a photograph its SSIM, ratio and convergence by block.

    rows: the run's rows of accuracy.tsv.
    """
    found = {(row["image"], row["seed"], row["layer"]): row for row in rows}
    for index, seed in enumerate(run.start_seeds):
        panel = run.panels[index]
        entry: Entry = {
            "run": run.name, "panel": panel_name(run, panel), "seed": seed,
            "strip": webp(file["images"][:, index], side, quality),
        }  # fmt: skip
        if run.matches:
            own = [found[str(panel), seed, layer] for layer in run.layers]
            entry |= {
                "target": webp(file["targets"][index : index + 1], side, quality),
                "ssim": [rounded(row["ssim"], DIGITS) for row in own],
                "ratio": [rounded(row["output_distance_ratio"], DIGITS) for row in own],
                "converged": [row["converged"] for row in own],
            }
        yield entry
