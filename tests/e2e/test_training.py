"""The rule that trained the shipped models, on a recipe of a few steps."""

import json

import pytest
import yaml
from checkout import ROOT, Checkout
from safetensors import safe_open

from lmrep.provenance import file_sha256

pytestmark = [pytest.mark.workflow, pytest.mark.build]


def test_the_models_are_trained_and_shipped_by_one_command(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    recipe = checkout / "resources/miniature/recipe.yaml"
    short = yaml.safe_load(recipe.read_text())
    for model in short["models"].values():
        model.update(steps=2, batch=2, warmup=1)
    recipe.write_text(yaml.safe_dump(short, sort_keys=False))
    done = checkout.run("--cores", "2", "train_miniature")
    assert done.returncode == 0, done.stdout[-4000:]
    card = (checkout / "resources/miniature/README.md").read_text()
    for name in short["models"]:
        weights = checkout / f"resources/miniature/{name}.safetensors"
        facts = json.loads((checkout / f"results/training/{name}.json").read_text())
        assert facts["sha256"] == file_sha256(weights) and facts["sha256"] in card
        assert facts["sha256"] != file_sha256(ROOT / f"resources/miniature/{name}.safetensors")
        with (
            safe_open(weights, "numpy") as new,
            safe_open(ROOT / f"resources/miniature/{name}.safetensors", "numpy") as old,
        ):
            shapes = [{key: file.get_slice(key).get_shape() for key in file.keys()} for file in (new, old)]  # noqa: SIM118
        assert shapes[0] == shapes[1]


def test_the_card_and_the_study_name_the_shipped_files():
    card = (ROOT / "resources/miniature/README.md").read_text()
    study = yaml.safe_load((ROOT / "miniature.yaml").read_text())
    recipe = yaml.safe_load((ROOT / "resources/miniature/recipe.yaml").read_text())
    total = 0
    for name, pin in study["weights"].items():
        assert file_sha256(ROOT / pin["path"]) == pin["sha256"] and pin["sha256"] in card
        assert all(recipe["models"][name][key] == pin[key] for key in ("family", "width", "depth", "heads"))
        total += (ROOT / pin["path"]).stat().st_size
    assert total < 10e6
    figures = {name: figure for name, figure in study["figures"].items() if figure.get("target") != "evidence"}
    drawn = [study["runs"][run] for figure in figures.values() for run in figure["runs"]]
    shown = {image for run in drawn for image in run.get("images", [])}
    shown |= {figure["image"] for figure in figures.values() if "image" in figure}
    # The pictures of figures are new to the ViTs. Those of the evidence alone are not, and docs/claims.md says so.
    assert shown and not {study["images"][name].get("skimage") for name in shown} & {*recipe["photographs"], "cat"}
