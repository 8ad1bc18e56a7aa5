"""Weights, images, probes, descents and runs as frozen dataclasses: what a job is told.

Figures and the study itself are in `config`, so that a new key of theirs reruns no run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from lmrep.study.kinds import BASES, FAMILIES, OBJECTIVES, PANELS

# Of a field that changes no number: names, labels, and where a file comes from.
ASIDE = {"identity": False}
SOURCES = ("skimage", "path", "url", "drawing")  # of an image: exactly one is given


def identity(value: Any) -> Any:
    """A dataclass as plain JSON values, without the fields that change no number."""
    if is_dataclass(value):
        kept = [entry.name for entry in fields(value) if entry.metadata.get("identity", True)]
        return {name: identity(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: identity(entry) for key, entry in value.items()}
    return [identity(entry) for entry in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Weights:
    """One weight file: what it holds, and where it comes from (`repo` on the hub, or a local `path`)."""

    name: str = field(metadata=ASIDE)
    family: str  # a key of kinds.FAMILIES
    width: int
    depth: int  # blocks
    heads: int
    label: str = field(default="", metadata=ASIDE)  # on figures
    patch: int = 0  # px, of its stem; 0 for a model without one
    size: int = 0  # px, the side of the images that its stem cuts into patches
    path: str = field(default="", metadata=ASIDE)
    repo: str = field(default="", metadata=ASIDE)
    revision: str = field(default="", metadata=ASIDE)
    file: str = field(default="", metadata=ASIDE)
    sha256: str = field(default="", metadata=ASIDE)
    bytes: int = field(default=0, metadata=ASIDE)
    bos: int = field(default=-1, metadata=ASIDE)  # the token that begins a text; -1: none. A stem that uses it says so

    @property
    def causal(self) -> bool:
        """Whether a token of its blocks sees only itself and earlier ones."""
        return FAMILIES[self.family].causal


@dataclass(frozen=True)
class Image:
    """One target image, from exactly one of SOURCES."""

    name: str
    skimage: str = ""
    path: str = ""
    url: str = ""
    sha256: str = ""  # of the file at `path` or `url`
    member: str = ""  # of that file, if it is a zip
    member_sha256: str = ""
    drawing: str = ""
    fit: str = "resize"  # "resize" (squeezes the whole image) or "crop" (cuts out the centre square first)

    @property
    def source(self) -> str:
        """Where it comes from, such as "skimage chelsea"."""
        return ", ".join(f"{source} {getattr(self, source)}" for source in SOURCES if getattr(self, source))


@dataclass(frozen=True)
class Stem:
    """How an image of `size` px becomes tokens: patches of `patch` px, row by row."""

    kind: str  # a key of kinds.STEMS
    size: int  # px
    patch: int  # px
    width: int  # of a token
    weights: Weights | None = field(metadata=ASIDE)  # the file that it reads; None for a basis
    options: Mapping[str, bool | str] = field(default_factory=dict)  # those of its kind; of a basis: which one
    first_token: str = "class"  # before patch 0: "class" (the stem's own), "bos" (the stack's) or "none"
    bos: int = -1  # which one of the stack's, if it is "bos"

    @property
    def name(self) -> str:
        """What messages call it: the name of its weights, or its basis."""
        return self.weights.name if self.weights else self.label

    @property
    def label(self) -> str:
        """What figures call it."""
        return self.weights.label if self.weights else BASES[str(self.options["basis"])].label

    @property
    def grid(self) -> int:
        """Patches in a row; 0 without a patch, which `checks` refuses."""
        return self.size // self.patch if self.patch else 0

    @property
    def patches(self) -> int:
        return self.grid**2

    @property
    def first_patch(self) -> int:
        """The token of patch 0."""
        return int(self.first_token != "none")

    @property
    def tokens(self) -> int:
        return self.patches + self.first_patch


@dataclass(frozen=True)
class Probe:
    """A stem in front of a stack of blocks, and in which regime the stack works."""

    name: str = field(metadata=ASIDE)
    label: str = field(metadata=ASIDE)
    stem: Stem
    stack: Weights
    causal: str = "as_trained"  # or "never": without the mask of a causal stack
    centre: bool = False  # 0.5 is taken off each pixel value
    scale: str | float = "as_is"  # of the stem's tokens: their RMS in parts of the stack's embeddings'; "embeddings": 1

    @property
    def masked(self) -> bool:
        """Whether a token sees only itself and earlier ones."""
        return self.stack.causal and self.causal == "as_trained"

    @property
    def reads_embeddings(self) -> bool:
        """Whether it needs the token embeddings of its stack's model."""
        return self.stem.first_token == "bos" or self.scale != "as_is"


@dataclass(frozen=True)
class Octave:
    """Steps at one image size. An image larger than the probe's is updated in random crops (jitter)."""

    size: int  # px
    steps: int
    rate: tuple[float, float] = (0.0, 0.0)  # of the first and the last step, linear between; unused without rates
    sigma: tuple[float, float] | None = None  # of the blur after each step, px; None: no blur


@dataclass(frozen=True)
class Descent:
    start: tuple[str, float, float]  # ("uniform", low, high) or ("normal", mean, standard deviation)
    octaves: tuple[Octave, ...]
    scale: float = 1.0  # of the gradient
    constant: float = 0.0  # the large C of sum(C - activation)
    optimiser: str = "gradient"  # a key of kinds.OPTIMISERS
    distance: str = "l1"  # of a match, to the photograph's output: "l1" or "l2" (squared)
    history: int = 40  # moves that lbfgs remembers

    @property
    def steps(self) -> int:
        return sum(octave.steps for octave in self.octaves)


@dataclass(frozen=True)
class Run:
    """One experiment on one probe: its panels, at each of its layers."""

    name: str = field(metadata=ASIDE)
    objective: str  # a key of kinds.OBJECTIVES
    probe: Probe
    weights: str  # "trained" or "untrained" (the stack; the stem is always the trained one)
    layers: tuple[int, ...]  # blocks, from 1
    panels: tuple[int, ...] | tuple[str, ...]  # neurons, patches (both from 0), or image names
    descent: Descent
    seed: int  # of the jitter, of the yardstick's noise and of fresh blocks
    precision: str  # of the products: "auto", "float32" or "bfloat16"
    memory: float | str  # MB for what a pass keeps for its way back, or "auto"
    panel_seeds: tuple[int, ...] = ()  # of each panel's start; none: `seed`

    @property
    def start_seeds(self) -> tuple[int, ...]:
        """The seed of each panel's start noise."""
        return self.panel_seeds or (self.seed,) * len(self.panels)

    @property
    def matches(self) -> bool:
        """Whether its panels are photographs to be re-created."""
        return OBJECTIVES[self.objective].matches

    @property
    def panel_names(self) -> tuple[str, ...]:
        """What each panel is, for the draws that are made for it: "neuron 5", "patch 45", "chelsea"."""
        kind = PANELS[OBJECTIVES[self.objective].panels]
        return tuple(panel if isinstance(panel, str) else f"{kind} {panel}" for panel in self.panels)

    @property
    def weight_files(self) -> tuple[Weights, ...]:
        """The weight files that it reads, sorted by name. An untrained stack and a basis need none of their own."""
        stack, stem = self.weights == "trained" or self.probe.reads_embeddings, self.probe.stem.weights
        used = ([stem] if stem else []) + ([self.probe.stack] if stack else [])
        return tuple(sorted(set(used), key=lambda weights: weights.name))
