"""Which families, stems, objectives, optimisers, metrics and figures exist, and what each needs.

One table, without torch. Schema, checks, rules and scripts read it, so that a new kind is one function and one line
here. A function is named "module:function" and imported by `load` where it is used. `takes` names its arguments, in
order, among those that its caller offers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal


def load(function: str) -> Callable[..., Any]:
    """The function (or class) behind "module:function"."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


@dataclass(frozen=True)
class Family:
    """A kind of weights: a function (spec of the probe, path, trained, depth, seed) -> `lmrep.probe.stack.Stack`."""

    function: str
    keys: tuple[str, ...]  # that an entry under `weights` needs besides width and depth
    causal: bool | None = None  # whether a token sees only itself and earlier ones; None: the entry says it
    stem: str = ""  # the kind of stem in its files, if they have one
    embeds: bool = False  # its files have token embeddings
    libraries: tuple[str, ...] = ()  # that compute its blocks, besides torch
    own_config: bool = False  # its files say what the model is: config.json beside the weights, or inside a GGUF file


@dataclass(frozen=True)
class Stem:
    """How an image becomes tokens: a class that takes (the spec of the stem, the path of its weights or None)."""

    function: str
    options: Mapping[str, bool]  # keys of a probe, and their defaults
    # What may come before patch 0, the default first. A run's identity has the probe's own choice.
    first_tokens: tuple[str, ...] = field(default=("class", "bos", "none"), metadata={"identity": False})


@dataclass(frozen=True)
class Basis:
    """An orthonormal basis of the pixels of a patch: a function (patch, width) -> kernels [width, 3, patch, patch]."""

    function: str
    label: str  # on figures and in messages
    ordered: bool  # by frequency: a width below 3 x patch^2 keeps the lowest ones


@dataclass(frozen=True)
class Objective:
    """What a descent lowers. It may take: panels, first_patch, constant, distance, device, and targets.

    `descent.groups.make_objectives` says what they are. constant and distance are keys of a descent.
    """

    function: str
    panels: str  # the key of a run that lists its panels: neurons, patches or images
    takes: tuple[str, ...]
    own_patch_only: bool = False  # tokens after a panel's patch do not matter to it

    @property
    def matches(self) -> bool:
        """Whether it compares with the outputs of photographs, the run's panels."""
        return "targets" in self.takes


@dataclass(frozen=True)
class Optimiser:
    """How losses and gradients change an image: a class in `lmrep.descent`."""

    function: str
    label: str = field(metadata={"identity": False})  # on figures
    keys: tuple[str, ...] = ()  # of a descent, besides start, octaves and optimiser
    octave_keys: tuple[str, ...] = ()  # of an octave, besides size and steps; rate is then needed
    jitters: bool = False  # it can change a crop of an image, and an image of another size
    exact: bool = False  # precision auto is float32: rounding spoils its line search
    bounded: bool = False  # it needs an objective that is bounded below, as a distance is


@dataclass(frozen=True)
class Metric:
    """A column of the accuracy table: a function that returns a float.

    It may take the images [3, height, width] image, target, earlier (after three quarters of the passes), initial (the
    start) and shifted (the target with the yardstick's noise), and the numbers output_distance and
    shifted_output_distance.
    """

    function: str
    takes: tuple[str, ...] = ("image", "target")
    unbounded: bool = False  # it may be infinite


@dataclass(frozen=True)
class Figure:
    """A kind of figure: a function that takes one `lmrep.figures.shown.Shown`."""

    function: str
    reads: tuple[str, ...]  # of its runs: "runs" (the files), "accuracy", "patches" (the tables), "trace", "claims"
    objectives: tuple[str, ...] = ()  # that its runs may have; none: any
    # How many: "mixed" has some of each of `objectives`, "distinct" one line for a probe, its weights and an optimiser;
    # for "all" a config says `runs: all`.
    runs: Literal["any", "one", "several", "one_probe", "distinct", "mixed", "all"] = "any"
    keys: tuple[str, ...] = ()  # "image", "layers", "panels": keys of its own besides kind, title and runs
    needs: tuple[str, ...] = ()  # those of `keys` that it cannot do without


Kind = Family | Stem | Objective | Optimiser | Metric | Figure


def modules_of(*entries: Kind) -> list[str]:
    """The modules of the functions behind some kinds, for a digest of their code."""
    return sorted({entry.function.partition(":")[0] for entry in entries})


FAMILIES = {
    "gpt2": Family("lmrep.probe.loading:load_stack", ("heads",), causal=True, embeds=True),
    "vit": Family("lmrep.probe.loading:load_stack", ("heads", "patch", "size"), causal=False, stem="vit"),
    "transformers": Family(
        "lmrep.probe.transformers_stack:load_stack",
        ("causal",),
        embeds=True,
        libraries=("transformers", "gguf"),
        own_config=True,
    ),
}

STEMS = {
    "vit": Stem("lmrep.probe.stem:ViTStem", {"patch_convolution": True, "position_embedding": False}),
    "basis": Stem("lmrep.probe.stem:BasisStem", {}, first_tokens=("none", "bos")),
}

BASES = {
    "dct": Basis("lmrep.probe.stem:dct_kernels", "DCT basis", ordered=True),
    "random": Basis("lmrep.probe.stem:random_kernels", "random basis", ordered=False),
}

NORMS = {  # the distances of a match: the article's, and two others
    "l1": "absolute", "l2": "squared", "pareto": "squared, with less weight for large activations",
}  # fmt: skip
PANELS = {"neurons": "neuron", "patches": "patch", "images": "image"}  # a run's key -> what one panel is

OBJECTIVES = {
    "neuron": Objective(
        "lmrep.descent.objectives:neuron", "neurons", ("panels", "first_patch", "constant", "device")
    ),
    "patch": Objective(
        "lmrep.descent.objectives:patch", "patches", ("panels", "first_patch", "constant", "device"),
        own_patch_only=True,
    ),
    "match": Objective("lmrep.descent.objectives:match", "images", ("targets", "distance", "panels")),
}  # fmt: skip

# From the one that ends furthest from its goal to the nearest. Claims use the last one that a study has.
OPTIMISERS = {
    "gradient": Optimiser(
        "lmrep.descent.optimisers:Gradient", "article's descent", ("scale", "rate"), octave_keys=("rate", "sigma"),
        jitters=True,
    ),
    "adam": Optimiser("lmrep.descent.optimisers:Adam", "Adam", ("rate",), octave_keys=("rate",)),
    "lbfgs": Optimiser("lmrep.descent.lbfgs:LBFGS", "L-BFGS", ("history",), exact=True, bounded=True),
    "preconditioned_lbfgs": Optimiser(
        "lmrep.descent.preconditioned:PreconditionedLBFGS", "preconditioned L-BFGS", ("history",), exact=True,
        bounded=True,
    ),
}  # fmt: skip
ARTICLE = "gradient"  # the optimiser of the article

METRICS = {
    "ssim": Metric("lmrep.metrics.measures:ssim"),
    "psnr": Metric("lmrep.metrics.measures:psnr", unbounded=True),  # of equal images
    "output_distance_ratio": Metric(
        "lmrep.metrics.measures:output_distance_ratio",
        ("output_distance", "shifted_output_distance"),
        unbounded=True,  # of an output that noise does not move
    ),
    "flip": Metric("lmrep.metrics.measures:flip"),
    "correlation": Metric("lmrep.metrics.measures:correlation"),
    "high_frequency_error": Metric("lmrep.metrics.measures:high_frequency_error"),
    "ssim_earlier": Metric("lmrep.metrics.measures:ssim", ("earlier", "target")),
    "ssim_start": Metric("lmrep.metrics.measures:ssim", ("initial", "target")),
    "ssim_grey": Metric("lmrep.metrics.measures:ssim_grey", ("target",)),
    "ssim_shifted": Metric("lmrep.metrics.measures:ssim", ("shifted", "target")),
    "correlation_earlier": Metric("lmrep.metrics.measures:correlation", ("earlier", "target")),
}

FIGURES = {
    "features": Figure(
        "lmrep.figures.features:draw_features", ("runs",), objectives=("neuron", "patch"), runs="one"
    ),
    "changes": Figure(
        "lmrep.figures.changes:draw_changes", ("runs",), objectives=("neuron", "patch"), runs="one"
    ),
    "beside": Figure(
        "lmrep.figures.beside:draw_beside", ("runs",), objectives=("neuron", "patch"), runs="several",
        keys=("layers", "panels"),
    ),
    "reconstructions": Figure(
        "lmrep.figures.reconstructions:draw_reconstructions", ("runs", "accuracy"), objectives=("match",),
        keys=("image", "layers"), needs=("image",),
    ),
    "inversion": Figure(
        "lmrep.figures.inversion:draw_inversion", ("runs", "accuracy"), objectives=("match",),
        runs="distinct", keys=("image", "layers"), needs=("image",),
    ),
    "accuracy": Figure(
        "lmrep.figures.charts:draw_accuracy", ("accuracy",), objectives=("match",),
        runs="distinct",
    ),
    "importance": Figure("lmrep.figures.importance:draw_importance", ("patches",)),
    "causality": Figure("lmrep.figures.importance:draw_causality", ("patches",), objectives=("neuron",)),
    "regime": Figure(
        "lmrep.figures.regime:draw_regime", ("accuracy", "patches"), objectives=("match", "neuron"),
        runs="mixed",
    ),
    "diagram": Figure(
        "lmrep.figures.diagram:draw_diagram", ("trace",), runs="one_probe", keys=("image",), needs=("image",)
    ),
    "claims": Figure("lmrep.figures.claims:draw_claims", ("claims",), runs="all"),
}  # fmt: skip
