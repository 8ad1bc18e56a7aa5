"""Photographs behind a URL: downloaded from a server on this machine, and refused."""

import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from pictures import PIXELS, png, refusal, sha256, zipped

from lmrep.errors import OFFLINE_HINT
from lmrep.inputs.image_sources import fetch_image
from lmrep.inputs.images import read_image
from lmrep.study.spec import Image


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder served over HTTP: `site(name, bytes)` puts a file there and returns its URL."""
    monkeypatch.setenv("NO_PROXY", "*")
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()

    def publish(name: str, data: bytes | None = None) -> str:
        if data is not None:
            (folder / name).write_bytes(data)
        return f"http://127.0.0.1:{server.server_port}/{name}"

    yield publish
    server.shutdown()
    thread.join()
    server.server_close()


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
    assert "100%" in capsys.readouterr().err


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
    assert message == f"images.dog.url: {url}: expected the file: the host answered 404 File not found"
    assert not list(scratch.iterdir())


def test_an_unreachable_host_points_to_the_miniature_study(scratch, output, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: it refuses connections
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dog.png"
        message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert f"{url}: expected the file: no connection to 127.0.0.1; " in message
    assert message.endswith(OFFLINE_HINT)


def test_a_download_that_breaks_off_leaves_nothing(scratch, output, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_in_part():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + png()[:100])

        thread = threading.Thread(target=answer_in_part)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/dog.png"
        assert f"{url}: expected the file" in refusal(Image("dog", url=url, sha256=sha256(png())), output)
        thread.join()
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.png",
        "file:///a.png",
        "ftp://example.org/a.png",
        "a.png",
        "https://[/",
        "http://localhost.example.org/a.png",
    ],
)
def test_only_https_leaves_the_machine(output, url):
    message = refusal(Image("dog", url=url, sha256="0" * 64), output)
    assert message == f"images.dog.url: {url}: expected an https:// address"


@pytest.mark.parametrize("pin", ["", "abc", "g" * 64])
def test_a_url_needs_a_hash(output, pin):
    assert "expected its sha256, 64 hex" in refusal(Image("dog", url="https://example.org/a.png", sha256=pin), output)
