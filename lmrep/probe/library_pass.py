"""One pass of a transformers model's own forward, recorded block by block."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from lmrep.probe.library_block import Misfit


def blocks_of(model: nn.Module, depth: int) -> tuple[str, nn.ModuleList]:
    """The one list of `depth` modules that is in no other list, and its name. Raises Misfit."""
    lists = {name: part for name, part in model.named_modules() if isinstance(part, nn.ModuleList)}
    outer = {n: p for n, p in lists.items() if not any(n.startswith(f"{other}.") for other in lists)}
    found = [(name, part) for name, part in outer.items() if len(part) == depth]
    if len(found) != 1:
        raise Misfit(f"it has {len(found)} lists of {depth} blocks, expected one")
    return found[0]


@dataclass
class Passed:
    """What one pass of the model's own forward did, up to the end of its last block."""

    inputs: list[Tensor] = field(default_factory=list)  # of each block
    outputs: list[Any] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # of the blocks that were called
    used: set[str] = field(default_factory=set)  # modules
    tables: dict[str, Tensor] = field(default_factory=dict)  # outputs of the other tables, by module name


class Enough(Exception):
    """Ends a pass early."""


def passed(model: Any, blocks: nn.ModuleList, last: int, zeros: Collection[str] = (), **given: Any) -> Passed:
    """A pass on inputs_embeds or input_ids that ends before block `last` (from 0) or after all of them.

    `zeros`: names of the embedding tables that give zeros in it. It has a gradient if what it is given wants one.
    """
    found, hooks, embeddings = Passed(), [], model.get_input_embeddings()

    def enters(index: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            found.order.append(index)
            found.inputs.append(args[0])
            if index == last:
                raise Enough

        return hook

    def leaves(module: nn.Module, args: Any, output: Any) -> None:
        found.outputs.append(output)
        if len(found.outputs) == len(blocks):
            raise Enough

    def looks_up(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            found.tables[name] = output
            return torch.zeros_like(output) if name in zeros else None

        return hook

    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda module, args, name=name: found.used.add(name)))
        if isinstance(module, nn.Embedding) and module is not embeddings:
            hooks.append(module.register_forward_hook(looks_up(name)))
    for index, block in enumerate(blocks):
        hooks.append(block.register_forward_pre_hook(enters(index)))
        hooks.append(block.register_forward_hook(leaves))
    try:
        with torch.set_grad_enabled(any(tensor.requires_grad for tensor in given.values())):
            model(**given, use_cache=False)
    except Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return found


def first(output: Any) -> Tensor:
    """The tokens in what a block returns."""
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


def check_pass(found: Passed, depth: int) -> None:
    """Raises Misfit unless each block was called once, in order, on exactly what the one before it returned."""
    if found.order != list(range(depth)):
        raise Misfit("its forward does not call each block once and in order")
    for output, after in zip(found.outputs, found.inputs[1:], strict=False):
        if not torch.equal(first(output), after):
            raise Misfit("it changes what a block returns before the next block gets it")
