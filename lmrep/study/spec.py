"""Stems, probes, descents and runs as frozen dataclasses: what a job is told.

Figures and the study itself are in `config`, so that a new key of theirs reruns no run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from lmrep.study.kinds import ARTICLE, BASES, FAMILIES, OBJECTIVES, OPTIMISERS, PANELS, STEMS, Kind
from lmrep.study.sources import ASIDE, Weights

CPU_GROUP = 1000  # MB that one group keeps on a CPU where `memory` is auto: groups of more images are hardly faster
# Instructions that multiply bfloat16, as Linux and torch call them.
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def identity(value: Any) -> Any:
    """A dataclass as plain JSON values, without the fields that change no number."""
    if is_dataclass(value):
        kept = [entry.name for entry in fields(value) if entry.metadata.get("identity", True)]
        return {name: identity(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: identity(entry) for key, entry in value.items()}
    return [identity(entry) for entry in value] if isinstance(value, list | tuple) else value


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
    bos: int = -1  # its number among the stack's tokens, if it is "bos"; else -1

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
        """The index of patch 0 among the tokens."""
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
    scale: str | float = "as_is"  # of the stem's tokens: their RMS relative to the stack's embeddings; "embeddings": 1
    stack_position: bool = False  # the position embeddings of the stack's model are added

    @property
    def masked(self) -> bool:
        """Whether a token sees only itself and earlier ones."""
        return bool(self.stack.causal) and self.causal == "as_trained"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its stem and its stack."""
        return STEMS[self.stem.kind], FAMILIES[self.stack.family]

    @property
    def reads_embeddings(self) -> bool:
        """Whether it needs token or position embeddings of its stack's model."""
        return self.stem.first_token == "bos" or self.scale != "as_is" or self.stack_position

    def weight_roles(self, trained: bool) -> dict[str, Weights]:
        """The weights that it reads, as stem or stack. A basis needs none, an untrained stack at most its config."""
        reads = trained or self.reads_embeddings or FAMILIES[self.stack.family].own_config
        roles = {"stem": self.stem.weights, "stack": self.stack if reads else None}
        return {role: weights for role, weights in roles.items() if weights}


@dataclass(frozen=True)
class Octave:
    """Steps at one image size. An image larger than the probe's is updated in random crops (jitter)."""

    size: int  # px
    steps: int
    rate: tuple[float, float] = (0.0, 0.0)  # of the first and the last step, linear between; (0, 0): no rates
    sigma: tuple[float, float] | None = None  # of the blur after each step, px; None: no blur


@dataclass(frozen=True)
class Descent:
    """How pixels are optimised: the start, octaves and optimiser, and what objective and optimiser take."""

    start: tuple[str, float, float]  # ("uniform", low, high) or ("normal", mean, standard deviation)
    octaves: tuple[Octave, ...]
    scale: float = 1.0  # of the gradient
    constant: float = 0.0  # the large C of sum(C - activation)
    optimiser: str = ARTICLE  # a key of kinds.OPTIMISERS
    distance: str = "l1"  # of a match, to the photograph's output: one of kinds.NORMS
    history: int = 40  # moves that lbfgs remembers
    # RMS change of a layer's pixels in the first step, over all panels. The octaves' rates are then relative to the one
    # that gives it. 0: they are absolute.
    first_step: float = 0.0

    @property
    def steps(self) -> int:
        return sum(octave.steps for octave in self.octaves)

    @property
    def remembered(self) -> int:
        """Moves that its optimiser remembers of each image."""
        return self.history if "history" in OPTIMISERS[self.optimiser].keys else 0

    @property
    def history_bytes(self) -> int:
        """Bytes of these moves and of the gradient's changes, of one image in float32."""
        return 2 * self.remembered * 3 * self.octaves[-1].size ** 2 * 4


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
    seed: int  # of the jitter, of the yardstick's noise and of untrained blocks
    precision: str  # of the products: "auto", "float32" or "bfloat16"
    memory: float | str  # MB for the activations that one group of images keeps for the backward pass, or "auto"
    panel_seeds: tuple[int, ...] = ()  # of each panel's start; none: `seed`

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of all that it goes through."""
        return *self.probe.kinds, OBJECTIVES[self.objective], OPTIMISERS[self.descent.optimiser]

    @property
    def start_seeds(self) -> tuple[int, ...]:
        """The seed of each panel's start noise."""
        return self.panel_seeds or (self.seed,) * len(self.panels)

    @property
    def matches(self) -> bool:
        """Whether its panels are photographs to be re-created."""
        return OBJECTIVES[self.objective].matches

    @property
    def line(self) -> tuple[str, str, str]:
        """What a chart draws one line for: a probe, its weights and an optimiser."""
        return self.probe.name, self.weights, self.descent.optimiser

    @property
    def asked_precision(self) -> str:
        """The precision of its products; auto: bfloat16 where the device has it."""
        exact = self.precision == "auto" and OPTIMISERS[self.descent.optimiser].exact
        return "float32" if exact else self.precision

    @property
    def tokens_needed(self) -> tuple[int, ...] | None:
        """How many tokens matter to each panel, from the first: in a causal stack, those up to the patch it maximises.

        None: all.
        """
        if not (OBJECTIVES[self.objective].own_patch_only and self.probe.masked):
            return None
        return tuple(self.probe.stem.first_patch + int(patch) + 1 for patch in self.panels)

    @property
    def panel_names(self) -> tuple[str, ...]:
        """What each panel is, for the draws that are made for it: "neuron 5", "patch 45", "chelsea"."""
        kind = PANELS[OBJECTIVES[self.objective].panels]
        return tuple(panel if isinstance(panel, str) else f"{kind} {panel}" for panel in self.panels)

    @property
    def weight_roles(self) -> dict[str, Weights]:
        """The weights that it reads, as stem or stack."""
        return self.probe.weight_roles(self.weights == "trained")

    @property
    def weight_files(self) -> tuple[Weights, ...]:
        """The weights that it reads, each once, sorted by name."""
        used = {weights.name: weights for weights in self.weight_roles.values()}
        return tuple(used[name] for name in sorted(used))
