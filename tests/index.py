"""A package index on this machine: the simple API (PEP 503) and the wheels that it lists, with faults on demand.

with Index() as index:
    index.add_wheel("some-model", "1.0", {"some_model/model.gguf": b"..."})
    ...  # PIP_INDEX_URL=index.url
"""

import base64
import hashlib
import html
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from server import Faulty, Server

CHUNK = 1 << 14  # bytes


def wheel(name: str, version: str, files: Mapping[str, bytes]) -> bytes:
    """A wheel with these files, as pip accepts it."""
    stem = f"{name.replace('-', '_')}-{version}"
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        + b"Requires-Dist: something-that-does-not-exist\n",  # only --no-deps leaves it out
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, body in {**files, **about}.items():
            archive.writestr(member, body)
    return content.getvalue()


def source_archive(name: str, version: str) -> bytes:
    """An sdist, whose setup.py must never run."""
    content, setup = io.BytesIO(), b"raise SystemExit('setup.py ran')\n"
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}-{version}/setup.py")
        entry.size = len(setup)
        archive.addfile(entry, io.BytesIO(setup))
    return content.getvalue()


@dataclass
class File:
    """A served file and its faults."""

    body: bytes
    sha256: str  # as announced; "" for none
    requires_python: str = ""
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # the connection breaks after this many bytes, once for each entry
    pause: int | None = None  # after this many bytes, nothing comes until the client closes the connection
    drip: bool = False  # then a byte at a time comes
    fresh: str = "max-age=365000000, immutable"  # Cache-Control


class Index(Server):
    """The server; a context manager. `requests` lists the paths asked for, in order."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.files: dict[str, dict[str, File]] = {}  # by project and name
        self.login = ""  # name:password, which every request then needs
        self.silent = False  # accepts connections, and never answers
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """What PIP_INDEX_URL is set to."""
        return f"http://{self.host}/simple"

    def add(self, project: str, name: str, body: bytes) -> File:
        """Lists a file under a project. Set the fields of the returned File to make it faulty."""
        file = File(body, hashlib.sha256(body).hexdigest())
        self.files.setdefault(project, {})[name] = file
        return file

    def add_wheel(self, project: str, version: str, files: Mapping[str, bytes]) -> File:
        name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        return self.add(project, name, wheel(project, version, files))

    def downloads(self) -> list[str]:
        """The names of the files asked for, in order."""
        return [path.rpartition("/")[2] for path in self.requests if path.startswith("/files/")]


class _Handler(Faulty):
    served: Index

    def start(self, status: int, size: int, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        index, path = self.served, unquote(urlsplit(self.path).path)
        index.requests.append(path)
        if index.silent:
            return self.wait()
        login = base64.b64encode(index.login.encode()).decode()
        if index.login and self.headers.get("Authorization") != f"Basic {login}":
            return self.start(401, 0, {"WWW-Authenticate": 'Basic realm="index"'})
        kind, project, name = [*path.strip("/").split("/"), "", ""][:3]
        files = index.files.get(project)
        if kind == "simple" and files is not None:
            return self.send_page(project, files)
        file = (files or {}).get(name)
        if kind != "files" or file is None or file.status != 200:
            return self.start(file.status if file and file.status != 200 else 404, 0)
        self.send_file(file)

    def send_page(self, project: str, files: Mapping[str, File]) -> None:
        links = ""
        for name, file in files.items():
            hashed = f"#sha256={file.sha256}" if file.sha256 else ""
            needs = f' data-requires-python="{html.escape(file.requires_python)}"' if file.requires_python else ""
            links += f'<a href="/files/{project}/{name}{hashed}"{needs}>{name}</a><br>\n'
        page = f"<!DOCTYPE html><html><head><title>{project}</title></head><body>\n{links}</body></html>".encode()
        self.start(200, len(page), {"Content-Type": "text/html"})
        self.wfile.write(page)

    def send_file(self, file: File) -> None:
        """Sends the file; breaks off, or waits, where a fault is set."""
        end = min(file.cuts.pop(0), len(file.body)) if file.cuts else len(file.body)
        self.start(200, len(file.body), {"Content-Type": "application/octet-stream", "Cache-Control": file.fresh})
        for place in range(0, end, CHUNK):
            if file.pause is not None and place >= file.pause:
                return self.drip(file.body[place:]) if file.drip else self.wait()
            self.wfile.write(file.body[place : min(place + CHUNK, end)])
        self.close_connection = end < len(file.body)
