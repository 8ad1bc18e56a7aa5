"""The house stands: imports go down the table of wings, and no room is too large."""

import ast
import re

import pytest
from conftest import ROOT

GROUND = {"errors", "files", "provenance", "progress"}
# What each wing may import besides itself and the ground. `api`: what a notebook uses.
ALLOWED = {
    "study": set(),
    "inputs": {"study"},
    "probe": {"study"},
    "descent": {"probe", "study"},
    "metrics": {"study"},
    "figures": {"metrics", "study"},
    "miniature": {"probe", "inputs", "study"},
    "workflow": {"study", "inputs", "probe", "descent", "metrics", "miniature"},
    "api": {"study", "inputs", "probe", "descent"},
}
WITHOUT_TORCH = ("study", "metrics", "figures", *GROUND)
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "lmrep").rglob("*.py"))
LIMITS = {"rules/common.smk": 100, "Snakefile": 60, "README.md": 120}


def name_of(path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(path) -> set[str]:
    """The full names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            found |= {source} if source != "lmrep" else {f"lmrep.{alias.name}" for alias in node.names}
    return found


def wings(names) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("lmrep.")}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_down_the_table(path):
    wing = path.parts[1].removesuffix(".py")
    if wing in GROUND:
        assert wings(imports(path)) <= GROUND
    elif wing == "__init__":  # the names for notebooks, imported at their first use
        assert wings(imports(path)) <= ALLOWED["api"] | GROUND | {"api", "metrics"}
    else:
        assert wings(imports(path)) <= ALLOWED[wing] | GROUND | {wing}


def test_contributing_has_the_same_table():
    rows = re.findall(r"^\| `(\w+)(?:\.py)?` \|.*\| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    found = {wing: set(re.findall(r"`(\w+)`", may)) & ALLOWED.keys() for wing, may in rows if wing in ALLOWED}
    assert found == ALLOWED | {"workflow": {"figures", "api"}} and dict(rows)["workflow"].startswith("all but ")
    assert ALLOWED["workflow"] == ALLOWED.keys() - {"figures", "api", "workflow"}


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[1].removesuffix(".py") in WITHOUT_TORCH], ids=str)
def test_these_wings_do_without_torch(path):
    assert not {name.partition(".")[0] for name in imports(path)} & {"torch", "torchvision", "timm", "transformers"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_is_over_250_lines(path):
    assert len((ROOT / path).read_text().splitlines()) <= 250


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_read_first_is_short(name):
    assert len((ROOT / name).read_text().splitlines()) <= LIMITS[name]


def test_scripts_are_short():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 35, path.name


def test_rules_and_unit_tests_mirror_the_wings():
    folders = {path.name for path in (ROOT / "lmrep").iterdir() if (path / "__init__.py").exists()}
    assert folders == ALLOWED.keys() - {"api"}
    assert folders <= {path.name for path in (ROOT / "tests/unit").iterdir()}
    rules = {path.stem for path in (ROOT / "rules").glob("*.smk")}
    assert rules == folders - {"study", "workflow"} | {"common", "build", "claims", "report"}
