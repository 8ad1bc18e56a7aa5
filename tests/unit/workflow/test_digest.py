"""Digests change with the code that a result goes through, and with nothing else."""

import json
import shutil
import subprocess
import sys

import pytest
from checkout import append
from conftest import ROOT

from lmrep.study import kinds
from lmrep.workflow import digest, source

RUN = ("lmrep.workflow.optimise", "lmrep.descent.objectives", "lmrep.descent.optimisers", "lmrep.probe.stem")
CHARTS = ("lmrep.figures.charts",)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    shutil.copytree(ROOT / "lmrep", tmp_path / "lmrep", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "figures").mkdir()
    shutil.copy(ROOT / digest.STYLE, tmp_path / "figures")
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    clear()
    yield tmp_path
    clear()


def clear():
    digest.modules_behind.cache_clear()
    digest.code_digest.cache_clear()


def code_digest(*modules: str, **options: str) -> str:
    clear()
    return digest.code_digest(*modules, **options)


@pytest.mark.parametrize(
    "edited",
    ["probe.probe", "probe.block", "probe.loading", "descent.objectives", "descent.priors", "descent.descend",
     "descent.optimisers", "descent.experiment", "study.spec", "inputs.images", "workflow.optimise"],
)  # fmt: skip
def test_a_run_depends_on_these_modules(root, edited):
    before = code_digest(*RUN), code_digest(*CHARTS)
    append(root / f"lmrep/{edited.replace('.', '/')}.py", "\nedited = 1\n")
    assert code_digest(*RUN) != before[0]
    assert edited == "study.spec" or code_digest(*CHARTS) == before[1]


@pytest.mark.parametrize(
    "edited",
    ["figures.grids", "figures.charts", "figures.diagram", "metrics.measures", "metrics.tables", "study.config",
     "study.checks", "study.kinds", "study.cost", "inputs.weights", "inputs.image_sources", "workflow.announce",
     "workflow.job", "descent.lbfgs", "miniature.train", "errors", "files", "progress", "descent.checkpoint",
     "descent.faults", "__init__"],
)  # fmt: skip
def test_a_run_does_not_depend_on_those(root, edited):
    before = code_digest(*RUN)
    append(root / f"lmrep/{edited.replace('.', '/')}.py", "\nedited = 1\n")
    assert code_digest(*RUN) == before


def test_comments_docstrings_and_layout_do_not_count(root):
    path, before = root / "lmrep/probe/block.py", code_digest(*RUN)
    source = path.read_text()
    better = source.replace('    """', '    """Better words: ').replace("import copy\n", "import copy  # a comment\n\n")
    assert "Better words" in better and "# a comment" in better
    path.write_text(better.replace("Better words: \n", "\n"))
    assert code_digest(*RUN) == before
    path.write_text(source.replace("tokens + self.proj", "tokens - self.proj"))
    assert code_digest(*RUN) != before


def test_what_an_error_says_does_not_count(root):
    path, before = root / "lmrep/descent/rates.py", code_digest(*RUN)
    source = path.read_text()
    better = source.replace("first_step needs another start", "another start is needed")
    assert better != source
    path.write_text(better)
    assert code_digest(*RUN) == before
    path.write_text(source.replace("raise FloatingPointError(", "raise ValueError("))
    assert code_digest(*RUN) != before


def test_a_module_that_a_caller_names_counts_even_if_it_changes_no_result_of_others(root):
    before = code_digest("lmrep.files")
    append(root / "lmrep/files.py", "\nedited = 1\n")
    assert code_digest("lmrep.files") != before


def test_a_script_counts_by_its_code(root):
    script = "scripts/optimise_run.py"
    before = code_digest(*RUN, script=script)
    append(root / script, "# a comment\n")
    assert code_digest(*RUN, script=script) == before != code_digest(*RUN)
    append(root / script, "edited = 1\n")
    assert code_digest(*RUN, script=script) != before


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import lmrep.probe.block", {"lmrep.probe.block"}),
        ("import lmrep.probe.block as b, torch", {"lmrep.probe.block"}),
        ("from lmrep.probe import block", {"lmrep.probe", "lmrep.probe.block"}),
        ("from lmrep.probe.block import Block", {"lmrep.probe.block"}),
        ("def f():\n    from lmrep.descent.priors import blur", {"lmrep.descent.priors"}),
        ("import lmrepository", set()),
    ],
)
def test_every_form_of_import_is_resolved(root, source, found):
    (root / "lmrep/probe/new.py").write_text(source + "\n")
    packages = {package for name in found for package in digest.packages(name)}
    assert digest.imported_modules("lmrep.probe.new") == found | packages


@pytest.mark.parametrize("source", ["import lmrep.nothing", "from lmrep.nothing import x"])
def test_a_module_of_ours_that_is_not_there_is_an_error(root, source):
    (root / "lmrep/probe/new.py").write_text(source + "\n")
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        code_digest("lmrep.probe.new")
    with pytest.raises(ModuleNotFoundError, match=r"lmrep\.nowhere"):
        code_digest("lmrep.nowhere")


def test_what_was_parsed_is_kept_for_other_processes_by_content(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(source, "known", {})
    before = code_digest(*RUN)
    source.keep_sources()
    monkeypatch.setattr(source, "known", {})
    monkeypatch.setattr(source, "parse", lambda text: pytest.fail("parsed again"))
    assert code_digest(*RUN) == before
    monkeypatch.undo()
    monkeypatch.chdir(root)
    for broken in ("", "[]", '{"x": 1}', '{"x": ["y", [1]]}'):
        source.KEPT.write_text(broken)
        source.known.clear()
        assert code_digest(*RUN) == before


def test_figures_depend_on_the_style(root):
    before = code_digest(*CHARTS), code_digest(*RUN)
    append(root / digest.STYLE, "# edited\n")
    assert code_digest(*CHARTS) != before[0]
    assert code_digest(*RUN) == before[1]


def test_params_do_not_depend_on_the_order_of_keys():
    assert digest.as_param({"b": 1, "a": (1, 2)}) == digest.as_param({"a": [1, 2], "b": 1})


IMPORT = """
import json, sys
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
print(json.dumps(sorted(name for name in sys.modules if name.partition(".")[0] == "lmrep")))
"""
KINDS = [*kinds.STEMS.values(), *kinds.OBJECTIVES.values(), *kinds.OPTIMISERS.values()]


@pytest.mark.models
@pytest.mark.parametrize(
    "roots",
    [
        ("lmrep.workflow.optimise", *kinds.modules_of(*KINDS)),
        ("lmrep.metrics.tables", "lmrep.metrics.measures"), ("lmrep.figures.charts",), ("lmrep.inputs.image_sources",),
    ],
)  # fmt: skip
def test_the_modules_behind_a_job_are_those_that_python_imports(roots):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *roots], cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert set(json.loads(done.stdout)) <= set(digest.modules_behind(*roots))


def test_an_import_inside_a_function_counts(root):
    append(root / "lmrep/metrics/measures.py", "\n\ndef late():\n    from lmrep.figures import page\n")
    assert "lmrep.figures.page" in digest.modules_behind("lmrep.metrics.measures")


def test_what_optimises_a_run_is_behind_its_digest_or_silent():
    """A module that a job imports and that its digest leaves out is silent, with a reason beside its name."""
    job = set(digest.modules_behind("lmrep.workflow.optimise"))
    assert job == set(digest.modules_behind(*RUN)) and job & set(digest.SILENT)
    descent = {name for name in job if name.startswith(("lmrep.descent.", "lmrep.probe.", "lmrep.inputs."))}
    assert descent & set(digest.SILENT) == {"lmrep.descent.checkpoint", "lmrep.descent.faults"}
