"""Snakemake in a process forked from one that has imported it: that import is half of a dry run."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 900
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["snakemake.cli"])


def _snakemake(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], output: str) -> None:
    """What `python -m snakemake` does in the folder, with both of its streams in the file."""
    from snakemake.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tests = {"", str(ROOT), str(ROOT / "tests")}  # a user's Snakemake does not find these
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in tests)]
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.argv = ["snakemake", *arguments]
    try:
        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves these out


def snakemake(arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Runs it to its end; stdout and stderr together, in `stdout`. A signal that ends it is a negative status."""
    with tempfile.NamedTemporaryFile("r") as output:
        process = FORKS.Process(target=_snakemake, args=(arguments, folder, environment, output.name))
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(["snakemake", *arguments], SECONDS, output.read())
        return subprocess.CompletedProcess(["snakemake", *arguments], process.exitcode, output.read())
