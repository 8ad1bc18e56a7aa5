"""What a block of transformers costs per floating-point operation, against a block of our own.

    python benchmarks/blocks.py

A block of SmolLM2-135M's shape, in `lmrep.probe.library_block`, and one of `lmrep.probe.block` of the same width, on
the same tokens with random weights, forward and back to the input. Each round times both, one after the other, the
first one in turn. A ratio is the median of the rounds' ratios, with its quartiles. Prints Markdown.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from common import machine, name_of, pick_precisions
from transformers import LlamaConfig

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.plan import pick_device, settle
from lmrep.probe.block import Block
from lmrep.probe.library_block import LibraryBlock
from lmrep.probe.transformers_stack import load_stack
from lmrep.study.cost import block_flops
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem

WIDTH, HEADS, KEY_HEADS, HIDDEN = 576, 9, 3, 1536  # SmolLM2-135M
TOKENS, IMAGES, ROUNDS, STEPS = 144, 16, 11, 2


def library_flops() -> float:
    """Floating-point operations of one image through SmolLM2's block and back, counted as `block_flops` counts."""
    weights = 2 * WIDTH**2 * (1 + KEY_HEADS / HEADS) + 3 * WIDTH * HIDDEN
    return block_flops(WIDTH, TOKENS) + 2 * 2 * TOKENS * (weights - 12 * WIDTH**2)


def library_block() -> LibraryBlock:
    """A fresh block of SmolLM2's shape, as a study loads it."""
    weights = Weights("smollm2", "transformers", width=WIDTH, depth=1, causal=True)
    stem = Stem("basis", 144, 12, WIDTH, None, {"basis": "dct"}, first_token="none")
    with tempfile.TemporaryDirectory() as folder:
        LlamaConfig(
            hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS,
            intermediate_size=HIDDEN, vocab_size=1, rope_theta=1e5, bos_token_id=0, eos_token_id=0,
        ).save_pretrained(folder)  # fmt: skip
        stack = load_stack(Probe("p", "P", stem, weights), Path(folder), trained=False, depth=1, seed=0)
        return cast(LibraryBlock, stack.blocks[0])


def step(block: torch.nn.Module, device: torch.device) -> Callable[[], None]:
    """A pass through the block and back to its input."""
    draws = torch.Generator().manual_seed(0)
    tokens, gradient = (torch.randn(IMAGES, TOKENS, WIDTH, generator=draws).to(device) for _ in range(2))
    tokens.requires_grad_()

    def once() -> None:
        torch.autograd.grad(block(tokens), tokens, gradient)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return once


def seconds(once: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        once()
    return (time.perf_counter() - start) / STEPS


def main() -> None:
    device = pick_device("auto")
    print(f"{machine(device)}, torch {torch.__version__}, {IMAGES} images of {TOKENS} tokens, width {WIDTH}.\n")
    print(
        "| cores | precision | own block, ms an image | library's, ms an image | cost per operation, library's / own |"
    )
    print("|---|---|---|---|---|")
    flops = {"own": block_flops(WIDTH, TOKENS), "library": library_flops()}
    most = torch.get_num_threads()
    for cores in sorted({1, most}):
        settle(cores)
        keep_freed_memory()
        for precision in pick_precisions(None, device):
            own = Block(WIDTH, HEADS, True, "tanh", 1e-5).eval().requires_grad_(False).to(device)
            steps = {
                "own": step(own.in_precision(precision), device),
                "library": step(library_block().to(device).in_precision(precision), device),
            }
            times: dict[str, list[float]] = {name: [] for name in steps}
            for once in steps.values():
                seconds(once)
            for number in range(ROUNDS):
                for name in list(steps)[:: 1 if number % 2 else -1]:
                    times[name].append(seconds(steps[name]) / IMAGES)
            ratios = [
                (theirs / flops["library"]) / (ours / flops["own"])
                for ours, theirs in zip(times["own"], times["library"], strict=True)
            ]
            low, middle, high = statistics.quantiles(ratios, n=4)
            cells = [f"{1e3 * statistics.median(times[name]):.2f}" for name in ("own", "library")]
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
            print(f"| {cores} | {name_of(precision)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
