"""The gallery shows every figure that was drawn, with its caption in Markdown and the verdicts that rest on it."""

import json

import pytest
import yaml
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.figures.gallery import gallery, read_study, verdicts
from lmrep.metrics.claims.judge import judge
from lmrep.study.config import make_study

CONFIG = yaml.safe_load((ROOT / "miniature.yaml").read_text())
STUDY = make_study(CONFIG)


def test_every_drawn_figure_has_its_caption_and_no_other():
    pictures = {name: f"../figures/gallery/studies/miniature/{name}.jpg" for name in STUDY.figures if "viz" not in name}
    page = gallery([(STUDY, pictures, [])])
    for name, figure in STUDY.figures.items():
        assert (f"]({pictures.get(name, 'none')})" in page) is (f"</a>{figure.title}\n" in page) is (name in pictures)
        assert (
            page.count(f'<a id="miniature-{name}"></a>')
            == page.count(f"[{name}](#miniature-{name})")
            == (name in pictures)
        )
    assert page.count("How to read it") == len(pictures)
    assert "``" not in page and "{{" not in page and "{%" not in page


def test_a_study_is_read_from_its_results_with_one_picture_of_each_drawn_figure(tmp_path):
    results, folder, page = tmp_path / "results/miniature", tmp_path / "figures/gallery/studies", tmp_path / "docs/g.md"
    (results / "web").mkdir(parents=True)
    (results / "study.json").write_text(json.dumps(CONFIG))
    for name in ("inversion.png", "inversion.pdf", "token_importance.png", "of_an_older_config.png"):
        (results / f"web/{name}.jpg").write_text(name)
    study, pictures, claims = read_study(results, folder, page)
    assert study == STUDY and claims == []
    assert pictures == {
        name: f"../figures/gallery/studies/miniature/{name}.jpg" for name in ("inversion", "token_importance")
    }
    assert {path.name: path.read_text() for path in (folder / "miniature").iterdir()} == {
        "inversion.jpg": "inversion.pdf", "token_importance.jpg": "token_importance.png",
    }  # fmt: skip
    (results / "claims.json").write_text("{}")
    with pytest.raises(InputError, match="expected a list of claims"):
        read_study(results, tmp_path / "other", page)


def test_a_figure_names_the_sentences_that_rest_on_it():
    from made_up import STUDY as judged
    from made_up import make_cells

    claims = judge(judged, make_cells())
    named = [entry for entry in claims if entry["figure"]]
    for name in {entry["figure"] for entry in named}:
        text = verdicts(name, claims)
        own = [entry for entry in named if entry["figure"] == name]
        assert len(text.splitlines()) == len({entry["claim"] for entry in own})
        assert all(f"{entry['model']}: " in text for entry in own)
    assert named and verdicts("no_figure", claims) == ""
