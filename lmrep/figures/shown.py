"""What a figure shows: the one argument of every function that draws one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmrep.files import ArrayFile


@dataclass(frozen=True)
class Shown:
    """A figure's data and words. A kind of figure fills only the fields that it reads.

    Titles and labels are plain text: `$`, `_` and `\\` have no special meaning.
    """

    title: str
    labels: Mapping[str, str]  # run -> label of its probe, in the config's order
    layers: Mapping[str, Sequence[int]]  # run -> blocks to show
    image: str = ""  # the panel to show, where runs have one panel an image
    runs: Mapping[str, ArrayFile] = field(default_factory=dict)  # run -> run file
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)  # "accuracy" or "patches" -> rows
    trace: ArrayFile | None = None
    stem: str = ""  # label of the traced probe's stem
    stack: str = ""  # label of the traced probe's stack
    weights: Mapping[str, str] = field(default_factory=dict)  # run -> "trained" or "untrained"
    starts: Mapping[str, str] = field(default_factory=dict)  # run -> the start of its descent, in words
    distances: Mapping[str, str] = field(default_factory=dict)  # run -> what its search lowers; where searches differ
    panels: int = 0  # how many of the first panels of a run to show; 0: all
    regimes: Mapping[str, str] = field(default_factory=dict)  # run -> the regime of its probe, in words
    regime: str = ""  # of all its probes, in words (`study.words`); none: the article's choices
    claims: Sequence[Mapping[str, Any]] = ()  # entries of claims.json
