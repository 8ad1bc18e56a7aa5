"""The loops that benchmarks/speed.py times: the author's, lucent's and ours. Each call is one step on some images."""

import time
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import cast

import torch
from common import Step
from safetensors.torch import save_file
from torch import Tensor, nn

from lmrep.descent import objectives
from lmrep.descent.descend import descend
from lmrep.probe.probe import Probe
from lmrep.study.sources import Weights
from lmrep.study.spec import Descent, Octave, Run

PIXELS, PATCH = 224, 16
RATE = 1e-3
START = 4  # steps that are left out on a GPU: the first runs without a graph, and the second makes it


def write_stem(run: Run, folder: str) -> dict[str, Path]:
    """Writes a stem with random numbers to a weight file; returns its path by its name, as `load_probe` takes it."""
    stem, weights = run.probe.stem, run.probe.stem.weights
    assert weights is not None, f"{run.name}: expected the stem of a ViT"
    path = Path(folder) / f"{weights.name}.safetensors"
    shapes = {
        "patch_embed.proj.weight": (stem.width, 3, stem.patch, stem.patch), "patch_embed.proj.bias": (stem.width,),
        "cls_token": (1, 1, stem.width), "pos_embed": (1, stem.patches + 1, stem.width),
    }  # fmt: skip
    save_file({name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}, path)
    return {weights.name: path}


def library_blocks(weights: Weights) -> nn.ModuleList:
    """The blocks of transformers or timm with random weights that require gradients, as in the author's scripts."""
    if weights.family == "gpt2":
        from transformers import GPT2Config, GPT2Model

        config = GPT2Config(
            n_embd=weights.width, n_layer=weights.depth, n_head=weights.heads, vocab_size=1, n_positions=1,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        return cast(nn.ModuleList, GPT2Model(config).eval().h)
    from timm.models.vision_transformer import VisionTransformer

    vit = VisionTransformer(embed_dim=weights.width, depth=weights.depth, num_heads=weights.heads)
    return cast(nn.ModuleList, vit.eval().blocks)


def authors_step(
    blocks: nn.ModuleList, width: int, layers: Sequence[int], device: torch.device, steps: int = 1
) -> Step:
    """Steps of the author's loop for one image per layer: each alone, in float32, with gradients of all weights.

    It follows the article's method: the stem's convolution and the class token, the library's blocks up to the layer,
    the L1 distance to the target's output, `backward`, and a step on the input. `blocks`: see `library_blocks`; on the
    device, and at least as many as the deepest layer needs. Contestants may share them.
    """
    blocks = blocks[: max(layers)]
    stem = nn.Conv2d(3, width, PATCH, PATCH).to(device)
    first = nn.Parameter(torch.zeros(1, 1, width, device=device))

    def output(image: Tensor, layer: int) -> Tensor:
        tokens = torch.cat([first.expand(len(image), -1, -1), stem(image).flatten(2).transpose(1, 2)], dim=1)
        for block in blocks[:layer]:
            tokens = block(tokens)
        return tokens

    with torch.no_grad():
        targets = {layer: output(torch.rand(1, 3, PIXELS, PIXELS, device=device), layer) for layer in layers}
    images = {layer: torch.rand(1, 3, PIXELS, PIXELS, device=device) for layer in layers}

    def step() -> float:
        for layer in (*layers,) * steps:
            image = images[layer].requires_grad_()
            (output(image, layer) - targets[layer]).abs().sum().backward()
            images[layer] = (image - RATE * cast(Tensor, image.grad)).detach()
            for module in (blocks, stem):
                module.zero_grad()
            first.grad = None
        return len(layers) * steps

    return step


def lucents_step(weights: Weights, layer: int, count: int, device: torch.device, steps: int = 1) -> Step:
    """Steps of lucent's `render_vis` on the whole timm ViT: `count` images in a batch, the same L1 objective.

    Its images are plain pixels, its transforms and preprocessing are off, and its optimiser is plain descent. What is
    left is what it does at every step in any case.
    """
    import warnings

    from lucent.optvis import render
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(embed_dim=weights.width, depth=weights.depth, num_heads=weights.heads).eval().to(device)
    pixels = torch.rand(count, 3, PIXELS, PIXELS, device=device, requires_grad=True)
    goal = torch.randn(count, (PIXELS // PATCH) ** 2 + 1, weights.width, device=device)

    def step() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # lucent turns the error of a model into a warning
            render.render_vis(
                model, lambda hook: (hook(f"blocks_{layer - 1}") - goal).abs().sum(),
                param_f=lambda: ([pixels], lambda: pixels), optimizer=lambda p: torch.optim.SGD(p, lr=RATE),
                transforms=[], preprocess=False, thresholds=(steps,), progress=False, show_image=False,
            )  # fmt: skip
        for module in model.modules():
            module._forward_hooks.clear()  # each call of render_vis leaves a set of hooks, with all they hold
        return count * steps

    return step


def our_step(probe: Probe, layers: Sequence[int], panels: int, steps: int = 1) -> Step:
    """`steps` steps of `descend` with the L1 objective, on `panels` images of each layer in one pass.

    On a GPU, where the first steps make a graph, START more come before them, and their seconds do not count.
    """
    device, size = cast(Tensor, probe.stem.kernels).device, probe.spec.stem.size
    images = torch.rand(len(layers), panels, 3, size, size, device=device)
    with torch.no_grad():
        outputs = probe(torch.rand(panels, 3, size, size, device=device), layers)
    goals = [objectives.match(output) for output in outputs]
    first = START if device.type == "cuda" else 0
    descent = Descent(("normal", 0.7, 0.05), (Octave(size, first + steps, (RATE, RATE)),))

    def step() -> tuple[float, float]:
        # `descend` waits for the device and reports after its first step, after step `first`, when a second has passed
        # by this clock, and after the last one.
        clock, marks = chain(repeat(0.0, first), repeat(1.0)), [time.perf_counter()]
        descend(
            probe, images, layers, goals, descent, seed=0,
            report=lambda _: marks.append(time.perf_counter()), clock=clock.__next__,
        )  # fmt: skip
        return len(layers) * panels * steps, marks[-1] - marks[2 if first else 0]

    return step


def bare_products(
    weights: Weights,
    count: int,
    precision: torch.dtype,
    device: torch.device,
    lay_out: Callable[[nn.Linear], nn.Module],
    times: int = 1,
) -> Callable[[], float]:
    """The matrix products of a block with `count` images, forward and back to its input; returns their operations.

    `lay_out`: prepares each layer beforehand; it is not timed. `times`: how often a call does all of them.
    """
    rows, width = count * ((PIXELS // PATCH) ** 2 + 1), weights.width
    shapes = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
    pairs = []
    for wide, high in (pair for shape in shapes for pair in (shape, shape[::-1])):
        linear = nn.Linear(wide, high, device=device, dtype=precision).requires_grad_(False)
        pairs.append((torch.randn(rows, wide, device=device, dtype=precision), lay_out(linear)))
    operations = 2 * sum(2.0 * rows * wide * high for wide, high in shapes)

    def once() -> None:
        for rows_of, linear in pairs:
            linear(rows_of)

    launch = once
    if device.type == "cuda":  # as ours: a GPU is not to wait for Python
        once()
        graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(graph):
            once()
        launch = graph.replay

    def products(kept: object = pairs) -> float:  # a graph reads their memory, and does not keep it
        for _ in range(times):
            launch()
        return times * operations

    return products
