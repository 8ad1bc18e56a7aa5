"""Strings for Snakemake: digests of the code that a result goes through, params and wildcard constraints.

Snakemake does not see an edit to an imported module. A digest passed as a param does.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lmrep.provenance import file_sha256
from lmrep.workflow.source import read_source

ROOT = Path(__file__).parents[2]
PACKAGE = "lmrep"
STYLE = "figures/lmrep.mplstyle"  # `figures.page` draws with it
# Modules that change no result, unless a caller names them.
SILENT = (
    PACKAGE,  # Python runs its __init__ whatever a job imports
    f"{PACKAGE}.errors",  # what a message says
    f"{PACKAGE}.files",  # how a file is written; its layout is an interface that stays
    f"{PACKAGE}.progress",
    f"{PACKAGE}.provenance",
    f"{PACKAGE}.descent.checkpoint",
    f"{PACKAGE}.descent.faults",  # what stops a descent, in words
    f"{PACKAGE}.study.cost",  # an estimate of time
    f"{PACKAGE}.study.config",  # rules pass what a job is asked for
    f"{PACKAGE}.study.kinds",  # rules pass the entries that a job uses
    f"{PACKAGE}.workflow.forecast",  # also an estimate
    f"{PACKAGE}.workflow.gpus",
    f"{PACKAGE}.workflow.job",
    f"{PACKAGE}.workflow.session",
)


def module_path(module: str) -> Path | None:
    """The file of a module or package of ours, or None if there is none."""
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def packages(module: str) -> Iterator[str]:
    """The packages that Python imports before a module: `a` and `a.b` of `a.b.c`."""
    parts = module.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def imported_modules(module: str) -> set[str]:
    """The modules of this package that a module imports anywhere in its source, also inside functions.

    Raises ModuleNotFoundError if one of them has no file: its edits would rerun nothing.
    """
    path = module_path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module}: expected a module of {PACKAGE} in {ROOT}")
    found: set[str] = set()
    for source, names in read_source(path).imports:
        found.add(source)
        if source.partition(".")[0] == PACKAGE:  # a name may be a module or something in one
            found |= {name for name in (f"{source}.{name}" for name in names) if module_path(name)}
    ours = {name for name in found if name.partition(".")[0] == PACKAGE}
    missing = sorted(name for name in ours if not module_path(name))
    if missing:
        raise ModuleNotFoundError(f"{path}: imports {', '.join(missing)}, but {PACKAGE} has no such module")
    return ours | {package for name in ours for package in packages(name)}


@cache
def modules_behind(*modules: str) -> tuple[str, ...]:
    """The given modules and every module of this package that they import, directly or not; sorted."""
    found: set[str] = set()
    queue = [*modules, *(package for module in modules for package in packages(module))]
    while queue:
        module = queue.pop()
        if module not in found:
            found.add(module)
            # The lazy names in the package's __init__ are not imports of the module that asks for it.
            queue += imported_modules(module) if module != PACKAGE else ()
    return tuple(sorted(found))


@cache
def code_digest(*modules: str, script: str = "") -> str:
    """16 hex digits that change with any edit to the code of the modules, of what they import, or of `script`.

    `script`: a file below the root. Comments, docstrings and the messages of errors do not count, nor do the modules in
    `SILENT`.
    """
    digest = hashlib.sha256()
    paths = [module_path(module) for module in modules_behind(*modules) if module in modules or module not in SILENT]
    paths += [ROOT / script] if script else []
    for path in filter(None, paths):
        digest.update(f"{path.relative_to(ROOT)}\n{read_source(path).code}\n".encode())
    if f"{PACKAGE}.figures.page" in modules_behind(*modules):
        digest.update((ROOT / STYLE).read_bytes())
    return digest.hexdigest()[:16]


def file_digests(*patterns: str) -> str:
    """A param of the content of files of the checkout, such as "figures/captions/*.rst"."""
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return as_param({str(path.relative_to(ROOT)): file_sha256(path) for path in paths})


def one_of(names: Iterable[str]) -> str:
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


def as_param(value: object, in_order: bool = False) -> str:
    """JSON, which Snakemake compares as a string; sorted, unless a result depends on the order of entries."""
    return json.dumps(value, sort_keys=not in_order)
