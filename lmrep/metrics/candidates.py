"""The table of candidates: how near each of 20 pictures is to a re-created image, the right photograph among them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from lmrep.files import ArrayFile
from lmrep.metrics.measures import ssim_of_pairs
from lmrep.metrics.reading import made_again, refuse_rows
from lmrep.metrics.tables import Row, Table, panel_seeds, read_table
from lmrep.study.config import Study
from lmrep.study.kinds import FAMILIES
from lmrep.study.spec import Run

COUNT = 20  # pictures that an image is compared with; number 0 is the right one
KEYS = ("run", "image", "seed", "layer", "candidate")  # what tells the rows of a table apart


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

    `ssim`: of the re-created image with the candidate. `output_distance`: the L1 distance between the outputs of both
    at that layer.
    """
    seeds = panel_seeds(run)
    for panel, image in enumerate(run.facts["panels"]):
        alike = ssim_of_pairs(run["images"][:, panel], run["candidates"][panel])
        for place, layer in enumerate(run.facts["layers"]):
            for number, name in enumerate(run.facts["candidates"][panel]):
                row = {"run": run.facts["run"], "seed": seeds[panel], "image": image, "layer": layer}
                row |= {"candidate": number, "name": name, "ssim": float(alike[place, number])}
                yield row | {"output_distance": float(run["candidate_distance"][place, panel, number])}


CANDIDATES = Table(
    {"run": str, "seed": int, "image": str, "layer": int, "candidate": int, "name": str, "ssim": float,
     "output_distance": float},
    candidate_rows,
)  # fmt: skip


def read_candidates(path: Path, runs: Sequence[Run]) -> list[Row]:
    """The rows of a table of candidates of `runs`.

    Raises InputError, naming the rows, if the table has a row too many, a row twice, or lacks one.
    """
    with made_again(path):
        rows = read_table(path, CANDIDATES)
        found = Counter(tuple(map(row.__getitem__, KEYS)) for row in rows)
        wanted = [
            (run.name, panel, seed, layer, number)
            for run in runs
            for panel, seed in zip(map(str, run.panels), run.start_seeds, strict=True)
            for layer, number in product(run.layers, range(COUNT))
        ]
        refuse_rows(path, "has no row of", KEYS, [key for key in wanted if key not in found])
        refuse_rows(path, "has rows that the study has not:", KEYS, sorted({*found} - {*wanted}))
        refuse_rows(path, "has two rows of", KEYS, [key for key, count in found.items() if count > 1])
    return rows
