"""What tests share: tiny weight files, and probes on them, made once."""

import os
import time
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # threads of several processes wait for each other: a third of the speed
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ("counts",)


def pytest_collection_modifyitems(config, items):
    """Puts files that build a study first, then those that run Snakemake: no process ends long after the others.

    Skips the full-size test unless -m asks for it.
    """
    for marker in ("workflow", "build"):
        items.sort(key=lambda item: item.get_closest_marker(marker) is None)  # stable: files stay together
    if "fullsize" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("fullsize"):
                item.add_marker(pytest.mark.skip(reason="takes minutes and GB; python -m pytest -m fullsize runs it"))


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory):
    """Weight files by name, and the libraries' own models that they were written from."""
    import tiny

    folder = tmp_path_factory.mktemp("weights")
    files = {name: folder / f"{name}.safetensors" for name in ("tiny_gpt2", "tiny_vit", "tiny_wide")}
    models = {
        "tiny_gpt2": tiny.write_gpt2(files["tiny_gpt2"]),
        "tiny_vit": tiny.write_vit(files["tiny_vit"]),
        "tiny_wide": tiny.write_vit(files["tiny_wide"], tiny.WIDE),
    }
    return files, models


@pytest.fixture(scope="module")
def targets():
    """Two photographs as the tiny probes see them."""
    import numpy as np

    return np.random.default_rng(5).random((2, 3, 16, 16), dtype=np.float32)


@pytest.fixture(scope="session")
def gpt2_probe(tiny_files):
    import tiny
    import torch

    from lmrep.probe.probe import load_probe

    files, _ = tiny_files
    spec = tiny.tiny_run("neuron", (0,)).probe
    return load_probe(spec, files, 3, torch.device("cpu"))


@pytest.fixture
def no_proxies(monkeypatch):
    """Proxies of this machine are not asked for hosts of a test."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, worker_id):
    """Builds a miniature study once for all processes of a test run: its checkout, and the seconds that it took."""
    from checkout import Checkout
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def build(name, change, *targets):
        shared = base / name
        with FileLock(f"{shared}.lock"):
            if (shared / "seconds").exists():
                return Checkout(shared / "lmrep", sources=()), float((shared / "seconds").read_text())
            checkout = Checkout(shared / "lmrep")
            checkout.edit("miniature.yaml", change)
            begun = time.monotonic()
            done = checkout.miniature(*targets)
            assert done.returncode == 0, done.stdout[-4000:]
            seconds = time.monotonic() - begun
            (shared / "seconds").write_text(str(seconds))
            return checkout, seconds

    return build


@pytest.fixture(scope="session")
def unbroken(built_once):
    """The `interruptible` miniature study without any interruption, and the seconds that it took."""
    from checkout import interruptible

    return built_once("unbroken", interruptible, "figures")


@pytest.fixture(scope="module")
def whole(built_once, tmp_path_factory):
    """A copy of the `questioned` miniature study with its evidence, its report and its deposit."""
    from checkout import questioned

    checkout, _ = built_once("whole", questioned, "figures", "evidence", "report", "crate")
    return checkout.copied(tmp_path_factory.mktemp("whole") / "lmrep")
