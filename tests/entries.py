"""Made-up entries of claims.json."""

from lmrep.metrics.claims.firmness import FIRMNESS
from lmrep.metrics.claims.table import CLAIMS


def entry(name, model="A", verdict="holds", number=0.25, interval=(0.1, 0.5), **changes):
    """One claim and one model, measured in blocks 1, 2 and 10."""
    claim, interval = CLAIMS[name], interval and list(interval)
    values = {} if number is None else {block: number for block in ("1", "2", "10")}
    parts = [{"what": rule.what, "unit": rule.scale.unit, "verdict": verdict, "number": number, "interval": interval,
              "block": None, "panels": 6, "seeds": 1} for rule in claim.rules]  # fmt: skip
    own = next(place for place, rule in enumerate(claim.rules) if not rule.gate)
    return {
        "claim": name, "sentence": claim.sentence, "place": claim.place, "study": "made_up", "model": model,
        "contrast": False, "against": "", "block": None, "decided_by": own, "run": "a_run",
        "statistic": claim.statistic, "rule": [str(rule) for rule in claim.rules], "values": {model: values},
        "intervals": {model: {block: interval or [None, None] for block in values}}, "number": number,
        "interval": interval, "panels": 6 if values else 0, "seeds": 1 if values else 0, "parts": parts,
        "verdict": verdict, "reason": "it rained" if verdict == "open" else "", "depends_on": [],
        "others": {}, "other_numbers": {}, "firmness": dict.fromkeys(FIRMNESS, verdict),
        "figure": "a_figure",
    } | changes  # fmt: skip


def entries(models=("A", "B"), **changes):
    """Every claim and model, in the order of claims.json."""
    return [entry(name, model, **changes) for name in CLAIMS for model in models]
