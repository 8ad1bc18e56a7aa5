"""Library versions and content hashes."""

import hashlib

import numpy as np

from lmrep.provenance import file_sha256, versions


def test_a_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_those_installed():
    assert versions()["numpy"] == np.__version__ and all(versions().values())
