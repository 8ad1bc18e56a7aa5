"""Broken configs in this process: at least a thousand are refused in one line that names the key."""

from typing import Any

import counts
import mutants
import pytest
from crossed import crossed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutants import KEYS, STUDIES

# The same cases each time, and no file of examples in the tree. Nothing is shrunk: a mutant differs in one key.
STEADY = settings(
    max_examples=100 if counts.FULL else 10, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Paths of the shipped studies are relative to the current folder."""
    (tmp_path / "resources").symlink_to(mutants.ROOT / "resources")
    monkeypatch.chdir(tmp_path)


def test_every_number_has_two_bounds_and_every_text_a_length():
    for pattern, allowed in KEYS.items():
        for sub in allowed:
            if sub.get("type") in ("integer", "number"):
                assert {"minimum", "exclusiveMinimum"} & {*sub} and "maximum" in sub, pattern
            if sub.get("type") == "string" and "const" not in sub:
                assert {"maxLength", "enum"} & {*sub} or sub["pattern"].endswith("}\\Z"), pattern


@st.composite
def broken(draw: st.DrawFn, pattern: mutants.Keys) -> tuple[str, mutants.Keys, Any]:
    """(study, keys, a value that is wrong there)"""
    name, keys = draw(st.sampled_from(mutants.spots(pattern)))
    valid = mutants.at(STUDIES[name], keys)
    wrong = mutants.wrong_values(KEYS[pattern], keys[-1] if keys else "", valid)
    return name, keys, draw(st.one_of(st.sampled_from(wrong), mutants.drawn(KEYS[pattern])))


def told(keys: mutants.Keys) -> list[str]:
    """What the line names: the section, and the entry and the key if there are."""
    named = [str(key) for key in keys if not isinstance(key, int)]
    return [".".join(named[:2])] if len(named) < 3 else [named[0], named[1]]


@pytest.mark.parametrize("pattern", KEYS, ids=".".join)
def test_a_key_refuses_what_cannot_be(pattern):
    wrong: list[str] = []

    @STEADY
    @given(broken(pattern))
    def check(mutant: tuple[str, mutants.Keys, Any]) -> None:
        name, keys, value = mutant
        config = mutants.changed(STUDIES[name], keys, value)
        case = f"{name}.{'.'.join(map(str, keys))} = {counts.short(value)}"
        if ("configs, broken", case) not in counts.outcomes:
            wrong.extend(counts.judge("configs, broken", case, lambda: mutants.study_of(config), told(keys[:-1])))

    check()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", STUDIES)
def test_what_does_not_fit_together_is_refused(name):
    wrong: list[str] = []
    for keys, value, says in crossed(STUDIES[name]):
        config = mutants.changed(STUDIES[name], keys, value)
        case = f"{name}.{'.'.join(keys)} = {counts.short(value)}"
        wrong += counts.judge("configs, crossed", case, lambda config=config: mutants.study_of(config), says)
    assert not wrong, "\n".join(wrong)
