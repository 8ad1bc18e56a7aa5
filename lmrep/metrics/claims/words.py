"""What pages and figures say of claims: their order and numbers in the article, and values as short text."""

from collections.abc import Iterable, Mapping
from typing import Any

from lmrep.metrics.claims.judge import tally
from lmrep.metrics.claims.table import CLAIMS
from lmrep.metrics.claims.verdicts import FAILS, HOLDS, OPEN, OTHER_WAYS, WAYS, Rule

PLACES = (  # of the article, in its order
    "Introduction", "Spatial Learning, one neuron", "Spatial Learning, one patch", "Image Reconstruction", "Conclusion",
)  # fmt: skip
Claims = Iterable[Mapping[str, Any]]  # of claims.json
NONE = "not measured"
GATE = "gate"  # what the number is of where a precondition decides


def claim_numbers() -> dict[str, int]:
    """The number of each claim, from 1: claims in the order of their places, and of the table within a place."""
    names = sorted(CLAIMS, key=lambda name: PLACES.index(CLAIMS[name].place))
    return {name: number for number, name in enumerate(names, 1)}


def by_claim(claims: Claims) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Entries by claim and model, claims in the order of their numbers. Claims that are not in the table are left out.

    A page of all studies may read one that is older than the table.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in claim_numbers()}
    for entry in claims:
        found.get(entry["claim"], {})[entry["model"]] = entry
    return {name: entries for name, entries in found.items() if entries}


def models_of(claims: Claims) -> list[str]:
    """The models of entries, each once, in their order."""
    return list(dict.fromkeys(entry["model"] for entry in claims))


def of_all_studies(studies: Mapping[str, Claims], most: int) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The entries of several studies, by name, as one list; each model's name then includes its study.

    Studies with fewer models come first. Those that would make more than `most` models are left out and returned by
    name.
    """
    found: list[Mapping[str, Any]] = []
    left_out = []
    for study, claims in sorted(studies.items(), key=lambda item: len(models_of(item[1]))):
        own = [{**entry, "model": f"{entry['model']} ({study})"} for entry in claims]
        if len(models_of([*found, *own])) <= most:
            found += own
        else:
            left_out.append(study)
    return found, left_out


def own_rule(name: str) -> Rule:
    """The rule that stands for a claim where there is room for one: the first that is no gate."""
    return next(rule for rule in CLAIMS[name].rules if not rule.gate)


def number_of(entry: Mapping[str, Any], with_block: bool = True) -> str:
    """What the number of an entry is of: its block, and its rule unless that is the claim's own: "gate", "rule 2".

    Gates are not counted. `with_block`: False leaves the block out.
    """
    rules, index = CLAIMS[entry["claim"]].rules, entry["decided_by"]
    if index >= len(rules):  # of an older table
        return ""
    count = sum(not rule.gate for rule in rules[: index + 1])
    rule = GATE if rules[index].gate else "" if rules[index] == own_rule(entry["claim"]) else f"rule {count}"
    block = f"block {entry['block']}" if with_block and entry["block"] is not None else ""
    return ", ".join(filter(None, (rule, block)))


def unit_of(entry: Mapping[str, Any]) -> str:
    """What the number of an entry counts, in a word or two; nothing if its file is older than that."""
    unit: str = entry["parts"][entry["decided_by"]].get("unit", "")
    return unit


def other_rules(name: str) -> int:
    """How many more rules decide about a claim, gates not counted."""
    return sum(not rule.gate for rule in CLAIMS[name].rules) - 1


def number_text(value: float | None, digits: int = 3) -> str:
    """A number with a few significant digits and no exponent unless it is tiny: -0.741, 73.2, 164, 9.66e-05."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if abs(value) >= 10**digits - 0.5:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".removesuffix(".")


def interval_text(interval: Iterable[float | None] | None, digits: int = 3) -> str:
    """An interval: [-0.804, -0.655]; nothing if it has an end that was not measured."""
    ends = list(interval or [None])
    return "" if None in ends else f"[{', '.join(number_text(end, digits) for end in ends)}]"


def value_text(value: float | None, interval: Iterable[float | None] | None) -> str:
    """A number with its interval, if there is one."""
    return f"{number_text(value)} {interval_text(interval)}".strip()


def tally_text(claims: Claims) -> str:
    """How many entries have each verdict: 7 hold, 1 fails, 20 open (3 not measured), and 9 for contrast."""
    claims = list(claims)
    found, contrast = tally(claims), sum(entry["contrast"] for entry in claims)
    text = ", ".join(f"{count} {word if count == 1 else word.removesuffix('s')}" for word, count in found.items())
    if missing := sum(entry["number"] is None and not entry["contrast"] for entry in claims):
        text += f" ({missing} not measured)"
    return f"{text}, and {contrast} for contrast" if contrast else text


def summary_text(claims: Claims) -> str:
    """`tally_text`, and how many of the verdicts could show that they depend on another way to ask."""
    claims = list(claims)
    asked = [
        any(way in (HOLDS, FAILS, OPEN) for what in WAYS for way in entry["others"].get(what, {}).values())
        for entry in claims
    ]
    return f"{tally_text(claims)}. {sum(asked)} of all {len(claims)} were also judged by another {OTHER_WAYS}."


def count_text(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
