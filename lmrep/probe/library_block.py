"""One block of a transformers model as tokens -> tokens. Everything else that the block needs, the library makes.

A block of the library also wants masks, rotary positions and the like. A `Recorder` sits in each block's place in a
model without weights; the model's own forward then hands every recorder what it would hand the block.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.errors import InputError, one_line
from lmrep.probe import block as own_block
from lmrep.probe.packed import packed

MASKED, UNMASKED = "lmrep", "lmrep_unmasked"  # what transformers calls our attention functions
KNOWN = ("position_ids", "sliding_window")  # arguments of attention that say what the mask and the queries have
Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]  # of a block, besides its tokens


class Misfit(ValueError):
    """A model cannot be called block by block. The message says why."""


def attention(
    module: nn.Module,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """What transformers calls for `MASKED`: softmax(scaling queries keys^T) values, in the precision of the values.

    queries: [image, head, token, channel]; keys and values may have fewer heads, each for a group of query heads.
    attention_mask: True where a token sees another, [image or 1, 1, token, token], or None. Returns
    [image, token, head, channel]. Raises Misfit for attention of another kind.
    """
    for name, value in others.items():
        if name not in KNOWN and value is not None and value is not False:
            raise Misfit(f"its attention has an argument '{name}', which may change the scores")
    heads, tokens, channels = queries.shape[1:]
    precision, groups = values.dtype, heads // keys.shape[1]
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", True))
    is_causal = is_causal and attention_mask is None
    scaling = channels**-0.5 if scaling is None else scaling
    keys = keys.to(precision)
    if own_block.fuses_attention(queries.device, precision):
        queries = queries.to(precision)
        if groups > 1 and attention_mask is not None:  # on a GPU, torch has no fused kernel for groups with a mask
            keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
            groups = 1
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attention_mask, is_causal=is_causal, scale=scaling, enable_gqa=groups > 1
        )
    else:
        queries = (queries * scaling).to(precision)
        # The queries of a group see the same keys: one product for all of them, [image, group, head x token, token].
        scores = (queries.unflatten(1, (-1, groups)).flatten(2, 3) @ keys.mT).unflatten(2, (groups, tokens))
        if is_causal:
            scores = scores + torch.full_like(scores[0, 0, 0], -torch.inf).triu(1)
        elif attention_mask is not None:
            shift = attention_mask
            if shift.dtype == torch.bool:
                shift = torch.zeros_like(shift, dtype=precision).masked_fill(~shift, -torch.inf)
            scores = scores + shift.to(precision).unsqueeze(2)
        mixed = (scores.softmax(dim=-1).flatten(2, 3) @ values).unflatten(2, (groups, tokens)).flatten(1, 2)
    return mixed.transpose(1, 2).contiguous(), None


def unmasked_attention(
    module: nn.Module, queries: Tensor, keys: Tensor, values: Tensor, attention_mask: Tensor | None, **others: Any
) -> tuple[Tensor, None]:
    """What transformers calls for `UNMASKED`: every token sees every token, whatever the mask says.

    Raises Misfit for a mask that may carry scores of the model's own.
    """
    if attention_mask is not None and attention_mask.is_floating_point():
        raise Misfit("its mask has scores in it and cannot be taken away, as 'causal: never' asks")
    return attention(module, queries, keys, values, None, **{**others, "is_causal": False})


def register_attention() -> None:
    """Makes both attention functions known to transformers, with the masks that it makes for torch's."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    for name, function in ((MASKED, attention), (UNMASKED, unmasked_attention)):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, sdpa_mask)


class Recorder(nn.Module):
    """Stands in for a block and keeps what it is given. It has the block's plain attributes, and no weights."""

    def __init__(self, block: nn.Module, results: int):
        super().__init__()
        for name, value in vars(block).items():
            if not name.startswith("_") and not isinstance(value, Tensor | nn.Module) and name != "training":
                setattr(self, name, value)
        self.results = results  # how many values the block returns; 0: no tuple
        self.given: Arguments = (), {}

    def forward(self, tokens: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.given = args, kwargs
        return (tokens, *[None] * (self.results - 1)) if self.results else tokens


def moved(value: Any, device: torch.device) -> Any:
    """A block's argument, with the tensors in it on the device."""
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, tuple | list):
        return type(value)(moved(entry, device) for entry in value)
    if isinstance(value, dict):
        return {key: moved(entry, device) for key, entry in value.items()}
    return value


class Surroundings:
    """A model with recorders in place of its blocks: says what each block is given, for any number of tokens.

    It stays on the CPU, and all blocks and their copies share it. `key`: of the weights, for messages. `width`: of what
    the model's embeddings give. `examples`: tokens for each block to be tried on, [1, token, width].
    """

    def __init__(self, key: str, model: nn.Module, recorders: list[Recorder], width: int, examples: list[Tensor]):
        self.key, self.model, self.recorders, self.width, self.examples = key, model, recorders, width, examples
        self.known: dict[tuple[int, torch.device], list[Arguments]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Surroundings":
        return self

    def arguments(self, tokens: int, device: torch.device) -> list[Arguments]:
        """What each block is given besides `tokens` tokens, for any number of images."""
        key = (tokens, device)
        if key not in self.known:
            with torch.inference_mode(False), torch.no_grad():
                self.model(inputs_embeds=torch.zeros(1, tokens, self.width), use_cache=False)
            given = [recorder.given for recorder in self.recorders]
            self.known[key] = [(moved(args, device), moved(kwargs, device)) for args, kwargs in given]
        return self.known[key]


class CastLinear(nn.Module):
    """A frozen linear layer in a precision of its own: it casts what it is given, and packs its weights if it can."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: torch.dtype):
        super().__init__()
        with torch.device("meta"):
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        linear.weight = nn.Parameter(weight.detach().to(precision).contiguous(), requires_grad=False)
        if bias is not None:
            linear.bias = nn.Parameter(bias.detach().to(precision), requires_grad=False)
        self.precision, self.linear = precision, packed(linear)

    def forward(self, rows: Tensor) -> Tensor:
        """Maps rows [..., input channel] of any precision to [..., output channel] in its own."""
        rows = rows.to(self.precision)
        # Some blocks add to a product in place, and autograd forbids that where a function of ours returns a view.
        product: Tensor = self.linear(rows.flatten(0, -2)).unflatten(0, rows.shape[:-1])
        return product


def widen(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Casts a float32 norm's input to float32; on a GPU, torch's LayerNorm accepts nothing else."""
    return (given[0].float(), *given[1:])


class LibraryBlock(nn.Module):
    """A block of a transformers model. Products and attention have a precision; norms, positions and sums are float32.

    `index`: which of the model's blocks it is, from 0.
    """

    def __init__(self, block: nn.Module, surroundings: Surroundings, index: int):
        super().__init__()
        self.block, self.surroundings, self.index = block, surroundings, index

    @torch.inference_mode(False)
    def in_precision(self, precision: torch.dtype) -> "LibraryBlock":
        """A copy with products and attention in `precision`. It converts and packs the weights once, where it can.

        Raises InputError if the library's code cannot compute in it, or has no gradient then.
        """
        from transformers.pytorch_utils import Conv1D

        found = {name: part for name, part in self.block.named_modules() if isinstance(part, nn.Linear | Conv1D)}
        # deepcopy takes the memo's entries for copies, and so does not copy the weights.
        twin = copy.deepcopy(self.block, {id(part): part for part in found.values()})
        for name, part in found.items():
            weight = part.weight if isinstance(part, nn.Linear) else part.weight.T
            twin.set_submodule(name, CastLinear(weight, part.bias, precision))
        if precision != torch.float32:
            for norm in twin.modules():
                if isinstance(norm, nn.LayerNorm):
                    norm.register_forward_pre_hook(widen)
        made = LibraryBlock(twin, self.surroundings, self.index)
        try:
            made.check(precision)
        except InputError:
            if precision != torch.float32:
                raise
            self.check(precision)  # code that reads the weights of its layers, which packed ones do not show
            return self
        return made

    def check(self, precision: torch.dtype) -> None:
        """Tries the block on one image's tokens, forward and backward. Raises InputError."""
        device = next(iter(self.parameters()), torch.empty(0)).device
        try:
            with torch.enable_grad():
                tokens = self.surroundings.examples[self.index].to(device).clone().requires_grad_()
                torch.autograd.grad(self(tokens * 1).sum(), tokens)
        except Misfit:
            raise
        except Exception as error:
            name = str(precision).removeprefix("torch.")
            instead = "" if precision == torch.float32 else ", expected precision: float32"
            raise InputError(
                f"{self.surroundings.key}: its blocks do not compute in {name}{instead} ({one_line(error)[:200]})"
            ) from None

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens [image, token, width] to tokens of the same shape, float32."""
        args, kwargs = self.surroundings.arguments(tokens.shape[1], tokens.device)[self.index]
        output = self.block(tokens, *args, **kwargs)
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result
