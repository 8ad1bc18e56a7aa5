"""Trains the three small models that ship with the project, in the file format of the real ones.

The GPT-2 is a causal language model on the bytes of a text that every Python has. The ViTs learn which of
scikit-image's photographs a random crop is from. The models share only their proportions with the article's.

A `spec` is one entry of `models` in resources/miniature/recipe.yaml, which says what each key means.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from lmrep.inputs.shipped import load_skimage
from lmrep.provenance import file_sha256

VALIDATION_SHARE = 0.05  # of the text, held out at its end
VALIDATION_BATCHES = 20

Spec = Mapping[str, Any]
Report = Callable[[int, float], None]  # called after each step with the steps taken and the loss


def help_text() -> bytes:
    """The language reference that Python's `help()` prints, as UTF-8 bytes. It differs between Python versions."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics)).encode()


def text_windows(text: Tensor, batch: int, context: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yields windows [batch, context + 1] (int64) at random places of a text [bytes] (uint8), without end."""
    while True:
        starts = torch.randint(len(text) - context, (batch,), generator=rng)
        yield text[starts[:, None] + torch.arange(context + 1)].long()


def photograph_crops(
    photographs: Sequence[Tensor], batch: int, size: int, crop: Sequence[float], rng: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields crops [batch, 3, size, size] and labels [batch] without end. Half of the crops are mirrored.

    `photographs`: [3, height, width] each, in [0, 1], as the crops are. `crop`: the smallest and the largest side of a
    crop before it is resized, as a share of the photograph's shorter side.
    """
    while True:
        labels = torch.randint(len(photographs), (batch,), generator=rng)
        crops = []
        for label, draw in zip(labels.tolist(), torch.rand(batch, 4, generator=rng).tolist(), strict=True):
            photograph = photographs[label]
            height, width = photograph.shape[1:]
            side = round(min(height, width) * (crop[0] + (crop[1] - crop[0]) * draw[0]))
            top, left = round(draw[1] * (height - side)), round(draw[2] * (width - side))
            piece = photograph[None, :, top : top + side, left : left + side]
            piece = F.interpolate(piece, (size, size), mode="bilinear", antialias=True)
            crops.append(piece.flip(-1) if draw[3] < 0.5 else piece)
        yield torch.cat(crops), labels


def build_gpt2(spec: Spec) -> nn.Module:
    """transformers' GPT-2 with a vocabulary of the 256 bytes, freshly initialised."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model: nn.Module = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=spec["context"], n_embd=spec["width"], n_layer=spec["depth"],
            n_head=spec["heads"], activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    return model


def build_vit(spec: Spec, classes: int) -> nn.Module:
    """timm's VisionTransformer, freshly initialised."""
    from timm.models.vision_transformer import VisionTransformer

    model: nn.Module = VisionTransformer(
        img_size=spec["size"], patch_size=spec["patch"], embed_dim=spec["width"], depth=spec["depth"],
        num_heads=spec["heads"], num_classes=classes,
    )  # fmt: skip
    return model


def fit(model: nn.Module, spec: Spec, loss_of: Callable[[], Tensor], report: Report) -> None:
    """Takes `spec["steps"]` steps of AdamW on `loss_of()`: linear warm-up, cosine to 0, gradients clipped at 1."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": spec["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    for step in range(spec["steps"]):
        done = step / spec["steps"]
        rate = spec["rate"] * min(1.0, (step + 1) / spec["warmup"]) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        report(step + 1, loss.item())
    model.eval()


def train_gpt2(spec: Spec, seed: int, report: Report) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the weights, under the key names of the hub's GPT-2 file, and facts for the model card."""
    data = help_text()
    text = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    held_out = int(len(text) * VALIDATION_SHARE)
    rng = torch.Generator().manual_seed(seed)
    windows = text_windows(text[:-held_out], spec["batch"], spec["context"], rng)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_gpt2(spec).train()

    def loss_of(window: Tensor) -> Tensor:
        logits = model(input_ids=window[:, :-1], use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())

    fit(model, spec, lambda: loss_of(next(windows)), report)
    unseen = text_windows(text[-held_out:], spec["batch"], spec["context"], rng)
    with torch.inference_mode():
        loss = sum(loss_of(next(unseen)).item() for _ in range(VALIDATION_BATCHES)) / VALIDATION_BATCHES
    card = {
        "data": "pydoc_data.topics",
        "data_sha256": hashlib.sha256(data).hexdigest(),
        "held_out_nats_per_byte": round(loss, 4),
    }
    return model.get_submodule("transformer").state_dict(), card


def train_vit(
    spec: Spec, names: Sequence[str], crop: Sequence[float], seed: int, report: Report
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the weights, under timm's key names, and facts for the model card."""
    photographs = [torch.from_numpy(load_skimage(name)).permute(2, 0, 1).contiguous() for name in names]
    rng = torch.Generator().manual_seed(seed)
    crops = photograph_crops(photographs, spec["batch"], spec["size"], crop, rng)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_vit(spec, len(names)).train()

    def loss_of() -> Tensor:
        images, labels = next(crops)
        return F.cross_entropy(model(images), labels)

    fit(model, spec, loss_of, report)
    loss, right = 0.0, 0
    with torch.inference_mode():
        for _ in range(VALIDATION_BATCHES):
            images, labels = next(crops)
            logits = model(images)
            loss += F.cross_entropy(logits, labels).item() / VALIDATION_BATCHES
            right += (logits.argmax(1) == labels).sum().item()
    card = {
        "data": "skimage.data: " + ", ".join(names),
        "fresh_crops_cross_entropy": round(loss, 4),
        "fresh_crops_accuracy": round(right / (VALIDATION_BATCHES * spec["batch"]), 4),
    }
    return model.state_dict(), card


def train(recipe: Mapping[str, Any], name: str, path: Path, report: Report) -> dict[str, Any]:
    """Trains the model `name` of the recipe and writes it to `path` in half precision. Returns facts for its card."""
    spec = recipe["models"][name]
    if spec["family"] == "gpt2":
        state, card = train_gpt2(spec, recipe["seed"], report)
    else:
        state, card = train_vit(spec, recipe["photographs"], recipe["crop"], recipe["seed"], report)
    # Half precision halves the file. A probe converts these numbers to float32 without loss.
    path.write_bytes(save({key: value.to(torch.float16).contiguous() for key, value in state.items()}))
    return card | {"sha256": file_sha256(path), "bytes": path.stat().st_size}
