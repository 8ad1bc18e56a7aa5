"""What downloads share: proxies as the environment sets them, a minimum rate, progress lines, addresses in messages."""

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from tqdm import tqdm

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.progress import SECONDS_BETWEEN_LINES, Lines

SECONDS_FOR_HOST = 10  # to answer a connection
PASSING = (429, 500, 502, 503, 504)  # statuses of a host that may answer later
SLOWEST, OVER_SECONDS = 1000, 30  # bytes a second on average, over this long
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
SOCKS = {"socks": "PySocks", "socksio": "socksio"}  # modules that requests and httpx need, and their packages


class TooSlow(KeyboardInterrupt):
    """A download is slower than the minimum rate. Libraries clean up after it as they do after Ctrl-C."""


def shown(url: str) -> str:
    """The address for messages: without user, password, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split("[?#]", url)[0])


def variable_of(scheme: str) -> str:
    """The environment variable that sets the proxy of a scheme, or "" if there is none."""
    names = (f"{scheme}_proxy", "all_proxy")
    return next((name for known in names for name in (known, known.upper()) if os.environ.get(name)), "")


def proxy_of(url: str) -> str:
    """The proxy that requests takes for an address, by the environment and NO_PROXY, or ""."""
    import requests

    settings = requests.Session().merge_environment_settings(url, {}, None, None, None)
    return requests.utils.select_proxy(url, settings["proxies"]) or ""


def check_proxy(variable: str, proxy: str) -> tuple[str, int]:
    """Host and port of a proxy. Raises InputError, naming its variable, if no download can go through it."""
    variable = variable or "the proxy of this system"
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:  # brackets, or a port that is no number
        host, port = None, None
    if not host or not port or parts.scheme not in PORTS:  # not quoted: it may hold a password
        raise InputError(f"{variable}: expected a proxy http://host:port, https://host:port or socks5://host:port")
    missing = [package for module, package in SOCKS.items() if not find_spec(module)]
    if parts.scheme.startswith("socks") and missing:
        install = f"python -m pip install {' '.join(missing)}"
        raise InputError(f"{variable}: a socks proxy needs {' and '.join(missing)}: {install}")
    return host, port


def check_proxies() -> None:
    """Raises InputError at the first proxy of the environment that cannot be used: httpx reads all at its start."""
    if "*" in [host.strip() for host in getproxies().get("no", "").split(",")]:  # then it takes none
        return
    for variable in filter(None, map(variable_of, ("http", "https", "all"))):
        check_proxy(variable, os.environ[variable])


def reach(url: str, what: str) -> None:
    """Raises InputError if the host of a download, or the proxy in front of it, does not answer.

    `what`: what the download gives, for the message.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise InputError(f"{shown(url)}: expected an https:// address of a host (see HF_ENDPOINT)")
    name, proxy = parts.netloc.rpartition("@")[2], proxy_of(url)
    if proxy:  # it reaches the host, and this machine may not
        variable = variable_of(parts.scheme)
        host, port = check_proxy(variable, proxy)
        name += f" through {host}:{port} ({variable or 'a proxy'})"
    try:
        socket.create_connection((host, port), timeout=SECONDS_FOR_HOST).close()
    except OSError as error:
        raise InputError(f"cannot reach {name} for {what} ({error}); {OFFLINE_HINT}") from None


@contextmanager
def minimum_rate(received: Callable[[], int | None]) -> Iterator[None]:
    """Raises TooSlow in its body once fewer than SLOWEST bytes a second have come over OVER_SECONDS.

    received: all bytes so far, or None while no bytes are expected. In another thread than the main one, where no timer
    can interrupt, there is no minimum.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = received()

    def compare(signum: int, frame: FrameType | None) -> None:
        nonlocal before
        now, expected = received(), SLOWEST * OVER_SECONDS
        slow = before is not None and now is not None and now - before < expected
        before = now
        if slow:
            raise TooSlow(f"sends less than {SLOWEST / 1000:g} kB a second: try again later")

    handler = signal.signal(signal.SIGALRM, compare)
    try:
        signal.setitimer(signal.ITIMER_REAL, OVER_SECONDS, OVER_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


class Bar(tqdm):  # type: ignore[type-arg]  # tqdm is generic only in its stubs
    """A progress bar of bytes that writes a line every few seconds, each starting with `desc`."""

    def __init__(self, *, total: float | None = None, initial: float = 0, desc: str = "", **_: Any) -> None:
        super().__init__(
            total=total,
            initial=initial,
            desc=desc,
            position=0,  # no cursor movements between the bars
            file=Lines(sys.stderr),
            mininterval=SECONDS_BETWEEN_LINES,
            maxinterval=SECONDS_BETWEEN_LINES,
            miniters=1,
            unit_scale=True,
            bar_format="{desc}: {n_fmt}B of {total_fmt}B, {elapsed} elapsed, {remaining} left",
        )

    def __bool__(self) -> bool:
        return True  # pooch asks, before it sets the total
