"""The blocks of any decoder or encoder that transformers loads, called one by one, and its embeddings.

A model is checked here on a few random tokens, against the library's own pass with its own attention.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from lmrep.errors import InputError
from lmrep.probe.library_block import MASKED, UNMASKED, LibraryBlock, Misfit, Recorder, Surroundings, register_attention
from lmrep.probe.library_model import check_tensors, explained, fresh_model, quiet, read_config, trained_model
from lmrep.probe.stack import Stack
from lmrep.study.spec import Probe

FEW = 8  # tokens of the checks
CLOSE = 1e-4  # relative distance of outputs that count as equal
SAME = 1e-6  # below it, an output counts as unchanged
TOKENS_AT_ONCE = 4096


def blocks_of(model: nn.Module, depth: int) -> tuple[str, nn.ModuleList]:
    """The one list of `depth` modules that is in no other list, and its name. Raises Misfit."""
    lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
    outer = {n: p for n, p in lists.items() if not any(n.startswith(f"{other}.") for other in lists)}
    found = [(name, part) for name, part in outer.items() if len(part) == depth]
    if len(found) != 1:
        raise Misfit(f"it has {len(found)} lists of {depth} blocks, expected one")
    return found[0]


@dataclass
class Passed:
    """What one pass of the model's own forward did, up to the end of its last block."""

    inputs: list[Tensor] = field(default_factory=list)  # of each block
    outputs: list[Any] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # of the blocks that were called
    used: set[str] = field(default_factory=set)  # modules
    tables: dict[str, Tensor] = field(default_factory=dict)  # outputs of the other tables, by module name


class Enough(Exception):
    """Ends a pass early."""


@torch.no_grad()
def passed(model: Any, blocks: nn.ModuleList, last: int, zeros: Collection[str] = (), **given: Any) -> Passed:
    """A pass on inputs_embeds or input_ids that ends before block `last` (from 0) or after all of them.

    `zeros`: names of the embedding tables that give zeros in it.
    """
    found, hooks, embeddings = Passed(), [], model.get_input_embeddings()

    def enters(index: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            found.order.append(index)
            found.inputs.append(args[0])
            if index == last:
                raise Enough

        return hook

    def leaves(module: nn.Module, args: Any, output: Any) -> None:
        found.outputs.append(output)
        if len(found.outputs) == len(blocks):
            raise Enough

    def looks_up(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            found.tables[name] = output
            return torch.zeros_like(output) if name in zeros else None

        return hook

    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda module, args, name=name: found.used.add(name)))
        if isinstance(module, nn.Embedding) and module is not embeddings:
            hooks.append(module.register_forward_hook(looks_up(name)))
    for index, block in enumerate(blocks):
        hooks.append(block.register_forward_pre_hook(enters(index)))
        hooks.append(block.register_forward_hook(leaves))
    try:
        model(**given, use_cache=False)
    except Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return found


def first(output: Any) -> Tensor:
    """The tokens in what a block returns."""
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


def distance(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|."""
    return float((found - expected).norm() / expected.norm())


def position_tables(model: Any, blocks: nn.ModuleList, tokens: int) -> dict[str, Tensor]:
    """What each table of position embeddings gives for the first `tokens` tokens, [token, width], by its name."""
    embeds = torch.zeros(1, tokens, model.get_input_embeddings().embedding_dim)
    tables = passed(model, blocks, 0, inputs_embeds=embeds).tables
    rows = {name: table.reshape(-1, *table.shape[-2:])[0] for name, table in tables.items()}
    # A table of token types gives every token the same.
    return {name: row for name, row in rows.items() if len(row) == tokens and not row.eq(row[:1]).all()}


def read_embeddings(model: Any, blocks: nn.ModuleList) -> Tensor:
    """What block 1 is given for each token of the vocabulary, without its position, [token, width]."""
    zeros = position_tables(model, blocks, 2)

    def entering(ids: Tensor) -> Tensor:
        return passed(model, blocks, 0, zeros, input_ids=ids).inputs[0]

    twice = entering(torch.ones(1, 2, dtype=torch.long))[0]
    if distance(twice[1], twice[0]) > SAME:
        raise Misfit("its positions are neither in its blocks nor in a table of embeddings")
    ids = torch.arange(model.get_input_embeddings().num_embeddings)
    return torch.cat([entering(part)[:, 0] for part in ids[:, None].split(TOKENS_AT_ONCE)])


def check_tokens(spec: Probe, model: Any, blocks: nn.ModuleList) -> None:
    """Raises InputError if the model does not take as many tokens as the probe has."""
    most, tokens = getattr(model.config, "max_position_embeddings", None), spec.stem.tokens
    has = f"has {most} positions" if most else "does not take as many tokens"
    with explained(f"weights.{spec.stack.name}: {has}, but '{spec.name}' has {tokens} tokens"):
        passed(model, blocks, 0, inputs_embeds=torch.zeros(1, tokens, model.get_input_embeddings().embedding_dim))


def read_positions(spec: Probe, model: Any, blocks: nn.ModuleList) -> Tensor:
    """The position embeddings that the model adds to the probe's tokens, [position, width]."""
    found = list(position_tables(model, blocks, max(2, spec.stem.tokens)).values())
    if not found or found[0].shape[1] != spec.stack.width:
        kind = model.config.model_type
        raise InputError(
            f"probes.{spec.name}.stack_position: '{spec.stack.name}', a {kind}, adds no position embeddings"
        )
    return sum(found[1:], found[0]).clone()


def check_pass(found: Passed, depth: int) -> None:
    """Raises Misfit unless each block was called once, in order, on exactly what the one before it returned."""
    if found.order != list(range(depth)):
        raise Misfit("its forward does not call each block once and in order")
    for output, after in zip(found.outputs, found.inputs[1:], strict=False):
        if not torch.equal(first(output), after):
            raise Misfit("it changes what a block returns before the next block gets it")


def looks_ahead(model: Any, blocks: nn.ModuleList, embeds: Tensor) -> bool:
    """Whether the outputs of the first tokens depend on the last ones."""
    half = embeds.shape[1] // 2
    changed = torch.cat([embeds[:, :half], -embeds[:, half:]], dim=1)
    outputs = [
        first(passed(model, blocks, len(blocks), inputs_embeds=e).outputs[-1])[:, :half] for e in (embeds, changed)
    ]
    return distance(outputs[1], outputs[0]) > SAME


def attend(spec: Probe, model: Any, blocks: nn.ModuleList, embeds: Tensor) -> None:
    """Gives the model our attention, unmasked if the probe says "never", and checks who sees whom.

    Raises InputError if that is not what the study's config says, and Misfit if the model has an attention of its own.
    """
    sees, key = looks_ahead(model, blocks, embeds), f"weights.{spec.stack.name}"
    if sees == spec.stack.causal:
        raise InputError(f"{key}.causal: expected {str(not sees).lower()} for this {model.config.model_type}")
    register_attention()
    model.set_attn_implementation(UNMASKED if spec.causal == "never" else MASKED)
    if spec.causal == "never" and not looks_ahead(model, blocks, embeds):
        raise Misfit("its mask cannot be taken away, as 'causal: never' asks")


def dissect(spec: Probe, model: Any, depth: int) -> nn.ModuleList:
    """The first `depth` blocks as tokens -> tokens. Leaves the model without blocks and token embeddings.

    Raises Misfit if they do not compute what the model's own pass with the library's own attention does.
    """
    blocks = blocks_of(model, spec.stack.depth)[1]
    check_tokens(spec, model, blocks)
    draws, width = torch.Generator().manual_seed(0), model.get_input_embeddings().embedding_dim
    embeds = torch.randn(1, FEW, width, generator=draws)
    expected = passed(model, blocks, len(blocks), inputs_embeds=embeds)
    check_pass(expected, len(blocks))
    attend(spec, model, blocks, embeds)
    if spec.causal == "never":  # the library has no such pass
        expected = passed(model, blocks, len(blocks), inputs_embeds=embeds)
    sizes = [len(output) if isinstance(output, tuple) else 0 for output in expected.outputs]
    recorders = [Recorder(block, size) for block, size in zip(blocks, sizes, strict=True)]
    taken = list(blocks)
    for index, recorder in enumerate(recorders):
        blocks[index] = recorder
    model.set_input_embeddings(nn.Embedding(1, width))
    surroundings = Surroundings(model, recorders, width)
    found = [LibraryBlock(block, surroundings, index) for index, block in enumerate(taken[:depth])]
    for block, tokens, output in zip(found, expected.inputs, expected.outputs, strict=False):
        try:
            once, twice = block(tokens.flip(1)), block(torch.cat([tokens.flip(1), tokens]))
            packed = block.in_precision(torch.float32)(tokens) if block is found[0] else twice[1:]
        except Misfit:
            raise
        except Exception:
            raise Misfit("its blocks cannot be called one by one with any number of images") from None
        if (
            distance(twice[1:], first(output)) > CLOSE
            or max(distance(twice[:1], once), distance(packed, twice[1:])) > CLOSE
        ):
            raise Misfit("its blocks, called one by one, do not compute what its own forward does")
    return nn.ModuleList(found).eval().requires_grad_(False)


def trained_parts(spec: Probe, path: Path, config: Any) -> tuple[Any, Tensor | None, Tensor | None]:
    """The model of the files, and the embeddings of tokens and positions that the probe asks for."""
    model, info = trained_model(spec.stack, path, config)
    name, blocks = blocks_of(model, spec.stack.depth)
    check_tokens(spec, model, blocks)
    embeddings, names = model.get_input_embeddings(), {part: name for name, part in model.named_modules()}
    used = passed(model, blocks, len(blocks), inputs_embeds=torch.zeros(1, FEW, embeddings.embedding_dim)).used
    check_tensors(spec.stack, info, used | {names[embeddings]}, name)
    embeddings = read_embeddings(model, blocks) if spec.reads_embeddings else None
    return model, embeddings, read_positions(spec, model, blocks) if spec.stack_position else None


def load_stack(spec: Probe, path: Path | None, trained: bool, depth: int, seed: int) -> Stack:
    """The first `depth` blocks of a model of transformers: those of its files or, not `trained`, fresh from `seed`.

    path: a folder with config.json and safetensors, or a GGUF file. Embeddings are always the trained ones.
    Raises InputError if the files are not what the config says, or if the model cannot be called block by block.
    """
    if path is None:
        raise ValueError("expected the files of the model, for its config at least")
    model, embeddings, positions = None, None, None
    # keeps the library's random draws for missing heads out of the global generator
    with quiet(), torch.random.fork_rng(devices=[]):
        config = read_config(spec.stack, path)
        with explained(f"weights.{spec.stack.name}: a model of type '{config.model_type}' does not fit"):
            if trained or spec.reads_embeddings:
                model, embeddings, positions = trained_parts(spec, path, config)
            if not trained:
                model = None  # frees its memory before the fresh one takes as much
                model = fresh_model(spec.stack, config, seed)
            return Stack(dissect(spec, model, depth), embeddings, positions)
