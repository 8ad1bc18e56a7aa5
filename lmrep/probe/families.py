"""Where a model family's file has the tensors of a block. A new family is one entry of FAMILIES."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lmrep.probe.block import Block
from lmrep.errors import InputError
from lmrep.study.spec import Weights


def init_gpt2(weight: Tensor, part: str, depth: int, rng: torch.Generator) -> None:
    """As transformers' GPT2PreTrainedModel: what is added to the stream is smaller the more blocks add to it."""
    nn.init.normal_(weight, std=0.02 / sqrt(2 * depth) if part in ("proj", "fc2") else 0.02, generator=rng)


def init_vit(weight: Tensor, part: str, depth: int, rng: torch.Generator) -> None:
    """As timm's VisionTransformer."""
    nn.init.trunc_normal_(weight, std=0.02, generator=rng)


@dataclass(frozen=True)
class Family:
    init: Callable[[Tensor, str, int, torch.Generator], None]  # a product's weights, as the family's library does
    prefix: str  # of a block's number in the file
    names: Mapping[str, str]  # a part of Block -> the file's name for it
    causal: bool
    gelu: str
    epsilon: float  # of the norms
    transposed: bool = False  # the file has its products as [in, out]
    outer: str = ""  # before the prefix, in some checkpoints
    not_weights: tuple[str, ...] = ()  # tensors beside the weights, by how their names end


FAMILIES = {
    "gpt2": Family(
        init_gpt2,
        "h.",
        {
            "norm1": "ln_1", "qkv": "attn.c_attn", "proj": "attn.c_proj",
            "norm2": "ln_2", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj",
        },
        causal=True,
        gelu="tanh",
        epsilon=1e-5,
        transposed=True,
        # Checkpoints of the causal language model say transformer.h.0, those of the bare model h.0.
        outer="transformer.",
        # Causal masks, which older versions of transformers saved beside the weights.
        not_weights=(".attn.bias", ".attn.masked_bias"),
    ),
    "vit": Family(
        init_vit,
        "blocks.",
        {
            "norm1": "norm1", "qkv": "attn.qkv", "proj": "attn.proj",
            "norm2": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
        },
        causal=False,
        gelu="none",
        epsilon=1e-6,
    ),
}  # fmt: skip


def read_tensors(weights: Weights, path: Path, wanted: Callable[[str], str | None]) -> dict[str, Tensor]:
    """The float32 tensors of a weight file for which `wanted(key)` gives a new name; the rest is not read."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(key).float() for key in file.keys() if (name := wanted(key))}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights.{weights.name}: {path} is not a readable safetensors file ({error})") from None


def check_shapes(weights: Weights, found: Mapping[str, Tensor], expected: Mapping[str, tuple]) -> None:
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


def empty_blocks(weights: Weights, depth: int) -> nn.ModuleList:
    """Blocks that have shapes only."""
    family = FAMILIES[weights.family]
    with torch.device("meta"):
        block = (weights.width, weights.heads, family.causal, family.gelu, family.epsilon)
        return nn.ModuleList(Block(*block) for _ in range(depth))


def filled(blocks: nn.ModuleList, weights: Weights, state: dict[str, Tensor]) -> nn.ModuleList:
    """The blocks with the numbers of `state`, frozen; the scale of the scores goes into the queries."""
    for name, tensor in state.items():
        if ".qkv." in name:  # the first third of its rows makes the queries
            scale = torch.ones(len(tensor), *[1] * (tensor.ndim - 1))
            scale[: weights.width] = (weights.width // weights.heads) ** -0.5
            state[name] = tensor * scale
    blocks.load_state_dict(state, strict=True, assign=True)
    return blocks.eval().requires_grad_(False)


def trained_blocks(weights: Weights, path: Path, depth: int) -> nn.ModuleList:
    """The first `depth` blocks of a weight file. Raises InputError where it is not what the config says."""
    family, blocks = FAMILIES[weights.family], empty_blocks(weights, depth)

    def wanted(key: str) -> str | None:
        name = key.removeprefix(family.outer)
        if not name.startswith(family.prefix) or name.endswith(family.not_weights):
            return None
        name = name.removeprefix(family.prefix)
        index = name.split(".")[0]
        return name if not index.isdigit() or int(index) < depth else None

    def turned(tensor: Tensor) -> Tensor:
        return tensor.t() if family.transposed else tensor

    def their_name(name: str) -> str:
        index, part, kind = name.split(".")
        return f"{index}.{family.names[part]}.{kind}"

    theirs, expected = read_tensors(weights, path, wanted), blocks.state_dict()
    check_shapes(weights, theirs, {their_name(name): turned(tensor).shape for name, tensor in expected.items()})
    ours = {name: turned(theirs[their_name(name)]).contiguous() for name in expected}
    return filled(blocks, weights, ours)


def fresh_blocks(weights: Weights, seed: int, depth: int) -> nn.ModuleList:
    """The first `depth` blocks as the family's library would initialise them, from `seed` alone."""
    family, blocks = FAMILIES[weights.family], empty_blocks(weights, depth)
    rng, state = torch.Generator().manual_seed(seed), {}
    for name, tensor in blocks.state_dict().items():
        _, part, kind = name.split(".")
        norm = part.startswith("norm")
        state[name] = torch.ones(tensor.shape) if norm and kind == "weight" else torch.zeros(tensor.shape)
        if not norm and kind == "weight":
            family.init(state[name], part, weights.depth, rng)
    return filled(blocks, weights, state)
