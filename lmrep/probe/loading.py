"""Blocks with the numbers of a weight file, or fresh ones. Every name and shape in the file is checked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lmrep.errors import InputError
from lmrep.probe.block import Block
from lmrep.probe.families import LAYOUTS
from lmrep.probe.finite import finite
from lmrep.probe.stack import Stack
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe


def read_tensors(weights: Weights, path: Path, wanted: Callable[[str], str | None]) -> dict[str, Tensor]:
    """The float32 tensors of a weight file for which `wanted(key)` gives a new name. The rest is not read.

    Raises InputError for a tensor of other than finite floating-point numbers.
    """
    key, outer = f"weights.{weights.name}: {path}", LAYOUTS[weights.family].outer
    try:
        with safe_open(path, framework="pt") as file:
            names = {own: name for own in file.keys() if (name := wanted(own))}  # noqa: SIM118
            if len({own.startswith(outer) for own in names}) > 1:
                one = next(own for own in names if own.startswith(outer))
                raise InputError(
                    f"{key}: expected all of its tensors with '{outer}' before their names, as '{one}', or none"
                )
            return {name: finite(f"{key}: tensor '{own}'", file.get_tensor(own)) for own, name in names.items()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{key} is not a readable safetensors file ({error})") from None


def blocks_in(weights: Weights, path: Path) -> int:
    """How many blocks the weight file of a family of ours has, by its header; 0 if it cannot be read."""
    layout = LAYOUTS[weights.family]
    try:
        with safe_open(path, framework="pt") as file:
            names = [name.removeprefix(layout.outer) for name in file.keys()]  # noqa: SIM118  # no dict
    except (SafetensorError, OSError):  # the loader says what is wrong with it
        return 0
    numbers = [name.removeprefix(layout.prefix).split(".")[0] for name in names if name.startswith(layout.prefix)]
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1


def check_shapes(weights: Weights, found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raises InputError at the first tensor that is missing, not expected, or of another shape."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            what = "missing from" if name not in found else "not expected in"
            raise InputError(f"weights.{weights.name}: tensor '{name}' is {what} the file of a {weights.family}")
        if tuple(found[name].shape) != tuple(expected[name]):
            raise InputError(
                f"weights.{weights.name}: tensor '{name}' has shape {list(found[name].shape)}, "
                f"expected {list(expected[name])} by its width, depth, patch and size"
            )


def empty_blocks(weights: Weights, depth: int, masked: bool) -> nn.ModuleList:
    """Blocks with shapes and no numbers. `masked`: a token sees only itself and earlier ones."""
    layout = LAYOUTS[weights.family]
    with torch.device("meta"):
        block = (weights.width, weights.heads, masked, layout.gelu, layout.epsilon)
        return nn.ModuleList(Block(*block) for _ in range(depth))


def filled(blocks: nn.ModuleList, weights: Weights, state: dict[str, Tensor]) -> nn.ModuleList:
    """The blocks with the numbers of `state`, frozen. The scale of the scores goes into the queries."""
    for name, tensor in state.items():
        if ".qkv." in name:  # the first third of its rows makes the queries
            scale = torch.ones(len(tensor), *[1] * (tensor.ndim - 1))
            scale[: weights.width] = (weights.width // weights.heads) ** -0.5
            state[name] = tensor * scale
    blocks.load_state_dict(state, strict=True, assign=True)
    return blocks.eval().requires_grad_(False)


def trained_blocks(weights: Weights, path: Path, depth: int, masked: bool) -> nn.ModuleList:
    """The first `depth` blocks of a weight file. Raises InputError if the file is not what the config says."""
    layout, blocks = LAYOUTS[weights.family], empty_blocks(weights, depth, masked)

    def wanted(key: str) -> str | None:
        name = key.removeprefix(layout.outer)
        if not name.startswith(layout.prefix) or name.endswith(layout.not_weights):
            return None
        name = name.removeprefix(layout.prefix)
        index = name.split(".")[0]
        return name if not index.isdigit() or int(index) < depth else None

    def turned(tensor: Tensor) -> Tensor:
        return tensor.t() if layout.transposed else tensor

    def their_name(name: str) -> str:
        index, part, kind = name.split(".")
        return f"{index}.{layout.names[part]}.{kind}"

    theirs, expected = read_tensors(weights, path, wanted), blocks.state_dict()
    check_shapes(weights, theirs, {their_name(name): tuple(turned(t).shape) for name, t in expected.items()})
    ours = {name: turned(theirs[their_name(name)]).contiguous() for name in expected}
    return filled(blocks, weights, ours)


def fresh_blocks(weights: Weights, seed: int, depth: int, masked: bool) -> nn.ModuleList:
    """The first `depth` blocks as the family's library would initialise them, from `seed` alone."""
    layout, blocks = LAYOUTS[weights.family], empty_blocks(weights, depth, masked)
    rng = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, tensor in blocks.state_dict().items():
        _, part, kind = name.split(".")
        norm = part.startswith("norm")
        state[name] = torch.ones(tensor.shape) if norm and kind == "weight" else torch.zeros(tensor.shape)
        if not norm and kind == "weight":
            layout.init(state[name], part, weights.depth, rng)
    return filled(blocks, weights, state)


def read_embeddings(weights: Weights, path: Path, name: str) -> Tensor:
    """The embeddings [token or position, width] that a language model's file has under `name`."""
    layout = LAYOUTS[weights.family]
    found = read_tensors(weights, path, lambda key: {name: "found"}.get(key.removeprefix(layout.outer)))
    if "found" not in found or found["found"].ndim != 2 or found["found"].shape[1] != weights.width:
        raise InputError(f"weights.{weights.name}: expected embeddings '{name}' of its width")
    return found["found"]


def load_stack(spec: Probe, path: Path | None, trained: bool, depth: int, seed: int) -> Stack:
    """The first `depth` blocks of a family of our own, from the file `path` or, not `trained`, fresh from `seed`.

    Raises InputError if the file is not what the config says, and ValueError without a file where one is read.
    """
    weights, layout = spec.stack, LAYOUTS[spec.stack.family]
    if path is None and (trained or spec.reads_embeddings):
        raise ValueError(f"expected the weight file of '{weights.name}', for its blocks or its embeddings")
    if trained and path:
        blocks = trained_blocks(weights, path, depth, spec.masked)
    else:
        blocks = fresh_blocks(weights, seed, depth, spec.masked)
    tokens = read_embeddings(weights, path, layout.embeddings) if path and spec.reads_embeddings else None
    positions = read_embeddings(weights, path, layout.positions) if path and spec.stack_position else None
    return Stack(blocks, tokens, positions)
