"""The article at full size: random weights of the real files' names and sizes, from download to all figures, and the
pages of `evidence` with pictures made up for every run.

Off by default; `python -m pytest -s -m fullsize` runs both and prints what benchmarks/fullsize.md records.
"""

import csv
import json
import mmap
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml
from checkout import Checkout, octaves_of
from fullsize import write_weights
from hub import Hub
from pictures import sha256
from PIL import Image
from skimage import data
from test_article import zip_of

from lmrep.descent.experiment import describe
from lmrep.descent.match import shift_noise
from lmrep.descent.plan import make_plan
from lmrep.descent.priors import baseline, resize, start_noise
from lmrep.files import ArrayFile, write_arrays
from lmrep.inputs.images import load_target
from lmrep.inputs.paths import paths_of
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import read_table
from lmrep.study.config import Study, make_study
from lmrep.study.kinds import OBJECTIVES
from lmrep.study.spec import Run

pytestmark = [pytest.mark.workflow, pytest.mark.build, pytest.mark.fullsize]
CORES, MINUTES, GIGABYTES = 2, 20, 8  # the most that the build may take
CONTRAST = 0.29  # the standard deviation of uniform noise in [0, 1]
STEPS = int(os.environ.get("LMREP_STEPS", 2))  # of each octave
GIGABYTE, KEPT = 10**9, 10**7  # bytes; larger files are deleted at the end
CONFIG = "fullsize.yaml"
# Products as in a block of ViT-L: they are most of what a build computes, so their rate tells machines apart.
PRODUCTS = f"""
import time, torch
torch.set_num_threads({CORES})
rows, weight, times = torch.randn(2955, 1024), torch.randn(4096, 1024), []
for _ in range(30):
    begun = time.perf_counter()
    torch.nn.functional.linear(rows, weight)
    times.append(time.perf_counter() - begun)
print(2 * rows.numel() * len(weight) / sorted(times)[len(times) // 2] / 1e9)
"""
FIGURES = {  # px
    "gpt2_features_viz": (2100, 2829),
    "gpt2_features_viz_2": (2100, 2829),
    "gpt2_features_viz_3": (2100, 2829),
    "inversion": (2100, 2190),
    "representational_accuracy": (2100, 1260),
    "token_importance": (2100, 885),
    "transformer_activation_explained": (2100, 897),
    "vit_vs_gpt2_representation": (2100, 996),
    "vit_vs_gpt2_representation_2": (2100, 996),
}


@pytest.fixture
def folder(tmp_path):
    """A folder whose large files are deleted after the test: pytest keeps the folders of three sessions."""
    yield tmp_path
    for path in tmp_path.rglob("*"):
        if path.is_file() and (path.is_symlink() or path.stat().st_size > KEPT):
            path.unlink()


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


def write_config(checkout: Checkout, hub: Hub, folder: Path, target: str, steps: int = 0) -> Study:
    """config.yaml with the hashes of our files, the addresses of our photographs and few steps: nothing else.

    `target`: whose weights are made. `steps`: of each octave; 0 leaves them.
    """
    config = yaml.safe_load((checkout / "config.yaml").read_text())
    study = make_study(config)
    used = {weights.name for name in study.runs_of(target) for weights in study.runs[name].weight_files}
    for seed, name in enumerate(sorted(used)):
        (pin,) = study.weights[name].pins
        digest = write_weights(folder / f"{name}.safetensors", pin, seed)
        with (folder / f"{name}.safetensors").open("rb") as file:  # the map outlives the open file
            hub.add_model(pin.repo, pin.revision, pin.file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        config["weights"][name]["sha256"] = digest
    for name, photograph in (("dalmatian", data.astronaut()), ("tesla_coil", data.rocket())):
        entry = config["images"][name]
        archive, picture = zip_of(entry["member"], photograph)
        hub.add_file(f"/{name}.zip", archive)
        entry |= {"url": f"{hub.url}/{name}.zip", "sha256": sha256(archive), "member_sha256": sha256(picture)}
    for octave in octaves_of(config) if steps else []:
        octave["steps"] = steps
    (checkout / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    return make_study(config)


def memory(process: psutil.Process) -> int:
    """Bytes that a process and all below it hold. Pages that they share count several times."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total


def disk(*folders: Path) -> int:
    """Bytes on the disk, each file once, however many names it has."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(FileNotFoundError):
            status = path.lstat()
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def product_rate() -> float:
    """GFLOP/s of float32 products on the cores of the build, the median of 30."""
    return float(subprocess.check_output([sys.executable, "-c", PRODUCTS]))


def build(checkout: Checkout, *folders: Path) -> dict[str, float]:
    """Builds all figures on two cores. Its minutes, CPU minutes, and most GB of memory and of disk in `folders`."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    most, largest = 0, 0
    with checkout.started("snakemake", "--cores", "all", "figures", "--configfile", CONFIG) as process:
        watched = psutil.Process(process.pid)
        watched.cpu_affinity(watched.cpu_affinity()[:CORES])
        while process.poll() is None:
            most, largest = max(most, memory(watched)), max(largest, disk(*folders))
            assert time.monotonic() - begun < 3 * 60 * MINUTES, checkout.said()[-4000:]
            time.sleep(0.5)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0, checkout.said()[-4000:]
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    minutes = (time.monotonic() - begun) / 60
    return {"minutes": minutes, "CPU": used / 60, "memory": most / GIGABYTE, "disk": largest / GIGABYTE}


def rows_of(study: Study) -> dict[str, int]:
    """How many rows each table of the figures should have."""
    runs = [study.runs[name] for name in study.runs_of("figures")]
    images = {run.name: len(run.layers) * len(run.panels) for run in runs}
    matches = sum(images[run.name] for run in runs if run.matches)
    grid = {run.probe.stem.grid for run in runs}.pop()
    panels = {run.name: OBJECTIVES[run.objective].panels for run in runs}
    of = {kind: sum(len(run.layers) for run in runs if panels[run.name] == kind) for kind in ("neurons", "patches")}
    return {
        "accuracy": matches, "rows": matches * grid, "patches": sum(images.values()) * grid**2,
        "order": of["neurons"], "reach": of["patches"],
    }  # fmt: skip


def record(checkout: Checkout, found: dict[str, float], shares: dict[str, int]) -> str:
    """The record of a build, in Markdown. Products are measured just after it."""
    lines = [f"{time.strftime('%Y-%m-%d')}, {CORES} cores, load {os.getloadavg()[2]:.1f} over the last 15 minutes:"]
    lines += [f"{product_rate():.0f} GFLOP/s in float32 products,"]
    lines += [f"{found['minutes']:.1f} minutes, {found['CPU']:.1f} CPU minutes, {found['memory']:.1f} GB of memory,"]
    lines += [f"{found['disk']:.2f} GB of disk: {', '.join(f'{n} {s / GIGABYTE:.3f}' for n, s in shares.items())}"]
    lines += ["", "| run | s | largest memory in Snakemake's samples, GB |", "|---|---|---|"]
    for path in sorted((checkout / "results/article/benchmarks/optimise_run").glob("*.tsv")):
        with path.open() as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        lines.append(f"| {path.stem} | {float(row['s']):.0f} | {float(row['max_rss']) * 2**20 / GIGABYTE:.1f} |")
    lines += ["", "| figure | px | bytes |", "|---|---|---|"]
    for path in sorted((checkout / "figures").glob("*.png")):
        with Image.open(path) as image:
            lines.append(f"| {path.stem} | {image.width} x {image.height} | {path.stat().st_size} |")
    return "\n".join(lines)


def test_the_article_at_full_size(folder, hub, monkeypatch, capsys):
    checkout, cache = Checkout(folder / "lmrep"), folder / "hf"
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(cache))
    study = write_config(checkout, hub, folder, "figures", STEPS)
    found = build(checkout, checkout.folder, cache)
    results = checkout / "results/article"
    places = {"downloads": [checkout / "resources", cache], "runs": [results / "runs"], "results": [results]}
    shares = {name: disk(*folders) for name, folders in {**places, "figures": [checkout / "figures"]}.items()}
    with capsys.disabled():
        print(f"\n{record(checkout, found, shares)}")

    # Each file was downloaded once, and is what the config says.
    lock = {
        entry["sha256"]: entry["bytes"] for entry in json.loads((checkout / "weights.lock.json").read_text()).values()
    }
    kept = {path.stem.rpartition("-")[0]: path for path in (checkout / "resources/weights").glob("*.safetensors")}
    assert set(kept) == {"gpt2", "vit_base", "vit_large"}
    assert lock == {study.weights[name].sha256: path.stat().st_size for name, path in kept.items()}
    for name in kept:
        (pin,) = study.weights[name].pins
        assert len(hub.asked("GET", f"/cdn/{pin.repo}/")) == 1
    fetched = [name for name, image in study.images.items() if image.url]
    assert fetched and all(len(hub.asked("GET", f"/{name}.zip")) == 1 for name in fetched)

    # Every figure, every row.
    names = {name for name, figure in study.figures.items() if figure.target == "figures"}
    sizes = {}
    for path in (checkout / "figures").glob("*.png"):
        with Image.open(path) as image:
            image.load()
            sizes[path.stem] = image.size
    assert set(sizes) == names and sizes == FIGURES
    assert {table: len(read_table(results / f"metrics/{table}.tsv", TABLES[table])) for table in TABLES} == rows_of(
        study
    )
    assert found["memory"] < GIGABYTES
    assert found["minutes"] < MINUTES


def make_up(run: Run, files: dict[str, Path], photographs: dict[str, Path], fits: dict[str, str]) -> ArrayFile:
    """A run file without a descent: noise of full contrast in the shapes of the real one, its share growing with depth
    for a match.

    White noise compresses badly: a descent that smooths it makes smaller pages.
    """
    first, last = (run.descent.octaves[place].size for place in (0, -1))
    draws = zip(run.start_seeds, run.panel_names, strict=True)
    start = np.stack([start_noise(run.descent.start, first, seed, name).numpy() for seed, name in draws])
    grown = baseline(torch.from_numpy(start), run.descent.octaves, run.probe.stem.size, run.seed).numpy()
    noise = resize(torch.from_numpy(start), last).numpy()
    noise = (noise - noise.mean()) * np.float32(CONTRAST / start.std()) + np.float32(0.5)
    layers, shape = len(run.layers), (len(run.layers), len(run.panels))
    arrays = {
        "images": np.stack([noise] * layers), "initial": np.stack([start] * layers), "baseline": grown,
        "loss": np.geomspace(1000, 1, run.descent.steps, dtype=np.float32) * np.ones((layers, 1), np.float32),
    }  # fmt: skip
    if run.descent.first_step:
        arrays["rates"] = np.ones(layers, np.float32)
    if run.matches:
        targets = np.stack([load_target(photographs[panel], last, fits[panel]) for panel in run.panels])
        depth = np.array(run.layers, np.float32)[:, None, None, None, None] / run.probe.stack.depth
        arrays["images"] = arrays["earlier"] = (1 - depth) * targets + depth * noise
        arrays |= {"targets": targets, "shifted": targets + shift_noise(run).numpy()}
        arrays |= {
            "output_distance": np.ones(shape, np.float32),
            "shifted_output_distance": np.full(shape, 2, np.float32),
        }
    return ArrayFile(arrays, describe(run, files, make_plan(run, torch.device("cpu"))))


def test_the_pages_of_the_article_are_small(folder, hub, monkeypatch, capsys):
    """The report, and in it the explorer, of all pictures: the descents are left out, all else is built."""
    checkout = Checkout(folder / "lmrep")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    study = write_config(checkout, hub, folder, "evidence")
    build = ("--cores", str(CORES), "report", "--configfile", CONFIG)
    fetched = checkout.run(*build, "--until", "fetch_weights", "fetch_image")
    assert fetched.returncode == 0, fetched.stdout[-4000:]
    monkeypatch.chdir(checkout.folder)
    photographs = {path.stem.rpartition("-")[0]: path for path in Path("resources/images").glob("*.png")}
    fits = {name: image.fit for name, image in study.images.items()}
    Path("results/article/runs").mkdir()
    for run in (study.runs[name] for name in study.runs_of("evidence")):
        files = paths_of(run)
        made = make_up(run, files, photographs, fits)
        write_arrays(Path(f"results/article/runs/{run.name}.safetensors"), made.arrays, made.facts)
    begun = time.monotonic()
    built = checkout.run(*build)
    assert built.returncode == 0 and "optimise_run" not in built.stdout, built.stdout[-4000:]
    pages = {name: Path(f"figures/{name}.html").stat().st_size for name in ("explorer", "report")}
    with capsys.disabled():
        print(f"\n{(time.monotonic() - begun) / 60:.1f} minutes from run files to pages, bytes: {pages}")
    assert pages["explorer"] < 15 * 10**6 and pages["report"] < 30 * 10**6
