"""The gallery: every figure of the studies at page width, with its caption and the verdicts that rest on it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, StrictUndefined

from lmrep.metrics.claims.page import PAGES, sentence, short_verdict
from lmrep.metrics.claims.words import by_claim
from lmrep.metrics.markdown import cell, wrapped
from lmrep.metrics.reading import read_claims
from lmrep.study.config import Figure, Study
from lmrep.study.record import read_recorded
from lmrep.study.words import figure_distances, figure_regime

Drawn = tuple[Study, Mapping[str, str], Sequence[Mapping[str, Any]]]  # with links to its pictures, and its claims
CAPTIONS = Path(__file__).resolve().parents[2] / "figures" / "captions"
HEAD = f"""# Gallery

Every figure of the studies that were built, with its caption and the [verdicts](claims.md) that rest on it.
`{PAGES}` writes this page after their builds: do not edit it. Full sizes are in `figures/<study>/`."""


def caption(kind: str, title: str, regime: str, study: str, figure: str = "", distances: str = "") -> str:
    """The caption of a kind of figure as Snakemake's report renders it, in reStructuredText without links."""
    snakemake = SimpleNamespace(
        params=SimpleNamespace(title=title, regime=regime, distances=distances), config={"study": study},
        wildcards=SimpleNamespace(figure=figure),
    )  # fmt: skip
    text = (CAPTIONS / f"{kind}.rst").read_text()
    return Environment(undefined=StrictUndefined).from_string(text).render(snakemake=snakemake).strip()


def verdicts(name: str, claims: Sequence[Mapping[str, Any]]) -> str:
    """What a figure says of the article's sentences: a line a sentence, with the verdict on each model."""
    found = by_claim(entry for entry in claims if entry["figure"] == name)
    said = {
        claim: "; ".join(f"{model}: {short_verdict(entry)}" for model, entry in entries.items())
        for claim, entries in found.items()
    }
    return "\n".join(f"- {sentence(claim)} {verdict}." for claim, verdict in said.items())


def anchor(study: Study, figure: str) -> str:
    """The place of a figure on the page: several studies have figures of the same title."""
    return f"{study.name}-{figure}"


def entry(study: Study, figure: Figure, picture: str, claims: Sequence[Mapping[str, Any]]) -> str:
    """One figure: `picture` is the link to it."""
    told = figure_regime(study, figure.name), study.name, figure.name, figure_distances(study, figure.name)
    text = caption(figure.kind, figure.title, *told)
    text = text.removeprefix(f"**{figure.title}.** ").replace("``", "`")
    parts = [
        f'### <a id="{anchor(study, figure.name)}"></a>{figure.title}', f"![{cell(figure.title)}]({picture})",
        f"`{figure.name}`", f"<details><summary>How to read it</summary>\n\n{text}\n\n</details>",
        verdicts(figure.name, claims),
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts))


def read_study(results: Path, folder: Path, page: Path) -> Drawn:
    """A study from its `results`: what `gallery` shows of it, with the links that `page` has.

    Copies a small picture of each figure that was drawn to `folder`/<study>, which must not be there yet. A study that
    was not judged has no claims. Raises InputError for a study or claims that are not of this version.
    """
    study = read_recorded(results / "study.json")
    kept, claims = folder / study.name, results / "claims.json"
    kept.mkdir(parents=True)
    pictures: dict[str, str] = {}
    for figure in study.figures:
        for drawn in sorted((results / "web").glob(f"{figure}.*.jpg"))[:1]:  # there is one for each format
            shutil.copyfile(drawn, kept / f"{figure}.jpg")
            pictures[figure] = os.path.relpath(kept / f"{figure}.jpg", page.parent)
    return study, pictures, read_claims(claims) if claims.exists() else []


def gallery(studies: Sequence[Drawn]) -> str:
    """docs/gallery.md. studies: each with the links to the pictures of its figures, by name, and its claims."""
    parts = [HEAD]
    for study, pictures, claims in studies:
        places = [f"[{name}](#{anchor(study, name)})" for name in pictures]
        parts += [f"## Study {study.name}", wrapped(" · ".join(places))]
        parts += [entry(study, study.figures[name], picture, claims) for name, picture in pictures.items()]
    return "\n\n".join(parts) + "\n"
