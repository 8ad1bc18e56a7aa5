"""The explorer's page: all pictures of a study, its claims and a chart library in one HTML file."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lmrep.figures.explorer.series import Entry, describe_run, panels_of, picture_look
from lmrep.files import ArrayFile
from lmrep.metrics.claims.samples import SEARCHES
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.words import by_claim, claim_numbers, models_of, number_of, number_text
from lmrep.study.config import Study
from lmrep.study.spec import Run
from lmrep.study.words import model_names

FOLDER = Path(__file__).resolve().parents[3] / "figures" / "explorer"  # the template, its style and its script
Read = tuple[Run, ArrayFile, Iterable[Mapping[str, Any]]]  # a run, its file, and its rows of accuracy.tsv


def address(panel: Entry, block: int) -> str:
    """A panel and a block, as the page's script writes them into its address."""
    return "/".join((panel["run"], panel["panel"], str(panel["seed"]), str(block)))


def asked(run: Entry, panel: Entry) -> tuple[Any, ...]:
    """What a reader chooses, to see a panel."""
    return *(run[key] for key in ("model", "weights", "question", "way")), panel["panel"], panel["seed"]


def claim_view(entry: Mapping[str, Any], study: Study, panels: Sequence[Entry]) -> str:
    """The address of the pictures that a claim was judged by: of the first run that has them, at the claim's block.

    Nothing if no run has.
    """
    first = next((panel for panel in panels if panel["run"] == entry["run"]), None)
    if first is None:
        return ""
    blocks = study.runs[first["run"]].layers
    return address(first, entry["block"] if entry["block"] in blocks else blocks[0])


def claim_rows(claims: Sequence[Mapping[str, Any]], study: Study, panels: Sequence[Entry]) -> list[Entry]:
    """The table of claims: a row a sentence, with a cell for each model, None where it is not tested."""
    models, numbers = models_of(claims), claim_numbers()

    def cell(entry: Mapping[str, Any] | None) -> Entry | None:
        if entry is None:
            return None
        return {
            "verdict": entry["verdict"], "contrast": entry["contrast"], "number": number_text(entry["number"], 2),
            "of": number_of(entry), "depends": ", ".join(entry["depends_on"]), "view": claim_view(entry, study, panels),
        }  # fmt: skip

    return [
        {"number": numbers[name], "sentence": CLAIMS[name].sentence, "cells": [cell(found.get(m)) for m in models]}
        for name, found in by_claim(claims).items()
    ]


def first_views(study: Study, panels: Sequence[Entry], runs: Mapping[str, Entry]) -> list[str]:
    """Addresses of the two panes at the start: a photograph of two models by the best search, or what else there is."""
    shown = [panel for name in study.runs_of("figures") for panel in panels if panel["run"] == name]
    shown = shown or list(panels)
    photographs = [panel for panel in shown if "target" in panel]
    photographs.sort(key=lambda panel: SEARCHES.index(study.runs[panel["run"]].descent.optimiser))
    pictures = photographs or shown
    found: dict[str, Entry] = {}
    for panel in pictures:
        found.setdefault(runs[panel["run"]]["model"], panel)
    two = [*found.values(), *pictures[-1:]][:2]
    return [address(panel, runs[panel["run"]]["blocks"][0]) for panel in two]


def explorer_page(study: Study, reads: Iterable[Read], claims: Sequence[Mapping[str, Any]]) -> str:
    """The page of a study, as HTML without any address of the network. `reads`: each run is held only while it is read.

    `claims`: entries of claims.json.
    """
    names, (side, quality) = model_names(study), picture_look(study)
    runs: dict[str, Entry] = {}
    panels: list[Entry] = []
    for run, file, rows in reads:
        entry = describe_run(run, file, names, side)
        found = list(panels_of(run, file, rows, entry["side"], quality))
        if any(asked(entry, panel) == asked(runs[other["run"]], other) for panel in found for other in panels):
            entry["way"] += f", {run.name}"  # nothing else tells it from another run
        runs[run.name] = entry
        panels += found
    targets = list(dict.fromkeys(panel["target"] for panel in panels if "target" in panel))
    for panel in panels:
        if "target" in panel:
            panel["target"] = targets.index(panel["target"])  # seeds and runs share photographs
    data = {"runs": runs, "panels": panels, "targets": targets, "first": first_views(study, panels, runs)}
    loader = FileSystemLoader(FOLDER)
    templates = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    texts = {
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "library": vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
        "script": (FOLDER / "explorer.js").read_text(),
    }
    return templates.get_template("page.html.j2").render(
        {name: script_text(text) for name, text in texts.items()}, style=(FOLDER / "explorer.css").read_text(),
        study=study.name, models=models_of(claims), claims=claim_rows(claims, study, panels),
    )  # fmt: skip


def script_text(text: str) -> str:
    """A script that may stand inside its element: no end of one, no comment."""
    return re.sub("<(/script|!--)", r"<\\\1", text, flags=re.IGNORECASE)
