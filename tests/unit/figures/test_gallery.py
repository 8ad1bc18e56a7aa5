"""The gallery shows every figure that was drawn, with its caption in Markdown and the verdicts that rest on it."""

import yaml
from conftest import ROOT

from lmrep.figures.gallery import gallery, verdicts
from lmrep.metrics.claims.judge import judge
from lmrep.study.config import make_study

STUDY = make_study(yaml.safe_load((ROOT / "miniature.yaml").read_text()))


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
