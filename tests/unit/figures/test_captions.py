"""Captions: each can be rendered, says its study, and names the regime of the probes if there is one to name."""

import pytest

from lmrep.figures import gallery
from lmrep.metrics.claims.verdicts import OTHERWISE
from lmrep.study.kinds import FIGURES

CAPTIONS = sorted(gallery.CAPTIONS.glob("*.rst"))
REGIME = "DCT basis of 12 px patches; start token first"


def rendered(path, regime):
    """A caption as the report has it, on one line."""
    return " ".join(gallery.caption(path.stem, "A title", regime, "laptop", "a_figure").split())


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_a_caption_names_its_study_and_its_regime(path):
    page = rendered(path, REGIME)
    assert "``laptop``" in page
    if path.stem != "workflow":  # of the whole report
        assert page.endswith(f"Regime of the probes: {REGIME}.")
    assert "Regime of" not in rendered(path, "")


@pytest.mark.parametrize("kind", [name for name, kind in FIGURES.items() if "accuracy" in kind.reads])
def test_a_caption_of_re_created_images_names_the_distance(kind):
    page = gallery.caption(kind, "A title", "", "laptop", distances="l2 (squared) in L-BFGS")
    assert page.rstrip().endswith("Distance between outputs: l2 (squared) in L-BFGS.")
    assert "Distance between" not in gallery.caption(kind, "A title", "", "laptop")


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_no_caption_names_a_model_of_one_study(path):
    assert not any(name in rendered(path, "") for name in ("GPT", "ViT", "class token", "SmolLM", "MiniLM"))


def test_the_caption_of_claims_has_all_that_a_verdict_may_depend_on():
    page = rendered(gallery.CAPTIONS / "claims.rst", "")
    listed = page[page.index("A double arrow") : page.index("A dash")]
    assert all(what in listed for what in OTHERWISE)
