"""How firm a verdict is: what it would be by other thresholds, and by intervals that allow for many questions."""

from dataclasses import replace

from lmrep.metrics.claims.claim import Claim, Parts
from lmrep.metrics.claims.verdicts import decide

FIRMNESS = {  # what may be changed about a verdict's rules, in words
    "laxer": "with laxer thresholds",
    "stricter": "with stricter ones",
    "corrected": "corrected for all questions of the study",
}


def firmness(claim: Claim, measured: Parts, depth: int, questions: int) -> dict[str, str]:
    """The verdict with each of FIRMNESS; laxer and stricter are those of all rules and gates together.

    `questions`: how many the study asks. Each has an equal share of the chance of error, and each interval that a
    question looks at has an equal share of that.
    """
    pairs = [rule.thresholds() for rule in claim.rules]
    laxer, stricter = (
        [replace(rule, threshold=pair[index]) for rule, pair in zip(claim.rules, pairs, strict=True)]
        for index in (0, 1)
    )
    return {
        "laxer": decide(laxer, measured, depth),
        "stricter": decide(stricter, measured, depth),
        "corrected": decide(claim.rules, measured, depth, questions * looked_at(claim, measured, depth)),
    }


def looked_at(claim: Claim, measured: Parts, depth: int) -> int:
    """How many intervals the rules of a claim look at."""
    parts = zip(claim.rules, measured, strict=True)
    return sum(len(part.joined(rule.where, depth).values) for rule, part in parts if part)
