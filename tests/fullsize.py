"""Weight files of the article's models at full size: the libraries' names and shapes, float32, random numbers.

Files are written and served without ever being in memory whole: the largest has 1.2 GB.
"""

import hashlib
import json
import math
from itertools import chain
from pathlib import Path

import numpy as np

from lmrep.study.sources import Pin

SPREAD = 0.02  # standard deviation, as both libraries initialise
CONTEXT = 1024  # tokens of GPT-2's causal masks
GPT2 = {"gpt2": {}, "gpt2_medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16}}  # changes of the library's config
Shapes = dict[str, tuple[int, ...]]


def shapes_of(name: str) -> Shapes:
    """The tensors of the real file: every parameter, with GPT-2's causal masks of older days and the ViTs' heads."""
    import torch

    with torch.device("meta"):
        if name in GPT2:
            from transformers import GPT2Config, GPT2Model

            config = GPT2Config(**GPT2[name])
            model, masks = GPT2Model(config), {f"h.{block}.attn.bias" for block in range(config.n_layer)}
        else:
            import timm

            model, masks = timm.create_model(f"{name}_patch16_224"), set()
    found = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    return found | dict.fromkeys(masks, (1, 1, CONTEXT, CONTEXT))


def numbers(key: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Float32 numbers as an initialisation has them, so that descents stay finite."""
    if len(shape) == 4 and shape[-1] == CONTEXT:
        return np.tril(np.ones(shape, np.float32))
    if "ln_" in key or "norm" in key:
        return np.full(shape, key.endswith(".weight"), np.float32)
    return SPREAD * rng.standard_normal(shape, np.float32)


def write_weights(path: Path, pin: Pin, seed: int) -> str:
    """Writes a safetensors file of exactly the size that `pin` gives, if it gives one, and returns its sha256."""
    place, header = 0, {"__metadata__": {"format": "pt"}}
    shapes = dict(sorted(shapes_of(pin.name).items(), key=lambda item: math.prod(item[1])))  # the shortest header
    for key, shape in shapes.items():
        end = place + 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":"))
    length = pin.bytes - place - 8 if pin.bytes else -(-len(text) // 8) * 8
    assert len(text) <= length, f"{pin.name}: the tensors are not those of the real file"
    rng, digest = np.random.default_rng(seed), hashlib.sha256()
    with path.open("wb") as file:
        parts = (numbers(key, shape, rng) for key, shape in shapes.items())
        for part in chain([length.to_bytes(8, "little") + text.ljust(length).encode()], parts):
            file.write(part)
            digest.update(part)
    return digest.hexdigest()
