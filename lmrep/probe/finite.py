"""What the numbers of a weight file must be."""

import torch
from torch import Tensor

from lmrep.errors import InputError

# By the names of torch and of safetensors. Integer and 8-bit types need scales, which a file of plain weights lacks.
FLOATS = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def check_type(label: str, found: object) -> None:
    """Raises InputError, starting with `label`, unless `found` is a type in FLOATS, by either name."""
    if found not in FLOATS and found not in FLOATS.values():
        name = str(found).removeprefix("torch.")
        raise InputError(f"{label} is of type {name}, expected float32, float64, float16 or bfloat16")


def finite(label: str, tensor: Tensor) -> Tensor:
    """The tensor as float32; raises InputError, starting with `label`, for another type and for NaN or infinity."""
    check_type(label, tensor.dtype)
    numbers = tensor.float()
    if not numbers.isfinite().all():
        raise InputError(f"{label} holds NaN or infinity, expected finite numbers of float32")
    return numbers
