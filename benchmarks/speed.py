"""How fast a step is: the author's loop, lucent's and ours, compared with the machine's bare matrix products.

    python benchmarks/speed.py                                # on a GPU if there is one; 20 min on 2 CPU cores
    python benchmarks/speed.py --steps 1000                   # with the article's runs in full, on a GPU
    python benchmarks/speed.py --tables article --memory 6000 # with 6000 MB for the backward pass

Uses random weights of the real shapes: GPT-2 and ViT-B/16 on 224 px. Every round times each contestant once, one after
the other. The table gives medians of rounds; a ratio is the median of the rounds' ratios. An image-step is one step of
one image. On a GPU a call of ours is --repeat steps of a descent, without its first ones, which make a graph.
benchmarks/contestants.py describes the contestants. lucent is timed if it can be imported (`pip install torch-lucent`).
Prints Markdown.
"""

import argparse
import datetime
import tempfile
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml
from common import ROOT, Step, Times, machine, name_of, pick_precisions, random_targets, shorten
from contestants import authors_step, bare_products, library_blocks, lucents_step, our_step, write_stem
from torch import nn

from lmrep.descent.allocator import keep_freed_memory
from lmrep.descent.checkpoint import Watch
from lmrep.descent.experiment import perform
from lmrep.descent.plan import has_bfloat16, make_plan, pick_device, settle
from lmrep.probe.packed import packed
from lmrep.probe.probe import Probe, load_probe
from lmrep.study.config import Study, make_study
from lmrep.study.cost import block_flops, run_flops, run_seconds, speed_of
from lmrep.study.spec import Run

TABLES = ("speed", "cost", "memory", "article")
BLOCKS = (1, 4, 12)
STACKS = ("gpt2", "vit_base")
MIX = (1, 4, 8, 12)  # the blocks of the article's feature pictures
LUCENT = find_spec("lucent") is not None
FEW = 10  # steps of the author's loop and of lucent's in a call, on a GPU: one alone is too short to be timed
REPORTED = 8  # steps between two reports of a run that is timed


def load_random(study: Study, name: str, device: torch.device) -> Probe:
    """A probe of the study by its name, with random weights."""
    run = next(run for run in study.runs.values() if run.probe.name == name)
    with tempfile.TemporaryDirectory() as folder:
        return load_probe(run.probe, write_stem(run, folder), max(MIX), device, trained=False)


def ways(device: torch.device) -> dict[str, Callable[[nn.Linear], nn.Module]]:
    """The machine's own rate: as torch multiplies, and on a CPU with weights laid out beforehand, like ours."""
    found: dict[str, Callable[[nn.Linear], nn.Module]] = {"torch's products": lambda linear: linear}
    return found | ({"packed products": packed} if device.type == "cpu" else {})


def speed_table(
    probes: dict[str, Probe], device: torch.device, images: int, rounds: int, precisions: list[torch.dtype], repeat: int
) -> None:
    print("\n## Milliseconds an image-step\n")
    if not LUCENT:
        print("lucent is not installed.\n")
    few, products = FEW if device.type == "cuda" else 1, ways(device)
    heads = ["author's loop", "lucent", *(f"ours, {name_of(p)}" for p in precisions)]
    heads += [f"{other} / ours, {name_of(p)}" for p in precisions for other in ("author", "lucent")]
    heads += [f"share of {kind}, {name_of(p)}" for p in precisions for kind in products]
    print(f"| stack | blocks | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}", flush=True)
    every = (*((block,) for block in BLOCKS), MIX)
    for name, probe in probes.items():  # one by one: a limit of time costs the last rows only
        times, stack = Times(device), probe.spec.stack
        contestants: dict[Hashable, Step] = {}
        blocks = library_blocks(stack).to(device)
        ours = {precision: probe.in_precision(precision) for precision in precisions}
        for layers in every:
            contestants[layers, "author"] = authors_step(blocks, stack.width, layers, device, few)
            if LUCENT and stack.family == "vit" and len(layers) == 1:
                contestants[layers, "lucent"] = lucents_step(stack, layers[0], images, device, few)
            for precision in precisions:
                contestants[layers, precision] = our_step(ours[precision], layers, images // len(layers), repeat)
        for precision in precisions:
            for kind, lay_out in products.items():
                contestants[kind, precision] = bare_products(stack, images, precision, device, lay_out, repeat)
        times.run(contestants, rounds)
        for layers in every:
            row = []
            for who in ("author", "lucent", *precisions):
                row.append(f"{1e3 * times.median(key):.3g}" if (key := (layers, who)) in contestants else "-")
            for precision in precisions:
                for who in ("author", "lucent"):
                    there = (layers, who) in contestants
                    row.append(f"{times.ratio((layers, who), (layers, precision)):.1f}" if there else "-")
            work = block_flops(stack.width, probe.spec.stem.tokens) * sum(layers) / len(layers)
            for precision in precisions:
                for kind in products:
                    row.append(f"{work * times.ratio((kind, precision), (layers, precision)):.0%}")
            print(f"| {name} | {' '.join(map(str, layers))} | {' | '.join(row)} |", flush=True)
    for precision in precisions:
        rates = [f"{kind} {1 / times.median((kind, precision)) / 1e9:.0f}" for kind in products]
        print(f"\nGFLOP/s of a block's products, {images} images, {name_of(precision)}: {', '.join(rates)}.")


def cost_table(probe: Probe, device: torch.device, rounds: int, repeat: int) -> None:
    """Cost of more panels, steps and layers, relative to a cost that is linear in all three."""
    times = Times(device)
    contestants: dict[tuple[str, int], Step]
    contestants = {("panels", panels): our_step(probe, MIX, panels, repeat) for panels in (4, 8, 16)}
    contestants |= {("steps", steps): our_step(probe, MIX, 4, steps * repeat) for steps in (2, 4)}
    contestants |= {("alone", layer): our_step(probe, (layer,), 4 * len(MIX), repeat) for layer in MIX}
    times.run(contestants, rounds)
    one, layers = times.median(("panels", 4)), " ".join(map(str, MIX))
    print(f"\n## Cost, {probe.spec.label}, blocks {layers} in one pass, against 4 panels and one step\n")
    print("| | an image-step's time, in parts |\n|---|---|")
    for kind, number in contestants:
        if kind != "alone" and (kind, number) != ("panels", 4):
            parts = 1 / times.ratio(("panels", 4), (kind, number))
            print(f"| {number} {kind} | {parts:.2f} |")
    alone = sum(times.median(("alone", layer)) for layer in MIX) / len(MIX)
    print(f"| the mean of the blocks alone, {4 * len(MIX)} images each | {alone / one:.2f} |")


def peak(device: torch.device) -> float:
    """Peak memory in GB: of this process (CPU), or what torch took of a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    # Not getrusage: a process inherits that peak from its parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own, so that its peak memory is its own too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_of_step(who: str, run: Run, images: int, device: torch.device) -> float:
    settle(torch.get_num_threads())
    block = BLOCKS[-1]
    if who == "author":
        stack = run.probe.stack
        step = authors_step(library_blocks(stack).to(device), stack.width, (block,), device)
    elif who == "lucent":
        step = lucents_step(run.probe.stack, block, images, device)
    else:
        with tempfile.TemporaryDirectory() as folder:
            probe = load_probe(run.probe, write_stem(run, folder), block, device, trained=False)
        step = our_step(probe.in_precision(getattr(torch, who)), (block,), images, steps=3)  # the second makes a graph
    step()
    return peak(device)


def memory_table(run: Run, device: torch.device, images: int, precisions: list[torch.dtype]) -> None:
    contestants = ["author", *["lucent"] * LUCENT, *map(name_of, precisions)]
    print(f"\n## Peak memory of a step, {run.probe.label}, block {BLOCKS[-1]}: GB of the process, or of the GPU\n")
    print("| contestant | images | GB |\n|---|---|---|")
    for who in contestants:
        print(
            f"| {who} | {1 if who == 'author' else images} | {alone(peak_of_step, who, run, images, device):.1f} |",
            flush=True,
        )


def perform_article(run: Run, device: torch.device, steps: int) -> tuple[float, float, int, int, str, float, float]:
    """What a row of `article_table` says of a run with fresh blocks, and at most `steps` steps of each octave."""
    settle(torch.get_num_threads())
    short = replace(shorten(run, steps), weights="untrained")
    plan = make_plan(short, device)
    marks: list[tuple[float, float]] = []

    def mark(done: float, loss: float | None) -> None:
        if loss is not None:
            marks.append((time.perf_counter(), done))

    with tempfile.TemporaryDirectory() as folder:
        files = write_stem(run, folder)
        start = time.perf_counter()
        clock = (step / REPORTED for step in count())  # each step reads it once
        perform(short, files, random_targets(short), plan, Watch(mark, clock=clock.__next__))
        seconds = time.perf_counter() - start
    # Before the first report lie the weights, and after the last one the distances. A GPU makes a graph of each group
    # between its first report and its second.
    graphs = {plan.steps_before(short, group, 1) for group in range(len(plan.groups)) if device.type == "cuda"}
    pairs = [(one, two) for one, two in pairwise(marks) if one[1] not in graphs and two[1] not in graphs]
    spent, done = (sum(two[place] - one[place] for one, two in pairs) for place in (0, 1))
    each = spent / done if done else 0.0
    whole = seconds + each * (run.descent.steps - short.descent.steps)
    rate = run_flops(run) / run.descent.steps / each / 1e9 if each else float("nan")
    return seconds, whole, short.descent.steps, len(plan.groups), name_of(plan.precision), peak(device), rate


def article_table(study: Study, runs: Sequence[str], device: torch.device, steps: int) -> None:
    print(f"\n## The article's runs, at most {steps} steps of each octave, fresh blocks and random targets\n")
    speed = speed_of(study.gflops, device.type, 1 if device.type == "cuda" else torch.get_num_threads())
    heads = ("run", "precision", "passes", "steps", "s", "s for all steps", "estimate", "GFLOP/s", "peak memory, GB")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    total = 0.0
    for run in runs:
        # A process of its own has its own peak of memory; of a GPU, torch keeps account.
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        measure = perform_article if device.type == "cuda" else partial(alone, perform_article)
        seconds, whole, done, passes, precision, memory, rate = measure(study.runs[run], device, steps)
        total += whole
        row = [run, precision, passes, done, f"{seconds:.1f}", f"{whole:.0f}"]
        estimate = run_seconds(study.runs[run], speed, has_bfloat16(device))
        row += [f"{estimate:.0f}", f"{rate:.0f}", f"{memory:.1f}"]
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    print(f"\nThese runs, all steps, one after the other: {total:.0f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--images", type=int, default=16, help="in a pass of ours and of lucent's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="auto", help="MB, of the article's runs")
    parser.add_argument("--steps", type=int, default=1, help="of each octave of the article's runs, at most")
    parser.add_argument("--runs", nargs="+", help="of the article's table; default: all of the figures")
    parser.add_argument("--repeat", type=int, help="steps in a call of ours; 1, and 100 on a GPU")
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], help="all of the device")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    settle(torch.get_num_threads())
    keep_freed_memory()
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["memory"] = arguments.memory if arguments.memory == "auto" else float(arguments.memory)
    study = make_study(config)
    precisions = pick_precisions(arguments.precisions, device)
    repeat = arguments.repeat or (100 if device.type == "cuda" else 1)
    names = ("torch", "timm", "transformers")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"{datetime.date.today()}, {machine(device)}; {versions}; {arguments.rounds} rounds.")
    if "speed" in arguments.tables:
        probes = {probe.spec.label: probe for probe in (load_random(study, name, device) for name in STACKS)}
        speed_table(probes, device, arguments.images, arguments.rounds, precisions, repeat)
        del probes  # a card's memory is measured below
    if "cost" in arguments.tables:
        probe = load_random(study, "gpt2", device).in_precision(precisions[-1])
        cost_table(probe, device, arguments.rounds, repeat)
        del probe
    if "memory" in arguments.tables:
        memory_table(study.runs["vit_base_match"], device, arguments.images, precisions)
    if "article" in arguments.tables:
        article_table(study, arguments.runs or study.runs_of("figures"), device, arguments.steps)


if __name__ == "__main__":
    main()
