"""What a claim is, the table of all claims, and what their functions share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lmrep.metrics.claims.samples import Likeness, Sample, View, matched
from lmrep.metrics.claims.statistics import Array, Cutoff
from lmrep.metrics.claims.verdicts import Measured, Rule, Scale, early_blocks, measure
from lmrep.study.config import Study
from lmrep.study.kinds import FAMILIES, OBJECTIVES
from lmrep.study.spec import Probe
from lmrep.study.words import main_probes

Parts = Sequence[Measured | None]
SSIM = 0.02  # of two SSIM: a smaller difference is none
SHARE = 0.01  # of two shares, likewise
SHARES = Scale("share", 0.0, 1.0)  # of patches, of the change
Ask = TypeVar("Ask", bound=Callable[..., Parts])


@dataclass(frozen=True)
class Claim:
    """A sentence of the article, in our words.

    `asked_of`: the probes that it makes sense for; `about`: those that the article speaks of (others are there for
    contrast). `against`: what the model is compared with, the widest other model that fits; its view, or None without
    one, is then the second argument of `measure`. `weights`: of the blocks that it is about, "trained" or "untrained";
    `reads`: those of all blocks it measures, if there are others. `power`: of the changes of patches that it measures.
    `cutoffs`, `powers`, `likenesses`: others to ask it with (see `View`). `unfit`: searches that by themselves favour
    an answer, and do not judge it. `one_size`: it compares numbers that depend on the size of images. `jitters`: it
    asks with jitter and without by itself.
    """

    name: str
    sentence: str
    place: str
    figures: tuple[str, ...]  # kinds of figures that show it, the best one first
    rules: tuple[Rule, ...]
    measure: Callable[..., Parts]
    panels: str  # of the runs that it is about: neurons, patches or images
    asked_of: Callable[[Probe], bool] = bool
    about: Callable[[Probe], bool] = bool
    against: Callable[[Probe], bool] | None = None
    weights: str = "trained"
    reads: tuple[str, ...] = ()
    power: int = 1
    powers: tuple[int, ...] = ()
    cutoffs: tuple[Cutoff, ...] = ()
    likenesses: tuple[Likeness, ...] = ()
    unfit: tuple[str, ...] = ()
    one_size: bool = False
    jitters: bool = False

    @property
    def measured(self) -> tuple[str, ...]:
        """The weights of all the blocks that it measures."""
        return self.reads or (self.weights,)

    @property
    def statistic(self) -> str:
        """Its definition, in one line."""
        return " ".join((self.measure.__doc__ or "").split())

    def widest(self, view: View) -> Probe | None:
        """The widest other model that this claim compares a model with and that is asked the same way."""
        found = [
            probe for probe in (main_probes(view.study) if self.against else [])
            if self.against and self.against(probe) and probe.stack != view.probe.stack
            and (probe.stem.size == view.probe.stem.size or not self.one_size)
            and replace(view, probe=probe).asked_blocks(self.panels)
        ]  # fmt: skip
        return max(found, key=lambda probe: probe.stack.width, default=None)

    def other(self, view: View) -> View | None:
        """The model that a model is compared with, asked the same way; None if it is not."""
        probe = view.against or self.widest(view)
        other = replace(view, probe=probe, blocks=view.against_blocks) if probe else None
        return other if other and other.asked_blocks(self.panels) else None

    def parts(self, view: View) -> Parts:
        """What each rule looks at, of one model asked one way; None where no run of the study measures it."""
        view = replace(view, power=view.power or self.power)
        return self.measure(view, self.other(view)) if self.against else self.measure(view)


ENTERED: dict[str, Claim] = {}  # `table` has them all


def claim(sentence: str, place: str, figures: tuple[str, ...], *rules: Rule, **options: Any) -> Callable[[Ask], Ask]:
    """Makes a function a claim, under its own name. `options`: other fields of `Claim`."""

    def enter(function: Ask) -> Ask:
        name = function.__name__
        ENTERED[name] = Claim(name, sentence, place, figures, rules, measure=function, **options)
        return function

    return enter


def is_language(probe: Probe) -> bool:
    return not FAMILIES[probe.stack.family].stem


def is_causal_language(probe: Probe) -> bool:
    """Whether it is a language model with a mask, as GPT-2 is: the article says of such where images change."""
    return is_language(probe) and probe.masked


def is_vision(probe: Probe) -> bool:
    return not is_language(probe)


def of_no_model(probe: Probe) -> bool:
    """Of a control of ours, which judges no sentence of the article."""
    return False


def is_masked(probe: Probe) -> bool:
    return probe.masked


def is_not_masked(probe: Probe) -> bool:
    return not probe.masked


def same_probe(one: Probe, other: Probe) -> bool:
    """Whether two probes differ in nothing but their names and labels."""
    return replace(one, name="", label="") == replace(other, name="", label="")


def has_runs(study: Study, probe: Probe, panels: str) -> bool:
    """Whether a study has runs of a model's trained blocks with such panels."""
    runs = [run for run in study.runs.values() if run.probe == probe and run.weights == "trained"]
    return any(OBJECTIVES[run.objective].panels == panels for run in runs)


def map_sample(sample: Sample | None, statistic: Callable[[Array], Array]) -> Measured | None:
    return measure(sample and sample.map(statistic))


def difference(first: Sample | None, second: Sample | None) -> Sample | None:
    """First minus second, cell by cell, where both have one."""
    pair = matched(first, second) if first and second else None
    return pair and replace(pair[0], values=pair[0].values - pair[1].values)


def over_blocks(sample: Sample | None, depth: int, early: bool = False) -> Sample | None:
    """The mean over all blocks, or over the first quarter, as a sample of one block."""
    kept = (early_blocks(sample.blocks, depth) if early else list(range(len(sample.blocks)))) if sample else []
    if sample is None or not kept:
        return None
    return replace(sample, blocks=(0,), values=sample.values[:, :, kept].mean(axis=2, keepdims=True))
