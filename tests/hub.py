"""A model hub on this machine: the parts of its protocol that downloads need, with faults on demand.

    with Hub() as hub:
        hub.add_model("some/repo", "0" * 40, "model.safetensors", b"...")
        hub.add_file("/images/photograph.zip", b"...")
        ...  # HF_ENDPOINT=hub.url; huggingface_hub reads it when imported, so start a new process

A file is served in one of three ways, as on the real hub: directly; by a redirect to another host name (the same
server, as `localhost`), which must not see the token; or through Xet, which builds a file from parts of a "xorb".
"""

import hashlib
import json
import re
import socket
from dataclasses import dataclass, field
from mmap import mmap
from typing import Literal
from urllib.parse import unquote, urlsplit

from server import Faulty, Server

CHUNK = 1 << 16  # bytes
XET_TOKEN = "xet-token"
Body = bytes | mmap  # mapped into memory, a file that is too large to be there whole


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str  # the Range header, or ""
    token: str  # the bearer token, or ""


@dataclass
class File:
    """A served file and its faults."""

    body: Body
    commit: str = ""
    by: Literal["direct", "redirect", "xet"] = "direct"
    etag: str = ""  # as announced
    token: str = ""  # who may read it; "" for everyone
    cuts: list[int] = field(default_factory=list)  # the connection breaks after this many bytes, once for each entry
    statuses: list[int] = field(default_factory=list)  # the answers to the first requests for the body, 0 for a reset
    offers: list[int] = field(default_factory=list)  # and to the first ones of a model's file, for its metadata
    retry_after: str = ""  # the header of those answers
    pause: int | None = None  # after this many bytes, nothing comes until the client closes the connection
    drip: bool = False  # then a byte at a time comes
    location: str = ""  # the address that a request is sent on to
    wrong: bytes | None = None  # served instead of the body
    size: int | None = None  # announced instead of the body's

    @property
    def data(self) -> Body:
        return self.body if self.wrong is None else self.wrong


def xorb(data: Body) -> bytes:
    """Xet's container: each chunk is preceded by a version, its stored size, its compression (none) and its size."""
    chunks = [data[place : place + CHUNK] for place in range(0, len(data), CHUNK)]
    sizes = [len(chunk).to_bytes(3, "little") for chunk in chunks]
    return b"".join(b"\0" + size + b"\0" + size + chunk for size, chunk in zip(sizes, chunks, strict=True))


class Hub(Server):
    """The server; a context manager. `requests` lists the requests in order."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.files: dict[str, File] = {}
        self.errors: dict[str, tuple[int, str]] = {}  # path prefix -> status, X-Error-Code
        self.requests: list[Request] = []

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def add_file(self, path: str, body: Body) -> File:
        """Serves `body` at any path, such as `/some/photograph.zip`."""
        self.files[path] = File(body, etag=hashlib.sha256(body).hexdigest())
        return self.files[path]

    def add_model(
        self,
        repo: str,
        revision: str,
        file: str,
        body: Body,
        *,
        by: Literal["direct", "redirect", "xet"] = "redirect",
        token: str = "",
    ) -> File:
        """Serves `body` as a file of a model repository; with a `token`, only to those who send it.

        Set the faults of the returned File.
        """
        served = self.add_file(f"/{repo}/resolve/{revision}/{file}", body)
        served.commit, served.by, served.token = revision, by, token
        if not re.fullmatch("[0-9a-f]{40}", revision):
            served.commit = hashlib.sha1(revision.encode()).hexdigest()  # of the branch or tag
        return served

    def add_error(self, prefix: str, status: int, code: str = "") -> None:
        """Answers every path with this prefix with `status` and `X-Error-Code: code` (such as RepoNotFound)."""
        self.errors[prefix] = (status, code)

    def asked(self, method: str = "GET", part: str = "") -> list[Request]:
        """Returns the requests made with `method` for a path that contains `part`."""
        return [request for request in self.requests if request.method == method and part in request.path]


class _Handler(Faulty):
    served: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def refuse(self, status: int, code: str = "") -> None:
        self.start(status, {"Content-Length": "0", **({"X-Error-Code": code} if code else {})})

    def fail(self, file: File, status: int) -> None:
        """Answers with the status; 0 resets the connection."""
        if status:
            again = {"Retry-After": file.retry_after} if file.retry_after else {}
            return self.start(status, {"Content-Length": "0", **again})
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self) -> None:
        hub, path = self.served, unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        hub.requests.append(Request(self.command, path, self.headers.get("Range", ""), token))
        for prefix, (status, code) in hub.errors.items():
            if path.startswith(prefix):
                return self.refuse(status, code)
        if path.startswith("/xet/"):
            return self.answer_xet(path)
        cdn = path.startswith("/cdn/")
        file = hub.files.get(path.removeprefix("/cdn"))
        if file is None:
            return self.refuse(404, self.missing(path))
        if file.token and not cdn and token != file.token:
            return self.refuse(401, "GatedRepo")
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if file.location:
            return self.start(302, {"Location": file.location, "Content-Length": "0"})
        if cdn or not file.commit:
            return self.send(file, file.data, headers)
        if file.offers:
            return self.fail(file, file.offers.pop(0))
        size = len(file.body) if file.size is None else file.size
        headers |= {"X-Repo-Commit": file.commit, "X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(size)}
        if file.by == "direct":
            return self.send(file, file.data, headers)
        if file.by == "xet":
            headers |= {"X-Xet-Hash": self.xet_hash(path), "X-Xet-Refresh-Route": f"{hub.url}/xet/token"}
        self.start(302, headers | {"Location": f"http://localhost:{hub.port}/cdn{path}", "Content-Length": "0"})

    def missing(self, path: str) -> str:
        """Names the part of the path that does not exist, as the hub does."""
        repo, resolve, rest = path.partition("/resolve/")
        known = [other for other in self.served.files if other.startswith(f"{repo}/resolve/")]
        if not resolve or not known:
            return "RepoNotFound" if resolve else ""
        revision = rest.partition("/")[0]
        found = any(other.startswith(f"{repo}/resolve/{revision}/") for other in known)
        return "EntryNotFound" if found else "RevisionNotFound"

    @staticmethod
    def xet_hash(path: str) -> str:
        """Stands for the file and for the one xorb that holds it."""
        return hashlib.sha256(path.encode()).hexdigest()

    def answer_xet(self, path: str) -> None:
        """The storage behind Xet: a token for it, the xorbs that a file consists of, and a xorb."""
        hub, expiry = self.served, "4000000000"
        if path == "/xet/token":
            token = {"X-Xet-Access-Token": XET_TOKEN, "X-Xet-Token-Expiration": expiry}
            return self.start(200, {"X-Xet-Cas-Url": f"{hub.url}/xet", **token, "Content-Length": "0"})
        key = path.rpartition("/")[2]
        file = next((file for name, file in hub.files.items() if self.xet_hash(name) == key), None)
        if file is None or path.startswith("/xet/v2/"):  # the client then asks for v1
            return self.refuse(404)
        packed = xorb(file.data)
        if path.startswith("/xet/xorbs/"):
            return self.send(file, packed, {})
        chunks = {"start": 0, "end": -(-len(file.data) // CHUNK)}
        part = {"range": chunks, "url": f"{hub.url}/xet/xorbs/{key}", "url_range": {"start": 0, "end": len(packed) - 1}}
        terms = [{"hash": key, "unpacked_length": len(file.data), "range": chunks}]
        plan = json.dumps({"offset_into_first_range": 0, "terms": terms, "fetch_info": {key: [part]}}).encode()
        self.start(200, {"Content-Type": "application/json", "Content-Length": str(len(plan))})
        self.wfile.write(plan)

    def send(self, file: File, data: Body, headers: dict[str, str]) -> None:
        """Sends `data`, or the requested range of it; breaks off where a cut is set."""
        if file.statuses and self.command == "GET":
            return self.fail(file, file.statuses.pop(0))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, first, last = 200, 0, len(data) - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            if first > last:
                return self.start(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            status, headers = 206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self.start(status, {**headers, "Content-Length": str(last + 1 - first)})
        if self.command == "HEAD":
            return
        end = last + 1
        if file.cuts:
            end = min(first + file.cuts.pop(0), end)
            self.close_connection = True
        for place in range(first, end, CHUNK):
            if file.pause is not None and place - first >= file.pause:
                return self.drip(data[place:end]) if file.drip else self.wait()
            self.wfile.write(data[place : min(place + CHUNK, end)])
