"""Files that appear whole or not at all."""

import pytest

from lmrep.files import replacing


class Killed(Exception):
    pass


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    (tmp_path / ".file.0123abcd.part").write_text("what a killed process left")
    (tmp_path / ".file.lock.0123abcd.part").write_text("another file's")
    with pytest.raises(Killed), replacing(path) as part:
        part.write_text("half")
        raise Killed
    assert path.read_text() == "before"
    with replacing(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".file.lock.0123abcd.part", "file"]


def test_two_writers_of_one_file_both_succeed(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as slow:
        slow.write_text("slow")
        with replacing(path) as quick:
            quick.write_text("quick")
    assert path.read_text() == "quick" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "never written"):
        pass
