"""A study that a build recorded is read back, and one of another version is refused in one line."""

import json

import pytest
import yaml
from conftest import ROOT
from studies import study_of

from lmrep.errors import InputError
from lmrep.study.record import read_recorded

CONFIG = yaml.safe_load((ROOT / "miniature.yaml").read_text())


def test_a_recorded_study_is_the_one_that_was_built(tmp_path):
    (tmp_path / "study.json").write_text(json.dumps(CONFIG, indent=2))
    assert read_recorded(tmp_path / "study.json") == study_of(CONFIG)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({**CONFIG, "images": 3}), json.dumps({"study": "miniature"})])
def test_another_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{path}: expected ") as error:
        read_recorded(path)
    assert "\n" not in str(error.value)
