"""How a run is computed on the machine at hand: where, in which precision, and in how many passes."""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import torch

from lmrep.probe.block import fuses_attention
from lmrep.errors import InputError
from lmrep.probe.families import FAMILIES
from lmrep.study.spec import Run, Weights

CPU_MEMORY = 2000  # MB, of a budget that is left to us: passes of more images are no faster
GPU_SHARE = 0.5  # of the card's whole memory: how much is free would differ from one day to the next
MEGABYTE = 10**6
SPARE = 0.1  # of the tokens of a pass, computed though its panels do not need them
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@dataclass(frozen=True)
class Group:
    """Images that go through one pass, a slice of a run's layers by one of its panels."""

    layers: slice
    panels: slice
    tokens: int | None  # that matter to the objective, from the first; None: all


@dataclass(frozen=True)
class Plan:
    device: torch.device
    precision: torch.dtype
    groups: tuple[Group, ...]


def pick_device(name: str) -> torch.device:
    """`auto` is a GPU where torch sees one. Raises InputError for `cuda` where it sees none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda was asked for, but torch sees no GPU here; expected auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def keep_freed_memory() -> None:
    """Has glibc keep what is freed: every step wants the same again, and gets it from the system page by page.

    A matter of speed alone, 6 to 12 % of a step of the miniature (benchmarks/speed.md); other systems are left as
    they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        # Older ones take no more than 32 MiB, and having been asked once no longer adapt by themselves.
        mallopt(M_MMAP_THRESHOLD, 2**31 - 1) or mallopt(M_MMAP_THRESHOLD, 2**25)


def settle(threads: int) -> None:
    """Has torch make the same bytes every time, on `threads` CPU cores: their number splits, and rounds, sums."""
    # Read by CUDA's matrix library when it starts: its deterministic mode needs it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Else that mode also fills all new memory, to show reads of what was never written: a tenth of the time here.
    torch.utils.deterministic.fill_uninitialized_memory = False
    keep_freed_memory()


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by instructions of its own."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device has it, else float32."""
    if name == "auto":
        name = "bfloat16" if has_bfloat16(device) else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def budget(memory: float | str, device: torch.device) -> float:
    """Bytes for what a pass keeps for its way back."""
    if memory != "auto":
        return memory * MEGABYTE
    if device.type == "cuda":
        return GPU_SHARE * torch.cuda.get_device_properties(device).total_memory
    return CPU_MEMORY * MEGABYTE


def image_bytes(stack: Weights, tokens: int, device: torch.device, precision: torch.dtype) -> int:
    """Bytes that an image's way through one block keeps for the way back, as `Block` and autograd do."""
    float32, product = 4, precision.itemsize
    norms, attended, hidden = 2 * stack.width * float32, 3 * stack.width * product, 4 * stack.width * product
    if fuses_attention(device, precision):  # keeps its output and a sum, in place of the weights
        weights = stack.width * product + stack.heads * float32
    else:
        weights = stack.heads * tokens * product
    return tokens * (norms + attended + hidden + weights)


def split(layers: tuple[int, ...], panels: int, blocks: float) -> Iterator[tuple[slice, slice]]:
    """Slices of layers and panels whose images pass `blocks` blocks in all at most, but one image at least.

    All layers of some panels where that fits, since deep and shallow ones share a pass well; else some of one panel.
    """
    width = min(int(blocks // sum(layers)), panels)
    if width:
        width = ceil(panels / ceil(panels / width))  # 8 and 8 rather than 15 and 1
        yield from ((slice(0, len(layers)), slice(at, min(at + width, panels))) for at in range(0, panels, width))
        return
    starts, passed = [0], 0
    for index, layer in enumerate(layers):
        if passed and passed + layer > blocks:
            starts, passed = [*starts, index], 0
        passed += layer
    for panel in range(panels):
        for start, end in zip(starts, [*starts[1:], len(layers)], strict=True):
            yield slice(start, end), slice(panel, panel + 1)


def neighbours(tokens: Sequence[int]) -> Iterator[slice]:
    """Slices of panels that need about as many tokens: at most SPARE more than needed.

    Panels share a pass with their neighbours in the config only. One a pass would compute no token for nothing, and
    take longer: passes of a few images are mostly overhead.
    """
    start = 0
    for end in range(1, len(tokens) + 1):
        wider = tokens[start : end + 1]
        if end == len(tokens) or len(wider) * max(wider) > (1 + SPARE) * sum(wider):
            yield slice(start, end)
            start = end


def make_plan(run: Run, device: torch.device) -> Plan:
    """The passes of a run. In a causal stack, what comes after a patch that is maximised is left out of its pass."""
    precision = pick_precision(run.precision, device)
    shared = [(slice(0, len(run.panels)), None)]
    if run.objective == "patch" and FAMILIES[run.probe.stack.family].causal:
        tokens = [run.probe.first_patch + patch + 1 for patch in run.panels]
        shared = [(panels, max(tokens[panels])) for panels in neighbours(tokens)]
    groups = []
    for panels, needed in shared:
        image = image_bytes(run.probe.stack, needed or run.probe.tokens, device, precision)
        blocks = budget(run.memory, device) / image
        for layers, part in split(run.layers, panels.stop - panels.start, blocks):
            groups.append(Group(layers, slice(panels.start + part.start, panels.start + part.stop), needed))
    return Plan(device, precision, tuple(groups))
