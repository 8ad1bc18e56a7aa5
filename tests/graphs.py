"""What a CUDA graph does, on a CPU: it records operations without their effect and repeats them on the same memory."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = torch.ops.aten._local_scalar_dense.default  # reads a number into Python


def written(operation, arguments, named) -> list[torch.Tensor]:
    """The tensors that an operation changes in place."""
    found = [named.get(entry.name, arguments[place] if place < len(arguments) else None)
             for place, entry in enumerate(operation._schema.arguments)
             if entry.alias_info and entry.alias_info.is_write]  # fmt: skip
    return [entry for entry in tree_leaves(found) if isinstance(entry, torch.Tensor)]


class RecordedGraph(TorchDispatchMode):
    """Stands in for torch.cuda.CUDAGraph, and for the context that captures into it."""

    def __init__(self):
        super().__init__()
        self.operations, self.before = [], []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation is WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.before += [(tensor, tensor.detach().clone()) for tensor in written(operation, args, kwargs)]
        found = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, found))
        return found

    def __exit__(self, *error):
        super().__exit__(*error)
        with torch.no_grad():
            for tensor, value in reversed(self.before):
                tensor.copy_(value)

    @torch.no_grad()
    def replay(self):
        for operation, args, kwargs, found in self.operations:
            for held, new in zip(tree_leaves(found), tree_leaves(operation(*args, **kwargs)), strict=True):
                if isinstance(held, torch.Tensor) and held.data_ptr() != new.data_ptr():
                    held.copy_(new)
