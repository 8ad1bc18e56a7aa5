"""Pictures of features as figures draw them: where the change from the start is faint, it is multiplied."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmrep.figures.words import Image, clip_note, span
from lmrep.files import ArrayFile
from lmrep.metrics.measures import patch_changes

FACTORS = (50, 20, 10, 5, 2)
VISIBLE = 0.15  # typical change of a picture, in pixel values, that a factor may not exceed
CHANGED = 0.1  # of the largest change of a patch; smaller ones do not count for the typical change


@dataclass(frozen=True)
class Picture:
    """One panel of one block."""

    image: Image  # [3, h, w], as optimised
    baseline: Image  # [3, h, w], what the start alone becomes by blur and resizing
    factor: int  # by which its change is multiplied; 1: it is drawn as it is

    @property
    def drawn(self) -> Image:
        """The pixels to draw, [3, h, w], not clipped."""
        if self.factor == 1:
            return self.image
        stretched: Image = self.baseline + self.factor * (self.image - self.baseline)
        return stretched


def typical_change(image: Image, baseline: Image, grid: int) -> float:
    """The median change of the patches that changed by at least a tenth of the largest change, in pixel values.

    image, baseline: [3, size, size], of grid x grid patches. A change is a root mean square, as in `patch_changes`.
    """
    changes = patch_changes(image, baseline, grid)
    return float(np.median(changes[changes >= CHANGED * changes.max()]))


def stretch_factor(change: float) -> int:
    """The largest factor that keeps a typical change at VISIBLE or below; 1 if there is none, or no change."""
    return next((factor for factor in FACTORS if 0 < factor * change <= VISIBLE), 1)


def read_pictures(run: ArrayFile, block: int) -> list[Picture]:
    """The pictures of a block of a feature run, in the order of its panels. block: its index in the run's layers."""
    pairs = zip(run["images"][block], run["baseline"], strict=True)
    return [Picture(*pair, stretch_factor(typical_change(*pair, run.facts["grid"]))) for pair in pairs]


def drawn(pictures: Sequence[Picture]) -> list[Image]:
    """The pixels to draw of each picture."""
    return [picture.drawn for picture in pictures]


def factor_note(pictures: Sequence[Picture]) -> str:
    """By what the change of some pictures is multiplied: one factor or their range. Nothing if all are 1."""
    factors = [picture.factor for picture in pictures]
    ends = (f"\N{MULTIPLICATION SIGN}{factor}" for factor in (min(factors), max(factors)))
    return f"change {span(ends)}" if max(factors) > 1 else ""


def picture_notes(pictures: Sequence[Picture]) -> list[str]:
    """What there is to say of some pictures as they are drawn: `factor_note` and `clip_note`, none of them empty."""
    return list(filter(None, (factor_note(pictures), clip_note(drawn(pictures)))))
