"""The explorer's page holds every picture, number and verdict of a study, and no address of the network."""

import base64
import io
import json
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from conftest import ROOT
from made_up import STUDY, make_cells
from PIL import Image

from lmrep.figures.explorer.page import address, explorer_page, first_views
from lmrep.figures.explorer.series import (
    POINTS,
    curve,
    describe_run,
    panel_name,
    picture_look,
    way_of,
    webp,
)  # fmt: skip
from lmrep.files import ArrayFile
from lmrep.metrics.claims.judge import judge
from lmrep.metrics.claims.statistics import rounded
from lmrep.study.config import make_study
from lmrep.study.words import model_names

RUNS = ("gpt2_plain", "gpt2_patches", "gpt2_inverted", "vit_base_inverted", "gpt2_bos_inverted")


def pictures(*shape):
    return np.random.default_rng(len(shape)).random(shape, np.float32)


def read(run):
    """A made-up run file of a run, and its rows of accuracy.tsv."""
    layers, panels = len(run.layers), len(run.panels)
    arrays = {"images": pictures(layers, panels, 3, 66, 66), "loss": pictures(layers, run.descent.steps)}
    rows = []
    if run.matches:
        arrays["targets"] = np.stack([pictures(3, 66, 66) * (panel == "moon") for panel in run.panels])
        rows = [{"image": panel, "seed": seed, "layer": layer, "ssim": 0.5 + layer / 100,
                 "output_distance_ratio": np.inf, "converged": layer > 1}
                for panel, seed in zip(run.panels, run.start_seeds, strict=True) for layer in run.layers]  # fmt: skip
    return run, ArrayFile(arrays, {}), rows


@pytest.fixture(scope="module")
def page():
    claims = judge(STUDY, make_cells())
    return explorer_page(STUDY, [read(STUDY.runs[name]) for name in RUNS], claims)


@pytest.fixture(scope="module")
def data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))


def test_the_page_has_every_panel_of_every_run(data):
    assert list(data["runs"]) == list(RUNS)
    assert len(data["panels"]) == sum(len(STUDY.runs[name].panels) for name in RUNS)
    for panel in data["panels"]:
        run = data["runs"][panel["run"]]
        assert decoded(panel["strip"]).size == (66 * len(run["blocks"]), 66)
        assert len(run["loss"]) == len(run["blocks"]) == len(panel.get("ssim", run["blocks"]))
    one = next(panel for panel in data["panels"] if panel["run"] == "gpt2_inverted")
    assert (
        one["ssim"] == [0.51, 0.52, 0.54, 0.56] and one["ratio"] == [None] * 4 and one["converged"][:2] == [False, True]
    )
    assert len(data["targets"]) == 2  # black, and one that is not


def test_what_a_reader_can_choose_tells_panels_apart(data):
    chosen = [(*(data["runs"][panel["run"]][key] for key in ("model", "weights", "question", "way")), panel["panel"],
               panel["seed"]) for panel in data["panels"]]  # fmt: skip
    assert len(set(chosen)) == len(chosen)
    assert data["runs"]["gpt2_bos_inverted"]["model"] == "GPT-2 mini: start token first"


def test_the_page_asks_nothing_of_the_network(page):
    own = re.sub(r'<script type="module">.*?</script>', "", page, count=1, flags=re.DOTALL)  # the chart library
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', own)
    assert not re.search(r"@import|url\(", own)
    assert page.count("</script>") == 3


def test_every_verdict_leads_to_pictures_that_are_there(page, data):
    panels = {address(panel, block) for panel in data["panels"] for block in data["runs"][panel["run"]]["blocks"]}
    links = re.findall(r'<a href="#a=([^"]*)">', page)
    assert links and {unquote(link) for link in links} <= panels
    assert data["first"] == ["gpt2_inverted/chelsea/0/1", "vit_base_inverted/chelsea/0/1"]
    assert "(fails" in page or "(holds" in page or "(open" in page  # of a model that is there for contrast


def test_the_page_begins_with_the_best_search_that_the_study_has():
    """Also without L-BFGS, and where a worse search comes first in the config."""
    found = [replace(STUDY.runs["gpt2_inverted"], name=name) for name in ("first", "best")]
    runs = [
        replace(run, descent=replace(run.descent, optimiser=optimiser))
        for run, optimiser in zip(found, ("gradient", "adam"), strict=True)
    ]
    study = replace(STUDY, runs={run.name: run for run in runs}, figures={})
    panels = [{"run": run.name, "panel": "moon", "seed": 0, "target": 0} for run in runs]
    entries = {run.name: {"model": "GPT-2", "way": way_of(run), "blocks": [1, 2]} for run in runs}
    assert first_views(study, panels, entries)[0] == "best/moon/0/1"


def test_the_same_study_gives_the_same_bytes(page):
    assert page == explorer_page(STUDY, [read(STUDY.runs[name]) for name in RUNS], judge(STUDY, make_cells()))


def test_the_pictures_of_many_blocks_fit_one_file():
    """A WebP is at most 16383 px wide: those of 512 blocks, the most that a config may have, become smaller."""
    run = replace(STUDY.runs[RUNS[0]], layers=tuple(range(1, 513)))
    side = describe_run(run, ArrayFile({"loss": np.ones((512, 3))}, {}), {run.probe.name: "A"}, 144)["side"]
    assert decoded(webp(np.zeros((512, 3, 4, 4), np.float32), side, 50)).size == (512 * side, side)


def test_a_strip_has_its_pictures_side_by_side():
    levels = np.array([0.0, 0.5, 2.0], np.float32)[:, None, None, None] * np.ones((3, 3, 8, 8), np.float32)
    strip = np.asarray(decoded(webp(levels, 16, 50)))
    assert strip.shape == (16, 48, 3)
    assert [int(strip[8, 16 * n + 8, 0]) for n in range(3)] == pytest.approx([0, 128, 255], abs=3)


def test_curves_and_numbers_are_short():
    assert curve([3.0, 2.0, 1.0]) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    long = curve(list(np.linspace(5, 1, 1000)))
    assert [len(curve([1.0] * count)) for count in (POINTS - 1, POINTS)] == [POINTS - 1, POINTS]
    assert len(curve([1.0] * (POINTS + 1))) <= POINTS
    assert len(long) <= POINTS and long[0] == (0, 5.0) and long[-1] == (999, 1.0)
    assert rounded(0.123456, 4) == 0.1235 and rounded(float("inf")) is None


def test_pages_of_many_pictures_have_smaller_ones():
    laptop, article = (make_study(yaml.safe_load((ROOT / f"{name}.yaml").read_text())) for name in ("laptop", "config"))
    assert (picture_look(laptop), picture_look(article)) == ((144, 50), (88, 30))


def test_panels_are_called_as_in_the_figures():
    names = model_names(STUDY)
    assert names["gpt2"] == "GPT-2 mini" and names["gpt2_dct"] == "GPT-2 mini: DCT"
    assert panel_name(STUDY.runs["gpt2_plain"], 0) == "neuron 1"
    assert panel_name(STUDY.runs["gpt2_patches"], 12) == "patch (2, 2)"
    assert panel_name(STUDY.runs["gpt2_inverted"], "moon") == "moon"
