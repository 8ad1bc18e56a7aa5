"""Every linter of .pre-commit-config.yaml passes on this checkout."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

pytestmark = pytest.mark.workflow
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
HOOKS = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}


@pytest.mark.parametrize("hook", HOOKS)
def test_linter_passes(hook):
    # The environment need not be active: its programs are beside the interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(HOOKS[hook]["entry"]),
        cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_hooks_need_no_download_and_no_file_names():
    """What runs here is what pre-commit runs: the entry as it stands, over the whole tree, with our own tools."""
    assert {repo["repo"] for repo in CONFIG["repos"]} == {"local"}
    for hook in HOOKS.values():
        assert hook["language"] == "system" and hook["pass_filenames"] is False and "args" not in hook
