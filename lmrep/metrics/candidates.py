"""The table of candidates: how near each of 20 pictures is to a re-created image, the right photograph among them."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from lmrep.files import ArrayFile
from lmrep.metrics.measures import correlation_of_pairs, ssim
from lmrep.metrics.reading import made_again
from lmrep.metrics.tables import panel_keys, panel_seeds
from lmrep.metrics.tsv import Key, Row, Table, check_rows, read_table
from lmrep.study.config import Study
from lmrep.study.kinds import FAMILIES
from lmrep.study.spec import Run

COUNT = 20  # pictures that an image is compared with; number 0 is the right one


def candidate_runs(study: Study) -> dict[str, list[Run]]:
    """The runs in each table of candidates, by the name of their stack: those of trained language models that match.

    The claim is about language models only.
    """
    found: dict[str, list[Run]] = {}
    for run in study.runs.values():
        if run.matches and run.weights == "trained" and not FAMILIES[run.probe.stack.family].stem:
            found.setdefault(run.probe.stack.name, []).append(run)
    return found


def candidate_rows(run: ArrayFile) -> Iterator[Row]:
    """The rows of a run, by panel, layer and candidate, from a run file with what `workflow.candidates.compare` adds.

    `ssim`, `correlation`: of the re-created image with the candidate; `ssim_start`: of the start noise, which is that
    of every layer. `output_distance`: the L1 distance between the outputs of image and candidate at that layer.
    """
    seeds = panel_seeds(run)
    for panel, image in enumerate(run.facts["panels"]):
        pictures = np.concatenate([run["images"][:, panel], run["initial"][:1, panel]])
        *alike, start = [[ssim(picture, other) for other in run["candidates"][panel]] for picture in pictures]
        correlations = correlation_of_pairs(run["images"][:, panel], run["candidates"][panel])
        for place, layer in enumerate(run.facts["layers"]):
            for number, name in enumerate(run.facts["candidates"][panel]):
                row = {"run": run.facts["run"], "seed": seeds[panel], "image": image, "layer": layer}
                row |= {"candidate": number, "name": name, "ssim": float(alike[place][number])}
                row |= {"ssim_start": float(start[number]), "correlation": float(correlations[place, number])}
                yield row | {"output_distance": float(run["candidate_distance"][place, panel, number])}


def candidate_keys(run: Run) -> Iterator[Key]:
    for panel, *place in product(panel_keys(run), run.layers, range(COUNT)):
        yield run.name, *panel, *place


CANDIDATES = Table(
    {"run": str, "seed": int, "image": str, "layer": int, "candidate": int, "name": str, "ssim": float,
     "ssim_start": float, "correlation": float, "output_distance": float},
    candidate_rows, ("run", "image", "seed", "layer", "candidate"), candidate_keys,
)  # fmt: skip


def read_candidates(path: Path, runs: Sequence[Run]) -> list[Row]:
    """The rows of a table of candidates of `runs`.

    Raises InputError, naming the rows, if the table has a row too many, a row twice, or lacks one.
    """
    with made_again(path):
        rows = read_table(path, CANDIDATES)
        check_rows(path, CANDIDATES, rows, runs)
    return rows
