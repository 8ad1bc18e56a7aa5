"""The blocks of any decoder or encoder that transformers loads, called one by one, and its embeddings.

A model is checked here on a few random tokens, against the library's own pass with its own attention.
"""

from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmrep.errors import InputError, one_line
from lmrep.probe.library_block import MASKED, UNMASKED, LibraryBlock, Misfit, Recorder, Surroundings, register_attention
from lmrep.probe.library_model import check_tensors, explained, fresh_model, quiet, read_config, trained_model
from lmrep.probe.library_pass import blocks_of, check_pass, first, passed
from lmrep.probe.stack import Stack
from lmrep.study.spec import Probe

FEW = 8  # tokens of the checks
CLOSE = 1e-4  # relative distance of outputs that count as equal
SAME = 1e-6  # relative distance of outputs, and size of gradients, that count as none
TOKENS_AT_ONCE = 4096
BY_LENGTH = ("dynamic", "longrope")  # rotary positions that depend on the number of tokens


def draws() -> torch.Generator:
    """For the random numbers of one check."""
    return torch.Generator().manual_seed(0)


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


def check_length(spec: Probe, config: Any) -> None:
    """Raises InputError if the model computes differently when it gets as many tokens as the probe has.

    Our checks have few tokens, and a pass may end at a patch.
    """
    found = getattr(config, "rope_parameters", None) or {}  # of all layers, or of each kind of layer
    limits = {
        f"{each['rope_type']} rotary positions": each.get("original_max_position_embeddings")
        or getattr(config, "max_position_embeddings", None)
        for each in (found, *(part for part in found.values() if isinstance(part, dict)))
        if each.get("rope_type") in BY_LENGTH
    }
    if getattr(config, "attention_type", None) == "block_sparse":  # BigBird's: full up to this length
        limits["block-sparse attention"] = (5 + 2 * config.num_random_blocks) * config.block_size
    for what, most in limits.items():
        if most and spec.stem.tokens > most:
            start = f"weights.{spec.stack.name}: with {what}, it is another model beyond {most} tokens"
            raise InputError(f"{start}, but '{spec.name}' has {spec.stem.tokens} tokens")


def check_tokens(spec: Probe, model: Any, blocks: nn.ModuleList) -> None:
    """Raises InputError if the model does not take tokens without text, or not as many as the probe has."""
    check_length(spec, model.config)
    key, kind, width = f"weights.{spec.stack.name}", model.config.model_type, model.get_input_embeddings().embedding_dim
    with explained(f"{key}: a {kind} does not take tokens in place of text"):
        passed(model, blocks, 0, inputs_embeds=torch.zeros(1, 1, width))
    most, tokens = getattr(model.config, "max_position_embeddings", None), spec.stem.tokens
    has = f"has {most} positions" if most else "does not take as many tokens"
    with explained(f"{key}: {has}, but '{spec.name}' has {tokens} tokens"):
        passed(model, blocks, 0, inputs_embeds=torch.zeros(1, tokens, width))


def read_positions(spec: Probe, model: Any, blocks: nn.ModuleList) -> Tensor:
    """The position embeddings that the model adds to the probe's tokens, [position, width]."""
    found = list(position_tables(model, blocks, max(2, spec.stem.tokens)).values())
    if not found or found[0].shape[1] != spec.stack.width:
        kind = model.config.model_type
        raise InputError(
            f"probes.{spec.name}.stack_position: '{spec.stack.name}', a {kind}, adds no position embeddings"
        )
    return sum(found[1:], found[0]).clone()


def looks_ahead(outputs: Callable[[Tensor], Tensor], tokens: Tensor) -> bool:
    """Whether what `outputs` makes of the first tokens depends on the last ones, by the gradient.

    Comparing numbers would not tell: where experts share out the tokens, the same output rounds differently.
    """
    half = tokens.shape[1] // 2
    with torch.enable_grad():
        leaf = tokens.clone().requires_grad_()
        early = outputs(leaf * 1)[:, :half]
        # Of a normed output, the plain sum has no gradient.
        (gradient,) = torch.autograd.grad((early * torch.randn(early.shape, generator=draws())).sum(), leaf)
    return float(gradient[:, half:].abs().max()) > SAME * float(gradient.abs().max())


def attend(spec: Probe, model: Any, blocks: nn.ModuleList, embeds: Tensor) -> None:
    """Gives the model our attention, unmasked if the probe says "never".

    Raises InputError if its tokens do not see each other as the study's config says.
    """
    sees = looks_ahead(lambda e: first(passed(model, blocks, len(blocks), inputs_embeds=e).outputs[-1]), embeds)
    if sees == spec.stack.causal:
        key = f"weights.{spec.stack.name}.causal"
        raise InputError(f"{key}: expected {str(not sees).lower()} for this {model.config.model_type}")
    register_attention()
    model.set_attn_implementation(UNMASKED if spec.causal == "never" else MASKED)


def dissect(spec: Probe, model: Any, depth: int) -> nn.ModuleList:
    """The first `depth` blocks as tokens -> tokens. Leaves the model without blocks and token embeddings.

    Raises Misfit if they do not compute what the model's own pass with the library's own attention does.
    """
    blocks = blocks_of(model, spec.stack.depth)[1]
    check_tokens(spec, model, blocks)
    width = model.get_input_embeddings().embedding_dim
    embeds = torch.randn(1, FEW, width, generator=draws())
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
    times = ceil(spec.stem.tokens / FEW)
    examples = [torch.cat([tokens] * times, dim=1)[:, : spec.stem.tokens] for tokens in expected.inputs]
    surroundings = Surroundings(f"weights.{spec.stack.name}", model, recorders, width, examples)
    found = [LibraryBlock(block, surroundings, index) for index, block in enumerate(taken[:depth])]
    for block, tokens, output in zip(found, expected.inputs, expected.outputs, strict=False):
        try:
            once, twice = block(tokens.flip(1)), block(torch.cat([tokens.flip(1), tokens]))
            packed = block.in_precision(torch.float32)(tokens) if block is found[0] else twice[1:]
            stays = spec.causal == "never" and not looks_ahead(block, tokens)
        except (Misfit, InputError):
            raise
        except Exception as error:
            reason = f"its blocks cannot be called one by one with any number of images ({one_line(error)[:200]})"
            raise Misfit(reason) from None
        if stays:
            raise Misfit(f"block {block.index + 1} does not look ahead without its mask, as 'causal: never' asks")
        pairs = (twice[1:], first(output)), (twice[:1], once), (packed, twice[1:])
        if not all(distance(*pair) <= CLOSE for pair in pairs):  # nan is not close
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
    with quiet(), torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        config = read_config(spec.stack, path)
        with explained(f"weights.{spec.stack.name}: a model of type '{config.model_type}' does not fit"):
            if trained or spec.reads_embeddings:
                model, embeddings, positions = trained_parts(spec, path, config)
            if not trained:
                model = None  # frees its memory before the fresh one takes as much
                model = fresh_model(spec.stack, config, seed)
            return Stack(dissect(spec, model, depth), embeddings, positions)
