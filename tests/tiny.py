"""Tiny random models in the very format of the real files, made by the libraries themselves."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from lmrep.study.config import make_probe
from lmrep.study.sources import Weights
from lmrep.study.spec import Descent, Octave, Probe, Run

GPT2 = Weights("tiny_gpt2", "gpt2", width=48, depth=3, heads=3)
VIT = Weights("tiny_vit", "vit", width=48, depth=3, heads=3, patch=4, size=16)
WIDE = Weights("tiny_wide", "vit", width=64, depth=4, heads=4, patch=4, size=16)


class Killed(Exception):
    """Ends a run as a test wants it."""


def probe_of(stem: Weights | dict, stack: Weights, name: str = "tiny", **options: bool | str | float) -> Probe:
    """A probe as a config describes it. `stem`: weights, or the settings of a basis. `options`: those of its stem."""
    files = {weights.name: weights for weights in (stem, stack) if isinstance(weights, Weights)}
    wanted = stem.name if isinstance(stem, Weights) else stem
    return make_probe(name, {"label": name.title(), "stem": wanted, "stack": stack.name, **options}, files)


def gpt2_model(weights: Weights, seed: int = 0):
    from transformers import GPT2Config, GPT2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2Model(
            GPT2Config(
                vocab_size=11, n_positions=64, n_embd=weights.width, n_layer=weights.depth, n_head=weights.heads,
                initializer_range=0.2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                bos_token_id=None, eos_token_id=None,
            )
        ).eval()  # fmt: skip


def vit_model(weights: Weights, seed: int = 1):
    from timm.models.vision_transformer import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VisionTransformer(
            img_size=weights.size, patch_size=weights.patch, embed_dim=weights.width, depth=weights.depth,
            num_heads=weights.heads, num_classes=5,
        ).eval()  # fmt: skip
        for parameter in model.parameters():  # timm starts class token and biases at nearly 0: these would hide errors
            torch.nn.init.normal_(parameter, std=0.15)
    return model


def write_gpt2(path: Path, weights: Weights = GPT2, seed: int = 0, outer: str = ""):
    """Writes the file as the hub has it: every tensor of the bare model, and the causal masks of older days."""
    model = gpt2_model(weights, seed)
    state = {outer + key: value.contiguous() for key, value in model.state_dict().items()}
    for block in range(weights.depth):
        state[f"{outer}h.{block}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
    save_file(state, path, metadata={"format": "pt"})
    return model


def write_vit(path: Path, weights: Weights = VIT, seed: int = 1):
    model = vit_model(weights, seed)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path, metadata={"format": "pt"})
    return model


def tiny_run(objective: str, panels: tuple, probe: Probe | None = None, **changes) -> Run:
    """A run of a few steps over the three blocks of the tiny GPT-2."""
    start = ("normal", 0.7, 0.05) if objective == "match" else ("uniform", 0.5, 0.6)
    descent = Descent(start, (Octave(16, 4, (0.02, 0.002)),), scale=1.0, constant=200.0)
    fields = {
        "name": f"tiny_{objective}", "objective": objective, "probe": probe or probe_of(VIT, GPT2),
        "weights": "trained", "layers": (1, 2, 3), "panels": panels, "descent": descent, "seed": 7,
        "precision": "float32", "memory": "auto",
    }  # fmt: skip
    return Run(**{**fields, **changes})
