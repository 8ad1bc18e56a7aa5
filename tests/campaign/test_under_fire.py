"""Downloads from a hub and a photograph host under fire, each by the project's own script in a process of its own."""

from typing import Any

import counts
import fire
import pytest
from fire import BODY, CLOSED, TOKEN, Case
from hub import File, Hub
from pictures import sha256

from lmrep.errors import OFFLINE_HINT, InputError

HUB, PIN = "weights.gpt2_mini", ("weights.gpt2_mini", "sha256")
UNPINNED = {"sha256": None, "bytes": None}
FOREVER = 99


def has(**faults: Any) -> Any:
    """A fault: what these fields of the served file are."""

    def spoil(file: File) -> None:
        vars(file).update(faults)

    return spoil


def loop(file: File) -> None:
    """The file's address leads to itself."""
    file.location = "?again"


CASES = {
    "hub, good": Case(None),
    "hub, redirected to another host": Case(None, served={"by": "redirect"}),
    "hub, redirected, with a token": Case(None, served={"by": "redirect", "token": TOKEN}),
    "hub, by Xet, with a token": Case(None, served={"by": "xet", "token": TOKEN}),
    "hub, short once": Case(None, has(cuts=[70_000])),
    "hub, short each time": Case((HUB,), has(cuts=[70_000] * FOREVER), slow=True),
    "hub, reset once": Case(None, has(statuses=[0])),
    "hub, reset each time": Case((HUB,), has(statuses=[0] * FOREVER), slow=True),
    "hub, another length than announced": Case((HUB,), has(wrong=BODY[:1000]), slow=True),
    "hub, another length than the pin": Case((HUB, "size in bytes"), entry={"bytes": 5}),
    "hub, wrong bytes": Case(PIN, has(wrong=bytes(len(BODY)))),
    "hub, wrong bytes, unpinned": Case((HUB, "announced by the hub"), has(wrong=bytes(len(BODY))), entry=UNPINNED),
    "hub, wrong bytes by redirect": Case(PIN, has(wrong=bytes(len(BODY))), {"by": "redirect"}),
    "hub, 401 without a token": Case((HUB, "HF_TOKEN"), served={"token": "hf_other"}, environment={"HF_TOKEN": ""}),
    "hub, 401 with another token": Case((HUB, "HF_TOKEN"), served={"token": "hf_other"}),
    "hub, 403": Case((HUB, "403"), status=403),
    "hub, 404": Case((HUB, "404"), status=404),
    "hub, no such repository": Case((HUB, "no repository"), entry={"repo": "lab/none"}),
    "hub, no such revision": Case((HUB, "no revision"), entry={"revision": "d" * 40}),
    "hub, no such file": Case((HUB, "other.safetensors"), entry={"file": "other.safetensors"}),
    "hub, 429, then good": Case(None, has(statuses=[429], retry_after="1")),
    "hub, 429 each time": Case((HUB,), status=429, slow=True),
    "hub, 500, then good": Case(None, has(statuses=[500])),
    "hub, 500 each time": Case((HUB, "500"), status=500),
    "hub, 503 for its body each time": Case((HUB,), has(statuses=[503] * FOREVER), slow=True),
    "hub, redirected in a loop": Case((HUB,), loop),
    "hub, redirected to a file": Case((HUB,), has(location="file:///etc/passwd")),
    "hub, a byte a second": Case((HUB,), has(pause=1 << 16, drip=True), slow=True),
    "hub, silent": Case((HUB,), has(pause=1 << 16), slow=True),
    "hub, changed under the pin": Case(PIN, has(wrong=bytes(len(BODY)), etag=sha256(bytes(len(BODY))))),
    "hub, changed under the record": Case(
        (HUB, "recorded in"), has(wrong=bytes(len(BODY)), etag=sha256(bytes(len(BODY)))), entry=UNPINNED,
        recorded=sha256(BODY),
    ),
    "hub, an etag with a slash": Case((HUB,), has(etag="a/b")),
    "hub, an etag that leads out": Case((HUB,), has(etag="../../../out")),
    "hub, no etag": Case((HUB,), has(etag="")),
    "hub, an etag of no hash, unpinned": Case((HUB,), has(etag="abc"), entry=UNPINNED),
    "hub, no hub": Case((HUB,), has(commit="")),
    "hub, full disk": Case((HUB,), largest=100_000),
    "hub, two processes": Case(None, twice=True),
    "hub, offline": Case((HUB, OFFLINE_HINT), environment={"HF_HUB_OFFLINE": "1"}),
    "hub, nobody there": Case((HUB, OFFLINE_HINT), environment={"HF_ENDPOINT": CLOSED}, slow=True),
    "hub, a dead proxy": Case((HUB, OFFLINE_HINT), environment={"HTTP_PROXY": CLOSED}, slow=True),
    "hub, a dead socks proxy": Case((), environment={"ALL_PROXY": "socks5://127.0.0.1:9"}, slow=True),
    "hub, a proxy that is none": Case(("HTTP_PROXY",), environment={"HTTP_PROXY": "http://[::1"}),
    "hub, an endpoint that is none": Case(("HF_ENDPOINT",), environment={"HF_ENDPOINT": "http://[::1"}),
    "hub, an endpoint without a scheme": Case((), environment={"HF_ENDPOINT": "127.0.0.1"}),
    "photograph, good": Case(None),
    "photograph, short once": Case(None, has(cuts=[70])),
    "photograph, short each time": Case((), has(cuts=[70] * FOREVER)),
    "photograph, reset once": Case(None, has(statuses=[0])),
    "photograph, reset each time": Case((OFFLINE_HINT,), has(statuses=[0] * FOREVER)),
    "photograph, empty": Case(("sha256",), has(wrong=b"")),
    "photograph, wrong bytes": Case(("sha256",), has(wrong=b"<html>")),
    "photograph, changed under the pin": Case(("sha256",), entry={"sha256": "0" * 64}),
    **{f"photograph, {status}": Case((str(status),), status=status) for status in (401, 403, 404, 410)},
    "photograph, 429, then good": Case(None, has(statuses=[429], retry_after="1")),
    "photograph, 429 for a day": Case(("429", "86400"), has(statuses=[429] * FOREVER, retry_after="86400")),
    "photograph, 429 with words": Case(("429",), has(statuses=[429] * FOREVER, retry_after="later, perhaps")),
    "photograph, 500, then good": Case(None, has(statuses=[500])),
    "photograph, 503 each time": Case(("503",), has(statuses=[503] * FOREVER)),
    "photograph, redirected in a loop": Case((), loop),
    "photograph, redirected to a file": Case((), has(location="file:///etc/passwd")),
    "photograph, redirected to no address": Case((), has(location="http://[::1")),
    "photograph, a byte a second": Case((), has(pause=0, drip=True), slow=True),
    "photograph, silent": Case((), has(pause=0), slow=True),
    "photograph, full disk": Case((), largest=1000),
    "photograph, two processes": Case(None, twice=True),
    "photograph, nobody there": Case((OFFLINE_HINT,), entry={"url": f"{CLOSED}/a.png"}),
    "photograph, a dead proxy": Case((OFFLINE_HINT,), environment={"HTTP_PROXY": CLOSED}),
    "photograph, a dead socks proxy": Case((), environment={"ALL_PROXY": "socks5://127.0.0.1:9"}),
    "photograph, a proxy that is none": Case(("HTTP_PROXY",), environment={"HTTP_PROXY": "http://[::1"}),
}  # fmt: skip
GATE = (  # the rest takes minutes, or has a twin in tests/unit/inputs
    "hub, 429, then good", "hub, 500, then good", "hub, redirected in a loop", "hub, full disk",
    "photograph, full disk", "photograph, two processes",
)  # fmt: skip
CHOSEN = {name: case for name, case in CASES.items() if counts.FULL or name in GATE}


@pytest.fixture(scope="module")
def fired(tmp_path_factory):
    """The hub, and the site of every case."""
    with Hub() as hub:
        yield hub, fire.run_all(CHOSEN, hub, tmp_path_factory.mktemp("fire"))


@pytest.mark.parametrize("name", CHOSEN)
def test_a_download_under_fire(fired, name):
    hub, sites = fired
    case, site = CHOSEN[name], sites[name]

    def ended() -> None:
        if site.seconds > fire.PATIENCE:
            raise counts.Hang
        for process in site.ended:
            counts.line_of(process)
        (product,) = (path for path in (site.folder / "resources").rglob("*") if path.is_file() and path.suffix[1:])
        assert product.read_bytes() == BODY or name.startswith("photograph"), "another content"

    def leaked() -> list[str]:
        shown = [process.args[0] for process in site.ended if TOKEN in process.stdout]
        return shown + [
            request.path for request in hub.requests if is_elsewhere(request.path) and "hf_" in request.token
        ]

    says = case.says if case.says is None or name.startswith("hub") else ("images.chelsea.url", *case.says)
    wrong = counts.judge(name.split(",")[0], name, ended, says, left=site.left, leaked=leaked)
    assert not wrong, "\n".join(wrong)


def is_elsewhere(path: str) -> bool:
    """Whether a request is for another host than the hub: where it redirects to, Xet's storage, a photograph."""
    return path.startswith(("/cdn/", "/xet/v", "/xet/xorbs/")) or path.endswith(".png")


def test_the_hub_has_seen_the_token(fired):
    """Else no case above would show that it went elsewhere."""
    hub, _ = fired
    assert any(request.token == TOKEN for request in hub.requests)
    assert any(is_elsewhere(request.path) for request in hub.requests)
    with pytest.raises(InputError):
        counts.line_of(fired[1]["hub, full disk"].ended[0])
