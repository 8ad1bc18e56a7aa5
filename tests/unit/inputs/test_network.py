"""Hosts and proxies that answer or do not, on this machine; what a message shows of an address; the minimum rate."""

import socket
import threading
import time

import pytest

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.inputs import network
from lmrep.inputs.network import TooSlow, check_proxies, minimum_rate, reach, shown

pytestmark = pytest.mark.usefixtures("no_proxies")
ANYWHERE = "https://photos.invalid/dog.zip"  # a name that never exists


@pytest.fixture
def listening():
    """The address of a socket that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """The address of a port that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def refused(url: str) -> str:
    with pytest.raises(InputError) as error:
        reach(url, "dog")
    return str(error.value)


def test_a_host_that_answers_or_does_not(listening, closed):
    reach(f"http://{listening}/dog.zip", "dog")
    line = refused(f"http://user:secret@{closed}/dog.zip?secret")
    assert line.startswith(f"cannot reach {closed} for dog (") and line.endswith(OFFLINE_HINT) and "secret" not in line
    assert refused(ANYWHERE).startswith("cannot reach photos.invalid for dog (")


@pytest.mark.parametrize(
    "url", ["https:///a", "https://host:port/a", "host/a", "http://[::1", "http://u:secret@[::1/?secret"]
)
def test_no_address_of_a_host(url):
    line = refused(url)
    assert line.endswith(": expected an https:// address of a host (see HF_ENDPOINT)") and "secret" not in line


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_is_asked_in_place_of_the_host(listening, closed, monkeypatch, variable):
    monkeypatch.setenv(variable, f"http://user:secret@{listening}")
    reach(ANYWHERE, "dog")
    monkeypatch.setenv(variable, f"http://user:secret@{closed}")
    line = refused(ANYWHERE)
    assert line.startswith(f"cannot reach photos.invalid through {closed} ({variable}) for dog (")
    assert line.endswith(OFFLINE_HINT) and "secret" not in line
    monkeypatch.setenv(variable, closed)  # as curl takes it
    assert f"through {closed}" in refused(ANYWHERE)


def test_no_proxy_is_honoured(listening, closed, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"http://{closed}")
    assert "through" in refused(f"http://{listening}/dog.zip")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.invalid")
    reach(f"http://{listening}/dog.zip", "dog")
    assert "through" not in refused(ANYWHERE)


@pytest.mark.parametrize(
    "proxy", ["socks://h:1", "socks4://h:1", "http://[::1", "http://h:port", "http://", "ftp://h:1"]
)
def test_a_proxy_that_is_none(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    told = "ALL_PROXY: expected a proxy http://host:port, https://host:port or socks5://host:port"
    assert refused(ANYWHERE) == told
    with pytest.raises(InputError, match=f"^{told}$"):
        check_proxies()
    monkeypatch.setenv("NO_PROXY", "*.example.org")  # other hosts still go through it
    with pytest.raises(InputError, match=f"^{told}$"):
        check_proxies()
    monkeypatch.setenv("NO_PROXY", "*")
    check_proxies()


@pytest.mark.parametrize(
    ("absent", "told"),
    [({"socks": "PySocks"}, "PySocks"), ({"socksio": "socksio"}, "socksio"), (network.SOCKS, "PySocks and socksio")],
)
def test_a_socks_proxy_needs_packages(listening, monkeypatch, absent, told):
    monkeypatch.setenv("ALL_PROXY", f"socks5://{listening}")
    monkeypatch.setattr(network, "find_spec", lambda name: name not in absent)
    line = f"ALL_PROXY: a socks proxy needs {told}: python -m pip install {told.replace(' and', '')}"
    assert refused(ANYWHERE) == line
    with pytest.raises(InputError, match=f"^{line}$"):
        check_proxies()
    monkeypatch.setattr(network, "find_spec", lambda name: True)
    reach(ANYWHERE, "dog")
    check_proxies()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.org:8/b/c.zip", "https://a.org:8/b/c.zip"),
        ("https://user:p@ss@a.org/b?token=x#y", "https://a.org/b"),
        ("https://[/", "https://[/"),
        ("skimage chelsea", "skimage chelsea"),
    ],
)
def test_what_a_message_shows_of_an_address(url, safe):
    assert shown(url) == safe


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(network, "OVER_SECONDS", 0.05)


def test_a_rate_below_the_minimum_ends_the_body(short):
    with pytest.raises(TooSlow, match="less than 1 kB a second"), minimum_rate(lambda: 7):
        time.sleep(5)
    time.sleep(0.2)  # the timer is off


def test_a_rate_above_the_minimum_and_no_expectation_end_nothing(short):
    with minimum_rate(lambda: int(time.monotonic() * 2000)):
        time.sleep(0.3)
    with minimum_rate(lambda: None):
        time.sleep(0.3)


def test_another_thread_has_no_minimum(short):
    ended = []

    def slow() -> None:
        with minimum_rate(lambda: 7):
            time.sleep(0.2)
        ended.append(True)

    thread = threading.Thread(target=slow)
    thread.start()
    thread.join()
    assert ended == [True]
