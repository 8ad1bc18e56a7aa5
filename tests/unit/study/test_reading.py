"""A config file that YAML would take, and that is not what its author meant."""

import pytest

from lmrep.errors import InputError
from lmrep.study.reading import read_config


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("figures: {a: 1}\nruns: {}\nfigures: {}\n", "line 3: the key 'figures' occurs twice"),
        ("runs:\n  a: {x: 1}\n  b: {x: 2}\n  a: {x: 3}\n", "line 4: the key 'a' occurs twice"),
        ("a: [{x: 1, x: 2}]\n", "line 1: the key 'x' occurs twice"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_with_file_and_line(tmp_path, text, line):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_config(tmp_path / "mine.yaml")
    assert str(error.value) == f"{tmp_path}/mine.yaml: {line}, expected it once"


def test_equal_keys_in_different_places_and_anchors_are_fine(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: &all {x: 1}\nb: {<<: *all, y: 2}\nc: {x: 1}\n")
    assert read_config(tmp_path / "mine.yaml") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: " + "9" * 5000 + "\n", "expected a config in YAML: Exceeds the limit (4300 digits)"),
        ("a: 2026-13-01\n", "expected a config in YAML: month must be in 1..12"),
        ("a: 1\nb: " + "[" * 300_000 + "]" * 300_000, "line 2: expected at most 100 levels"),
        ("a: [1\n", "expected a config in YAML: "),
        ("a: \x00\n", "expected a config in YAML: "),
    ],
    ids=range(5),
)
def test_what_yaml_cannot_read_is_refused_in_one_line(tmp_path, text, line):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_config(tmp_path / "mine.yaml")
    assert str(error.value).startswith(f"{tmp_path}/mine.yaml: {line}") and str(error.value).isprintable()
