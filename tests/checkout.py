"""A copy of this checkout in a folder of its own, and Snakemake run in it as a user would."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from forked import ROOT, snakemake

CONFIGS = ("config.yaml", "miniature.yaml", "laptop.yaml", "models.yaml")
SOURCES = ("Snakefile", *CONFIGS, "rules", "scripts", "lmrep", "figures/captions", "figures/explorer",
           "figures/lmrep.mplstyle", "resources/miniature", "profiles", "CITATION.cff", "LICENSE")  # fmt: skip

# Runs of some 10 s in an `interruptible` study, one through octaves and jitter, one by L-BFGS; steps of each octave.
LONG_RUNS = {"gpt2_neurons_jittered": 10, "vit_base_inverted": 40}
ARTICLE_RUNS = (
    "gpt2_neurons_jittered", "gpt2_neurons", "gpt2_patches", "vit_base_patches", "gpt2_match", "gpt2_match_untrained",
    "vit_base_match", "vit_base_match_untrained", "vit_large_match", "vit_large_match_untrained",
)  # fmt: skip
INVERSION = "vit_base_inverted"
QUESTIONED_RUNS = (
    "gpt2_neurons", "gpt2_neurons_jittered", "gpt2_unmasked_neurons", "gpt2_neurons_untrained", "vit_base_neurons",
    "gpt2_patches", "vit_base_patches", "gpt2_match", "gpt2_inverted", "gpt2_inverted_untrained", "vit_base_inverted",
)  # fmt: skip


def heed_interrupts() -> None:
    """For a started process: heeds Ctrl-C even where the tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Checkout:
    def __init__(self, folder: Path, sources: Collection[str] = SOURCES):
        """`sources`: what to copy; nothing if the folder is a checkout already."""
        self.folder = self.built_in = folder
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / source).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / source, folder / source)

    def copied(self, folder: Path) -> "Checkout":
        """The checkout with all that was built in it, times of files included, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copy = Checkout(folder, sources=())
        copy.built_in = self.built_in
        return copy

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def edit(self, config: str, change) -> None:
        """Rewrites a config after `change(config)` has changed it in place."""
        values = yaml.safe_load((self / config).read_text())
        change(values)
        (self / config).write_text(yaml.safe_dump(values, sort_keys=False))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Snakemake in this folder; its stdout and stderr together, in `stdout`."""
        return snakemake(arguments, self.folder, {**os.environ, **environment})

    def miniature(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run("--cores", "2", *arguments, "--configfile", "miniature.yaml")

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen]:
        """A command in this folder beside the test, killed if it is not over by then; see `said`."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with open(self / "said.txt", "w") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PATH": path}, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self) -> str:
        """What the last command `started` has printed."""
        return (self / "said.txt").read_text()

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs that a dry run of the miniature study lists, by rule."""
        return planned(self.miniature("-n", *arguments))

    def products(self) -> dict[str, bytes]:
        """The files of a build by which it is judged; study.json records the device that was asked for."""
        results = ("runs", "metrics", "traces")
        return self.bytes_of("figures/miniature", *(f"results/miniature/{kind}" for kind in results))

    def bytes_of(self, *folders: str) -> dict[str, bytes]:
        """Every file below the folders, by its path."""
        paths = (path for folder in folders for path in sorted((self / folder).rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def planned(dry_run: subprocess.CompletedProcess) -> dict[str, int]:
    """The jobs that a dry run lists, by rule."""
    assert dry_run.returncode == 0, dry_run.stdout
    counts = re.findall(r"^([a-z_]+) +(\d+)$", dry_run.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in counts if rule != "total"}


def append(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


def keep(config: dict, runs: Collection[str]) -> None:
    """Leaves these runs, what they need, and the figures that can be drawn from them."""
    config["runs"] = {name: run for name, run in config["runs"].items() if name in runs}
    for figure in config["figures"].values():
        if figure["runs"] != "all":
            figure["runs"] = [run for run in figure["runs"] if run in runs]
    whole = {"inversion": 2, "causality": 2, "regime": 3, "beside": 2}  # the least runs that show anything
    config["figures"] = {
        name: figure
        for name, figure in config["figures"].items()
        if len(figure["runs"]) >= whole.get(figure["kind"], 1)
    }
    for figure in config["figures"].values():
        if "layers" in figure:
            figure["layers"] = {run: blocks for run, blocks in figure["layers"].items() if run in runs}
    probes, descents = ({run[key] for run in config["runs"].values()} for key in ("probe", "descent"))
    config["probes"] = {name: probe for name, probe in config["probes"].items() if name in probes}
    parts = [probe[part] for probe in config["probes"].values() for part in ("stem", "stack")]
    used = {part for part in parts if isinstance(part, str)}  # a basis has no weights
    config["weights"] = {name: weights for name, weights in config["weights"].items() if name in used}
    config["descents"] = {name: descent for name, descent in config["descents"].items() if name in descents}
    shown = {figure.get("image") for figure in config["figures"].values()}
    shown |= {image for run in config["runs"].values() for image in run.get("images", [])}
    config["images"] = {name: image for name, image in config["images"].items() if name in shown}


def octaves_of(config: dict) -> Iterator[dict]:
    """The octaves of all descents, and those that runs have of their own."""
    for entry in (*config["descents"].values(), *config["runs"].values()):
        yield from entry.get("octaves", [])


def shorten(config: dict, steps: int = 3) -> None:
    """The article's runs and one inversion, with descents of a few steps: every rule, in seconds."""
    keep(config, [*ARTICLE_RUNS, INVERSION])
    figures = config["figures"].items()
    config["figures"] = {name: figure for name, figure in figures if figure.get("target") != "evidence"}
    for octave in octaves_of(config):
        octave["steps"] = steps


def questioned(config: dict) -> None:
    """Runs that all claims can be asked of, with descents of a few steps."""
    keep(config, QUESTIONED_RUNS)
    for octave in octaves_of(config):
        octave["steps"] = min(octave["steps"], 6)


def interruptible(config: dict) -> None:
    """Two runs long enough to be interrupted, with a state every second, and two short ones."""
    shorten(config)
    keep(config, [*LONG_RUNS, "gpt2_neurons", "gpt2_match"])
    config["checkpoint"] = 1
    for name, steps in LONG_RUNS.items():
        run = config["runs"][name]
        octaves = run.get("octaves", config["descents"][run["descent"]]["octaves"])
        run["octaves"] = [octave | {"steps": steps} for octave in octaves]
