"""The claims as pages of Markdown: one of a study with all its numbers, and one of the rules and of all studies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from textwrap import fill
from typing import Any

from lmrep.metrics.claims.firmness import FIRMNESS
from lmrep.metrics.claims.guide import ELSEWHERE, FIRM, HEAD, KEY, MEANING, NOT_ASKED, STAR, VERDICTS
from lmrep.metrics.claims.statistics import LEVEL
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, OTHERWISE, WHERE
from lmrep.metrics.claims.words import (
    GATE,
    by_claim,
    claim_numbers,
    count_text,
    interval_text,
    models_of,
    number_of,
    number_text,
    summary_text,
    value_text,
)  # fmt: skip
from lmrep.metrics.markdown import LINE, points, table, wrapped

Entry = Mapping[str, Any]  # of claims.json
TOGETHER = {  # what the verdicts on a sentence have in common
    "Hold for every model that they are about": {HOLDS},
    "Fail for every one": {FAILS},
    "Are open for every one": {OPEN},
    "Hold for some and are open for others": {HOLDS, OPEN},
    "Fail for some and are open for others": {FAILS, OPEN},
    "Hold for some and fail for others": {HOLDS, FAILS},
    "Hold for some, fail for some and are open for others": {HOLDS, FAILS, OPEN},
}
REASONS = {  # of an open verdict, by how `judge.reason` begins
    "no run": "no run of the study measures it",
    "tested only if": "a precondition is not met",
    "an interval needs": "there are too few images",
    "the threshold lies in the interval:": "the threshold lies in an interval that an unfinished search widens",
    "the threshold lies in the interval": "the threshold lies in the interval",
}
PAGES = "snakemake --cores all pages"


def command(study: str) -> str:
    """The command that makes a study's claims."""
    config = "" if study == "article" else f" --configfile {study}.yaml"
    return f"snakemake --cores all evidence{config}"


def places(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Claims by their place in the article, in order."""
    return [(place, list(group)) for place, group in groupby(names, key=lambda name: CLAIMS[name].place)]


def short_verdict(entry: Entry | None) -> str:
    """A verdict with its number, in a few letters: "holds -0.741". A star where it depends on something."""
    if entry is None:
        return "-"
    star = STAR if entry["depends_on"] else ""
    number = "" if entry["number"] is None else number_text(entry["number"])
    if number and number_of(entry).startswith(GATE):
        number += f" ({GATE})"
    text = f"{entry['verdict']}{star} {number}".strip()
    return f"({text})" if entry["contrast"] else text


def sentence(name: str) -> str:
    return f"{claim_numbers()[name]}. {CLAIMS[name].sentence}"


def rules(name: str) -> list[str]:
    """Each rule of a claim, with the thresholds that `firmness` tries in place of its own."""
    found = []
    for rule in CLAIMS[name].rules:
        smaller, larger = rule.other_thresholds()
        tried = f" (also {smaller:.3g} and {larger:.3g})" if smaller != larger else ""
        found.append(f"{'Gate' if rule.gate else 'Rule'}: {rule}{tried}.")
    return found


def models_table(entries: Mapping[str, Entry]) -> str:
    """One claim: a row a model, with the figure as a link beside the page."""
    head = ("model", "verdict", "number", f"{LEVEL:.0%} interval", "of", "from", "depends on", "against", "figure")
    rows = [
        (
            f"{model} (for contrast)" if entry["contrast"] else model, entry["verdict"], number_text(entry["number"]),
            interval_text(entry["interval"]), number_of(entry) if entry["number"] is not None else "",
            f"{count_text(entry['panels'], 'panel')}, {count_text(entry['seeds'], 'seed')}" if entry["panels"] else "",
            ", ".join(entry["depends_on"]), entry["against"],
            f"[{entry['figure']}]({entry['figure']}.png)" if entry["figure"] else "",
        )
        for model, entry in entries.items()
    ]  # fmt: skip
    return table(head, rows)


def rules_table(entries: Mapping[str, Entry]) -> str:
    """One claim with several rules: a row a rule, a column a model."""
    rows = [
        (parts[0]["what"], *(f"{part['verdict']} {value_text(part['number'], part['interval'])}" for part in parts))
        for parts in zip(*(entry["parts"] for entry in entries.values()), strict=True)
    ]
    return table(("rule", *entries), rows)


def blocks_table(entries: Mapping[str, Entry]) -> str:
    """One claim: a row a block, a column a model, with the interval of each value; nothing without any block.

    Values of the stem's place, 0, are means over blocks, which have no row.
    """
    values = {model: entry["values"][model] for model, entry in entries.items() if set(entry["values"][model]) - {"0"}}
    intervals = {model: entry["intervals"][model] for model, entry in entries.items()}
    if not values:
        return ""
    rows = [
        (block, *(value_text(own[block], intervals[model].get(block)) if block in own else ""
                  for model, own in values.items()))
        for block in sorted({block for own in values.values() for block in own}, key=int)
    ]  # fmt: skip
    return table(("block", *values), rows)


def notes(entries: Mapping[str, Entry]) -> list[str]:
    """Why a model's claim is open, how firm its verdict is, and what other ways to ask it say."""
    found = []
    for model, entry in entries.items():
        if entry["verdict"] == OPEN:
            found.append(f"{model} is open: {entry['reason']}.")
        tried = ", ".join(f"{words} ({entry['firmness'][key]})" for key, words in FIRMNESS.items())
        found.append(f"{model}, judged otherwise: {tried}.")
        for what, others in entry["others"].items():
            numbers = entry["other_numbers"].get(what, {})
            told = {name: f" {number_text(numbers[name])}" if name in numbers else "" for name in others}
            ways = "; ".join(f"{name} ({verdict}{told[name]})" for name, verdict in others.items())
            found.append(f"{model} {OTHERWISE[what]}: {ways}.")
    return found


def claim_section(name: str, entries: Mapping[str, Entry]) -> str:
    """All of one claim in a study."""
    parts = [
        f"### {sentence(name)}", models_table(entries), points([f"Number: {CLAIMS[name].statistic}", *rules(name)]),
        rules_table(entries) if len(CLAIMS[name].rules) > 1 else "", blocks_table(entries),
        points(notes(entries)),
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts))


def claims_page(study: str, claims: Sequence[Entry]) -> str:
    """figures/<study>/claims.md of the entries of claims.json: an overview, and each sentence with all its numbers.

    Links lead to figures beside the page.
    """
    found, models = by_claim(claims), models_of(claims)
    overview = table(
        ("sentence", *models),
        [(sentence(name), *(short_verdict(entries.get(model)) for model in models)) for name, entries in found.items()],
    )
    parts = [
        f"# Claims of study {study}", HEAD,
        fill(f"Made by the target `evidence` of this study: {summary_text(claims)}", LINE), overview, fill(KEY, LINE),
    ]  # fmt: skip
    for place, names in places(list(found)):
        parts += [f"## {place}", *(claim_section(name, found[name]) for name in names)]
    return "\n\n".join(parts) + "\n"


def in_short(entries: Sequence[Entry]) -> str:
    """What the verdicts say together, of the models that the sentences are about: a list of Markdown."""
    about = [entry for entry in entries if not entry["contrast"]]
    verdicts = {name: {entry["verdict"] for entry in about if entry["claim"] == name} for name in claim_numbers()}
    lines = []
    for words, wanted in TOGETHER.items():
        if chosen := [str(claim_numbers()[name]) for name, found in verdicts.items() if found == wanted]:
            lines.append(f"{words}: {'sentence' if len(chosen) == 1 else 'sentences'} {', '.join(chosen)}.")
    unsure = [entry["reason"] for entry in about if entry["verdict"] == OPEN]
    whys = Counter(
        next((why for start, why in REASONS.items() if reason.startswith(start)), reason) for reason in unsure
    )
    if whys:
        told = "; ".join(f"{count} because {why}" for why, count in whys.most_common())
        lines.append(f"{count_text(len(unsure), 'open verdict')}: {told}.")
    return points(lines)


def firm_section(studies: Mapping[str, Sequence[Entry]]) -> str:
    """How many verdicts stay as they are, and those that do not, of the models that the sentences are about."""
    entries = [
        (name, study, entry)
        for name in claim_numbers()
        for study, claims in studies.items()
        for entry in claims
        if entry["claim"] == name and not entry["contrast"]
    ]
    decided = [entry for _, _, entry in entries if entry["verdict"] != OPEN]
    stay = {key: [entry for entry in decided if entry["firmness"][key] == entry["verdict"]] for key in FIRMNESS}
    both = sum(entry["firmness"]["smaller"] == entry["firmness"]["larger"] == entry["verdict"] for entry in decided)
    flat = sum(len({*(entry["interval"] or ())}) == 1 for entry in stay["corrected"])  # both ends are the same
    lines = [
        f"Of {len(decided)} verdicts that hold or fail, {len(stay['smaller'])} stay with smaller thresholds, "
        f"{len(stay['larger'])} with larger ones, and {both} with both.",
        f"{len(stay['corrected'])} stay when intervals are corrected for all questions of their study. {flat} of these "
        f"{'has' if flat == 1 else 'have'} an interval of no width, which no correction widens.",
        f"Questions: {', '.join(f'{len(claims)} in {study}' for study, claims in studies.items())}.",
    ]
    changed = [
        (claim_numbers()[name], f"{entry['model']}, {study}",
         f"{count_text(entry['panels'], 'panel')}, {count_text(entry['seeds'], 'seed')}", entry["verdict"],
         *entry["firmness"].values())
        for name, study, entry in entries
        if {*entry["firmness"].values()} != {entry["verdict"]}
    ]  # fmt: skip
    head = ("sentence", "model", "from", "verdict", *FIRMNESS)
    below = ["The verdicts that change, and what their numbers come from:", table(head, changed)] if changed else []
    return "\n\n".join([wrapped(FIRM.strip()), points(lines), *below])


def document(studies: Mapping[str, Sequence[Entry]]) -> str:
    """docs/claims.md: the rules of all claims, and the verdicts of all studies.

    studies: by name, the entries of claims.json. Entries of claims that are no longer in the table are left out.
    """
    where = points([f"{words} ({MEANING[key]})" if key in MEANING else words for key, words in WHERE.items()])
    parts = ["# Claims", wrapped(VERDICTS.strip().format(where=where, **claim_numbers()))]
    parts.append("## The sentences and their rules")
    for place, names in places(list(claim_numbers())):
        parts.append(f"### {place}")
        parts += [f"**{sentence(name)}**\n\n{points([CLAIMS[name].statistic, *rules(name)])}" for name in names]
    found = {study: by_claim(claims) for study, claims in studies.items()}
    columns = [(study, model) for study, claims in studies.items() for model in models_of(claims)]
    rows = [
        (sentence(name), *(short_verdict(found[study].get(name, {}).get(model)) for study, model in columns))
        for name in claim_numbers()
    ]
    parts += [
        "## The verdicts", in_short([entry for claims in studies.values() for entry in claims]),
        "By study:", points([f"{study}: {summary_text(claims)}" for study, claims in studies.items()]),
        table(("sentence", *(f"{model}, {study}" for study, model in columns)), rows),
        fill(f"{KEY} {ELSEWHERE}", LINE), firm_section(studies),
        wrapped(NOT_ASKED.format(**claim_numbers())), "## The commands",
        "The claims of each study, and then this page and a figure of all studies in `results`:",
        "\n".join(["```bash", *map(command, studies), PAGES, "```"]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"
