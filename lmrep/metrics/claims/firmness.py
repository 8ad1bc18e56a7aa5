"""How firm a verdict is: what it would be by other thresholds, and by intervals that allow for many questions."""

from dataclasses import replace

from lmrep.metrics.claims.claim import Claim, Parts
from lmrep.metrics.claims.verdicts import Rule, decide

FIRMNESS = {  # other ways to decide, from the same numbers
    "smaller": "with smaller thresholds",
    "larger": "with larger ones",
    "corrected": "corrected for all questions of the study",
}


def firmness(claim: Claim, measured: Parts, depth: int, questions: int) -> dict[str, str]:
    """The verdict by each of FIRMNESS.

    All thresholds of a claim become smaller or larger at once, so that rules with a common threshold keep one.
    `questions`: how many the study asks. Each has an equal share of the chance of error, and each interval that a
    question looks at has an equal share of that.
    """
    smaller, larger = zip(*map(moved, claim.rules), strict=True)
    return {
        "smaller": decide(smaller, measured, depth),
        "larger": decide(larger, measured, depth),
        "corrected": decide(claim.rules, measured, depth, questions * looked_at(claim, measured, depth)),
    }


def moved(rule: Rule) -> list[Rule]:
    """A rule with its smaller and with its larger other threshold."""
    return [replace(rule, threshold=threshold) for threshold in rule.other_thresholds()]


def looked_at(claim: Claim, measured: Parts, depth: int) -> int:
    """How many intervals the rules and gates of a claim look at."""
    parts = zip(claim.rules, measured, strict=True)
    return sum(len(part.joined(rule.where, depth).values) for rule, part in parts if part)
