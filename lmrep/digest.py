"""What a result depends on, as short strings for Snakemake's params: settings and the code they go through."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
SILENT = {"errors", "checkpoint", "replacing"}  # what a message says, and how a file is written, changes no result
STYLE = "figures/lmrep.mplstyle"  # what `save` draws with


def imported_modules(source: str) -> set[str]:
    """The modules of this package that a source imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == PACKAGE.name:
                found |= {alias.name for alias in node.names}
            elif node.module.startswith(f"{PACKAGE.name}."):
                found.add(node.module.split(".")[1])
    return {name for name in found - SILENT if (PACKAGE / f"{name}.py").exists()}


@cache
def modules_behind(*modules: str) -> tuple[str, ...]:
    """The given modules and all that they import of this package, sorted."""
    found, queue = set(), list(modules)
    while queue:
        module = queue.pop()
        if module not in found:
            found.add(module)
            queue += imported_modules((PACKAGE / f"{module}.py").read_text())
    return tuple(sorted(found))


def code_digest(*modules: str) -> str:
    """Changes with any edit of the given modules or of a module of this package behind them."""
    digest = hashlib.sha256()
    for module in modules_behind(*modules):
        digest.update((PACKAGE / f"{module}.py").read_bytes())
        if module == "save":
            digest.update((PACKAGE.parent / STYLE).read_bytes())
    return digest.hexdigest()[:16]


def as_param(value: object) -> str:
    """Sorted JSON: Snakemake compares params as strings."""
    return json.dumps(value, sort_keys=True)
