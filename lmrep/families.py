"""Where a model family's file has the tensors of a block. A new family is one entry of FAMILIES."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lmrep.block import Block
from lmrep.errors import InputError
from lmrep.spec import Weights


def fresh_gpt2(weights: Weights) -> nn.ModuleList:
    """transformers' GPT-2 blocks, freshly initialised."""
    from transformers import GPT2Config, GPT2Model

    return GPT2Model(
        GPT2Config(
            vocab_size=1, n_positions=1, n_embd=weights.width, n_layer=weights.depth, n_head=weights.heads,
            bos_token_id=None, eos_token_id=None,
        )
    ).h  # fmt: skip


def fresh_vit(weights: Weights) -> nn.ModuleList:
    """timm's VisionTransformer blocks, freshly initialised."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=weights.size, patch_size=weights.patch, embed_dim=weights.width, depth=weights.depth,
        num_heads=weights.heads, num_classes=0,
    ).blocks  # fmt: skip


@dataclass(frozen=True)
class Family:
    fresh: Callable[[Weights], nn.ModuleList]  # as the family's own library initialises its blocks
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
        fresh_gpt2,
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
        fresh_vit,
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


def make_blocks(weights: Weights, state: Mapping[str, Tensor], depth: int) -> nn.ModuleList:
    """The first `depth` blocks from float32 tensors under the file's names ('0.attn.qkv.weight'), all checked."""
    family = FAMILIES[weights.family]
    with torch.device("meta"):  # shapes only: the state brings the numbers
        block = (weights.width, weights.heads, family.causal, family.gelu, family.epsilon)
        blocks = nn.ModuleList(Block(*block) for _ in range(depth))

    def turned(tensor: Tensor) -> Tensor:
        return tensor.t() if family.transposed else tensor

    def their_name(name: str) -> str:
        index, part, kind = name.split(".")
        return f"{index}.{family.names[part]}.{kind}"

    expected = blocks.state_dict()
    check_shapes(weights, state, {their_name(name): turned(tensor).shape for name, tensor in expected.items()})
    ours = {name: turned(state[their_name(name)]).contiguous() for name in expected}
    for name, tensor in ours.items():
        if ".qkv." in name:  # the scores' scale goes into the queries, the first third of the rows
            scale = torch.ones(len(tensor), *[1] * (tensor.ndim - 1))
            scale[: weights.width] = (weights.width // weights.heads) ** -0.5
            ours[name] = tensor * scale
    blocks.load_state_dict(ours, strict=True, assign=True)
    return blocks.eval().requires_grad_(False)


def trained_blocks(weights: Weights, path: Path, depth: int) -> nn.ModuleList:
    """The first `depth` blocks of a weight file. Raises InputError where it is not what the config says."""
    family = FAMILIES[weights.family]

    def wanted(key: str) -> str | None:
        name = key.removeprefix(family.outer)
        if not name.startswith(family.prefix) or name.endswith(family.not_weights):
            return None
        name = name.removeprefix(family.prefix)
        return name if int(name.split(".")[0]) < depth else None

    return make_blocks(weights, read_tensors(weights, path, wanted), depth)


def fresh_blocks(weights: Weights, seed: int, depth: int) -> nn.ModuleList:
    """The first `depth` blocks as the family's library initialises them, from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_blocks(weights, FAMILIES[weights.family].fresh(weights)[:depth].state_dict(), depth)
