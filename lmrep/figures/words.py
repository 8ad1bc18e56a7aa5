"""What figures say of a run and of its images: name, blocks, SSIM, whether that is a lower bound, floors, method."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lmrep.figures.shown import Shown
from lmrep.metrics.tsv import Row
from lmrep.study.kinds import OPTIMISERS

# Columns of the accuracy table: what an image that holds nothing of the target, or the target itself, would have.
FLOORS = {"ssim_start": "start noise", "ssim_grey": "flat grey", "ssim_shifted": "noisy target"}
BOUND = "\N{GREATER-THAN OR EQUAL TO}"
CLIPPED = 0.01  # a picture with this share of clipped pixels, or a larger one, has a note
Image = npt.NDArray[np.floating]


def block_name(block: float) -> str:
    """What figures call a block's output; that of block 0 is the stem's."""
    return f"block {block:g}" if block else "stem"


def clipped_share(image: Image) -> float:
    """The share of pixels of an image [3, h, w], in [0, 1], that have a channel below 0 or above 1."""
    return float(((image < 0) | (image > 1)).any(axis=0).mean())


def clip_note(pictures: Sequence[Image]) -> str:
    """What to say of some pictures' clipped pixels: "12% clipped", "3 to 17% clipped", or nothing."""
    shares = [clipped_share(picture) for picture in pictures]
    if max(shares) < CLIPPED:
        return ""
    return f"{span(f'{100 * share:.0f}' for share in (min(shares), max(shares)))}% clipped"


def span(ends: Iterable[str]) -> str:
    """The two ends of a range in words: "3 to 17", or "3" where they are the same."""
    return " to ".join(dict.fromkeys(ends))


def headings(shown: Shown) -> dict[str, str]:
    """The name of each run, in order: its label, with its weights, start and distance where these differ."""
    distances = {run: f"distance {name}" for run, name in shown.distances.items()}
    kinds = [{run: kind.get(run, "") for run in shown.labels} for kind in (shown.weights, shown.starts, distances)]
    told = [shown.labels, *(words for words in kinds if len(set(words.values())) > 1)]
    return {run: ", ".join(filter(None, (words[run] for words in told))) for run in shown.labels}


def is_bound(row: Row) -> bool:
    """Whether the SSIM of a row of the accuracy table is only a lower bound: its descent has not converged."""
    return not row["converged"]


def ssim_text(row: Row) -> str:
    """The SSIM of a row of the accuracy table: "SSIM 0.64", with a sign between the two if it is a lower bound."""
    return f"SSIM {BOUND if is_bound(row) else ''} {row['ssim']:.2f}".replace("  ", " ")


def floors_text(row: Row) -> str:
    """What to compare a row of the accuracy table with, in one line."""
    return "SSIM of " + ", ".join(f"{name} {row[column]:.2f}" for column, name in FLOORS.items())


def method_text(rows: Iterable[Row], distances: Mapping[str, str] | None = None) -> str:
    """How rows of the accuracy table were made: "L-BFGS, 400 passes".

    `distances`: by run, of those whose distance is named after their optimiser: "L-BFGS (l2), 400 passes".
    """
    rows, distances = list(rows), distances or {}
    searches = dict.fromkeys((str(row["optimiser"]), distances.get(row["run"], "")) for row in rows)
    names = [OPTIMISERS[name].label + f" ({distance})" * bool(distance) for name, distance in searches]
    least, most = min(row["passes"] for row in rows), max(row["passes"] for row in rows)
    return f"{' or '.join(names)}, {least if least == most else f'{least} to {most}'} passes"


def first_rows(rows: Iterable[Row]) -> Mapping[tuple[str, str, int], Row]:
    """Rows of the accuracy table by run, image and block. Of several seeds, the first one's."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        found.setdefault((row["run"], row["image"], row["layer"]), row)
    return found
