"""Every number, text and list of a config has bounds. What lies outside ends in one short line, and at once."""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import studies
import yaml
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.figures.beside import fit_panels
from lmrep.figures.claim_rows import most_models
from lmrep.figures.layout import APART
from lmrep.figures.page import MARGIN, PAGE, TALLEST
from lmrep.study.checks import MOST_MODELS, check_run, fits_beside
from lmrep.study.config import make_study
from lmrep.study.schema import check_schema, schema

CONFIG = yaml.safe_load((ROOT / "miniature.yaml").read_text())
LONG = "x" * 5000
STEPS = {"size": 66, "rate": [1, 1]}


def study_of(changes: Mapping[tuple[Any, ...], Any]):
    config = copy.deepcopy(CONFIG)
    for keys, value in changes.items():
        entry: Any = config
        for key in keys[:-1]:
            entry = entry[key]
        entry[keys[-1]] = copy.deepcopy(value)
    return studies.study_of(config)


def refusal(changes: Mapping[tuple[Any, ...], Any]) -> str:
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        study_of(changes)
    line = str(error.value)
    assert line.isprintable() and len(line) < 400 and time.monotonic() - start < 5
    return line


def parts(entry: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in the schema."""
    if isinstance(entry, Mapping):
        yield entry
    for inner in entry.values() if isinstance(entry, Mapping) else entry if isinstance(entry, list) else ():
        yield from parts(inner)


def test_every_number_has_bounds_and_every_text_list_and_mapping_an_end():
    found = list(parts(schema()))
    numbers = [part for part in found if part.get("type") in ("number", "integer")]
    assert len(numbers) > 20 and all({"minimum", "maximum"} <= part.keys() for part in numbers)
    texts = [part for part in found if part.get("type") == "string" and "const" not in part and len(part) > 1]
    assert len(texts) >= 9 and all("maxLength" in part or "{64}" in part["pattern"] for part in texts)
    lists = [part for part in found if "items" in part and "enum" not in part["items"]]
    assert len(lists) >= 9 and all("maxItems" in part or "ends" in part.get("$ref", "") for part in lists)
    open_ended = [part for part in found if isinstance(part.get("additionalProperties"), Mapping)]
    assert len(open_ended) >= 8 and all("maxProperties" in part for part in open_ended)


def test_no_pattern_takes_a_line_break_at_its_end():
    patterns = [part["pattern"] for part in parts(schema()) if "pattern" in part]
    assert len(patterns) >= 7 and all(pattern.startswith("^") and pattern.endswith("\\Z") for pattern in patterns)


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (("weights", "gpt2_mini", "depth"), 10**7, "weights.gpt2_mini.depth: 10000000 is greater than"),
        (("weights", "gpt2_mini", "width"), 10**7, "weights.gpt2_mini.width: 10000000 is greater than"),
        (("weights", "vit_base_mini", "size"), 10**5, "weights.vit_base_mini.size: 100000 is greater than"),
        (("weights", "gpt2_mini", "bytes"), 10**30, "weights.gpt2_mini.bytes: 1000000000000000000000000000000 is"),
        (("runs", "gpt2_neurons", "neurons"), 10**8, "runs.gpt2_neurons.neurons: 100000000 is greater than"),
        (("runs", "gpt2_neurons", "neurons"), [10**300], "runs.gpt2_neurons.neurons.0: 1000"),
        (("runs", "gpt2_neurons", "layers"), [10**8], "runs.gpt2_neurons.layers.0: 100000000 is greater than"),
        (("runs", "gpt2_match", "layers"), [*range(10**4)], "gpt2_match.layers: expected at most 513 entries, not the"),
        (("runs", "gpt2_match", "layers"), [1, "a"] * 5000, "gpt2_match.layers: expected at most 513 entries"),
        (("descents", "plain", "constant"), 1e37, "descents.plain.constant: 1e+37 is greater than"),
        (("descents", "plain", "scale"), 1e-300, "descents.plain.scale: 1e-300 is less than"),
        (("descents", "plain", "octaves"), [{**STEPS, "steps": 10**12}], "octaves.0.steps: 1000000000000 is greater"),
        (("descents", "plain", "octaves", 0, "rate"), [1e-300, 1], "octaves.0.rate.0: 1e-300 is less than"),
        (("descents", "jittered", "octaves", 0, "sigma"), [1e6, 1], "octaves.0.sigma.0: 1000000.0 is greater than"),
        (("descents", "plain", "start"), {"uniform": [0, 1e300]}, "start.uniform.1: 1e+300 is greater than"),
        (("runs", "gpt2_match", "rate"), {"first_step": 1e-300}, "gpt2_match.rate.first_step: 1e-300 is less than"),
        (("threads",), 10**9, "threads: 1000000000 is greater than"),
        (("memory",), 1e300, "memory: 1e+300 is greater than"),
        (("checkpoint",), 1e300, "checkpoint: 1e+300 is greater than the maximum of 604800"),
        (("checkpoint",), math.nan, "checkpoint: expected a finite number, not nan"),
        (("jobs_per_run",), {"minutes": math.nan}, "jobs_per_run.minutes: expected a finite number, not nan"),
        (("jobs_per_run",), {"minutes": 1e-300}, "jobs_per_run.minutes: 1e-300 is less than"),
        (("jobs_per_run",), 10**9, "jobs_per_run: 1000000000 is greater than"),
        (("gflops", "cpu"), 1e-300, "gflops.cpu: 1e-300 is less than"),
        pytest.param(("seed",), 10**5000, "seed: expected a number of fewer digits than", id="seed of 5000 digits"),
        (("study",), LONG, "study: expected at most 100 characters, not the 5000 of 'xxx"),
        (("weights", "gpt2_mini", "path"), LONG, "weights.gpt2_mini.path: expected at most 1000 characters, not the"),
        (("weights", "gpt2_mini", "path"), "x" * 300, "weights.gpt2_mini.path: expected a file, found none at xxx"),
        (("images", "chelsea"), {"path": "x" * 300}, "images.chelsea.path: expected a file, found none at xxx"),
        (("images", "chelsea"), {"path": LONG}, "images.chelsea.path: expected at most 1000 characters"),
        (("probes", "gpt2", "label"), LONG, "probes.gpt2.label: expected at most 200 characters"),
        (("probes", "gpt2", "label"), "a\0", "probes.gpt2.label: 'a\\x00' does not match: expected text on one line"),
        (("figures", "inversion", "title"), "\ud800", "figures.inversion.title: '\\ud800' does not match"),
        (("runs", LONG), CONFIG["runs"]["gpt2_match"], "runs: expected at most 100 characters, not the 5000"),
        (("runs",), {1: CONFIG["runs"]["gpt2_match"]}, "runs: expected a name in letters, digits and _, not 1"),
        (("runs", "gpt2_neurons", "neurons"), [5] * 10_000, "runs.gpt2_neurons: expected every panel once, found 5"),
        (("runs", "gpt2_neurons", "probe"), "x" * 101, "runs.gpt2_neurons.probe: expected at most 100 characters"),
        (("probes",), {f"p{i}": CONFIG["probes"]["gpt2"] for i in range(500)}, "is not one of probes: p0, p1"),
        (("figures", "inversion", "title"), date(2026, 1, 1), "title: expected text, a number, a list or a mapping"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_key(keys, value, expected):
    assert expected in refusal({keys: value})


def test_what_stands_for_more_than_it_says_is_refused():
    """YAML's aliases: ten lists of ten lists, and a list in itself."""
    many: list[Any] = ["x"] * 10
    for _ in range(9):
        many = [many] * 10
    endless: list[Any] = []
    endless.append(endless)
    assert refusal({("runs", "gpt2_match", "layers"): many}) == "config: expected at most 200000 values"
    assert "runs.gpt2_match.layers: expected a config of at most 20" in refusal(
        {("runs", "gpt2_match", "layers"): endless}
    )


WIDE, DEEP = ("weights", "gpt2_mini", "width"), ("weights", "gpt2_mini", "depth")
VIT_WIDE = {WIDE: 6000, ("weights", "vit_base_mini", "width"): 6000}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({("runs", "gpt2_neurons", "seeds"): [*range(1000)], ("runs", "gpt2_neurons", "layers"): "all", DEEP: 512},
         "runs.gpt2_neurons: expected at most 1000000 images in all runs of a study (layers x panels x seeds)"),
        ({**VIT_WIDE, ("runs", "gpt2_neurons", "neurons"): 6000, ("runs", "gpt2_neurons", "layers"): "all", DEEP: 300},
         "but it alone adds 1800000"),
        ({**VIT_WIDE, ("runs", "gpt2_neurons", "neurons"): 6000, ("runs", "gpt2_neurons", "layers"): "all",
          ("runs", "gpt2_neurons", "octaves"):
          [{**STEPS, "steps": 10**7}]},
         "runs.gpt2_neurons: its arrays take 1442 GB, expected at most 1000"),
        ({("runs", "gpt2_neurons", "octaves"): [{**STEPS, "steps": 10**7}] * 2}, "20000000 steps in all octaves"),
        ({("weights", "vit_base_mini", "size"): 4096, ("weights", "vit_base_mini", "patch"): 4},
         "images of 4096 px have 1048576 patches of 4 px, expected at most 262144"),
    ],
)  # fmt: skip
def test_what_no_machine_can_hold_is_refused(changes, expected):
    assert expected in refusal(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {DEEP: 126, WIDE: 16384, ("weights", "gpt2_mini", "heads"): 128, ("weights", "vit_base_mini", "width"): 16384,
         ("weights", "vit_base_mini", "heads"): 128, ("weights", "gpt2_mini", "bytes"):
         (ROOT / CONFIG["weights"]["gpt2_mini"]["path"]).stat().st_size},  # Llama 405B's shape
        {("runs", "gpt2_neurons", "octaves"): [{**STEPS, "steps": 10**7}]},
        {("runs", "gpt2_neurons_jittered", "octaves"):
         [{**STEPS, "steps": 1}, {"size": 4096, "steps": 1, "rate": [1, 1]}]},
        {("jobs_per_run",): 10**4, ("checkpoint",): 604800, ("memory",): 10**8, ("threads",): 1024},
        {("gflops", "cpu"): 1e-3, ("gflops", "cuda"): 1e9, ("seed",): 2**63 - 1},
        {("probes", "gpt2", "label"): "Größe, 模型 & <b> $x$", ("figures", "inversion", "title"): ""},
    ],
)  # fmt: skip
def test_bounds_leave_room_for_real_use(changes):
    assert study_of(changes).runs["gpt2_neurons"].panels


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ({"repo": "openai-community/gpt2"}, True), ({"repo": "timm/vit_base_patch16_224.augreg2_in21k"}, True),
        ({"repo": "../b"}, False), ({"repo": "a/.."}, False), ({"repo": "a/b--c"}, False), ({"repo": "a/b/c"}, False),
        ({"repo": "a/b.git"}, False), ({"repo": "a/" + "b" * 95}, False), ({"repo": "a/b/"}, False),
        ({"repo": "a"}, False),
        ({"repo": "a/b", "file": "onnx/model-00001-of-2.safetensors"}, True),
        ({"repo": "a/b", "file": "c/../model.safetensors"}, False), ({"repo": "a/b", "file": "c//m.gguf"}, False),
        ({"repo": "a/b", "file": "x" * 300 + ".safetensors"}, False),
        ({"repo": "a/b", "sha256": {}}, False),
    ],
)  # fmt: skip
def test_a_name_on_the_hub_is_one_that_the_hub_takes_and_stays_in_its_folder(source, taken):
    entry = {
        key: value for key, value in CONFIG["weights"]["gpt2_mini"].items() if key not in ("path", "sha256", "bytes")
    }
    config = copy.deepcopy(CONFIG)
    config["weights"]["gpt2_mini"] = {**entry, "revision": "0" * 40, **source}
    if taken:
        check_schema(config)
        return
    with pytest.raises(InputError, match=r"^config: weights.gpt2_mini.(repo|file|sha256)"):
        check_schema(config)


URLS = ["https://h/a b.png", "https://h/\u00e9.png", "https://h/a\tb", "https://h:123456/a", "https://[/", "a.png",
        "http://h/a.png", "file:///a.png", "ftp://h/a.png", "http://localhost.example.org/a.png"]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_an_address_is_one_that_can_be_asked_safely(url):
    assert "images.chelsea.url: " in refusal({("images", "chelsea"): {"url": url, "sha256": "0" * 64}})


@pytest.mark.parametrize("pin", ["abc", "g" * 64])
def test_the_hash_of_an_image_is_64_hexadecimal_digits(pin):
    assert "images.chelsea.sha256: " in refusal({("images", "chelsea"): {"url": "https://h/a.png", "sha256": pin}})


def test_the_hash_of_a_member_needs_the_member():
    image = {"url": "https://h/x.zip", "sha256": "0" * 64, "member_sha256": "0" * 64}
    assert refusal({("images", "chelsea"): image}).startswith("images.chelsea.member_sha256: expected member, the name")
    assert study_of({("images", "chelsea"): {**image, "member": "x.png"}}).images["chelsea"].member == "x.png"


BESIDE = {"kind": "beside", "title": "x"}


def test_more_pictures_than_a_page_holds_are_refused_before_they_are_made():
    run = CONFIG["runs"]["gpt2_neurons"]
    runs = {("runs", f"copy_{i}"): run for i in range(9)}
    names = [keys[1] for keys in runs]
    assert study_of(runs | {("figures", "x"): {**BESIDE, "runs": names[:2]}}).figures["x"].runs == ("copy_0", "copy_1")
    line = "figures.x: a page has no room for so many pictures, expected fewer runs, layers or panels"
    assert refusal(runs | {("figures", "x"): {**BESIDE, "runs": names}}) == line
    many = runs | {("runs", "copy_0", "neurons"): 108, ("runs", "copy_0", "layers"): "all"}
    several = {**BESIDE, "runs": names[:4]}
    assert refusal(many | {("figures", "x"): several}) == line
    assert study_of(many | {("figures", "x"): {**several, "panels": 4}}).figures["x"].panels == 4
    extra = runs | {("figures", "x"): {**several, "panels": 17}}
    assert refusal(extra) == "figures.x.panels: its runs have up to 16 panels, not 17"


def test_a_page_holds_what_is_drawn_on_it():
    """What the check refuses, `figures.beside` refuses too. The check does not know the room of the text."""
    refused = 0
    for runs in range(2, 12):
        width = (PAGE - 2 * MARGIN - (runs - 1) * APART) / runs
        for blocks in (1, 2, 7, 24, 126):
            for panels in (1, 2, 3, 8, 16, 33, 64, 300, 3000):
                pictures = [[SimpleNamespace(factor=1)] * panels]
                column = SimpleNamespace(blocks=range(blocks), pictures=pictures, block_notes=lambda _: [["clipped"]])
                if not fits_beside([blocks] * runs, [panels] * runs):
                    refused += 1
                    with pytest.raises(ValueError, match="expected fewer runs side by side"):
                        fit_panels([column] * runs, width, TALLEST - 2 * MARGIN)
    assert refused > 100
    assert fits_beside([7] * 4, [16] * 4) and fits_beside([30] * 2, [2] * 2) and not fits_beside([1] * 9, [1] * 9)


def test_more_models_than_a_figure_of_claims_holds_are_refused_before_they_are_made():
    """Only models with runs of `figures` have a column."""
    assert most_models() == MOST_MODELS

    def more(models: int, target: str = "figures") -> Mapping[tuple[Any, ...], Any]:
        changes: dict[tuple[Any, ...], Any] = {}
        for name in (f"more_{i}" for i in range(models)):
            changes[("weights", name)] = CONFIG["weights"]["gpt2_mini"]
            changes[("probes", name)] = {**CONFIG["probes"]["gpt2"], "label": name, "stack": name}
            changes[("runs", name)] = {**CONFIG["runs"]["gpt2_match"], "probe": name}
            changes[("figures", name)] = {"kind": "accuracy", "title": "x", "runs": [name], "target": target}
        return changes

    assert len(study_of(more(12)).weights) == MOST_MODELS
    assert refusal(more(13)) == "figures.claims: expected at most 15 models in the runs of figures, not 16"
    assert len(study_of(more(13, "evidence")).weights) == MOST_MODELS + 1


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan"), np.float32(0.05), 1j])
def test_a_number_that_a_run_file_cannot_hold_is_refused(value):
    """A descent from Python passes no schema."""
    run = next(run for run in make_study(CONFIG).runs.values() if run.matches)
    check_run(run, run.panel_names)
    changed = replace(run, descent=replace(run.descent, constant=value))
    with pytest.raises(InputError, match=f"^runs.{run.name}.constant: expected finite plain numbers, not "):
        check_run(changed, run.panel_names)
