"""The training of the shipped models, on recipes of a few steps, and their card."""

import hashlib
from itertools import islice

import pytest
import torch
from safetensors import safe_open
from torch import nn

from lmrep.miniature.card import model_card
from lmrep.miniature.train import fit, photograph_crops, text_windows, train

STEPS = {"steps": 3, "batch": 2, "rate": 3e-3, "warmup": 2, "weight_decay": 0.1}
RECIPE = {
    "seed": 0, "photographs": ["astronaut", "moon"], "crop": [0.3, 1.0],
    "models": {
        "g": {"family": "gpt2", "width": 12, "depth": 1, "heads": 2, "context": 16, **STEPS},
        "v": {"family": "vit", "width": 12, "depth": 1, "heads": 2, "patch": 6, "size": 12, **STEPS},
    },
}  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_windows_are_pieces_of_the_text():
    text = torch.arange(9, dtype=torch.uint8)
    for window in islice(text_windows(text, 20, 3, seeded()), 5):
        assert window.shape == (20, 4) and window.dtype == torch.int64
        assert (window.diff(dim=1) == 1).all() and window.max() < 9


def test_crops_are_resized_pieces_of_the_labelled_photographs():
    photographs = [torch.full((3, 20, 30), 0.25), torch.full((3, 25, 10), 0.75)]
    for crops, labels in islice(photograph_crops(photographs, 8, 6, (0.3, 1.0), seeded()), 5):
        assert crops.shape == (8, 3, 6, 6) and set(labels.tolist()) <= {0, 1}
        torch.testing.assert_close(crops.mean(dim=(1, 2, 3)), 0.25 + 0.5 * labels)


def test_half_of_the_crops_are_mirrored():
    ramp = torch.linspace(0, 1, 20).expand(3, 20, 20)
    crops, _ = next(photograph_crops([ramp], 400, 6, (0.9, 1.0), seeded()))
    assert 0.4 < (crops[:, 0, 0, 0] > crops[:, 0, 0, -1]).float().mean() < 0.6


def test_fitting_lowers_the_loss_and_reports_each_step():
    model = nn.Linear(3, 1)
    inputs = torch.randn(16, 3, generator=seeded())
    spec = {"steps": 50, "rate": 0.1, "warmup": 5, "weight_decay": 0.0}
    reports = []
    fit(model, spec, lambda: (model(inputs) - 2).square().mean(), lambda *report: reports.append(report))
    assert [step for step, _ in reports] == list(range(1, 51))
    assert reports[-1][1] < 0.1 * reports[0][1] and not model.training


@pytest.mark.models
@pytest.mark.parametrize("name", RECIPE["models"])
def test_a_recipe_gives_the_same_half_precision_file_each_time(tmp_path, name):
    files = [tmp_path / "one", tmp_path / "two"]
    cards = [train(RECIPE, name, file, lambda steps, loss: None) for file in files]
    assert files[0].read_bytes() == files[1].read_bytes() and cards[0] == cards[1]
    assert cards[0]["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    with safe_open(files[0], "numpy") as file:
        kinds = {str(file.get_slice(key).get_dtype()) for key in file.keys()}  # noqa: SIM118
    assert kinds == {"F16"}


def test_the_card_shows_the_recipe_and_what_the_training_measured():
    card = model_card(RECIPE, {"g": {"sha256": "abc"}, "v": {"fresh_crops_accuracy": 0.5}})
    language, vision = card.split("\n## v\n")
    assert "| context | 16 |\n" in language and "| sha256 | abc |\n" in language
    assert "| patch | 6 |\n" in vision and "| fresh_crops_accuracy | 0.5 |\n" in vision
