"""The crate of a study: every file is named as it is, local inputs come along, and the config leads to them."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT

from lmrep.files import write_arrays
from lmrep.inputs.paths import LOCK
from lmrep.inputs.pins import read_lock
from lmrep.study.config import make_study
from lmrep.workflow.crate import local_inputs, write_crate

SPLASH = {"url": "https://example.org/splash.png", "sha256": "ab" * 32}
HUB = {"label": "Far", "family": "gpt2", "width": 108, "depth": 6, "heads": 3, "repo": "some/one", "revision": "1" * 40,
       "file": "model.safetensors", "sha256": "cd" * 32}  # fmt: skip

RECORDED = {f"some/one@{'2' * 40}/model.safetensors": {"sha256": "ef" * 32, "bytes": 5}}


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The crate of a study with a local picture, one from the web and weights from the hub, and its metadata."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.png").write_bytes(b"a picture")
    config = yaml.safe_load((ROOT / "miniature.yaml").read_text())
    for weights in config["weights"].values():
        weights["path"] = str(ROOT / weights["path"])
    config["images"] |= {"mine": {"path": "mine.png"}, "splash": SPLASH}
    config["weights"] |= {"far": HUB, "recorded": {**HUB, "revision": "2" * 40, "sha256": ""}}
    LOCK.write_text(json.dumps({**RECORDED, "another/study@main/model.safetensors": {"sha256": "00", "bytes": 1}}))
    results = Path("results/miniature")
    (results / "runs").mkdir(parents=True)
    for name, more in (("a", {}), ("b", {"transformers": "5.17.0"}), ("c", {"torch": "2.14.1"})):
        facts = {"versions": {"torch": "2.15.0+cpu", **more}}
        write_arrays(results / f"runs/{name}.safetensors", {"images": np.zeros(3)}, facts)
    (results / "claims.json").write_text("[]")
    runs = sorted(results.glob("runs/*"))
    count = write_crate(tmp_path / "x.zip", make_study(config), config, ROOT, runs, [results / "claims.json"])
    with zipfile.ZipFile(tmp_path / "x.zip") as crate:
        crate.extractall(tmp_path / "out")
        assert len(crate.namelist()) == count + 1  # and the metadata
    graph = json.loads((tmp_path / "out/ro-crate-metadata.json").read_text())["@graph"]
    return tmp_path / "out", {entity["@id"]: entity for entity in graph}


def test_every_file_is_named_with_its_hash_and_size(packed):
    folder, graph = packed
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"ro-crate-metadata.json"}
    assert names == {name for name, entity in graph.items() if "File" in entity["@type"]}
    for name in names:
        content = (folder / name).read_bytes()
        assert graph[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert graph[name]["contentSize"] == str(len(content))


def test_the_build_names_what_went_in_and_what_came_out(packed):
    _, graph = packed
    build = graph["#build"]
    assert {entity["@id"] for entity in build["result"]} == {
        *(f"results/miniature/runs/{name}.safetensors" for name in "abc"), "results/miniature/claims.json",
    }  # fmt: skip
    asked = {entity["@id"] for entity in build["object"]}
    assert asked >= {"miniature.yaml", SPLASH["url"], "resources/miniature/gpt2_mini.safetensors"}
    far = {graph[name]["sha256"] for name in asked if "some/one" in name}
    assert far == {HUB["sha256"], "ef" * 32} and graph[SPLASH["url"]]["sha256"] == SPLASH["sha256"]
    assert build["instrument"] == {"@id": "Snakefile"} and graph["README.md"]["about"] == {"@id": "./"}


def test_it_needs_the_libraries_of_all_runs(packed):
    """Only the runs of a model that transformers loads name its version."""
    _, graph = packed
    needed = [library["@id"] for library in graph["Snakefile"]["softwareRequirements"]]
    torch = "pkg:pypi/torch@2.15.0%2Bcpu"  # a "+" stands for a space in some readers
    assert needed == ["pkg:pypi/torch@2.14.1", torch, "pkg:pypi/transformers@5.17.0"]
    assert graph[torch]["softwareVersion"] == "2.15.0+cpu" and graph[torch]["url"] == torch


def test_the_config_in_it_leads_to_the_local_files_in_it(packed):
    folder, _ = packed
    config = yaml.safe_load((folder / "miniature.yaml").read_text())
    assert (folder / config["images"]["mine"]["path"]).read_bytes() == b"a picture"
    own = yaml.safe_load((ROOT / "miniature.yaml").read_text())
    assert {name: values.get("path") for name, values in config["weights"].items()} == {
        **{name: values["path"] for name, values in own["weights"].items()}, "far": None, "recorded": None,
    }  # fmt: skip
    assert {key: config[key] for key in ("runs", "probes", "figures")} == {
        key: own[key] for key in ("runs", "probes", "figures")
    }


def test_the_lock_in_it_holds_later_downloads_of_this_study(packed):
    folder, graph = packed
    assert read_lock(folder / LOCK) == RECORDED
    assert {"@id": str(LOCK)} in graph["#build"]["object"]


def test_a_folder_of_weights_comes_along_whole(tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text(name)
    _, found = local_inputs({"weights": {"mine": {"path": str(tmp_path / "model")}}, "images": {}}, ROOT)
    assert {name: path.read_text() for name, path in found.items()} == {
        f"inputs/mine/model/{name}": name for name in ("config.json", "model.safetensors")
    }


@pytest.mark.parametrize("name", ["model.safetensors", "snapshot"], ids=["file", "folder"])
def test_links_such_as_those_of_the_hubs_cache_keep_their_names(tmp_path, name):
    for path in ("blobs/abc123", "snapshots/main/model.safetensors"):
        (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / "blobs/abc123").write_text("weights")
    (tmp_path / "snapshots/main/model.safetensors").symlink_to("../../blobs/abc123")
    (tmp_path / "snapshot").symlink_to("snapshots/main")
    (tmp_path / "model.safetensors").symlink_to("snapshots/main/model.safetensors")
    config, found = local_inputs({"weights": {"mine": {"path": str(tmp_path / name)}}, "images": {}}, ROOT)
    assert config["weights"]["mine"]["path"] == f"inputs/mine/{name}"
    file = f"inputs/mine/{name}" + ("/model.safetensors" if name == "snapshot" else "")
    assert {name: path.read_text() for name, path in found.items()} == {file: "weights"}


@pytest.mark.workflow
def test_the_crate_conforms_to_its_profile(packed, tmp_path):
    from crates import issues

    folder, _ = packed
    assert issues(folder, tmp_path) == []
    metadata = folder / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text().replace('"instrument"', '"tool"'))
    assert any("instrument" in issue for issue in issues(folder, tmp_path))
