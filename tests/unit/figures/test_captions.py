"""Captions: each can be rendered, says its study, and names the regime of the probes if there is one to name."""

from types import SimpleNamespace

import pytest
from conftest import ROOT
from jinja2 import Environment, StrictUndefined

CAPTIONS = sorted((ROOT / "figures/captions").glob("*.rst"))
REGIME = "DCT basis of 12 px patches; BOS first"


def rendered(path, regime):
    """A caption as the report has it, on one line."""
    snakemake = SimpleNamespace(
        params=SimpleNamespace(title="A title", regime=regime), config={"study": "laptop"},
        wildcards=SimpleNamespace(figure="a_figure"),
    )  # fmt: skip
    page = Environment(undefined=StrictUndefined).from_string(path.read_text()).render(snakemake=snakemake)
    return " ".join(page.split())


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_a_caption_names_its_study_and_its_regime(path):
    page = rendered(path, REGIME)
    assert "``laptop``" in page
    if path.stem != "workflow":  # of the whole report
        assert page.endswith(f"Regime of the probes: {REGIME}.")
    assert "Regime of" not in rendered(path, "")


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_no_caption_names_a_model_of_one_study(path):
    assert not any(name in rendered(path, "") for name in ("GPT", "ViT", "class token", "SmolLM", "MiniLM"))
