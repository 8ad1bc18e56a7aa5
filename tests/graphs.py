"""What a CUDA graph does, on a CPU: it records operations without their effect and repeats them on the same memory.

And a mark on a card's stream, which is reached only when Python waits for it.
"""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITS = torch.ops.aten._local_scalar_dense.default  # reads a number into Python


def written(operation, arguments, named) -> list[torch.Tensor]:
    """The tensors that an operation changes in place."""
    found = [named.get(entry.name, arguments[place] if place < len(arguments) else None)
             for place, entry in enumerate(operation._schema.arguments)
             if entry.alias_info and entry.alias_info.is_write]  # fmt: skip
    return [entry for entry in tree_leaves(found) if isinstance(entry, torch.Tensor)]


class Borrowed:
    """A tensor that was there before the capture. A graph knows its address, and does not keep it alive."""

    def __init__(self, tensor: torch.Tensor):
        self.reference = StorageWeakRef(tensor.untyped_storage())
        self.kind, self.place = tensor.dtype, (tensor.storage_offset(), tensor.size(), tensor.stride())

    def tensor(self) -> torch.Tensor:
        storage = torch.UntypedStorage._new_with_weak_ptr(self.reference.cdata)
        if storage is None:
            raise RuntimeError("an illegal memory access was encountered")
        return torch.empty(0, dtype=self.kind).set_(storage, *self.place)


class RecordedGraph(TorchDispatchMode):
    """Stands in for torch.cuda.CUDAGraph, and for the context that captures into it."""

    def __init__(self):
        super().__init__()
        self.operations, self.before, self.made = [], [], set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation is WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.before += [(tensor, tensor.detach().clone()) for tensor in written(operation, args, kwargs)]
        found = operation(*args, **kwargs)
        # What a view or a change in place returns has memory that was there before.
        own = {self.address(entry) for entry in tree_leaves((args, kwargs))} - self.made
        self.made |= {self.address(entry) for entry in tree_leaves(found)} - own - {None}
        self.operations.append((operation, *tree_map(self.kept, (args, kwargs)), tree_map(self.kept, found)))
        return found

    def address(self, entry) -> int | None:
        laid_out = isinstance(entry, torch.Tensor) and entry.layout == torch.strided
        return entry.untyped_storage().data_ptr() if laid_out else None

    def kept(self, entry):
        address = self.address(entry)
        return Borrowed(entry) if address and address not in self.made else entry

    def __exit__(self, *error):
        super().__exit__(*error)
        with torch.no_grad():
            for tensor, value in reversed(self.before):
                tensor.copy_(value)
        self.before = []

    @torch.no_grad()
    def replay(self):
        def revived(entry):
            return entry.tensor() if isinstance(entry, Borrowed) else entry

        for operation, args, kwargs, found in self.operations:
            results = operation(*tree_map(revived, args), **tree_map(revived, kwargs))
            for held, new in zip(tree_leaves(tree_map(revived, found)), tree_leaves(results), strict=True):
                if isinstance(held, torch.Tensor) and held.data_ptr() != new.data_ptr():
                    held.copy_(new)


class Mark:
    """Stands in for a torch.cuda.Event on a card that is as slow as can be."""

    def __init__(self):
        self.reached = False

    def query(self) -> bool:
        return self.reached

    def synchronize(self):
        self.reached = True
