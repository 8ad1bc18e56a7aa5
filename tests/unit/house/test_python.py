"""`import lmrep` in a notebook: docs/python.md does what it says, with the results of a build."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from hub import Hub
from PIL import Image as Picture

import lmrep
from lmrep.descent.experiment import describe, perform
from lmrep.descent.plan import make_plan

CPU = torch.device("cpu")
DOC = ROOT / "docs/python.md"
OCTAVES = [{"size": 16, "steps": 4, "rate": [0.02, 0.002]}]


@pytest.fixture(scope="module")
def config(tiny_files, tmp_path_factory):
    """The config of tiny models: runs on neurons and patches, and a match of two pictures."""
    files, _ = tiny_files
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        Picture.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    sizes, paths = {"width": 48, "depth": 3, "heads": 3}, {name: str(path) for name, path in files.items()}
    stem = {"family": "vit", "patch": 4, "size": 16}
    run = {"probe": "tiny", "weights": "trained", "layers": "all", "descent": "plain"}
    match = {**run, "objective": "match", "images": ["one", "two"], "descent": "match"}
    raw = {
        "study": "tiny", "seed": 7, "device": "cpu", "threads": 1, "precision": "float32", "memory": 0.5,
        "checkpoint": 5, "jobs_per_run": 1, "formats": ["png"], "gflops": {"cpu": 1, "cuda": 1}, "figures": {},
        "weights": {
            "tiny_gpt2": {"label": "G", "family": "gpt2", **sizes, "path": paths["tiny_gpt2"]},
            "tiny_vit": {"label": "V", **stem, **sizes, "path": paths["tiny_vit"]},
        },
        "images": {"one": {"path": "one.png", "fit": "crop"}, "two": {"path": "two.png"}},
        "probes": {"tiny": {"label": "Tiny", "stem": "tiny_vit", "stack": "tiny_gpt2"}},
        "descents": {
            "plain": {"start": {"uniform": [0.5, 0.6]}, "constant": 200, "octaves": OCTAVES},
            "match": {"start": {"normal": [0.7, 0.05]}, "octaves": OCTAVES},
        },
        "runs": {
            "neurons": {**run, "objective": "neuron", "neurons": [0, 5]},
            "patches": {**run, "objective": "patch", "patches": [3, 12]},
            "match": match,
            "untrained": {**match, "weights": "untrained"},
        },
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(json.dumps(raw))  # JSON is YAML
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def study(config):
    return lmrep.load_study(config)


@pytest.fixture(scope="module")
def probe(study):
    return lmrep.load_probe(study, "tiny", seed=np.int64(7))


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a Markdown text, as (language, content)."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.models
def test_the_page_on_python_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)  # what the page writes stays out of the checkout
    (tmp_path / "miniature.yaml").symlink_to(ROOT / "miniature.yaml")
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    names, printed, seen = {}, "", []
    for language, content in blocks(DOC.read_text()):
        if language == "python":
            assert not printed, f"the page does not show: {printed}"
            exec(compile(content, DOC.name, "exec"), names)
            printed = capsys.readouterr().out
        else:
            assert content == printed
            printed = ""
        seen.append(language)
    assert not printed
    assert seen.count("text") >= 8


def test_the_page_on_python_names_every_function():
    text = DOC.read_text()
    assert [name for name in lmrep.__all__ if f"lmrep.{name}" not in text and not name.startswith("Loaded")] == []


def test_import_loads_no_library_before_it_is_needed():
    script = (
        "import sys, lmrep; assert not {'torch', 'numpy', 'yaml'} & set(sys.modules); "
        "lmrep.load_study('miniature.yaml'); lmrep.open_run; lmrep.ssim; lmrep.Descent; lmrep.InputError; "
        "assert 'torch' not in sys.modules; lmrep.maximise; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_every_offered_name_exists():
    assert set(lmrep.__all__) <= set(dir(lmrep))
    assert all(getattr(lmrep, name) for name in lmrep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'maximize'"):
        lmrep.maximize  # noqa: B018


@pytest.mark.models
@pytest.mark.parametrize("name", ["neurons", "patches", "match", "untrained"])
def test_the_results_are_those_of_a_build(study, probe, tiny_files, name):
    run = study.runs[name]
    if run.weights == "untrained":
        probe = lmrep.load_probe(study, "tiny", trained=False, seed=7)
    if run.matches:
        images = {panel: lmrep.load_image(study, panel, probe) for panel in run.panels}
        found, targets = lmrep.recreate(probe, images, run.layers), np.stack(list(images.values()))
    else:
        found, targets = lmrep.maximise(probe, run.layers, **{run.objective: run.panels}), None
    plan = make_plan(run, CPU)
    expected = perform(run, tiny_files[0], targets, plan)
    assert found.arrays.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)
    facts = describe(run, tiny_files[0], plan)
    assert {**found.facts, "run": name} == facts


@pytest.mark.models
@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_a_line_search_has_a_builds_bytes_whatever_the_probes_precision(study, tiny_files, precision):
    descent = lmrep.Descent(("normal", 0.7, 0.05), (lmrep.Octave(16, 9),), optimiser="lbfgs", distance="l2")
    run = replace(study.runs["match"], descent=descent, precision=precision)
    probe = lmrep.load_probe(study, "tiny", seed=7, precision=precision)
    images = {panel: lmrep.load_image(study, panel, probe) for panel in run.panels}
    found = lmrep.recreate(probe, images, run.layers, descent=descent)
    expected = perform(run, tiny_files[0], np.stack(list(images.values())), make_plan(run, CPU))
    np.testing.assert_array_equal(found["images"], expected["images"])
    assert found.facts["precision"] == {"auto": "float32"}.get(precision, precision)


@pytest.mark.models
def test_a_probe_behind_a_basis_reads_the_file_of_its_stack_only(config):
    raw = json.loads(config.read_text())
    raw["probes"]["tiny"]["stem"] = {"basis": "random", "patch": 4, "size": 16}
    (config.parent / "basis.yaml").write_text(json.dumps(raw | {"weights": {"tiny_gpt2": raw["weights"]["tiny_gpt2"]}}))
    based = lmrep.load_study(config.parent / "basis.yaml")
    probe, fresh = (lmrep.load_probe(based, "tiny", trained) for trained in (True, False))
    assert (probe.files.keys(), fresh.files) == ({"tiny_gpt2"}, {})
    found = lmrep.maximise(probe, layer=2, neuron=3)
    assert set(found.facts["weight_files"]) == {"tiny_gpt2"} and found["images"].shape == (1, 1, 3, 16, 16)
    assert lmrep.maximise(fresh, layer=2, neuron=3).facts["weight_files"] == {}


@pytest.mark.models
def test_a_result_survives_its_file(probe, tmp_path):
    found = lmrep.maximise(probe, layer=2, neuron=np.int64(3))
    lmrep.save_run(tmp_path / "new" / "found.safetensors", found)
    again = lmrep.open_run(tmp_path / "new" / "found.safetensors")
    assert again.facts == json.loads(json.dumps(found.facts))
    np.testing.assert_array_equal(again["images"], found["images"])


@pytest.mark.models
def test_steps_rate_and_descent_are_taken(study, probe):
    reports = []
    args = {"layer": 1, "neuron": 3, "report": lambda steps, loss: reports.append(steps)}
    short = lmrep.maximise(probe, steps=2, rate=0.01, **args)
    assert short["loss"].shape == (1, 2) and reports == [1, 2]
    assert short.facts["settings"]["descent"]["octaves"][0]["rate"] == [0.01, 0.01]
    for rate in (np.float64(0.01), np.array([0.01, 0.01])):
        again = lmrep.maximise(probe, steps=2, rate=rate, layer=1, neuron=3)
        np.testing.assert_array_equal(again["images"], short["images"])
        assert json.dumps(again.facts) == json.dumps(short.facts)
    octave = lmrep.Octave(16, 2, (0.01, 0.01))
    own = lmrep.maximise(probe, descent=replace(study.runs["neurons"].descent, octaves=(octave,)), **args)
    np.testing.assert_array_equal(own["images"], short["images"])


@pytest.mark.models
def test_torch_is_left_as_it_was(probe):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        lmrep.maximise(probe, layer=1, neuron=0)
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.set_num_threads(before)


@pytest.mark.models
def test_all_layers_are_all_blocks_and_not_the_stem(probe):
    assert lmrep.maximise(probe, "all", neuron=0, steps=1).facts["layers"] == [1, 2, 3]
    assert lmrep.recreate(probe, np.zeros((3, 16, 16)), "all", steps=1).facts["layers"] == [1, 2, 3]


@pytest.mark.models
def test_bad_input_gets_one_line(study, probe, tmp_path):
    image = np.zeros((3, 16, 16), np.float32)
    inverted = lmrep.Descent(("normal", 0.7, 0.05), (lmrep.Octave(16, 4),), optimiser="lbfgs", distance="l2")
    (tmp_path / "torn.yaml").write_text("study: [")
    calls = {
        r"load_probe: 'huge' is not one of probes: tiny": lambda: lmrep.load_probe(study, "huge"),
        r"device: expected one of cpu, cuda, auto": lambda: lmrep.load_probe(study, "tiny", device="tpu"),
        r"precision: expected one of": lambda: lmrep.load_probe(study, "tiny", precision="float16"),
        r"layers: 'tiny' has 0 \(the stem\) to 3, not \[1, 4\]": lambda: probe(image[None], [1, 4]),
        r"images: expected the shape \[image, 3, 16, 16\]": lambda: probe(image, 1),
        r"maximise.layers: 'tiny_gpt2' has blocks 1 to 3, not 4": lambda: lmrep.maximise(probe, 4, neuron=0),
        r"maximise.neurons: 'tiny_gpt2' has neurons 0 to 47, not 48": lambda: lmrep.maximise(probe, 1, neuron=48),
        r"maximise.patches: 'tiny_vit' has patches 0 to 15, not -1": lambda: lmrep.maximise(probe, 1, patch=-1),
        r"expected a neuron or a patch": lambda: lmrep.maximise(probe, 1),
        r"one of the two": lambda: lmrep.maximise(probe, 1, neuron=1, patch=1),
        r"at least one layer": lambda: lmrep.maximise(probe, [], neuron=1),
        r"and one step": lambda: lmrep.maximise(probe, 1, neuron=1, steps=0),
        r"maximise: .* is not finite|the loss is": lambda: lmrep.maximise(probe, 1, neuron=1, rate=1e38),
        r"recreate.octaves.rate: lbfgs has no rates": lambda: lmrep.recreate(
            probe, image, 1, descent=inverted, rate=0.1
        ),
        r"recreate.optimiser: expected one of gradient, adam, lbfgs": lambda: lmrep.recreate(
            probe, image, 1, descent=replace(inverted, optimiser="LBFGS")
        ),
        r"recreate.start: expected one of uniform, normal and two numbers": lambda: lmrep.recreate(
            probe, image, 1, descent=replace(inverted, start=("uniform", 0.5))
        ),
        r"recreate.start: expected one of uniform, normal and": lambda: lmrep.recreate(
            probe, image, 1, descent=replace(inverted, start=("gauss", 0.5, -1))
        ),
        r"recreate.history: expected 1 or more": lambda: lmrep.recreate(
            probe, image, 1, descent=replace(inverted, history=0)
        ),
        r"recreate.one: expected pixel values in \[0, 1\]": lambda: lmrep.recreate(probe, {"one": image * np.nan}, 1),
        r"recreate.image: expected pixel values in \[0, 1\]": lambda: lmrep.recreate(probe, image + 255, 1),
        r"maximise.octaves.rate: expected those of the first": lambda: lmrep.maximise(
            probe, 1, neuron=1, rate=(3, 2, 1)
        ),
        r"seed: expected a number from 0": lambda: lmrep.load_probe(study, "tiny", seed=2**70),
        r"recreate.layers": lambda: lmrep.recreate(probe, image, -1),
        r"recreate.image: expected the shape \[3, 16, 16\]": lambda: lmrep.recreate(probe, image[None], 1),
        r"image: 'three' is no file and not one of images: one, two": lambda: lmrep.load_image(study, "three", probe),
        r"torn.yaml: expected a config in YAML": lambda: lmrep.load_study(tmp_path / "torn.yaml"),
        r"none.yaml: expected a config file": lambda: lmrep.load_study(tmp_path / "none.yaml"),
    }
    for message, call in calls.items():
        with pytest.raises(lmrep.InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.models
def test_changed_weights_are_refused(study, probe):
    pinned = replace(study.probes["tiny"].stack, sha256="0" * 64)
    changed = replace(study, probes={"tiny": replace(study.probes["tiny"], stack=pinned)})
    with pytest.raises(lmrep.InputError, match=r"weights.tiny_gpt2: .*sha256 is .*, expected 0000"):
        lmrep.load_probe(changed, "tiny")


@pytest.mark.models
def test_an_image_from_a_file_is_fitted_as_asked(study, probe):
    path, cropped = study.folder / "one.png", lmrep.load_image(study, "one", probe)
    np.testing.assert_array_equal(lmrep.load_image(study, path, probe, fit="crop"), cropped)
    assert not np.array_equal(lmrep.load_image(study, path, probe), cropped)


@pytest.mark.models
def test_downloads_are_verified_and_kept(config, tiny_files, tmp_path):
    raw, commit = json.loads(config.read_text()), "a" * 40
    with Hub() as hub:
        for name, path in tiny_files[0].items():
            if name in raw["weights"]:
                body = path.read_bytes()
                hub.add_model("some/repo", commit, f"{name}.safetensors", body)
                raw["weights"][name] |= {
                    "repo": "some/repo", "revision": commit, "file": f"{name}.safetensors",
                    "sha256": hashlib.sha256(body).hexdigest(),
                }  # fmt: skip
                del raw["weights"][name]["path"]
        for name in raw["images"]:
            body = (config.parent / f"{name}.png").read_bytes()
            hub.add_file(f"/{name}.png", body)
            raw["images"][name] = {"url": f"{hub.url}/{name}.png", "sha256": hashlib.sha256(body).hexdigest()}
        (tmp_path / "tiny.yaml").write_text(json.dumps(raw))
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
        script = (  # huggingface_hub reads the environment when it is imported
            "import lmrep; study = lmrep.load_study('tiny.yaml'); probe = lmrep.load_probe(study, 'tiny'); "
            "print(probe(lmrep.load_image(study, 'one', probe)[None], 3)[0].shape)"
        )
        for _ in range(2):
            subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
            asked = [request.path.rpartition("/")[2] for request in hub.requests if request.method == "GET"]
            files = sorted(name for name in asked if name.endswith((".png", ".safetensors")))
            assert files == ["one.png", "tiny_gpt2.safetensors", "tiny_vit.safetensors"]
    kept = {path.name.rpartition("-")[0] for path in (tmp_path / "resources/weights").iterdir()}
    assert kept == {"tiny_gpt2", "tiny_vit"}
