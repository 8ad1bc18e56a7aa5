"""The JSON schema of a config, and the one line that says where a config does not fit it."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from lmrep.errors import InputError
from lmrep.study import kinds

SCHEMA = Path(__file__).with_name("config.schema.yaml")
LONGEST = 200  # characters of a complaint: jsonschema quotes the value, which may be a whole section


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a config: the file beside this one, with the kinds that there are."""
    found: dict[str, Any] = yaml.safe_load(SCHEMA.read_text())
    tables: dict[str, Iterable[str]] = {"family": kinds.FAMILIES, "objective": kinds.OBJECTIVES}
    tables |= {"optimiser": kinds.OPTIMISERS, "figure": kinds.FIGURES, "basis": kinds.BASES}
    for name, table in tables.items():
        found["$defs"][name] = {"enum": list(table)}
    options = {option for stem in kinds.STEMS.values() for option in stem.options}
    probe = found["properties"]["probes"]["additionalProperties"]["properties"]
    probe |= {option: {"type": "boolean"} for option in sorted(options)}
    return found


def complaint(error: ValidationError) -> str:
    """One line: the key, and what was expected there."""
    keys = [str(key) for key in error.absolute_path]
    message = error.message.splitlines()[0]
    if len(message) > LONGEST:  # what was expected comes last
        message = f"{message[:60]} ... {message[-100:]}"
    return f"config: {'.'.join(keys)}: {message}" if keys else f"config: {message}"


def check_finite(value: Any, keys: tuple[str, ...] = ()) -> None:
    """Raises InputError at the first number that is infinite or not a number: JSON's schemas do not know them."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            check_finite(entry, (*keys, str(key)))
    elif isinstance(value, list | tuple):
        for place, entry in enumerate(value):
            check_finite(entry, (*keys, str(place)))
    elif isinstance(value, float) and not isfinite(value):
        raise InputError(f"config: {'.'.join(keys)}: expected a finite number, not {value}")


def check_schema(config: Mapping[str, Any]) -> None:
    """Raises InputError at the first key that is unknown, missing, or of another type than expected."""
    check_finite(config)
    error = best_match(Draft202012Validator(schema()).iter_errors(json.loads(json.dumps(config, default=str))))
    if error:
        raise InputError(complaint(error))
