"""Which models of transformers fit as a stack: every text model of the library, tiny and with random weights.

    python benchmarks/architectures.py
    python benchmarks/architectures.py llama mamba

Each model is written to disk and loaded as `family: transformers` loads one. The outputs of its blocks, called one by
one, are then compared with those of the library's own forward, with the attention that the library picks, for more
tokens than the loader's own checks have; and the gradient must say of each stack whether a token sees later ones.
Left out are encoder-decoders, and types whose config has no `hidden_size`, `num_hidden_layers` and vocabulary of its
own.
Prints Markdown.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any

import common  # noqa: F401  # puts the checkout on the path
import torch
from torch import Tensor, nn

from lmrep.errors import InputError, one_line
from lmrep.metrics.markdown import LINE
from lmrep.probe.library_model import quiet
from lmrep.probe.library_pass import Passed, blocks_of, first, passed
from lmrep.probe.stack import Stack
from lmrep.probe.transformers_stack import load_stack
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem

WIDTH, DEPTH, HEADS, TOKENS = 48, 6, 4, 64  # so deep that every kind of block of a hybrid occurs
CLOSE = 1e-4  # relative distance of a block's outputs
LARGEST = 20_000_000  # parameters; a type that stays larger has sizes that we do not know
SIZES = {  # what a config is told, where it has such a key
    "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "num_key_value_heads": 2,
    "head_dim": 12, "intermediate_size": 72, "vocab_size": 40, "max_position_embeddings": 128,
    "initializer_range": 0.2, "init_std": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "ffn_dim": 72, "word_embed_proj_dim": WIDTH, "embedding_size": WIDTH, "type_vocab_size": 2, "rotary_dim": 8,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
    "topk_group": 1, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24, "first_k_dense_replace": 1,
    "shared_intermediate_size": 24, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8, "v_head_dim": 12, "state_size": 8, "mamba_d_state": 8, "mamba_d_head": 12,
    "mamba_n_heads": 8, "mamba_d_ssm": 96, "mamba_chunk_size": 16, "chunk_size": 16, "lru_width": WIDTH,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 12, "linear_value_head_dim": 12,
    "query_pre_attn_scalar": 12, "local_attention": 20, "cls_token_id": 1, "sep_token_id": 2, "n_positions": 128,
    # The same by older names.
    "n_embd": WIDTH, "d_model": WIDTH, "dim": WIDTH, "n_layer": DEPTH, "n_layers": DEPTH, "num_layers": DEPTH,
    "encoder_layers": DEPTH, "decoder_layers": DEPTH, "n_head": HEADS, "n_heads": HEADS, "num_heads": HEADS,
    "hidden_dim": 72, "d_ff": 72, "d_kv": 12, "encoder_ffn_dim": 72, "decoder_ffn_dim": 72, "emb_dim": WIDTH,
    # Fewer tokens than we use, so that a lost window shows.
    "sliding_window": 20, "attention_chunk_size": 20, "keep_window_size": 20, "window_size": 20,
    "attention_window_size": 20,
}  # fmt: skip
TOLD: dict[str, dict[str, Any]] = {  # more, where these do not make a model
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "jamba": {"use_mamba_kernels": False, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 3]]},
    "deepseek_v3": {"num_key_value_heads": HEADS, "head_dim": 8},
    "stablelm": {"num_key_value_heads": HEADS},
    "mobilebert": {"initializer_range": 0.02},
}


@dataclass(frozen=True)
class Found:
    """What became of one type: `kind` is a heading of the report, `reason` says why."""

    kind: str
    reason: str = ""


def is_text(kind: str) -> bool:
    from transformers import AutoConfig

    config: Any = AutoConfig.for_model(kind)
    if config.is_encoder_decoder:
        return False
    sizes = (getattr(config, key, None) for key in ("hidden_size", "num_hidden_layers", "vocab_size"))
    return all(isinstance(size, int) and size for size in sizes)


def write_tiny(kind: str, folder: Path) -> None:
    """A model of a type with small sizes and random weights, with biases and norms that are not 0 or 1."""
    from transformers import AutoConfig, AutoModel

    auto: Any = AutoModel
    usual = AutoConfig.for_model(kind).to_dict()
    config = AutoConfig.for_model(kind, **{key: SIZES[key] for key in SIZES.keys() & usual.keys()} | TOLD.get(kind, {}))
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in auto.from_config(config).parameters())
    if count > LARGEST:
        raise ValueError(f"it has {count} parameters even so")
    torch.manual_seed(0)
    model = auto.from_config(config).requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    with torch.no_grad():  # sizes that do not go together end here, before anyone is blamed for them
        model.eval()(input_ids=torch.arange(8)[None] + 3, use_cache=False)


def load(kind: str, folder: Path) -> tuple[Stack, bool]:
    """The stack as a study has it, and whether it is causal. Raises InputError."""
    stem = Stem("basis", 32, 4, WIDTH, None, {"basis": "dct"}, first_token="none")

    def as_said(causal: bool) -> Stack:
        weights = Weights("mine", "transformers", WIDTH, DEPTH, causal=causal)
        return load_stack(Probe("mine", "Mine", stem, weights), folder, True, DEPTH, 0)

    try:
        return as_said(True), True
    except InputError as error:
        if ".causal: " not in str(error):
            raise
        return as_said(False), False


@torch.no_grad()
def library_pass(folder: Path) -> Passed:
    """A pass of the library's own forward on random tokens."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    width = model.get_input_embeddings().embedding_dim
    embeds = torch.randn(1, TOKENS, width, generator=torch.Generator().manual_seed(0))
    return passed(model, blocks_of(model, DEPTH)[1], DEPTH, inputs_embeds=embeds)


@torch.no_grad()
def distance(stack: Stack, theirs: Passed) -> float:
    """The largest relative distance of a block's outputs from the library's."""
    worst, tokens = 0.0, theirs.inputs[0]
    for block, output in zip(stack.blocks, theirs.outputs, strict=True):
        tokens = block(tokens)
        worst = max(worst, float((tokens - first(output)).norm() / first(output).norm()))
    return worst


def sees_later(stack: Stack, tokens: Tensor) -> bool:
    leaf = tokens.clone().requires_grad_()
    found = leaf
    for block in stack.blocks:
        found = block(found)
    (gradient,) = torch.autograd.grad((found[:, 20] * torch.randn(found[:, 20].shape)).sum(), leaf)
    return bool(gradient[:, 21:].abs().max() > 1e-6 * gradient.abs().max())


def has_bfloat16(blocks: nn.ModuleList) -> bool:
    try:
        for block in blocks:
            block.in_precision(torch.bfloat16)  # type: ignore[operator]
    except InputError:
        return False
    return True


def find(kind: str) -> Found:
    """What becomes of a type of model."""
    with TemporaryDirectory() as name, quiet():
        folder = Path(name)
        try:
            write_tiny(kind, folder)
        except Exception as error:
            print(one_line(error), file=sys.stderr)
            return Found("not tried", "the script knows no sizes that make a tiny one")
        try:
            stack, causal = load(kind, folder)
        except InputError as error:
            reason = str(error).removeprefix("weights.mine").lstrip(": ").replace(str(folder), "its folder")
            reason = reason.replace(f"a model of type '{kind}' does not fit", "it does not fit")
            return Found("refused", reason.replace(f"a {kind} ", "it ")[:150])
        theirs, rough = library_pass(folder), has_bfloat16(stack.blocks)  # before a gradient: some blocks keep tensors
        far = distance(stack, theirs)
        if not far <= CLOSE:  # nan is not close
            return Found("wrong", f"its outputs are {far:.1g} off")
        if sees_later(stack, theirs.inputs[0]) == causal:
            return Found("wrong", f"it is said to be {'causal' if causal else 'bidirectional'}")
        words = ("causal" if causal else "bidirectional") + ("" if rough else ", float32 alone")
        return Found(f"fits, {words}")


def main() -> None:
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", help="as config.json calls them (default: all)")
    kinds = parser.parse_args().types or [kind for kind in sorted(MODEL_MAPPING_NAMES) if is_text(kind)]
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kind in kinds:
        result = find(kind)
        found[result.kind][result.reason].append(kind)
        print(kind, result, file=sys.stderr)
    for heading, reasons in sorted(found.items()):
        print(f"## {heading.capitalize()} ({sum(map(len, reasons.values()))})\n")
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
            print(fill(f"{reason}: {', '.join(names)}" if reason else ", ".join(names), LINE) + "\n")


if __name__ == "__main__":
    main()
