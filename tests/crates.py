"""The validator of RO-Crates, without the network that it would use."""

import json
import subprocess
import sys
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from requests import Request, Response
from requests_cache import CachedSession
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
VALIDATOR = Path(sys.executable).with_name("rocrate-validator")


def remember_context(cache: Path) -> None:
    """Puts RO-Crate's terms where the validator keeps what it has fetched.

    The terms come with the library rocrate. They are those of a later version, which has all that 1.1 has, and calls
    Bioschemas' terms by another address.
    """
    text = (files("rocrate") / "data" / "ro-crate.jsonld").read_bytes()
    text = text.replace(b"https://bioschemas.org/terms/", b"https://bioschemas.org/")
    request = Request("GET", CONTEXT).prepare()
    response = Response()
    response.status_code, response.url, response.request, response._content = 200, CONTEXT, request, text
    response.headers["Content-Type"] = "application/ld+json"
    response.raw = HTTPResponse(BytesIO(text), headers=response.headers, status=200, preload_content=False)
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.cache.save_response(response, session.cache.create_key(request))


def issues(crate: Path, folder: Path) -> list[str]:
    """What a crate lacks of all that a Workflow Run Crate must have. `folder`: for the validator's files."""
    remember_context(folder / "cache")
    subprocess.run(
        [VALIDATOR, "--no-interactive", "validate", crate, "--profile-identifier", "workflow-run-crate-0.5",
         "--no-auto-profile", "--requirement-severity", "required", "--offline", "--cache-path", folder / "cache",
         "--output-format", "json", "--output-file", folder / "found.json"],
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found = json.loads((folder / "found.json").read_text())
    assert found["passed"] is (not found["issues"])
    return [issue["message"] for issue in found["issues"]]
