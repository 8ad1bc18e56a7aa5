"""The JSON schema of a config, and the one line that says where a config does not fit it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from lmrep.errors import InputError
from lmrep.study import kinds
from lmrep.study.reading import Loader

SCHEMA = Path(__file__).with_name("config.schema.yaml")
LONGEST = 200  # characters of a complaint: jsonschema quotes the value, which may be a whole section
LONGEST_KEY = 100
COUNTED = {"maxLength": "characters", "maxItems": "entries", "maxProperties": "entries"}  # limits that jsonschema hides
DEEPEST = 20  # levels: a config has 6, and one that contains itself has no end
MOST = 200_000  # values: the shipped ones have 2000, and a few lines with YAML's aliases may stand for 10^9
MOST_BITS = 1024  # of an integer: Python does not print one of 4300 digits
# What breaks a line, a file name or an SVG: control characters, line separators, lone surrogates, noncharacters.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def short_only(keyword: str) -> Callable[..., Iterator[ValidationError]]:
    """A list keyword of JSON Schema that skips lists above maxItems: to check one may take quadratic time."""

    def check(validator: Any, wanted: Any, found: Any, entry: Mapping[str, Any]) -> Iterator[ValidationError]:
        if not isinstance(found, list) or len(found) <= entry.get("maxItems", len(found)):
            yield from Draft202012Validator.VALIDATORS[keyword](validator, wanted, found, entry)

    return check


KEYWORDS = {keyword: short_only(keyword) for keyword in ("items", "uniqueItems")}
Validator = extend(Draft202012Validator, KEYWORDS)  # type: ignore[no-untyped-call]  # has no types


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a config: the file beside this one, with the kinds that there are."""
    found: dict[str, Any] = yaml.load(SCHEMA.read_text(), Loader)
    tables: dict[str, Iterable[str]] = {"family": kinds.FAMILIES, "objective": kinds.OBJECTIVES}
    tables |= {"optimiser": kinds.OPTIMISERS, "figure": kinds.FIGURES, "basis": kinds.BASES, "norm": kinds.NORMS}
    tables |= {"first_token": dict.fromkeys(token for stem in kinds.STEMS.values() for token in stem.first_tokens)}
    for name, table in tables.items():
        found["$defs"][name] = {"enum": list(table)}
    options = {option for stem in kinds.STEMS.values() for option in stem.options}
    probe, descent, run = (
        found["properties"][section]["additionalProperties"]["properties"] for section in ("probes", "descents", "runs")
    )
    probe |= {option: {"type": "boolean"} for option in sorted(options)}
    run |= descent  # a run may set any key of its descent anew
    return found


def shortened(text: str, longest: int) -> str:
    """The text without its middle if it is too long: a complaint says last what was expected."""
    return text if len(text) <= longest else f"{text[: longest // 3]} ... {text[-longest // 2 :]}"


def complaint(keys: Iterable[Any], message: str) -> str:
    """One line: the key, and what was expected there."""
    place = ".".join(shortened(str(key), LONGEST_KEY) for key in keys)
    line = shortened(UNPRINTABLE.sub(" ", message), LONGEST)
    return f"config: {place}: {line}" if place else f"config: {line}"


def said(error: ValidationError) -> str:
    """jsonschema's message, or one with the limit that it leaves out."""
    if error.validator not in COUNTED:
        return str(error.message)
    found: Any = error.instance
    counted, most = COUNTED[str(error.validator)], error.validator_value
    return f"expected at most {most} {counted}, not the {len(found)} of {shortened(repr(found), LONGEST_KEY)}"


def plain_values(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[None]:
    """Walks a config, one step a value. Raises InputError at the first one that JSON or a line cannot hold."""
    if len(keys) > DEEPEST:
        raise InputError(complaint(keys[:3], f"expected a config of at most {DEEPEST} levels"))
    yield
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if not isinstance(key, str) or UNPRINTABLE.search(key):
                raise InputError(complaint(keys, f"expected a name in letters, digits and _, not {key!r}"))
            yield from plain_values(entry, (*keys, key))
    elif isinstance(value, list | tuple):
        for place, entry in enumerate(value):
            yield from plain_values(entry, (*keys, place))
    elif isinstance(value, str):
        if UNPRINTABLE.search(value):
            wanted = "expected text on one line (in YAML, >- and not >)"
            raise InputError(complaint(keys, f"{value!r} does not match: {wanted}"))
    elif isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise InputError(complaint(keys, f"expected a number of fewer digits than {value.bit_length() * 3 // 10}"))
    elif isinstance(value, float) and not isfinite(value):
        raise InputError(complaint(keys, f"expected a finite number, not {value}"))
    elif not isinstance(value, int | float | None):
        raise InputError(complaint(keys, f"expected text, a number, a list or a mapping, not a {type(value).__name__}"))


def check_schema(config: Mapping[str, Any]) -> None:
    """Raises InputError at the first key that is unknown, missing, or of another type or size than expected."""
    for count, _ in enumerate(plain_values(config)):
        if count >= MOST:
            raise InputError(f"config: expected at most {MOST} values")
    error = best_match(Validator(schema()).iter_errors(json.loads(json.dumps(config))))
    if error:
        raise InputError(complaint(error.absolute_path, said(error)))
