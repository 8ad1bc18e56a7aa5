"""Digests change with the code a result goes through, and with nothing else."""

import shutil

import pytest
from conftest import ROOT

from lmrep.workflow import digest


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "lmrep"
    shutil.copytree(ROOT / "lmrep", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "figures").mkdir()
    shutil.copy(ROOT / digest.STYLE, tmp_path / "figures")
    monkeypatch.setattr(digest, "PACKAGE", folder)
    digest.modules_behind.cache_clear()
    yield folder
    digest.modules_behind.cache_clear()


@pytest.mark.parametrize("edited", ["probe", "objectives", "priors", "optimise", "experiment", "spec"])
def test_a_run_goes_through_these_modules(package, edited):
    before = digest.code_digest("experiment"), digest.code_digest("charts")
    with open(package / f"{edited}.py", "a") as file:
        file.write("# edited\n")
    assert digest.code_digest("experiment") != before[0]
    assert digest.code_digest("charts") == before[1]


@pytest.mark.parametrize(
    "edited", ["grids", "charts", "diagram", "metrics", "study", "weights", "announce", "miniature", "errors"]
)
def test_a_run_does_not_go_through_those(package, edited):
    before = digest.code_digest("experiment")
    with open(package / f"{edited}.py", "a") as file:
        file.write("# edited\n")
    assert digest.code_digest("experiment") == before


def test_figures_are_drawn_anew_in_another_style(package):
    before = digest.code_digest("charts"), digest.code_digest("experiment")
    with open(package.parent / digest.STYLE, "a") as file:
        file.write("# edited\n")
    assert digest.code_digest("charts") != before[0]
    assert digest.code_digest("experiment") == before[1]


def test_params_do_not_depend_on_the_order_of_keys():
    assert digest.as_param({"b": 1, "a": (1, 2)}) == digest.as_param({"a": [1, 2], "b": 1})


def test_drawing_and_metrics_go_through_no_module_that_imports_torch():
    for name in digest.modules_behind("grids", "charts", "diagram", "metrics", "runfile", "save", "study", "announce"):
        assert "import torch" not in (ROOT / f"lmrep/{name}.py").read_text(), name
