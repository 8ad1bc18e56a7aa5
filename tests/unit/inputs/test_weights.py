"""lmrep.weights against a real server, through the real huggingface_hub.

Each fetch is a process of its own: huggingface_hub reads HF_ENDPOINT and HF_HOME when it is imported.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub import Hub

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.study.spec import Weights
from lmrep.inputs.weights import fetch, hub_url, is_at_hand

ROOT = Path(__file__).parents[2]

REPO, REVISION, FILE = "some-lab/some-model", "c" * 40, "model.safetensors"
BODY = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(BODY).hexdigest()
CHUNK = 65536  # bytes: small, so that a cut leaves something (huggingface_hub's is 10 MiB)

PROGRAM = f"""
import json, sys
from pathlib import Path
import huggingface_hub.constants as constants
constants.DOWNLOAD_CHUNK_SIZE = {CHUNK}
from lmrep.errors import InputError
from lmrep.study.spec import Weights
from lmrep.inputs.weights import fetch, is_at_hand
fields, path, lock = json.loads(sys.argv[1])
weights = Weights(**fields)
try:
    at_hand = is_at_hand(weights)
    print(json.dumps([at_hand, fetch(weights, Path(path), Path(lock))]))
except InputError as error:
    print(f"lmrep: {{error}}", file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def place(tmp_path, hub):
    """Fetches in a fresh HF_HOME: `place.fetch(...)` returns the process, `place.path` is where the file goes."""
    path, lock, home = tmp_path / "weights" / "model.safetensors", tmp_path / "lock.json", tmp_path / "hf"

    def run(environment=(), **fields):
        fields = {"repo": REPO, "revision": REVISION, "file": FILE, "sha256": SHA256, "bytes": len(BODY), **fields}
        fields = {"name": "small", "family": "gpt2", "width": 1, "depth": 1, "heads": 1, **fields}
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kept = {name: value for name, value in kept.items() if not name.startswith(("HF_", "HUGGING"))}
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps([fields, str(path), str(lock)])],
            env={**kept, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url, "HF_HOME": str(home), **dict(environment)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "Traceback" not in result.stderr
        return result

    def kept():
        """The files and links that a failure should not leave: at the path and in the cache."""
        found = [p for p in [*path.parent.glob("*"), *home.rglob("*")] if p.is_symlink() or p.is_file()]
        return [p for p in found if p.suffix != ".lock" and p.name != "CACHEDIR.TAG"]

    return SimpleNamespace(fetch=run, path=path, lock=lock, home=home, kept=kept)


def the_line(result) -> str:
    """The one line of a refusal."""
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("lmrep: ")]
    assert len(lines) == 1 and result.stderr.endswith(lines[0] + "\n")
    return lines[0]


@pytest.mark.parametrize("redirect", [True, False])
def test_download(hub, place, redirect):
    hub.add_model(REPO, REVISION, FILE, BODY, redirect=redirect)
    result = place.fetch()
    assert json.loads(result.stdout) == [False, {"sha256": SHA256, "bytes": len(BODY)}]
    assert place.path.read_bytes() == BODY
    assert [p.name for p in place.path.parent.iterdir()] == [FILE]
    assert "weights.small: " in result.stderr  # progress, though stderr is no terminal
    assert bool(hub.asked("GET", "/cdn/")) == redirect
    assert not place.lock.exists()


def test_the_cache_serves_without_the_hub(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.fetch()
    (blob,) = place.home.glob("hub/models--*/blobs/*")
    assert place.path.samefile(blob)  # a hard link: no second gigabyte
    hub.stop()
    again = place.fetch()  # over the file that is there
    place.path.unlink()
    result = place.fetch({"HF_HUB_OFFLINE": "1"})
    for each in (again, result):
        assert json.loads(each.stdout) == [True, {"sha256": SHA256, "bytes": len(BODY)}]
    assert place.path.read_bytes() == BODY
    assert [p.name for p in place.path.parent.iterdir()] == [FILE]


def test_a_cut_download_goes_on(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.cuts.append(2 * CHUNK)
    assert place.fetch().returncode == 0
    assert [request.range for request in hub.asked("GET", "/cdn/")] == ["", f"bytes={2 * CHUNK}-"]
    assert place.path.read_bytes() == BODY


def test_a_later_run_goes_on(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    part = place.home / "hub" / f"models--{REPO.replace('/', '--')}" / "blobs" / f"{SHA256}.lmrep.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:1000])  # what a killed run leaves
    assert place.fetch().returncode == 0
    assert [request.range for request in hub.asked("GET", "/cdn/")] == ["bytes=1000-"]
    assert place.path.read_bytes() == BODY
    assert not part.exists()


def test_a_wrong_hash_leaves_nothing_and_heals(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.wrong = bytes(len(BODY))
    line = the_line(place.fetch())
    found = hashlib.sha256(file.wrong).hexdigest()
    url = f"{hub.url}/{REPO}/resolve/{REVISION}/{FILE}"
    assert line.startswith(f"lmrep: weights.small: {url}: sha256 is {found}, expected {SHA256}")
    assert place.kept() == []
    file.wrong = None
    assert place.fetch().returncode == 0
    assert place.path.read_bytes() == BODY


def test_a_bad_file_in_the_cache_is_deleted(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.fetch()
    place.path.unlink()
    (blob,) = place.home.glob("hub/models--*/blobs/*")
    blob.chmod(0o644)
    blob.write_bytes(b"damaged")
    assert "size in bytes is 7, expected 307200" in the_line(place.fetch())
    assert place.kept() == []


def test_a_wrong_size_is_refused_before_the_download(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    assert f"size in bytes is {len(BODY)}, expected 5" in the_line(place.fetch(bytes=5))
    assert hub.asked("GET", REPO) == [] and place.kept() == []


def test_a_body_of_another_size_than_announced(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.wrong = BODY[:1000]
    line = the_line(place.fetch(sha256="", bytes=0))
    assert f"size in bytes is 1000, expected {len(BODY)}" in line
    assert place.kept() == [] and not place.lock.exists()


def test_an_unpinned_hash_is_recorded_and_held_to(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    place.lock.write_text('{"other/repo@main/file": {"bytes": 1, "sha256": "00"}}\n')
    assert place.fetch(sha256="", bytes=0).returncode == 0
    entry = {"sha256": SHA256, "bytes": len(BODY)}
    text = place.lock.read_text()
    assert json.loads(text)[f"{REPO}@{REVISION}/{FILE}"] == entry
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n" and len(json.loads(text)) == 2
    assert place.fetch(sha256="", bytes=0).returncode == 0

    place.path.unlink()
    for cached in place.home.glob("hub/models--*/*/*"):  # another machine, whose hub has another file
        cached.unlink() if cached.is_file() else (cached / FILE).unlink()
    file.wrong = bytes(len(BODY))
    line = the_line(place.fetch(sha256="", bytes=0))
    assert f"expected {SHA256} (recorded in {place.lock})" in line
    assert place.kept() == [] and place.lock.read_text() == text


def test_a_broken_lock_file_is_named(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.lock.write_text("[]")
    assert f"{place.lock}: expected JSON" in the_line(place.fetch(sha256=""))
    assert not place.path.exists()


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"repo": "some-lab/other"}, "has no repository some-lab/other (for model.safetensors)"),
        ({"revision": "d" * 40}, f"has no revision {'d' * 40} of {REPO} (for model.safetensors)"),
        ({"file": "other.safetensors"}, f"has no other.safetensors of {REPO} at revision {REVISION}"),
        ({"repo": "closed/one"}, "answered 403 when asked for model.safetensors of closed/one: set HF_TOKEN"),
    ],
)
def test_what_the_hub_has_not(hub, place, fields, said):
    hub.add_model(REPO, REVISION, FILE, BODY)
    hub.add_error("/closed/one/", 403)
    line = the_line(place.fetch(**fields))
    assert line.startswith(f"lmrep: weights.small: {hub.url} {said}")
    assert OFFLINE_HINT not in line and place.kept() == []


def test_a_gated_repository_and_its_token(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY, token="hf_letMeIn")
    line = the_line(place.fetch())
    assert line.startswith(f"lmrep: weights.small: {hub.url} gives {FILE} of {REPO} only to those let in")
    refused = place.fetch({"HF_TOKEN": "hf_wrong"})
    assert "hf_wrong" not in refused.stderr and the_line(refused) == line
    granted = place.fetch({"HF_TOKEN": "hf_letMeIn"})
    assert granted.returncode == 0 and "hf_letMeIn" not in granted.stderr + granted.stdout
    assert [request.authorized for request in hub.asked("GET", REPO)] == [True, False]  # not the CDN


def test_a_token_that_no_header_can_carry_is_not_told(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    assert "hf_bro" not in place.fetch({"HF_TOKEN": "hf_bro\x01ken"}).stderr


@pytest.mark.parametrize("offline", [False, True])
def test_no_network(place, hub, offline):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses connections
        closed = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        result = place.fetch({"HF_ENDPOINT": closed, **({"HF_HUB_OFFLINE": "1"} if offline else {})})
    line = the_line(result)
    assert time.monotonic() - start < 20
    assert line.startswith(f"lmrep: weights.small: {closed.replace('user:secret@', '')} ")
    assert f"{FILE} of {REPO}" in line and line.endswith(OFFLINE_HINT) and "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def local(path, **fields):
    return Weights("small", "gpt2", 1, 1, 1, path=str(path), **fields)


def test_a_local_file(tmp_path):
    source, path, lock = tmp_path / "mine.safetensors", tmp_path / "out" / "model.safetensors", tmp_path / "lock.json"
    source.write_bytes(BODY)
    for weights in (local(source), local(source, sha256=SHA256.upper(), bytes=len(BODY))):
        assert is_at_hand(weights)
        assert fetch(weights, path, lock) == {"sha256": SHA256, "bytes": len(BODY)}
        assert path.read_bytes() == BODY and not path.samefile(source)
    assert not lock.exists()


def test_a_local_file_missing_or_another(tmp_path):
    source, path, lock = tmp_path / "mine.safetensors", tmp_path / "out" / "model.safetensors", tmp_path / "lock.json"
    assert not is_at_hand(local(source))
    with pytest.raises(InputError, match=r"^weights\.small\.path: .*mine\.safetensors: expected a file, found none$"):
        fetch(local(source), path, lock)
    source.write_bytes(BODY)
    for wrong, said in (({"bytes": 5}, "size in bytes is 307200, expected 5"), ({"sha256": "0" * 64}, "sha256 is")):
        with pytest.raises(InputError, match=rf"^weights\.small: .*mine\.safetensors: {said}"):
            fetch(local(source, **wrong), path, lock)
    assert source.exists() and list(path.parent.iterdir()) == []


def test_hub_url(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://user:secret@mirror.example/hub/")
    weights = Weights("small", "gpt2", 1, 1, 1, repo=REPO, revision="refs/pr/1", file="a dir/model.safetensors")
    assert hub_url(weights) == f"https://mirror.example/hub/{REPO}/resolve/refs%2Fpr%2F1/a%20dir/model.safetensors"
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub_url(weights).startswith(f"https://huggingface.co/{REPO}/")
