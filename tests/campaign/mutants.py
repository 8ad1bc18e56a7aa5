"""Broken configs, from the schema: at every key, values that cannot be right."""

import copy
import math
import os
import string
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from math import inf, nan
from typing import Any

import yaml
from checkout import ROOT, keep
from hypothesis import strategies as st

from lmrep.inputs.workspace import load_study
from lmrep.study.config import Study
from lmrep.study.cost import shards
from lmrep.study.schema import check_schema, schema
from lmrep.workflow.contents import image_content, weights_content

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{tempfile.gettempdir()}/lmrep-hypothesis")  # not in the tree
Keys = tuple[Any, ...]
DELETED = object()
TINY, HUGE, HUGE_COUNT, HUGE_SEED, LONG = 1e-300, 1e30, 10**12, 10**20, 5000
RUNS = {
    "miniature": ("gpt2_neurons_jittered", "gpt2_patches", "gpt2_match", "gpt2_inverted_seeds", "gpt2_text_inverted"),
    "config": ("gpt2_neurons_jittered", "vit_base_patches", "vit_large_match", "gpt2_inverted"),
    "laptop": ("smollm2_neurons", "smollm2_patches", "minilm_inverted"),
    "models": ("bert_inverted", "pythia_160m_step512_inverted", "gpt2_medium_neurons", "vit_large_inverted"),
}
# What a key may have where a study does not set it.
SAMPLES = {
    "heads": 3, "patch": 6, "size": 66, "path": "resources/miniature/gpt2_mini.safetensors", "repo": "a/b",
    "revision": "v1", "wheel": "a==1", "file": "model.safetensors", "sha256": "0" * 64, "bytes": 9, "causal": True,
    "bos": 1, "url": "https://example.org/a.png", "member": "a.png", "member_sha256": "0" * 64, "image": "chelsea",
    "seed": 1, "label": "a", "title": "a",
}  # fmt: skip
PATHS = ("no/such/file", "resources", "\0", "x" * LONG, "a\nb")
BAD_ENDS = ("\n", "\0", " ", "/..", "\u00e9", "\x1b[31m")
NO_JSON = (date(2026, 1, 1), b"bytes", {1, 2}, {1: 2}, {None: 1})  # what YAML gives and JSON has not


def base(name: str) -> dict[str, Any]:
    """A small study: some runs of a shipped one, and what they need. One sets what the others do not."""
    config: dict[str, Any] = yaml.safe_load((ROOT / f"{name}.yaml").read_text())
    keep(config, RUNS[name])
    if name == "laptop":
        weights, runs = config["weights"]["minilm"], config["runs"]
        config["jobs_per_run"] = {"minutes": 30}
        weights |= {"file": [weights["file"]], "sha256": {weights["file"]: weights["sha256"]}}
        octave = {"size": 144, "steps": 3, "rate": [1, 0.5], "sigma": [1, 0.5]}
        runs["smollm2_neurons"] |= {"neurons": [1, 2], "start": {"uniform": [0.4, 0.6]}, "octaves": [octave]}
        runs["smollm2_patches"] |= {"patches": [1, 2], "start": {"normal": [0.5, 0.1]}}
    return config


STUDIES = {name: base(name) for name in RUNS}


def study_of(config: Any) -> Study:
    """The study, as the rules make it of a config that Snakemake has read: with its jobs, and its files as pinned."""
    check_schema(config)
    study = load_study(config)
    for run in study.runs.values():
        shards(run, study.jobs_per_run, study.speed)
    for weights in study.weights.values():
        weights_content(weights)
    for image in study.images.values():
        image_content(image)
    return study


def resolved(sub: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a part of the schema allows, without references: one or two alternatives."""
    if "$ref" in sub:
        found = schema()["$defs"][sub["$ref"].rpartition("/")[2]]
        return resolved({**found, **{key: value for key, value in sub.items() if key != "$ref"}})
    if "if" in sub:
        return [*resolved({**sub["if"], **sub["then"]}), *resolved(sub["else"])]
    return [sub]


def walk(sub: Mapping[str, Any], keys: Keys = ()) -> Iterator[tuple[Keys, list[Mapping[str, Any]]]]:
    """Every key of a config with what it allows. "*" stands for any name, "#" for any place in a list."""
    allowed = resolved(sub)
    yield keys, allowed
    for each in allowed:
        for key, entry in each.get("properties", {}).items():
            yield from walk(entry, (*keys, key))
        if isinstance(each.get("additionalProperties"), Mapping):
            yield from walk(each["additionalProperties"], (*keys, "*"))
        if "items" in each:
            yield from walk(each["items"], (*keys, "#"))


KEYS = dict(walk(schema()))


def places(config: Any, pattern: Keys, keys: Keys = ()) -> Iterator[Keys]:
    """The keys of a config that fit a pattern; the last one need not be there."""
    if not pattern:
        yield keys
        return
    first, *rest = pattern
    found: Sequence[Any] = [first]
    if first in ("*", "#"):
        found = list(config) if first == "*" and isinstance(config, dict) else []
        found = range(len(config)) if first == "#" and isinstance(config, list) else found
    elif not isinstance(config, dict) or (rest and first not in config):
        return
    for key in found:
        inner = config.get(key) if isinstance(config, dict) else config[key]
        yield from places(inner, tuple(rest), (*keys, key))


def spots(pattern: Keys) -> list[tuple[str, Keys]]:
    """Where the studies have a key: (study, keys)."""
    return [(name, keys) for name, study in STUDIES.items() for keys in places(study, pattern)]


def at(config: Any, keys: Keys) -> Any:
    """The value at a key; None if it is not set."""
    for key in keys:
        config = config.get(key) if isinstance(config, dict) else config[key]
    return config


def changed(config: Any, keys: Keys, value: Any) -> Any:
    """A copy with another value at a key, or without it."""
    config = copy.deepcopy(config)
    if not keys:
        return value
    entry = at(config, keys[:-1])
    if value is DELETED:
        del entry[keys[-1]]
    else:
        entry[keys[-1]] = value
    return config


def wrong_texts(sub: Mapping[str, Any], key: Any, valid: str) -> list[Any]:
    """Texts that a key must refuse."""
    if key == "path":
        return ["", *PATHS]
    free = "pattern" not in sub and "enum" not in sub  # a caption has accents and slashes
    ends = [valid + end for end in (("\0", "\x1b[31m", "\r") if free else BAD_ENDS) if (key, end) != ("url", "/..")]
    empty = [] if free and "minLength" not in sub else [""]
    traversal = ["../" + valid, "/" + valid, "../.."] if "pattern" in sub else []
    traversal += ["a/../../b.safetensors", "a//b.gguf"] if key == "file" else []
    other = [valid.swapcase() if valid.swapcase() != valid else valid * 2] if "enum" in sub else []
    return [*ends, *empty, *traversal, *other, valid * LONG]


def wrong_numbers(sub: Mapping[str, Any]) -> list[Any]:
    """Numbers that a key must refuse."""
    whole, least = sub["type"] == "integer", sub.get("minimum", sub.get("exclusiveMinimum"))
    huge = (sub.get("maximum", HUGE_COUNT) + 1) if whole else HUGE
    found: list[Any] = [nan, inf, -inf, huge, -huge, HUGE_SEED, -HUGE_SEED, 10**400, 1.0e300, "1", True]
    found += [1.5, 1.0e15 + 0.5] if whole else []
    found += [sub["maximum"] * 1.01] if "maximum" in sub and not whole else []
    if least is not None:
        found += [least - 1]
    if least is not None and (least > 0 or "exclusiveMinimum" in sub) and not whole:
        found += [0, -1, TINY, 5e-324, least * 0.99]
    return found


def wrong_values(allowed: Sequence[Mapping[str, Any]], key: Any, valid: Any) -> list[Any]:
    """Values that no alternative of a key allows."""
    kinds = {sub.get("type") or ("string" if "enum" in sub or "const" in sub else "object") for sub in allowed}
    found: list[Any] = [None, *NO_JSON]
    found += [] if "string" in kinds else ["some text", ""]
    found += [] if kinds & {"integer", "number"} else [3, 1.5, nan]
    found += [] if "boolean" in kinds else [True]
    found += [] if "array" in kinds else [[], [valid], [[]]]
    found += [] if "object" in kinds else [{}, {"colour": 1}]
    for sub in allowed:
        kind = sub.get("type") or ("string" if "enum" in sub or "const" in sub else "object")
        if kind == "string":
            found += wrong_texts(sub, key, valid if isinstance(valid, str) and valid else sample(sub, key))
        elif kind in ("integer", "number"):
            found += wrong_numbers(sub)
        elif kind == "boolean":
            found += ["yes", 0, 1]
        elif kind == "array":
            found += [[]] if sub.get("minItems") else []
            if isinstance(valid, list) and valid:
                found += [[valid[0]] * 2] if sub.get("uniqueItems") else []
                found += [valid[:1] * (sub["maxItems"] + 1)] if "maxItems" in sub else []
        elif isinstance(valid, dict):
            known = "additionalProperties" in sub and not isinstance(sub["additionalProperties"], Mapping)
            found += [{**valid, "colour": 1}, {**valid, 1: 1}] if known else []
            found += [{k: v for k, v in valid.items() if k != needed} for needed in sub.get("required", ())]
            if "propertyNames" in sub and valid:
                some = next(iter(valid.values()))
                names = ("a/b", "../a", "a\n", "", "a b", "\u00e9", "a\0", "a" * LONG, 1, None, True, date(2026, 1, 1))
                found += [{**valid, name: some} for name in names]
    return found


def sample(sub: Mapping[str, Any], key: Any) -> str:
    """A text that the schema allows, to be spoilt."""
    named = str(SAMPLES.get(key, "a"))
    return str(sub["enum"][0]) if "enum" in sub else str(sub.get("const", named))


def drawn(allowed: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[Any]:
    """More values that no alternative allows, at random."""
    kinds = {sub.get("type") for sub in allowed}
    found: list[st.SearchStrategy[Any]] = [st.sampled_from(NO_JSON)]
    for sub in allowed:
        least = sub.get("minimum", sub.get("exclusiveMinimum"))
        if sub.get("type") == "integer":
            found += [st.floats(-1e6, 1e6).filter(lambda value: not value.is_integer())]
            found += [] if least is None else [st.integers(max_value=least - 1)]
        if sub.get("type") == "number" and least is not None:
            found += [st.floats(max_value=least, exclude_max="minimum" in sub)]
            found += [st.integers(max_value=math.ceil(least) - 1)]
        if "pattern" in sub:
            found += [st.text(min_size=1).filter(lambda text: not set(text) <= set(string.printable.strip()))]
        if "enum" in sub and "string" not in kinds:
            found += [st.text().filter(lambda text, known=tuple(sub["enum"]): text not in known)]
    return st.one_of(found)
