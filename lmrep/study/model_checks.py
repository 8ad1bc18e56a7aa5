"""Checks weights, images and probes, alone and against each other, before any job starts."""

from collections.abc import Mapping
from os.path import isdir, isfile  # unlike pathlib's, these return False for a name that is too long
from pathlib import Path, PurePosixPath

from lmrep.errors import InputError
from lmrep.provenance import model_files
from lmrep.study.kinds import BASES, FAMILIES, STEMS
from lmrep.study.sources import CONFIG_FILE, DEFAULT_FILE, GGUF, SOURCES, WEIGHT_SOURCES, Image, Weights
from lmrep.study.spec import Probe, Stem

CHANNELS = 3
MOST_PATCHES = 2**18  # 4096 px in patches of 8: with more, no machine holds the tokens of an image and their scores
UNUSED = {"path": ("file", "revision"), "wheel": ("revision",)}  # a source -> options of others


def check_weights(weights: Weights) -> None:
    """Raises InputError, naming `weights.<name>`, if its source, files, hashes and shapes do not fit together."""
    key, family = f"weights.{weights.name}", FAMILIES[weights.family]
    if sum(bool(getattr(weights, source)) for source in WEIGHT_SOURCES) != 1:
        raise InputError(f"{key}: expected one of a local path, a repo on the hub and a wheel")
    if weights.path:
        check_local_weights(key, weights)
    for source, spare in UNUSED.items():
        for option in spare if getattr(weights, source) else ():
            if getattr(weights, option):
                raise InputError(f"{key}.{option}: a {source} does not use it, expected none")
    if weights.bytes and isdir(weights.path):
        raise InputError(f"{key}.bytes: a folder does not use it, expected none")
    if weights.repo and not weights.revision:
        raise InputError(f"{key}: expected a revision, which pins the repo on the hub")
    if weights.wheel and not weights.file:
        raise InputError(f"{key}.file: expected the file in the wheel {weights.wheel}")
    names = [pin.file for pin in weights.pins] or [file.name for file in model_files(Path(weights.path))]
    if len({PurePosixPath(name).name for name in names}) < len(names):
        raise InputError(f"{key}.file: expected no two files of the same name in {', '.join(names)}")
    if not family.own_config and (len(names) > 1 or any(not name.endswith(".safetensors") for name in names)):
        raise InputError(f"{key}.file: a {weights.family} is one .safetensors file, not {', '.join(names)}")
    if family.own_config and weights.pins:
        check_model_files(key, [PurePosixPath(name).name for name in names])
    pinned = set(weights.sha256) if isinstance(weights.sha256, Mapping) else set()
    if weights.sha256 and isdir(weights.path) and not pinned:
        pinned = {DEFAULT_FILE}  # the file that a hash without a name is of
    unknown = sorted(pinned - set(names))
    if unknown:
        raise InputError(f"{key}.sha256: expected hashes of {', '.join(names)}, not of {unknown[0]}")
    if weights.heads and weights.width % weights.heads:
        raise InputError(f"{key}.heads: expected a divisor of the width {weights.width}, not {weights.heads}")
    if weights.patch and weights.size % weights.patch:
        raise InputError(f"{key}.size: expected a multiple of the patch {weights.patch} px, not {weights.size}")


def check_model_files(key: str, names: list[str]) -> None:
    """Raises InputError unless a library can load a model from the files `names`, the first of them with weights."""
    one, index = names[0], f"{DEFAULT_FILE}.index.json"
    loads = len(names) == 1 if one.endswith(GGUF) else bool({DEFAULT_FILE, index} & set(names))
    if one.endswith(".json") or not loads or any(name.endswith(GGUF) for name in names[1:]):
        wanted = f"one {GGUF} file, {DEFAULT_FILE}, or its parts and then {index}"
        raise InputError(f"{key}.file: expected {wanted}, not {', '.join(names)}")


def check_local_weights(key: str, weights: Weights) -> None:
    """Raises InputError, naming `key`, if the local file or folder is missing, or a file has another size."""
    path = Path(weights.path)
    if FAMILIES[weights.family].own_config and path.suffix != GGUF:
        if not isfile(path / CONFIG_FILE):
            raise InputError(f"{key}.path: expected a folder with {CONFIG_FILE}, or a {GGUF} file, at {weights.path}")
    elif not isfile(path):
        raise InputError(f"{key}.path: expected a file, found none at {weights.path}")
    elif weights.bytes and path.stat().st_size != weights.bytes:
        raise InputError(f"{key}.bytes: expected {weights.bytes}, but {weights.path} has another size")


def check_image(image: Image) -> None:
    """Raises InputError, naming `images.<name>`, for no or several sources, a missing file, or keys that do not fit."""
    key = f"images.{image.name}"
    found = [name for name in SOURCES if getattr(image, name)]
    if len(found) != 1:
        raise InputError(f"{key}: expected one of {', '.join(SOURCES)}, found {' and '.join(found) or 'none'}")
    if image.path and not isfile(image.path):
        raise InputError(f"{key}.path: expected a file, found none at {image.path}")
    if (image.sha256 or image.member or image.member_sha256) and not (image.url or image.path):
        raise InputError(f"{key}: sha256 and member apply to a url or a path; expected one")
    if image.member_sha256 and not image.member:
        raise InputError(f"{key}.member_sha256: expected member, the name of the file in the zip")
    if image.url and not image.sha256:
        raise InputError(f"{key}.sha256: expected the file's hash, which pins the url")


def check_stem(key: str, stem: Stem) -> None:
    """Raises InputError, naming `key`, if the first token, or the size or width of a basis, does not fit."""
    allowed = STEMS[stem.kind].first_tokens
    if stem.first_token not in allowed:
        raise InputError(f"{key}.first_token: a {stem.kind} stem takes {' or '.join(allowed)}, not {stem.first_token}")
    if stem.weights:
        return
    if stem.size % stem.patch:
        raise InputError(f"{key}.stem.size: expected a multiple of the patch {stem.patch} px, not {stem.size}")
    pixels, basis = CHANNELS * stem.patch**2, str(stem.options["basis"])
    if stem.width < pixels and not BASES[basis].ordered:
        raise InputError(
            f"{key}.stem.basis: {basis} keeps all {pixels} values of a patch, "
            f"expected a stack of at least that width, not {stem.width}"
        )


def check_probe(probe: Probe) -> None:
    """Raises InputError, naming `probes.<name>`, if stem, stack and regime do not fit, or patches are too many."""
    key, stem = f"probes.{probe.name}", probe.stem
    if stem.width != probe.stack.width:
        raise InputError(
            f"{key}: the stem '{stem.name}' has width {stem.width}, "
            f"expected the stack's ('{probe.stack.name}'), which is {probe.stack.width}"
        )
    check_stem(key, stem)
    if stem.patches > MOST_PATCHES:
        found = f"images of {stem.size} px have {stem.patches} patches of {stem.patch} px"
        raise InputError(f"{key}.stem: {found}, expected at most {MOST_PATCHES}")
    if probe.reads_embeddings and not FAMILIES[probe.stack.family].embeds:
        needing = "scale, stack_position and a bos need a language model's embeddings"
        raise InputError(f"{key}.stack: {needing}; a {probe.stack.family} has none")
    if stem.first_token == "bos" and probe.stack.bos < 0:
        raise InputError(f"{key}.first_token: expected weights.{probe.stack.name}.bos, the token that begins a text")
    if probe.causal == "never" and not probe.stack.causal:
        raise InputError(f"{key}.causal: '{probe.stack.name}' has no causal mask, expected as_trained")
    pixels = CHANNELS * stem.patch**2
    if not stem.options.get("patch_convolution", True) and pixels != probe.stack.width:
        raise InputError(
            f"{key}.patch_convolution: without it a token is the {pixels} values of a patch, "
            f"expected as many as the stack's width, which is {probe.stack.width}"
        )
