"""Photographs behind a URL: downloaded from a server on this machine, and refused."""

import errno
import itertools
import socket
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hub import Hub
from pictures import PIXELS, png, refusal, sha256, zipped

from lmrep.errors import OFFLINE_HINT
from lmrep.inputs import image_sources, network
from lmrep.inputs.image_sources import fetch_image
from lmrep.inputs.images import read_image
from lmrep.study.sources import Image

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture
def host():
    with Hub() as host:
        yield host


@pytest.fixture
def site(host):
    """`site(name, bytes)` serves a file and returns its URL."""

    def publish(name: str, data: bytes | None = None) -> str:
        if data is not None:
            host.add_file(f"/{name}", data)
        return f"{host.url}/{name}"

    return publish


@pytest.fixture
def waits(monkeypatch):
    """The seconds that a download would wait before its next tries."""
    waited: list[float] = []
    monkeypatch.setattr(image_sources, "time", SimpleNamespace(sleep=waited.append, monotonic=time.monotonic))
    return waited


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder that holds downloads until they are checked."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "images" / "dog.png"


def test_a_pinned_file(site, scratch, output, capsys):
    url = site("dog.png", png())
    fetch_image(Image("dog", url=url, sha256=sha256(png()).upper()), output)
    assert np.array_equal(read_image(output), PIXELS)
    assert not list(scratch.iterdir())
    assert "dog.png: " in capsys.readouterr().err


def test_a_member_of_a_zip(site, scratch, output):
    data = zipped(a=b"other", b=png())
    image = Image("dog", "", "", site("dog.zip", data), sha256(data), "folder/b.png", sha256(png()))
    fetch_image(image, output)
    assert np.array_equal(read_image(output), PIXELS)


def test_a_wrong_hash_leaves_nothing(site, scratch, output):
    data = zipped(a=png())
    url = site("dog.zip", data)
    message = refusal(Image("dog", url=url, sha256="0" * 64, member="folder/a.png"), output)
    assert message.startswith(f"images.dog.url: {url}: not kept: ")
    assert "expected sha256:" + "0" * 64 in message and sha256(data) in message
    assert not list(scratch.iterdir())


def test_a_member_that_is_missing_or_differs_from_its_pin(site, scratch, output):
    data = zipped(a=png())
    url = site("dog.zip", data)
    message = refusal(Image("dog", url=url, sha256=sha256(data), member="b.png"), output)
    assert message == f"images.dog.url: {url}: expected a member 'b.png', found folder/a.png"
    image = Image("dog", url=url, sha256=sha256(data), member="folder/a.png", member_sha256="0" * 64)
    message = refusal(image, output)
    assert message == f"images.dog.url: {url}: folder/a.png: expected sha256 {'0' * 64}, found {sha256(png())}"
    url = site("dog.png", png())
    image = Image("dog", url=url, sha256=sha256(png()), member="a.png")
    assert f"{url}: expected a readable zip with 'a.png'" in refusal(image, output)


def test_a_missing_file(site, scratch, output):
    url = site("gone.png")
    message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert message == f"images.dog.url: {url}: expected the file: the host answered 404 Not Found"
    assert not list(scratch.iterdir())


def test_an_unreachable_host_points_to_the_miniature_study(scratch, output, waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: it refuses connections
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dog.png"
        message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert f"{url}: expected the file: no connection to 127.0.0.1:" in message
    assert message.endswith(OFFLINE_HINT)


def photo(host, **faults) -> Image:
    """A photograph behind a host with these faults."""
    data = zipped(a=png(), b=np.random.default_rng(1).bytes(200_000))
    file = host.add_file("/dog.zip", data)
    for name, value in faults.items():
        setattr(file, name, value)
    return Image("dog", url=f"{host.url}/dog.zip", sha256=sha256(data), member="folder/a.png")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 0])
@pytest.mark.parametrize("times", [1, 2])
def test_a_failure_that_passes_is_tried_again(host, scratch, output, waits, status, times):
    """Status 0: the connection is reset before the answer."""
    fetch_image(photo(host, statuses=[status] * times), output)
    assert np.array_equal(read_image(output), PIXELS)
    assert waits == [1, 2][:times] and len(host.asked("GET")) == times + 1 and not list(scratch.iterdir())


def test_a_body_that_is_cut_is_downloaded_again(host, scratch, output, waits):
    fetch_image(photo(host, cuts=[100_000, 0]), output)
    assert np.array_equal(read_image(output), PIXELS) and waits == [1, 2]
    message = refusal(photo(host, cuts=[100_000] * 5), output.with_name("x") / "dog.png")
    assert f"{host.url}/dog.zip: expected the file: " in message and len(host.asked("GET")) == 6
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_a_failure_that_stays_is_not_tried_again(host, scratch, output, waits, status):
    message = refusal(photo(host, statuses=[status]), output)
    assert f": expected the file: the host answered {status} " in message
    assert waits == [] and len(host.asked("GET")) == 1


def test_a_host_says_how_long_to_wait(host, output, waits):
    fetch_image(photo(host, statuses=[429], retry_after="7"), output)
    assert waits == [7]
    message = refusal(photo(host, statuses=[503], retry_after="3600"), output.with_name("x") / "dog.png")
    assert message.endswith(": the host answered 503 Service Unavailable, and asks to wait 3600 s") and waits == [7]
    fetch_image(photo(host, statuses=[429], retry_after="soon"), output)
    assert waits == [7, 1]


def test_the_tries_end_in_time(host, output, monkeypatch):
    clock = SimpleNamespace(sleep=lambda seconds: None, monotonic=itertools.count(0, 8).__next__)
    monkeypatch.setattr(image_sources, "time", clock)
    assert "the host answered 500 " in refusal(photo(host, statuses=[500] * 9), output)
    assert len(host.asked("GET")) == 2


def test_a_body_that_drips_ends(host, scratch, output, monkeypatch):
    monkeypatch.setattr(network, "OVER_SECONDS", 0.4)
    start = time.monotonic()
    message = refusal(photo(host, pause=0, drip=True), output)
    assert message.endswith(": the host sends less than 1 kB a second: try again later")
    assert time.monotonic() - start < 5 and not list(scratch.iterdir())


def test_a_redirect_that_has_no_end(host, output, waits):
    message = refusal(photo(host, location="/dog.zip?secret"), output)
    assert message.endswith("expected the file: Exceeded 30 redirects.") and waits == []


def test_a_full_disk_is_one_line(host, scratch, output, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.core.shutil.move", full)
    assert refusal(photo(host), output).endswith("/dog.zip: cannot be stored: No space left on device")
    assert not list(scratch.iterdir())


def test_secrets_of_an_address_are_not_shown(host, output, waits):
    image = photo(host)
    for fault in ({"statuses": [403]}, {"cuts": [5] * 3}, {"statuses": [0] * 3}, {"wrong": b"other"}):
        for name, value in fault.items():
            setattr(host.files["/dog.zip"], name, value)
        message = refusal(Image("dog", url=f"{image.url}?token=secret#secret", sha256=image.sha256), output)
        assert f"{image.url}: " in message and "secret" not in message
    host.files["/dog.zip"].location = "ftp://user:secret@example.org/a?secret"
    message = refusal(image, output)
    assert "No connection adapters were found for" in message and "secret" not in message
    for url in ("https://user:secret@example.org/a.png", "ftp://user:secret@example.org/?secret"):
        assert "secret" not in refusal(Image("dog", url=url, sha256="0" * 64), output)


def test_a_photograph_behind_a_proxy(host, output, monkeypatch):
    """This server takes requests as a proxy does."""
    image = photo(host)
    there = Image("dog", url="http://localhost:9/dog.zip", sha256=image.sha256, member=image.member)
    monkeypatch.setenv("ALL_PROXY", host.url)
    fetch_image(there, output)
    assert len(host.asked("GET")) == 1
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setattr(image_sources, "TRIES", 1)
    assert "no connection to localhost:9" in refusal(there, output.with_name("x") / "dog.png")


def test_a_socks_proxy_needs_a_package(host, output, monkeypatch):
    monkeypatch.setattr(network, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5h://user:secret@127.0.0.1:9")
    message = refusal(photo(host), output)
    told = "a socks proxy needs PySocks and socksio: python -m pip install PySocks socksio"
    assert message == f"images.dog.url: ALL_PROXY: {told}"
