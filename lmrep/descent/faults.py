"""What stops a descent, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lmrep.errors import InputError, MachineError

# What torch says of a device without memory, besides its OutOfMemoryError: where a context, a library's handle or a
# graph does not fit on a card, and on a CPU.
FULL = (
    "CUDA error: out of memory", "CUDA driver error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED", "DefaultCPUAllocator: can't allocate memory",
)  # fmt: skip


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised for, says that the device has no memory left."""
    if error is None:
        return False
    own = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(text in str(error) for text in FULL)
    return own or is_full(error.__cause__ or error.__context__)


@contextmanager
def told(key: str, advice: str) -> Iterator[None]:
    """Turns what stops a descent into one line that begins with `key`.

    Raises InputError for a descent that diverges, and MachineError, with `advice`, where memory runs out.
    """
    try:
        yield
    except FloatingPointError as error:
        raise InputError(f"{key}: {error}") from None
    except (RuntimeError, MemoryError, InputError) as error:  # InputError: a loader takes any error for a misfit
        if not is_full(error):
            raise
        raise MachineError(f"{key}: the device is out of memory: try {advice}") from error
