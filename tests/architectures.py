"""Tiny random models of many architectures, as a hub has them: config.json and model.safetensors."""

from pathlib import Path
from typing import Any

import torch

WIDTH, DEPTH, HEADS, VOCABULARY, POSITIONS = 48, 3, 4, 31, 64
DECODER = {
    "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "intermediate_size": 72,
    "vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS, "initializer_range": 0.2,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = {**DECODER, "num_key_value_heads": 2, "head_dim": 12}
WINDOWS = ["sliding_attention", "full_attention", "sliding_attention"]  # one for each block

# What each config is told. Window: fewer tokens than the tests use, so that a lost one shows.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": GROUPED,
    "qwen2": {**GROUPED, "use_sliding_window": True, "sliding_window": 5, "layer_types": WINDOWS},
    "qwen3": GROUPED,
    "mistral": {**GROUPED, "sliding_window": 5},
    "gemma3_text": {
        **GROUPED, "sliding_window": 5, "layer_types": WINDOWS, "query_pre_attn_scalar": 12, "head_dim": 16,
    },
    "phi": {**DECODER, "qk_layernorm": True},
    "gpt_neox": DECODER,
    "opt": {
        "hidden_size": WIDTH, "word_embed_proj_dim": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS,
        "ffn_dim": 72, "vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS, "init_std": 0.2,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    },
    "gpt2": {
        "n_embd": WIDTH, "n_layer": DEPTH, "n_head": HEADS, "vocab_size": VOCABULARY, "n_positions": POSITIONS,
        "initializer_range": 0.2, "bos_token_id": None, "eos_token_id": None,
    },
    "bert": DECODER,
    "roberta": {**DECODER, "max_position_embeddings": POSITIONS + 1, "type_vocab_size": 1},
    "distilbert": {
        "dim": WIDTH, "n_layers": DEPTH, "n_heads": HEADS, "hidden_dim": 72, "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS, "initializer_range": 0.2, "pad_token_id": 0,
    },
    "modernbert": {
        **DECODER, "local_attention": 6, "layer_types": WINDOWS, "cls_token_id": 1, "sep_token_id": 2,
    },
}  # fmt: skip
ARCHITECTURES = tuple(CONFIGS)
ENCODERS = ("bert", "roberta", "distilbert", "modernbert", "deberta-v2")
LINEAR = {  # of state-space models
    "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "vocab_size": VOCABULARY, "state_size": 8,
    "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
# Models that a test needs for one thing. Some compute in float32 alone.
OTHERS: dict[str, dict[str, Any]] = {
    "falcon": {  # adds to a product in place
        "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "vocab_size": VOCABULARY,
        "initializer_range": 0.2, "multi_query": True, "parallel_attn": True, "new_decoder_architecture": False,
    },
    "mamba": LINEAR,  # reads the weights of its linear layers
    "mamba2": {**LINEAR, "num_heads": 8, "head_dim": 12, "expand": 2, "n_groups": 1, "chunk_size": 16},
    "lfm2": {**GROUPED, "layer_types": ["conv", "full_attention", "conv"]},
    "minimax": {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},  # experts round by who shares them
    "deberta-v2": {
        **DECODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16,
        "share_att_key": True, "type_vocab_size": 0,
    },
}  # fmt: skip
# Models that do not fit, for the tests of refusals.
MISFITS: dict[str, dict[str, Any]] = {
    "t5": {"d_model": WIDTH, "num_layers": DEPTH, "num_heads": HEADS, "d_kv": 12, "d_ff": 72, "vocab_size": VOCABULARY},
    "albert": {**DECODER, "embedding_size": WIDTH},
    "xmod": DECODER,
    "bloom": {"hidden_size": WIDTH, "n_layer": DEPTH, "n_head": HEADS, "vocab_size": VOCABULARY},
    "gemma2": {**GROUPED, "query_pre_attn_scalar": 12},
}


def make_model(architecture: str, seed: int = 0, **config_changes: Any) -> Any:
    """A tiny model of transformers, in which no weight is 0 or 1: these would hide errors."""
    from transformers import AutoConfig, AutoModel

    settings = {**(CONFIGS | OTHERS | MISFITS)[architecture], **config_changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(architecture, **settings)).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases, and the weights of norms
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


def write_model(folder: Path, architecture: str, seed: int = 0, **config_changes: Any) -> Any:
    """Writes config.json and model.safetensors into `folder`, and returns the model."""
    model = make_model(architecture, seed, **config_changes)
    model.save_pretrained(folder)
    return model
