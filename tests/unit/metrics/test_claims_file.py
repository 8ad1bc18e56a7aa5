"""A claims.json that is edited or cut short is refused in one line before a figure is drawn from it."""

import json

import pytest
from entries import entries
from made_up import STUDY, make_cells

from lmrep.errors import InputError
from lmrep.metrics.claims.judge import judge
from lmrep.metrics.reading import OF_CLAIM, read_claims, read_inputs

ENTRIES = entries(("A",))


def test_claims_are_read_for_a_figure(tmp_path):
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(ENTRIES))
    assert read_claims(path) == ENTRIES
    found = read_inputs({"claims": str(path)}, [])
    assert found["claims"] == ENTRIES and not found["runs"] and found["trace"] is None
    assert read_inputs({}, [])["claims"] == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"{}", b'[{"model": "A"}]', b"\xff", b"[" * 100_000])
def test_another_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "claims.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_claims(path)
    line = str(error.value)
    assert line.startswith(f"{path}: expected") and line.endswith("and build again") and "\n" not in line


def test_entries_have_the_keys_that_are_read(tmp_path):
    """A file of an older version lacks some, and the pages would end in a KeyError."""
    judged = judge(STUDY, make_cells())
    assert judged and all(entry.keys() == OF_CLAIM for entry in judged)
    for key in OF_CLAIM:
        (tmp_path / "claims.json").write_text(json.dumps([{name: judged[0][name] for name in OF_CLAIM - {key}}]))
        with pytest.raises(InputError, match="as this version writes them"):
            read_claims(tmp_path / "claims.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"claims\.json: expected claims as JSON"):
        read_claims(tmp_path / "claims.json")
