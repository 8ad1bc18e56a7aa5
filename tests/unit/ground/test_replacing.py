"""Files that appear whole or not at all."""

import errno

import numpy as np
import pytest
from disk import almost_full
from PIL import Image
from safetensors.numpy import save_file

from lmrep.files import read_arrays, replacing, write_arrays


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


def test_a_write_survives_the_cleanup_of_another_writer(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def save_and_lose(arrays, part, metadata):
        save_file(arrays, part, metadata)
        monkeypatch.undo()
        write_arrays(path, {"x": np.ones(3)}, {})  # it removes what looks like a leftover of a killed process

    monkeypatch.setattr("lmrep.files.save_file", save_and_lose)
    write_arrays(path, {"x": np.zeros(3)}, {})
    assert read_arrays(path)["x"].tolist() == [1.0, 1.0, 1.0] and list(tmp_path.iterdir()) == [path]


def save_picture(path):
    with replacing(path) as part:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8)).save(part, "PNG")


def save_text(path):
    with replacing(path) as part, open(part, "w") as file:
        file.write("0123456789" * 1000)  # written when it is closed


@pytest.mark.parametrize("write", [save_picture, save_text, lambda path: write_arrays(path, {"x": np.zeros(9999)}, {})])
def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_it_as_it_was(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(OSError) as full, almost_full():
        write(path)
    assert full.value.filename == str(path) and full.value.errno in (errno.EFBIG, errno.EIO)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as missing, replacing(tmp_path / "file"):
        (tmp_path / "source").read_bytes()
    assert missing.value.filename == str(tmp_path / "source")
