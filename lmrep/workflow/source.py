"""Python files as the digests see them: their code and their imports, kept between processes.

Snakemake reads the rules again for each job. To parse every module each time would take longer than a small job.
"""

import ast
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lmrep.files import replacing

KEPT = Path(".snakemake", "lmrep-sources.json")  # by the sha256 of a file, so it is never out of date


class Import(NamedTuple):
    module: str
    names: Sequence[str]  # what is taken from the module; none: the module itself


class Source(NamedTuple):
    code: str  # without comments, docstrings, layout and what errors say
    imports: Sequence[Import]


known: dict[str, Source] = {}


def parse(text: str) -> Source:
    """The code and the imports of Python source."""
    tree, imports = ast.parse(text), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [Import(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append(Import(node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func  # a finished job raised nothing: what a message says is in no result
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                node.body = node.body[1:]
    return Source(ast.unparse(tree), imports)


def read_source(path: Path) -> Source:
    """The code and the imports of a Python file, parsed if no process of this build has done so."""
    text = path.read_text()
    key = hashlib.sha256(text.encode()).hexdigest()
    if not known:
        known.update(_kept())
    if key not in known:
        known[key] = parse(text)
    return known[key]


def keep_sources() -> None:
    """Keeps what was parsed for the next process. A folder that cannot be written costs time, not the build."""
    if known.keys() - _kept().keys():
        with suppress(OSError):
            KEPT.parent.mkdir(exist_ok=True)
            with replacing(KEPT) as part:
                part.write_text(json.dumps(known))


def _kept() -> dict[str, Source]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        entries = json.loads(KEPT.read_text()).items()
        return {key: Source(code, [Import(*entry) for entry in imports]) for key, (code, imports) in entries}
    return {}
