"""How this machine computes a run: on which device, in which precision, and in which groups of images."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch

from lmrep.errors import MachineError
from lmrep.probe.block import fuses_attention
from lmrep.study.kinds import FAMILIES
from lmrep.study.sources import Weights
from lmrep.study.spec import BFLOAT16_FLAGS, CPU_GROUP, Run

GPU_SHARE = 0.5  # of the card's whole memory: with a share of the free memory, a run's bytes would vary from day to day
MEGABYTE = 10**6
HEAD = 64  # width of a head, where the model's own config says how many there are
LIBRARY = 2.0  # a block of transformers counts as this many of ours; measured: 1.0 to 1.3 in SmolLM2 and MiniLM
PRODUCTS: tuple[Any, ...] = (  # what multiplies float32 matrices, and may be told to do it in less
    torch.backends.cuda.matmul,
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
)
SPARE = 0.1  # share of the tokens of a group that its panels may not need


@dataclass(frozen=True)
class Group:
    """Images that go through the network together: a slice of a run's layers by a slice of its panels."""

    layers: slice
    panels: slice
    tokens: int | None  # how many matter to the objective, from the first; None: all


@dataclass(frozen=True)
class Plan:
    """On which device, in which precision and in which groups of images this machine computes a run."""

    device: torch.device
    precision: torch.dtype
    groups: tuple[Group, ...]

    def steps_before(self, run: Run, group: int, taken: int) -> float:
        """Steps of `run` that are done after `taken` steps of a group and all steps of the groups before it.

        Each group takes all of its steps before the next one begins, and counts by its blocks and tokens.
        """
        costs = [
            sum(layer + 1 for layer in run.layers[each.layers])
            * len(run.panels[each.panels])
            * (each.tokens or run.probe.stem.tokens)
            for each in self.groups
        ]
        return (sum(costs[:group]) * run.descent.steps + costs[group] * taken) / sum(costs)


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where torch sees one. Raises MachineError for `cuda` where it sees none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MachineError("device: cuda was asked for, but torch sees no GPU here; expected auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def settle(threads: int) -> None:
    """Makes torch give the same bytes every time on `threads` CPU cores; their number decides how sums round."""
    # CUDA's matrix library reads it at its start; without it, streams may share memory and round differently.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As use_deterministic_algorithms(True), which imports torch's compiler first: 2 s of every job.
    torch.set_deterministic_debug_mode("error")
    # That mode also fills new memory, to show reads of unwritten values. It costs a tenth of the time here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set by its __setattr__
    torch.set_float32_matmul_precision("highest")  # torch refuses to read it where the settings below do not agree
    for backend in PRODUCTS:  # not TF32 or bfloat16, whatever the environment or a notebook has set
        backend.fp32_precision = "ieee"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions that multiply bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in BFLOAT16_FLAGS)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16, by name; `auto` is bfloat16 where the device has it. Raises KeyError for another name."""
    if name == "auto":
        name = "bfloat16" if has_bfloat16(device) else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def budget(memory: float | str, device: torch.device) -> float:
    """Bytes that one group may keep for the backward pass."""
    if not isinstance(memory, str):
        return memory * MEGABYTE
    if device.type == "cuda":
        return GPU_SHARE * torch.cuda.get_device_properties(device).total_memory
    return CPU_GROUP * MEGABYTE


def image_bytes(stack: Weights, tokens: int, device: torch.device, precision: torch.dtype) -> int:
    """Bytes that `Block` and autograd keep of one image in one block, for the backward pass.

    An estimate for families with their own config, whose blocks are not ours.
    """
    float32, product, heads = 4, precision.itemsize, stack.heads or ceil(stack.width / HEAD)
    norms, attended, hidden = 2 * stack.width * float32, 3 * stack.width * product, 4 * stack.width * product
    if fuses_attention(device, precision):  # it keeps its output and a sum, not the attention weights
        weights = stack.width * product + heads * float32
    else:
        weights = heads * tokens * product
    kept = tokens * (norms + attended + hidden + weights)
    return round(LIBRARY * kept) if FAMILIES[stack.family].own_config else kept


def counted_history(run: Run, device: torch.device) -> int:
    """`Descent.history_bytes` where they count against the budget, on a card with memory: auto; else 0.

    On a CPU they are outside the budget, and `workflow.schedule` reserves memory for them. A number in `memory` limits
    only what the backward pass may keep.
    """
    return run.descent.history_bytes if device.type == "cuda" and run.memory == "auto" else 0


def split(layers: tuple[int, ...], panels: int, blocks: float, more: float = 0.0) -> Iterator[tuple[slice, slice]]:
    """Slices of layers and panels whose images pass at most `blocks` blocks in all, and at least one image.

    `more`: blocks that each image counts for besides those it passes.
    A slice has all layers of some panels if that fits, because deep and shallow layers go together well. Otherwise
    it has some layers of one panel.
    """
    costs = [layer + more for layer in layers]
    width = min(int(blocks // max(sum(costs), 1)), panels)
    if width:
        width = ceil(panels / ceil(panels / width))  # 8 and 8 rather than 15 and 1
        yield from ((slice(0, len(layers)), slice(at, min(at + width, panels))) for at in range(0, panels, width))
        return
    starts, passed = [0], 0.0
    for index, cost in enumerate(costs):
        if passed and passed + cost > blocks:
            starts, passed = [*starts, index], 0.0
        passed += cost
    for panel in range(panels):
        for start, end in zip(starts, [*starts[1:], len(layers)], strict=True):
            yield slice(start, end), slice(panel, panel + 1)


def neighbours(tokens: Sequence[int]) -> Iterator[slice]:
    """Slices of neighbouring panels that need about as many tokens; at most a share SPARE of those computed is wasted.

    One panel a group would compute no spare token, but would take longer: small groups are mostly overhead.
    """
    start = 0
    for end in range(1, len(tokens) + 1):
        wider = tokens[start : end + 1]
        if end == len(tokens) or len(wider) * max(wider) > (1 + SPARE) * sum(wider):
            yield slice(start, end)
            start = end


def make_plan(run: Run, device: torch.device) -> Plan:
    """The groups of a run. Each computes only the tokens that some panel of it needs."""
    precision = pick_precision(run.asked_precision, device)
    shared: list[tuple[slice, int | None]] = [(slice(0, len(run.panels)), None)]
    if tokens := run.tokens_needed:
        shared = [(panels, max(tokens[panels])) for panels in neighbours(tokens)]
    groups = []
    for panels, needed in shared:
        image = image_bytes(run.probe.stack, needed or run.probe.stem.tokens, device, precision)
        blocks = budget(run.memory, device) / image
        more = counted_history(run, device) / image
        for layers, part in split(run.layers, panels.stop - panels.start, blocks, more):
            groups.append(Group(layers, slice(panels.start + part.start, panels.start + part.stop), needed))
    return Plan(device, precision, tuple(groups))
