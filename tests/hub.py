"""A hub on this machine: as much of its protocol as downloads need, with faults on demand.

    with Hub() as hub:
        hub.add_model("some/repo", "0" * 40, "model.safetensors", b"...")
        hub.add_file("/images/photograph.zip", b"...")
        ...  # HF_ENDPOINT=hub.url (read when huggingface_hub is imported: set it for a new process)

Large files are answered as the hub does: `/repo/resolve/revision/file` redirects to another host name (the
same server, as `localhost`), to which a token must not travel.
"""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str  # the Range header, or ""
    authorized: bool  # whether it carried an Authorization header


@dataclass
class File:
    """One served file, and what is wrong with it."""

    body: bytes
    commit: str = ""
    redirect: bool = False
    etag: str = ""  # of the body it should have
    token: str = ""  # who is let in; "" for everyone
    cuts: list[int] = field(default_factory=list)  # the connection breaks after so many bytes, once each
    wrong: bytes | None = None  # served in place of the body
    size: int | None = None  # claimed in place of the body's


class Hub:
    """The server, in a thread of its own; a context manager.

    `requests` lists what was asked of it, in order.
    """

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.errors: dict[str, tuple[int, str]] = {}  # path prefix -> status, X-Error-Code
        self.requests: list[Request] = []
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "Hub":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server; its port is closed from then on. May be called twice."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
        self.server.server_close()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_file(self, path: str, body: bytes) -> File:
        """Serves `body` at any path, such as `/some/photograph.zip`."""
        self.files[path] = File(body, etag=hashlib.sha256(body).hexdigest())
        return self.files[path]

    def add_model(
        self, repo: str, revision: str, file: str, body: bytes, *, redirect: bool = True, token: str = ""
    ) -> File:
        """Serves `body` as a file of a model's repository; `token` gates it.

        Set `cuts`, `wrong` or `size` of the File that this returns to make it faulty, and unset them to heal it.
        """
        served = self.add_file(f"/{repo}/resolve/{revision}/{file}", body)
        served.commit, served.redirect, served.token = revision, redirect, token
        if not re.fullmatch("[0-9a-f]{40}", revision):
            served.commit = hashlib.sha1(revision.encode()).hexdigest()  # of the branch or tag
        return served

    def add_error(self, prefix: str, status: int, code: str = "") -> None:
        """Answers every path that starts so with `status` and `X-Error-Code: code` (such as RepoNotFound)."""
        self.errors[prefix] = (status, code)

    def asked(self, method: str = "GET", part: str = "") -> list[Request]:
        """The requests made with `method` for a path that contains `part`."""
        return [request for request in self.requests if request.method == method and part in request.path]


class _Handler(BaseHTTPRequestHandler):
    server_hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *message: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, body: bool) -> None:
        hub, path = self.server_hub, unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "")
        hub.requests.append(Request(self.command, path, self.headers.get("Range", ""), bool(token)))
        for prefix, (status, code) in hub.errors.items():
            if path.startswith(prefix):
                return self.refuse(status, code)
        cdn = path.startswith("/cdn/")
        file = hub.files.get(path.removeprefix("/cdn"))
        if file is None:
            return self.refuse(404, self.missing(path))
        if file.token and not cdn and token != f"Bearer {file.token}":
            return self.refuse(401, "GatedRepo")
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        size = len(file.body) if file.size is None else file.size
        if file.commit and not cdn:
            headers |= {"X-Repo-Commit": file.commit, "X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(size)}
        if file.redirect and not cdn:
            headers |= {"Location": f"http://localhost:{hub.port}/cdn{path}", "Content-Length": "0"}
            return self.start(302, headers)
        self.send(file, headers, body)

    def missing(self, path: str) -> str:
        """What of the path is not there, in the hub's words."""
        repo, resolve, rest = path.partition("/resolve/")
        known = [other for other in self.server_hub.files if other.startswith(f"{repo}/resolve/")]
        if not resolve or not known:
            return "RepoNotFound" if resolve else ""
        revision = rest.partition("/")[0]
        found = any(other.startswith(f"{repo}/resolve/{revision}/") for other in known)
        return "EntryNotFound" if found else "RevisionNotFound"

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, file: File, headers: dict[str, str], body: bool) -> None:
        """The file, or the range of it that was asked for; breaks off where a cut is set."""
        data = file.body if file.wrong is None else file.wrong
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        status, first, last = 200, 0, len(data) - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            if first > last:
                return self.start(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            status, headers = 206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self.start(status, {**headers, "Content-Length": str(last + 1 - first)})
        if not body:
            return
        end = last + 1
        if file.cuts:
            end = min(first + file.cuts.pop(0), end)
            self.close_connection = True
        for place in range(first, end, CHUNK):
            self.wfile.write(data[place : min(place + CHUNK, end)])
