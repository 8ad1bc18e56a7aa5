"""What fused attention, packed weights, torch.compile and CUDA graphs change in a step.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --configs config.yaml --block 12 --images 128   # a pass that fills a GPU

Times a block behind a random stem (default: 4), at GPT-2's size on 224 px and at the miniature's on 66 px, in
every precision of the device. Each variant is timed with ours in turn, 3 or 7 rounds: one step, on a GPU the further 30
of a descent. Deterministic mode turns the tuning of torch.compile off, so a GPU also times it without; such a step may
use other kernels (cuDNN's attention), and its results may differ from day to day. Prints Markdown.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast
from unittest.mock import patch

import torch
import yaml
from common import ROOT, Step, Times, machine, name_of, pick_precisions
from contestants import our_step, write_stem
from torch import nn

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.graph import GraphedStep
from lmrep.descent.plan import pick_device, settle
from lmrep.probe import block
from lmrep.probe.packed import packs
from lmrep.probe.probe import Probe, load_probe
from lmrep.study.config import make_study


def changed(make: Callable[[], Step], owner: object, name: str, value: object) -> Step:
    """The step with something of ours replaced."""
    step = make()

    def taken() -> float | tuple[float, float]:
        with patch.object(owner, name, value):
            return step()

    return taken


def not_deterministic(make: Callable[[], Step]) -> Step:
    """The step, made and taken outside the deterministic mode."""
    made: list[Step] = []

    def patched() -> float | tuple[float, float]:
        torch.set_deterministic_debug_mode("default")
        try:
            made.extend([] if made else [make()])
            return made[0]()
        finally:
            torch.set_deterministic_debug_mode("error")

    return patched


def compiled_step(probe: Probe, layers: Sequence[int], panels: int, steps: int) -> Step:
    blocks = nn.ModuleList(cast(nn.Module, torch.compile(block)) for block in probe.blocks)
    return our_step(Probe(probe.spec, probe.stem, blocks), layers, panels, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--configs", nargs="+", default=["config.yaml", "miniature.yaml"])
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], help="all of the device")
    parser.add_argument("--repeat", type=int, help="steps in a call; 1, and 30 on a GPU")
    arguments = parser.parse_args()
    device = pick_device("auto")
    repeat, rounds = (30, 3) if device.type == "cuda" else (1, 7)
    shape = (arguments.block,), arguments.images, arguments.repeat or repeat
    settle(torch.get_num_threads())
    keep_freed_memory()
    print(f"{machine(device)}, torch {torch.__version__}, block {arguments.block}, {arguments.images} images.\n")
    heads = ("study", "precision", "variant", "ours, ms an image-step", "the variant, ms", "ratio", "its s to start")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for config in arguments.configs:
        run = make_study(yaml.safe_load((ROOT / config).read_text())).runs["gpt2_match"]
        with tempfile.TemporaryDirectory() as folder:
            whole = load_probe(run.probe, write_stem(run, folder), arguments.block, device, trained=False)
        for precision in pick_precisions(arguments.precisions, device):
            torch.compiler.reset()  # past a number of compiled forms, torch runs a block uncompiled and does not say so
            probe = whole.in_precision(precision)
            # torch.compile has no backward pass through packed weights.
            with patch.object(block, "packed", lambda linear: linear):
                plain = whole.in_precision(precision)
            ours = partial(our_step, probe, *shape)
            compiled = partial(compiled_step, plain, *shape)
            makes: dict[str, Callable[[], Step]] = {}  # the slow ones to start come last
            if device.type == "cuda":
                makes["without a CUDA graph"] = partial(changed, ours, GraphedStep, "capture", lambda *_: None)
                makes["ours, not deterministic"] = partial(not_deterministic, ours)
            fused = block.fuses_attention(device, precision)
            other = partial(lambda answer, *_: answer, not fused)
            name = "attention by products" if fused else "torch's fused attention"
            makes[name] = partial(changed, ours, block, "fuses_attention", other)
            if packs(cast(nn.Linear, whole.blocks[0].qkv)):
                makes["weights laid out in every call"] = partial(our_step, plain, *shape)
            makes["torch.compile"] = compiled
            if device.type == "cuda":
                makes["torch.compile, not deterministic"] = partial(not_deterministic, compiled)
            own = ours()
            for name, make in makes.items():  # one by one: a limit of time costs the last rows only
                start = time.perf_counter()
                step = make()
                step()
                started, times = time.perf_counter() - start, Times(device)
                times.run({"ours": own, name: step}, rounds)
                cells = [f"{1e3 * times.median(who):.3g}" for who in ("ours", name)]
                cells += [f"{times.ratio(name, 'ours'):.2f}", f"{started:.1f}"]
                print(f"| {config} | {name_of(precision)} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    # Otherwise a second call finds what the first one compiled.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache,
        patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache),
    ):
        main()
