"""Downloads through the real huggingface_hub and hf_xet from a hub on this machine.

Each fetch runs in its own process, because huggingface_hub reads HF_ENDPOINT and HF_HOME when it is imported.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub import Hub

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.inputs.hub import hub_address, hub_url
from lmrep.inputs.paths import weights_files, weights_path
from lmrep.provenance import model_files
from lmrep.study.sources import Pin, Weights

ROOT = Path(__file__).parents[3]

REPO, REVISION, FILE = "some-lab/some-model", "c" * 40, "model.safetensors"
BODY = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(BODY).hexdigest()
CHUNK = 65536  # bytes that huggingface_hub writes at once, here: its 10 MiB would hold the whole body

PROGRAM = f"""
import json, sys
from pathlib import Path
from lmrep.inputs import network
network.OVER_SECONDS = float(sys.argv[2])
from lmrep.errors import InputError
from lmrep.study.sources import Pin
from lmrep.inputs.weights import fetch, is_at_hand
fields, path, lock = json.loads(sys.argv[1])
pin = Pin(**fields)
try:
    at_hand = is_at_hand(pin)
    import huggingface_hub.constants as constants
    constants.DOWNLOAD_CHUNK_SIZE = {CHUNK}
    print(json.dumps([at_hand, fetch(pin, Path(path), Path(lock))]))
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
    """A fresh HF_HOME: `place.fetch(...)` returns the finished process, `place.path` is the weight file's path."""
    path, lock, home = tmp_path / "weights" / "model.safetensors", tmp_path / "lock.json", tmp_path / "hf"

    def run(environment=(), kill_after=0, to=path, window=30, **fields):
        """Fetches; with `kill_after`, kills the process once it has written that many bytes."""
        fields = {"repo": REPO, "revision": REVISION, "file": FILE, "sha256": SHA256, "bytes": len(BODY), **fields}
        fields = {"name": "small", **fields}
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kept = {name: value for name, value in kept.items() if not name.startswith(("HF_", "HUGGING"))}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps([fields, str(to), str(lock)]), str(window)],
            env={**kept, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url, "HF_HOME": str(home), **dict(environment)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while kill_after and process.poll() is None:
            if any(part.stat().st_size >= kill_after for part in home.glob("hub/*/blobs/*.incomplete")):
                process.kill()
            time.sleep(0.02)
        output, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        return SimpleNamespace(returncode=process.returncode, stdout=output, stderr=errors)

    def damage(data):
        """Removes the fetched file and writes `data` over the one in the cache."""
        path.unlink()
        (entry,) = home.glob(f"hub/models--*/snapshots/*/{FILE}")
        content = entry.resolve()
        content.unlink()  # Xet's are read-only
        content.write_bytes(data)

    def kept():
        """The files and links that a failure must not leave, at the path and in the hub's cache."""
        found = [p for p in [*path.parent.glob("*"), *home.glob("hub/**/*")] if p.is_symlink() or p.is_file()]
        return [p for p in found if p.suffix != ".lock" and p.name not in ("CACHEDIR.TAG", ".huggingface-shared-blobs")]

    return SimpleNamespace(fetch=run, path=path, lock=lock, home=home, kept=kept, damage=damage)


def the_line(result) -> str:
    """The one line that refuses, at the end of stderr."""
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("lmrep: ")]
    assert len(lines) == 1 and result.stderr.endswith(lines[0] + "\n")
    return lines[0]


@pytest.mark.parametrize("by", ["direct", "redirect", "xet"])
def test_download(hub, place, by):
    hub.add_model(REPO, REVISION, FILE, BODY, by=by)
    result = place.fetch()
    assert json.loads(result.stdout) == [False, {"sha256": SHA256, "bytes": len(BODY)}]
    assert place.path.read_bytes() == BODY
    assert [p.name for p in place.path.parent.iterdir()] == [FILE]
    lines = result.stderr.splitlines()  # progress, though stderr is no terminal
    assert lines and all(re.match(r"weights\.small( \([a-z ]+\))?: [\d.]+k?B of 307kB, ", line) for line in lines)
    assert bool(hub.asked("GET", "/cdn/")) == (by == "redirect")
    assert bool(hub.asked("GET", "/xet/xorbs/")) == (by == "xet")
    assert json.loads(place.lock.read_text())[f"{REPO}@{REVISION}/{FILE}"]["sha256"] == SHA256


@pytest.mark.parametrize("by", ["redirect", "xet"])
def test_the_cache_serves_without_the_hub(hub, place, by):
    hub.add_model(REPO, REVISION, FILE, BODY, by=by)
    place.fetch()
    (entry,) = place.home.glob(f"hub/models--*/snapshots/*/{FILE}")
    assert place.path.samefile(entry)  # a hard link: no second gigabyte
    hub.stop()
    again = place.fetch()  # nothing to do
    place.path.unlink()
    result = place.fetch({"HF_HUB_OFFLINE": "1"})
    for each in (again, result):
        assert json.loads(each.stdout) == [True, {"sha256": SHA256, "bytes": len(BODY)}]
    assert place.path.read_bytes() == BODY
    assert [p.name for p in place.path.parent.iterdir()] == [FILE]


def test_a_broken_connection_resumes_within_a_process(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY).cuts = [2 * CHUNK]
    assert place.fetch().returncode == 0
    assert [request.range for request in hub.asked("GET", "/cdn/")] == ["", f"bytes={2 * CHUNK}-"]
    assert place.path.read_bytes() == BODY


def test_a_broken_xet_connection_is_tried_again(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY, by="xet").cuts = [2 * CHUNK]
    assert place.fetch().returncode == 0
    assert len(hub.asked("GET", "/xet/xorbs/")) == 2
    assert place.path.read_bytes() == BODY


def test_a_killed_download_starts_again(hub, place):
    """docs/downloads.md says so; resuming can be offered once this fails."""
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.pause = 2 * CHUNK
    killed = place.fetch(kill_after=CHUNK)
    assert killed.returncode == -signal.SIGKILL and not place.path.exists()
    (part,) = place.home.glob("hub/models--*/blobs/*.incomplete")
    file.pause = None
    assert place.fetch().returncode == 0
    assert [request.range for request in hub.asked("GET", "/cdn/")] == ["", ""]
    assert place.path.read_bytes() == BODY and part.exists()


def test_a_xet_storage_that_fails_is_one_line(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY, by="xet")
    hub.add_error("/xet/xorbs/", 500)
    line = the_line(place.fetch({"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1"}))
    assert line.startswith(f"lmrep: weights.small: {hub.url} did not deliver {FILE} of {REPO}: ")
    assert line.endswith("HTTP status server error") and place.kept() == []


@pytest.mark.parametrize("by", ["redirect", "xet"])
@pytest.mark.parametrize("pin", [SHA256, ""], ids=["pinned", "unpinned"])
def test_a_wrong_hash_leaves_nothing_and_heals(hub, place, by, pin):
    file = hub.add_model(REPO, REVISION, FILE, BODY, by=by)
    file.wrong = bytes(len(BODY))
    line = the_line(place.fetch(sha256=pin))
    found = hashlib.sha256(file.wrong).hexdigest()
    url = f"{hub.url}/{REPO}/resolve/{REVISION}/{FILE}"
    note = "" if pin else " (announced by the hub)"
    told = f"sha256 is {found}, expected {SHA256}{note} (deleted from the cache; the next run downloads it again)"
    assert line == f"lmrep: weights.small: {url}: {told}"
    assert place.kept() == [] and not place.lock.exists()
    file.wrong = None
    assert place.fetch(sha256=pin).returncode == 0
    assert place.path.read_bytes() == BODY and place.lock.exists()


def blob(data: bytes) -> str:
    """What git, and so the hub, names a small file by."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.mark.parametrize("etag", [blob(BODY), hashlib.sha1(BODY).hexdigest()], ids=["git", "mirror"])
def test_a_small_file_is_held_to_its_sha1(hub, place, etag):
    file = hub.add_model(REPO, REVISION, FILE, BODY, by="direct")
    file.etag, file.wrong = etag, BODY[:-1] + b"x"
    line = the_line(place.fetch(sha256=""))
    assert f": git's sha1 is {blob(file.wrong)}, expected {etag} (announced by the hub) (deleted" in line
    assert place.kept() == [] and not place.lock.exists()
    file.wrong = None
    assert place.fetch(sha256="").returncode == 0
    assert json.loads(place.lock.read_text())[f"{REPO}@{REVISION}/{FILE}"]["sha256"] == SHA256


def test_what_no_hash_vouches_for_is_not_recorded(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY, by="direct").etag = "1732400000-5"
    line = the_line(place.fetch(sha256=""))
    assert line.endswith(f"/{FILE}: announced without a hash, expected its sha256 in the config")
    assert not place.path.exists() and not place.lock.exists()
    assert place.fetch().returncode == 0


@pytest.mark.parametrize("etag", ["a/b", "../../../escaped", ".."])
def test_an_etag_that_is_no_file_name(hub, place, etag):
    hub.add_model(REPO, REVISION, FILE, BODY, by="direct").etag = etag
    line = the_line(place.fetch())
    assert line.endswith(f"/{FILE}: expected the file's hash as its etag, not '{etag}'")
    assert place.kept() == [] and hub.asked("GET", REPO) == []


@pytest.mark.parametrize("revision", [REVISION, "main"])
def test_a_hub_that_changes_its_mind_records_nothing(hub, place, revision):
    """Other bytes than recorded, with an etag that fits them."""
    hub.add_model(REPO, revision, FILE, BODY)
    assert place.fetch(sha256="", revision=revision).returncode == 0
    recorded = place.lock.read_text()
    place.path.unlink()
    shutil.rmtree(place.home)
    hub.add_model(REPO, revision, FILE, BODY[::-1])
    line = the_line(place.fetch(sha256="", revision=revision))
    assert f"expected {SHA256} (recorded in " in line and ": correct the pin, or delete " in line
    assert not place.path.exists() and place.lock.read_text() == recorded


@pytest.mark.parametrize("by", ["direct", "redirect", "xet"])
def test_a_body_that_drips_ends(hub, place, by):
    file = hub.add_model(REPO, REVISION, FILE, BODY, by=by)
    file.pause, file.drip = CHUNK if by == "xet" else 0, True
    start = time.monotonic()
    line = the_line(place.fetch(window=1.5))
    assert time.monotonic() - start < 15
    told = f"{hub.url} delivers {FILE} of {REPO} too slowly: it sends less than 1 kB a second: try again later"
    assert line == f"lmrep: weights.small: {told}"
    assert place.kept() == [] and not place.lock.exists()


def test_a_body_that_breaks_off_in_time_is_not_too_slow(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY).cuts = [2 * CHUNK]
    assert place.fetch(window=0.2).returncode == 0


def test_an_unrecorded_file_in_the_cache_is_compared_too(hub, place):
    """Another program may have downloaded it, or a run that ended before the comparison."""
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.fetch()
    place.lock.unlink()
    place.damage(bytes(len(BODY)))
    assert "(announced by the hub)" in the_line(place.fetch(sha256=""))
    assert place.kept() == [] and not place.lock.exists()


@pytest.mark.parametrize(("by", "etag"), [("direct", SHA256), ("direct", blob(BODY)), ("xet", SHA256)])
@pytest.mark.parametrize(("wrong", "kind"), [({"sha256": "0" * 64}, "sha256"), ({"bytes": 5}, "size in bytes")])
def test_a_wrong_pin_deletes_no_good_file(hub, place, by, etag, wrong, kind):
    hub.add_model(REPO, REVISION, FILE, BODY, by=by).etag = etag
    assert place.fetch().returncode == 0
    place.path.unlink()
    hub.stop()
    (entry,) = place.home.glob(f"hub/models--*/snapshots/*/{FILE}")
    for _ in range(2):
        line = the_line(place.fetch(**wrong))
        assert f": {kind} is " in line
        assert line.endswith(f" (the cached file is as the hub announced it: correct the pin, or delete {entry})")
        assert entry.read_bytes() == BODY and not place.path.exists()
    assert place.fetch().returncode == 0


@pytest.mark.parametrize(("by", "etag"), [("direct", SHA256), ("direct", blob(BODY)), ("xet", SHA256)])
def test_an_unrecorded_file_in_the_cache_is_held_to_its_name_there_without_the_hub(hub, place, by, etag):
    file = hub.add_model(REPO, REVISION, FILE, BODY, by=by)
    file.etag = etag
    place.fetch()
    place.lock.unlink()
    assert json.loads(place.fetch({"HF_HUB_OFFLINE": "1"}, sha256="").stdout)[0]
    place.path.unlink()
    assert json.loads(place.fetch({"HF_HUB_OFFLINE": "1"}, sha256="").stdout)[0]
    assert json.loads(place.lock.read_text())[f"{REPO}@{REVISION}/{FILE}"]["sha256"] == SHA256
    place.lock.unlink()
    place.damage(bytes(len(BODY)))
    assert f", expected {file.etag} (announced by the hub)" in the_line(place.fetch({"HF_HUB_OFFLINE": "1"}, sha256=""))
    assert place.kept() == [] and not place.lock.exists()


def test_a_bad_file_in_the_cache_is_deleted(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.fetch()
    place.damage(b"damaged")
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
    told = f"file should be of size {len(BODY)} but has size 1000"
    assert line.endswith(f" did not deliver {FILE} of {REPO}: Consistency check failed: {told}")
    assert place.kept() == [] and not place.lock.exists()


def test_an_unpinned_hash_is_recorded_and_then_required(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    place.lock.write_text('{"other/repo@main/file": {"bytes": 1, "sha256": "00"}}\n')
    assert place.fetch(sha256="", bytes=0).returncode == 0
    entry = {"sha256": SHA256, "bytes": len(BODY)}
    text = place.lock.read_text()
    assert json.loads(text)[f"{REPO}@{REVISION}/{FILE}"] == entry
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n" and len(json.loads(text)) == 2
    assert place.fetch(sha256="", bytes=0).returncode == 0

    place.path.unlink()
    shutil.rmtree(place.home)  # another machine, whose hub has another file
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
def test_what_the_hub_does_not_have(hub, place, fields, said):
    hub.add_model(REPO, REVISION, FILE, BODY)
    hub.add_error("/closed/one/", 403)
    line = the_line(place.fetch(**fields))
    assert line.startswith(f"lmrep: weights.small: {hub.url} {said}")
    assert OFFLINE_HINT not in line and place.kept() == []


@pytest.mark.parametrize("offers", [[500, 503], [429], [0]], ids=["500", "429", "reset"])
def test_a_failure_that_passes_is_tried_again(hub, place, offers):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.offers, file.retry_after = offers, "1"
    assert place.fetch().returncode == 0 and file.offers == []


def test_a_hub_that_asks_to_wait_for_long_is_not_waited_for(hub, place):
    file = hub.add_model(REPO, REVISION, FILE, BODY)
    file.offers, file.retry_after = [429], "3600"
    start = time.monotonic()
    assert "answered 429 when asked for model.safetensors" in the_line(place.fetch())
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("by", ["direct", "redirect", "xet"])
def test_a_gated_repository(hub, place, by):
    hub.add_model(REPO, REVISION, FILE, BODY, by=by, token="hf_letMeIn")
    line = the_line(place.fetch())
    assert line.startswith(f"lmrep: weights.small: {hub.url} gives {FILE} of {REPO} only to approved accounts")
    refused = place.fetch({"HF_TOKEN": "hf_wrong"})
    assert "hf_wrong" not in refused.stderr and the_line(refused) == line
    hub.requests.clear()
    granted = place.fetch({"HF_TOKEN": "hf_letMeIn"})
    assert granted.returncode == 0 and "hf_letMeIn" not in granted.stderr + granted.stdout
    elsewhere = [request for request in hub.requests if request.path.startswith(("/cdn/", "/xet/v", "/xet/xorbs/"))]
    assert bool(elsewhere) == (by != "direct")
    assert all("hf_" not in request.token for request in elsewhere)


def test_an_invalid_token_is_not_shown(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    assert "hf_bro" not in place.fetch({"HF_TOKEN": "hf_bro\x01ken"}).stderr


@pytest.mark.parametrize("offline", [False, True])
def test_no_network(place, hub, offline):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: it refuses connections
        closed = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        result = place.fetch({"HF_ENDPOINT": closed, **({"HF_HUB_OFFLINE": "1"} if offline else {})})
    line = the_line(result)
    assert time.monotonic() - start < 20
    assert line.startswith(f"lmrep: weights.small: {closed.replace('user:secret@', '')} ")
    assert f"{FILE} of {REPO}" in line and line.endswith(OFFLINE_HINT) and "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://user:secret@127.0.0.1:9", "a socks proxy needs "),
        ("socks4://secret:9", "expected a proxy http://host:"),
    ],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_httpx_cannot_use(hub, place, variable, proxy, said, tmp_path):
    """The package that it needs is hidden from it."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name in ('socks', 'socksio') else find(name, *more)\n"
    )
    result = place.fetch({variable: proxy, "PYTHONPATH": f"{tmp_path / 'hidden'}:{ROOT}"})
    line = the_line(result)
    assert line.startswith(f"lmrep: {variable}: {said}") and "secret" not in result.stderr and place.kept() == []


def test_a_hub_behind_a_proxy(hub, place):
    """This server takes requests as a proxy does; the host itself does not exist."""
    hub.add_model(REPO, REVISION, FILE, BODY, by="direct")
    there = {"HF_ENDPOINT": "http://hub.invalid"}
    assert place.fetch({**there, "ALL_PROXY": hub.url}).returncode == 0
    place.path.unlink()
    shutil.rmtree(place.home)
    assert "cannot be reached" in the_line(place.fetch({**there, "ALL_PROXY": hub.url, "NO_PROXY": "hub.invalid"}))


def test_an_endpoint_that_is_no_address(place):
    """huggingface_hub itself reads it, at its import."""
    result = place.fetch({"HF_ENDPOINT": "http://user:secret@[::1"})
    assert result.stderr == "lmrep: HF_ENDPOINT: expected the https:// address of a hub\n"


def test_hub_url(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://user:secret@mirror.example/hub/")
    pin = Pin("small", "a dir/model.safetensors", repo=REPO, revision="refs/pr/1")
    assert hub_url(pin) == f"https://mirror.example/hub/{REPO}/resolve/refs%2Fpr%2F1/a%20dir/model.safetensors"
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@[::1")
    with pytest.raises(InputError, match=r"^HF_ENDPOINT: expected the https:// address of a hub$"):
        hub_address()
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub_url(pin).startswith(f"https://huggingface.co/{REPO}/")


MODEL = {"config.json": b'{"hidden_size": 8}', "model.safetensors": BODY}
SHARDS = {
    "config.json": b'{"hidden_size": 8}',
    "model-00001-of-00002.safetensors": BODY[:1000],
    "model-00002-of-00002.safetensors": BODY[1000:],
    "model.safetensors.index.json": b'{"weight_map": {}}',
}


@pytest.mark.parametrize("files", [MODEL, SHARDS], ids=["one file", "shards"])
@pytest.mark.parametrize("folder", ["", "text/"], ids=["root", "folder"])
def test_a_model_of_several_files(hub, place, tmp_path, files, folder):
    """Each file is fetched at the pinned revision, verified and recorded; together they make a model's folder."""
    for name, body in files.items():
        served = hub.add_model(REPO, REVISION, folder + name, body, by="direct")
        served.etag = blob(body)
        hub.add_model(REPO, "d" * 40, folder + name, b"another revision")
    listed = tuple(
        folder + name for name in files if name != "config.json"
    )  # the family says that it needs config.json
    pinned = {listed[0]: hashlib.sha256(files[listed[0].removeprefix(folder)]).hexdigest()}
    weights = Weights(
        "small", "transformers", 8, 2, causal=True, repo=REPO, revision=REVISION, file=listed, sha256=pinned
    )
    assert {pin.file for pin in weights.pins} == {folder + name for name in files}
    for pin, path in zip(weights.pins, weights_files(weights), strict=True):
        result = place.fetch(to=tmp_path / path, file=pin.file, sha256=pin.sha256, bytes=0)
        assert result.returncode == 0, result.stderr
    kept = tmp_path / weights_path(weights)
    assert {file.name: file.read_bytes() for file in model_files(kept)} == files
    recorded = {key: entry["sha256"] for key, entry in json.loads(place.lock.read_text()).items()}
    found = {f"{REPO}@{REVISION}/{folder}{name}": hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert recorded == found
    hub.stop()
    for pin, path in zip(weights.pins, weights_files(weights), strict=True):
        assert place.fetch(to=tmp_path / path, file=pin.file, sha256=pin.sha256, bytes=0).returncode == 0


def test_a_file_at_its_place_is_fetched_again_only_if_it_is_wrong(hub, place):
    hub.add_model(REPO, REVISION, FILE, BODY)
    place.fetch()
    shutil.rmtree(place.home)
    hub.requests.clear()
    place.fetch()
    assert hub.requests == []
    place.path.write_bytes(BODY[:-1] + b"x")
    place.fetch()
    assert place.path.read_bytes() == BODY and hub.asked("GET", REPO)
