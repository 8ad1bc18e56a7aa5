"""The rows of a study's tables as arrays [panel, seed, block, ...], for one model and one way of asking it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lmrep.metrics.claims.cells import Cell, Cells
from lmrep.metrics.claims.statistics import UNCHANGED, Array, Cutoff
from lmrep.study.config import Study
from lmrep.study.kinds import OBJECTIVES, OPTIMISERS
from lmrep.study.spec import Probe, Run
from lmrep.study.words import start_text

Start = tuple[str, float, float]
SEARCHES = tuple(reversed(OPTIMISERS))  # of a match, the one that gets nearest to its goal first


@dataclass(frozen=True)
class Likeness:
    """What says how alike two images are: a column of the tables, and a function of its values."""

    name: str
    column: str
    scale: Callable[[Array], Array]
    grey: str = ""  # the column of the best flat grey's, or none if it has 0


BY_SSIM = Likeness("SSIM", "ssim", np.asarray, "ssim_grey")
# The share of the photograph's variance that the image explains, whatever its brightness and contrast.
BY_CORRELATION = Likeness("squared correlation", "correlation", lambda values: values * np.abs(values))


@dataclass(frozen=True)
class Sample:
    """Values [panel, seed, block, ...] of one condition; NaN where no run has that panel, seed and block."""

    panels: tuple[str, ...]
    seeds: tuple[int, ...]
    blocks: tuple[int, ...]
    values: Array

    def map(self, statistic: Callable[[Array], Array]) -> "Sample":
        """The same cells with a statistic of their values."""
        return replace(self, values=statistic(self.values))


def matched(first: Sample, second: Sample) -> tuple[Sample, Sample] | None:
    """Both samples with the panels, seeds and blocks that both have, for differences; None if they share nothing."""
    panels, seeds, blocks = (
        tuple(name for name in ours if name in theirs)
        for ours, theirs in ((first.panels, second.panels), (first.seeds, second.seeds), (first.blocks, second.blocks))
    )

    def part(sample: Sample) -> Sample:
        own = (sample.panels, panels), (sample.seeds, seeds), (sample.blocks, blocks)
        indices = [[list(names).index(name) for name in kept] for names, kept in own]
        return Sample(panels, seeds, blocks, sample.values[np.ix_(*indices)])  # type: ignore[arg-type]

    return (part(first), part(second)) if panels and seeds and blocks else None


@dataclass(frozen=True)
class View:
    """One model, asked one way: its probe, the search of its inversions, and whether its features have jitter.

    `cells`: of each of READ, by run. `start` and `distance` of the descents, as `Descent` has them, and `steps` of
    those of features; none: as in the first run that fits. `seeds`, `panels`, `blocks`: only these; none: all.
    `against`: the model that it is compared with (none: `Claim.widest`), and `against_blocks`, like `blocks`, of that
    one. `cutoff`: see `statistics.share_unchanged`. `power`: of the changes of patches (none: `Claim.power`).
    `likeness`: of a photograph and its re-created image.
    """

    study: Study
    cells: Mapping[str, Mapping[str, Cells]]
    probe: Probe
    search: str
    jittered: bool = False
    start: Start | None = None
    steps: int = 0
    distance: str = ""
    seeds: tuple[int, ...] = ()
    panels: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()
    against: Probe | None = None
    against_blocks: tuple[int, ...] = ()
    cutoff: Cutoff = UNCHANGED
    power: int = 0
    likeness: Likeness = BY_SSIM

    @property
    def depth(self) -> int:
        return self.probe.stack.depth

    def changes(self, panels: str, weights: str = "trained") -> Sample | None:
        """The change of each patch [panel, seed, block, patch], where `panels` (neurons or patches) are maximised.

        Each is to the view's `power`, 1 by default.
        """
        found = self._sample("patches", "change", panels, weights)
        return found and found.map(lambda values: values ** (self.power or 1))

    def accuracy(self, column: str, weights: str = "trained") -> Sample | None:
        """A column of the accuracy table [photograph, seed, block]."""
        found = self._sample("accuracy", column, "images", weights)
        return found and found.map(lambda values: values[..., 0])

    def likenesses(self, weights: str = "trained", earlier: bool = False) -> Sample | None:
        """How alike the photograph and the re-created image are [photograph, seed, block].

        `earlier`: the image after three quarters of the passes.
        """
        found = self.accuracy(f"{self.likeness.column}_earlier" if earlier else self.likeness.column, weights)
        return found and found.map(self.likeness.scale)

    def grey_likenesses(self) -> Sample | None:
        """The same of the best flat grey."""
        found = self.accuracy(self.likeness.grey or self.likeness.column)
        return found if self.likeness.grey else found and found.map(lambda values: 0 * values)

    def rows(self, weights: str = "trained") -> Sample | None:
        """SSIM by row of patches [photograph, seed, block, row]."""
        return self._sample("rows", "ssim", "images", weights)

    def candidates(self, column: str) -> Sample | None:
        """A column of the tables of candidates [photograph, seed, block, candidate], the right one first."""
        return self._sample("candidates", column, "images", "trained")

    def runs(self, panels: str, weights: str = "trained") -> list[Run]:
        """The runs of this model, asked this way."""
        found = [
            run for run in self._of_any_descent(panels, weights) if self.start in (None, run.descent.start)
            and self.steps in (0, run.descent.steps) and self.distance in ("", run.descent.distance)
        ]  # fmt: skip
        return [run for run in found if in_common(run) == in_common(found[0])]

    def other_descents(self, panels: str, weights: str = "trained") -> Iterator[tuple[str, "View"]]:
        """The views with another start or distance, or for features with other steps, and what differs in words."""
        found = [in_common(run) for run in self._of_any_descent(panels, weights)]
        asked = [in_common(run) for run in self.runs(panels, weights)][:1]
        for start, steps, distance in sorted({*found} - {*asked}):
            other = replace(self, start=start, steps=steps, distance=distance)
            yield self.differences(other, panels, weights), other

    def differences(self, other: "View", panels: str, weights: str = "trained") -> str:
        """The start, steps and distance of another view's runs, in words, where this view's runs have other ones."""
        ours, theirs = (view.runs(panels, weights) for view in (self, other))
        if not (ours and theirs):
            return ""
        start, steps, distance = in_common(theirs[0])
        texts = start_text(start), f"{steps} steps", f"distance {distance}"
        values = zip(texts, (start, steps, distance), in_common(ours[0]), strict=True)
        return " and ".join(text for text, value, usual in values if value != usual)

    def _of_any_descent(self, panels: str, weights: str) -> list[Run]:
        return [
            run for run in self.study.runs.values()
            if (run.descent.optimiser == self.search if run.matches else is_jittered(run) == self.jittered)
            and (run.probe, run.weights, OBJECTIVES[run.objective].panels) == (self.probe, weights, panels)
        ]  # fmt: skip

    def asked_blocks(self, panels: str, weights: str = "trained") -> set[int]:
        """The blocks that the runs of this model's weights have, asked this way."""
        return {block for run in self.runs(panels, weights) for block in run.layers if block}

    def asked_images(self, panels: str, weights: str = "trained") -> tuple[set[str], set[int]]:
        """The panels and the seeds that these runs have."""
        runs = self.runs(panels, weights)
        return {str(panel) for run in runs for panel in run.panels}, {seed for run in runs for seed in run.start_seeds}

    def _sample(self, table: str, column: str, panels: str, weights: str) -> Sample | None:
        """None without a run, and never the stem. Of two runs with the same panel, seed and block the first counts."""
        found: dict[Cell, Array] = {}
        for run in self.runs(panels, weights):
            own = self.cells.get(table, {}).get(run.name, {})
            found = {cell: entry[column] for cell, entry in own.items()} | found
        asked = [(self.panels, "panel"), (self.seeds, "seed"), (self.blocks, "block")]
        kept = [
            cell for cell in found
            if cell.block and all(not only or getattr(cell, name) in only for only, name in asked)
        ]  # fmt: skip
        if not kept:
            return None
        names, seeds = sorted({cell.panel for cell in kept}), sorted({cell.seed for cell in kept})
        blocks = sorted({cell.block for cell in kept})
        values = np.full((len(names), len(seeds), len(blocks), max(len(found[cell]) for cell in kept)), np.nan)
        for cell in kept:
            at = names.index(cell.panel), seeds.index(cell.seed), blocks.index(cell.block)
            values[at][: len(found[cell])] = found[cell]
        return Sample(tuple(names), tuple(seeds), tuple(blocks), values)


def in_common(run: Run) -> tuple[Start, int, str]:
    """What runs of one view have in common: start, steps, distance. A search has as many passes as it needs: 0."""
    return run.descent.start, 0 if run.matches else run.descent.steps, run.descent.distance


def is_jittered(run: Run) -> bool:
    """Whether a run blurs, or goes through octaves larger than its probe's images."""
    return any(octave.sigma or octave.size > run.probe.stem.size for octave in run.descent.octaves)
