"""Weights, images, probes, descents and runs as frozen dataclasses: what a job is told.

Kept apart from `study`, which reads the config, so that a new figure or key reruns no run.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


def block_flops(width: int, tokens: int) -> float:
    """Floating-point operations of one image's way through a block and back, to its input and not to the weights."""
    weights = 2 * 12 * width**2 * tokens  # a multiply and an add, by 12 width^2 weights
    scores_and_values = 2 * 2 * width * tokens**2
    return float(2 * weights + 3 * scores_and_values)  # on the way back, one product as before, and two


@dataclass(frozen=True)
class Weights:
    """One weight file: what it holds and where it comes from (`repo` on the hub, or a local `path`)."""

    name: str
    family: str  # "gpt2" or "vit"
    width: int
    depth: int  # blocks
    heads: int
    label: str = ""  # on figures
    patch: int = 0  # px, ViT only
    size: int = 0  # px, ViT only: the image side that its stem cuts into patches
    path: str = ""
    repo: str = ""
    revision: str = ""
    file: str = ""
    sha256: str = ""
    bytes: int = 0

    @property
    def patches(self) -> int:
        """Patches that the stem cuts an image into; 0 for a model without a stem."""
        return (self.size // self.patch) ** 2 if self.patch else 0


@dataclass(frozen=True)
class Image:
    """One target image, from exactly one of `skimage`, `path`, `url`, `drawing`."""

    name: str
    skimage: str = ""
    path: str = ""
    url: str = ""
    sha256: str = ""  # of the file behind `url`
    member: str = ""  # of the zip behind `url`
    member_sha256: str = ""
    drawing: str = ""
    fit: str = "resize"  # "resize" (squeezes, as the author does) or "crop" (centre square first)


@dataclass(frozen=True)
class Probe:
    """A ViT's stem in front of a stack of blocks."""

    name: str
    label: str
    stem: Weights
    stack: Weights
    patch_convolution: bool = True
    class_token: bool = True
    position_embedding: bool = False

    @property
    def first_patch(self) -> int:
        """The token of patch 0."""
        return int(self.class_token)

    @property
    def tokens(self) -> int:
        return self.stem.patches + self.first_patch


@dataclass(frozen=True)
class Octave:
    """Steps at one image size; an image larger than the probe's is updated in random crops (jitter)."""

    size: int  # px
    steps: int
    rate: tuple[float, float]  # first and last step's, linear between
    sigma: tuple[float, float] | None = None  # of the blur after each step, px; None: no blur


@dataclass(frozen=True)
class Descent:
    start: tuple[str, float, float]  # ("uniform", low, high) or ("normal", mean, standard deviation)
    octaves: tuple[Octave, ...]
    scale: float = 1.0  # of the gradient
    constant: float = 0.0  # the large C of sum(C - activation)

    @property
    def steps(self) -> int:
        return sum(octave.steps for octave in self.octaves)


@dataclass(frozen=True)
class Run:
    """One experiment on one probe: its panels, at each of its layers."""

    name: str
    objective: str  # "neuron", "patch" or "match"
    probe: Probe
    weights: str  # "trained" or "untrained" (the stack; the stem is always the trained one)
    layers: tuple[int, ...]  # blocks, from 1
    panels: tuple[int, ...] | tuple[str, ...]  # neurons, patches (both from 0), or image names
    descent: Descent
    seed: int
    precision: str  # of the products: "auto", "float32" or "bfloat16"
    memory: float | str  # MB for what a pass keeps for its way back, or "auto"

    @property
    def weight_files(self) -> tuple[str, ...]:
        """The names of the weights that it reads: an untrained stack needs none of its own."""
        return tuple(sorted({self.probe.stem.name} | ({self.probe.stack.name} if self.weights == "trained" else set())))

    @property
    def flops(self) -> float:
        """Floating-point operations of all its steps, were none of a patch's left out."""
        images = sum(self.layers) * len(self.panels) * self.descent.steps
        return images * block_flops(self.probe.stack.width, self.probe.tokens)

    def settings(self) -> dict:
        """Everything its result depends on but the code, as plain JSON values."""
        settings = asdict(self)
        # Where a file lies, and what figures call it, changes nothing of what is in it.
        for described in (settings["probe"], settings["probe"]["stem"], settings["probe"]["stack"]):
            described.update({key: "" for key in ("label", "path") if key in described})
        return settings


def run_from_settings(settings: Mapping) -> Run:
    """The run whose `settings()` these are."""
    probe = settings["probe"]
    probe = Probe(**{**probe, "stem": Weights(**probe["stem"]), "stack": Weights(**probe["stack"])})
    octaves = [
        Octave(o["size"], o["steps"], tuple(o["rate"]), tuple(o["sigma"]) if o["sigma"] else None)
        for o in settings["descent"]["octaves"]
    ]
    descent = Descent(
        **{**settings["descent"], "start": tuple(settings["descent"]["start"]), "octaves": tuple(octaves)}
    )
    layers, panels = tuple(settings["layers"]), tuple(settings["panels"])
    return Run(**{**settings, "probe": probe, "layers": layers, "panels": panels, "descent": descent})
