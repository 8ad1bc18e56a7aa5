"""A ViT's stem in front of a stack of GPT-2 or ViT blocks, as one module with the outputs of its blocks.

Method: the article's "Spatial Learning in Language Model Features"; numbers and choices in `config.yaml`.
A family is one adapter below: how its library builds the blocks, and what a file calls their tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.errors import InputError
from lmrep.spec import Probe as ProbeSpec
from lmrep.spec import Weights

CHANNELS = 3


def gpt2_blocks(weights: Weights) -> nn.ModuleList:
    """transformers' GPT-2 blocks, freshly initialised. Without a mask their attention is causal."""
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=1, n_positions=1, n_embd=weights.width, n_layer=weights.depth, n_head=weights.heads,
        # GPT-2's own "gelu_new" is this tanh form, written out in several operations where torch has one.
        activation_function="gelu_pytorch_tanh", attn_implementation="sdpa", bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return GPT2Model(config).h


def vit_blocks(weights: Weights) -> nn.ModuleList:
    """timm's VisionTransformer blocks, freshly initialised."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=weights.size, patch_size=weights.patch, embed_dim=weights.width, depth=weights.depth,
        num_heads=weights.heads, num_classes=0,
    ).blocks  # fmt: skip


class GPT2Family:
    blocks: Callable = staticmethod(gpt2_blocks)
    prefix = "h."
    # Checkpoints of the causal language model say transformer.h.0, those of the bare model h.0.
    outer = "transformer."
    # Causal masks, which older versions of transformers saved beside the weights.
    not_weights = (".attn.bias", ".attn.masked_bias")


class ViTFamily:
    blocks: Callable = staticmethod(vit_blocks)
    prefix = "blocks."
    outer = ""
    not_weights = ()


FAMILIES = {"gpt2": GPT2Family, "vit": ViTFamily}


def read_tensors(weights: Weights, path: Path, wanted: Callable[[str], str | None]) -> dict[str, Tensor]:
    """The float32 tensors of a weight file for which `wanted(key)` gives a new name; the rest is not read."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(key).float() for key in file.keys() if (name := wanted(key))}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights.{weights.name}: {path} is not a readable safetensors file ({error})") from None


def check_shapes(weights: Weights, found: Mapping[str, Tensor], expected: Mapping[str, Tensor | tuple]) -> None:
    """Raises InputError at the first tensor that is missing, not expected, or of another shape."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            what = "missing from" if name not in found else "not expected in"
            raise InputError(f"weights.{weights.name}: tensor '{name}' is {what} the file of a {weights.family}")
        shape = tuple(getattr(expected[name], "shape", expected[name]))
        if tuple(found[name].shape) != shape:
            raise InputError(
                f"weights.{weights.name}: tensor '{name}' has shape {list(found[name].shape)}, "
                f"expected {list(shape)} by its width, depth, patch and size"
            )


def load_blocks(weights: Weights, path: Path, depth: int) -> nn.ModuleList:
    """The first `depth` trained blocks of a weight file, every key and shape checked."""
    family = FAMILIES[weights.family]

    def wanted(key: str) -> str | None:
        name = key.removeprefix(family.outer)
        if not name.startswith(family.prefix) or name.endswith(family.not_weights):
            return None
        name = name.removeprefix(family.prefix)
        return name if int(name.split(".")[0]) < depth else None

    with torch.device("meta"):  # shapes only: the file brings the numbers
        blocks = family.blocks(weights)[:depth]
    state = read_tensors(weights, path, wanted)
    check_shapes(weights, state, blocks.state_dict())
    blocks.load_state_dict(state, strict=True, assign=True)
    return blocks


def fresh_blocks(weights: Weights, seed: int, depth: int) -> nn.ModuleList:
    """The first `depth` blocks as the family's library initialises them, from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FAMILIES[weights.family].blocks(weights)[:depth]


class Stem(nn.Module):
    """Cuts images [image, 3, size, size] into tokens [image, token, width], a class token first if there is one."""

    def __init__(self, spec: ProbeSpec, path: Path):
        super().__init__()
        weights = spec.stem
        self.patch = weights.patch
        width, pixels = weights.width, CHANNELS * weights.patch**2
        names = {"patch_embed.proj.weight": "kernels", "patch_embed.proj.bias": "bias"}
        names |= {"cls_token": "class_token", "pos_embed": "position"}
        shapes = {
            "kernels": (width, CHANNELS, self.patch, self.patch), "bias": (width,),
            "class_token": (1, 1, width), "position": (1, weights.patches + 1, width),
        }  # fmt: skip
        tensors = read_tensors(weights, path, names.get)
        check_shapes(weights, tensors, shapes)
        if not spec.patch_convolution:
            del tensors["kernels"], tensors["bias"]
            assert width == pixels, "checked with the study"
        if not spec.class_token:
            del tensors["class_token"]
        if not spec.position_embedding:
            del tensors["position"]
        for name in names.values():
            self.register_buffer(name, tensors.get(name))

    def forward(self, images: Tensor) -> Tensor:
        count, _, side, _ = images.shape
        grid = side // self.patch
        # [image, 3, row, y, column, x] -> [image, patch, pixel]: a convolution whose stride is its kernel is a
        # matrix product of the patches, and that has a deterministic gradient on every device.
        tokens = images.reshape(count, CHANNELS, grid, self.patch, grid, self.patch)
        tokens = tokens.permute(0, 2, 4, 1, 3, 5).reshape(count, grid**2, CHANNELS * self.patch**2)
        if self.kernels is not None:
            tokens = F.linear(tokens, self.kernels.flatten(1), self.bias)
        if self.position is not None:
            tokens = tokens + self.position[:, 1:]
        if self.class_token is not None:
            first = self.class_token if self.position is None else self.class_token + self.position[:, :1]
            tokens = torch.cat([first.expand(count, -1, -1), tokens], dim=1)
        return tokens


class Probe(nn.Module):
    """A frozen stem and the blocks behind it. Pixels are values in [0, 1], not normalised, and not clipped."""

    def __init__(self, spec: ProbeSpec, stem: Stem, blocks: nn.ModuleList):
        super().__init__()
        self.spec, self.stem, self.blocks = spec, stem, blocks
        self.eval().requires_grad_(False)

    @property
    def first_patch(self) -> int:
        """The token of patch 0."""
        return int(self.spec.class_token)

    def forward(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The outputs [image, token, width] of the blocks `layers` (ascending, from 1; 0 is the stem)."""
        tokens, outputs = self.stem(images), {}
        for layer in range(max(layers) + 1):
            if layer:
                tokens = self.blocks[layer - 1](tokens)
            if layer in layers:
                outputs[layer] = tokens
        return [outputs[layer] for layer in layers]

    def outputs_of_own_layer(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Images [layer, panel, 3, size, size] to one output [panel, token, width] a layer, in one pass.

        Every image leaves the batch at the block it is meant for, so that no block works for nothing.
        `layers` ascends and begins at 1 or later.
        """
        panels = images.shape[1]
        tokens, outputs = self.stem(images.flatten(0, 1)), []
        for layer in range(1, max(layers) + 1):
            tokens = self.blocks[layer - 1](tokens)
            if layer in layers:
                outputs.append(tokens[:panels])
                tokens = tokens[panels:]
        return outputs


def load_probe(
    spec: ProbeSpec, stem: Path, stack: Path | None, depth: int, device: torch.device, seed: int = 0
) -> Probe:
    """The probe with its first `depth` blocks: trained, from the file `stack`, or without one fresh from `seed`.

    The stem is always the trained one, so that trained and untrained stacks see the same tokens.
    Raises InputError where a file does not hold what the config says.
    """
    blocks = load_blocks(spec.stack, stack, depth) if stack else fresh_blocks(spec.stack, seed, depth)
    return Probe(spec, Stem(spec, stem), blocks).to(device)
