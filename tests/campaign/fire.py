"""A hub and a photograph host with a fault each, and the project's own fetch scripts, run against them."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from checkout import ROOT
from hub import File, Hub
from pictures import PIXELS, png, sha256

from lmrep.inputs.paths import weights_path
from lmrep.study.config import make_study

TOKEN, REVISION, WEIGHTS = "hf_letMeIn", "c" * 40, "model.safetensors"
BODY = bytes(range(256)) * 1200
PHOTOGRAPH = png(PIXELS.repeat(16, 0).repeat(16, 1))
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens there
PATIENCE = 75  # s: the longest that a fetch may take: tries, a minimum rate over half a minute, and a busy machine
AT_ONCE = 6
# A script as Snakemake runs it, with at most so many bytes a file.
PROGRAM = """
import json, resource, runpy, sys
from types import SimpleNamespace
script, job, largest = sys.argv[1:]
if int(largest):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
job = json.loads(job)
snakemake = SimpleNamespace(**{**job, "wildcards": SimpleNamespace(kept=job["kept"])})
runpy.run_path(script, {"snakemake": snakemake})
"""


@dataclass
class Case:
    """A fetch and its fault."""

    says: tuple[str, ...] | None = ()  # what the line contains; None: accepted
    fault: Callable[[File], object] = id  # what is wrong with the served file
    served: Mapping[str, Any] = field(default_factory=dict)  # arguments of Hub.add_model
    entry: Mapping[str, Any] = field(default_factory=dict)  # keys of the config that differ; None: without
    environment: Mapping[str, str] = field(default_factory=dict)
    status: int = 0  # the hub's answer to everything
    largest: int = 0  # bytes a file, in place of a full disk; 0: any
    twice: bool = False  # two processes at once
    recorded: str = ""  # sha256 in weights.lock.json
    slow: bool = False


@dataclass
class Site:
    """A folder of a build in which a case has run."""

    folder: Path
    ended: list["subprocess.CompletedProcess[str]"] = field(default_factory=list)
    seconds: float = 0
    given: tuple[str, ...] = ()  # files that were there before

    def left(self) -> list[str]:
        """Files that a refusal must not leave: products, half written ones, and damaged ones in the hub's cache."""
        kept = {"log", ".weights.lock.json.lock", "CACHEDIR.TAG", ".huggingface-shared-blobs", *self.given}
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in kept]
        files = [path for path in files if path.suffix not in (".lock", ".incomplete", ".log", ".refused")]
        named = {path for path in files if path.resolve().name == sha256(path.read_bytes())}  # what the hub announced
        bad = [path for path in files if "hf" not in path.parts or not (path in named or path.read_bytes() == BODY)]
        return [str(path.relative_to(self.folder)) for path in bad if "xet" not in path.parts]


def configured(name: str, case: Case, hub: Hub) -> tuple[str, dict[str, Any]]:
    """Serves the file of a case. Returns the script, and what Snakemake tells it."""
    config = yaml.safe_load((ROOT / "miniature.yaml").read_text())
    photograph = name.startswith("photograph")
    slug = hashlib.sha256(name.encode()).hexdigest()[:12]
    if photograph:
        path = f"/{slug}/a.png"
        file = hub.add_file(path, PHOTOGRAPH)
        entry: dict[str, Any] = {"url": hub.url + path, "sha256": sha256(PHOTOGRAPH), "fit": "crop"}
    else:
        path, repo = f"/lab/{slug}/", f"lab/{slug}"
        file = hub.add_model(repo, REVISION, WEIGHTS, BODY, **{"by": "direct", **case.served})
        gpt2 = {key: value for key, value in config["weights"]["gpt2_mini"].items() if key != "path"}
        entry = gpt2 | {"repo": repo, "revision": REVISION, "sha256": sha256(BODY), "bytes": len(BODY)}
    case.fault(file)
    if case.status:
        hub.add_error(path, case.status)
    entry = {key: value for key, value in {**entry, **case.entry}.items() if value is not None}
    section, key = ("images", "chelsea") if photograph else ("weights", "gpt2_mini")
    config[section] = config[section] | {key: entry}
    output = "resources/images/chelsea-00000000.png"
    output = output if photograph else str(weights_path(make_study(config).weights["gpt2_mini"]))
    script = "fetch_image" if photograph else "fetch_weights"
    kept = Path(output).stem if photograph else Path(output).name
    return script, {"config": config, "kept": kept, "output": [output], "log": ["log"]}


def run(name: str, case: Case, hub: Hub, folder: Path) -> Site:
    """Runs a case in `folder`. A process that takes too long is killed, and has no exit status then."""
    script, job = configured(name, case, hub)
    (folder / "tmp").mkdir(parents=True)
    (folder / job["output"][0]).parent.mkdir(parents=True)
    if case.recorded:
        entry = {"sha256": case.recorded, "bytes": len(BODY)}
        key = f"{job['config']['weights']['gpt2_mini']['repo']}@{REVISION}/{WEIGHTS}"
        (folder / "weights.lock.json").write_text(json.dumps({key: entry}))
    plain = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    plain = {key: value for key, value in plain.items() if not key.startswith(("HF_", "HUGGING"))}
    surroundings = {
        **plain, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": TOKEN,
        "TMPDIR": str(folder / "tmp"), "HOME": str(folder), **case.environment,
    }  # fmt: skip
    given = ("weights.lock.json",) if case.recorded else ()
    site, begun = Site(folder, given=given), time.monotonic()
    arguments = [str(ROOT / "scripts" / f"{script}.py"), json.dumps(job), str(case.largest)]
    started = []
    for place in range(1 + case.twice):
        with open(folder / f"said{place}.log", "w") as said:
            command = [sys.executable, "-c", PROGRAM, *arguments]
            started.append(subprocess.Popen(command, cwd=folder, env=surroundings, stdout=said, stderr=said))
    for place, process in enumerate(started):
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said = (folder / f"said{place}.log").read_text()
        site.ended.append(subprocess.CompletedProcess([name], process.returncode, said, ""))
    site.seconds = time.monotonic() - begun
    return site


def run_all(cases: Mapping[str, Case], hub: Hub, folder: Path) -> dict[str, Site]:
    """Runs cases side by side, the slow ones first: most of their time is waiting."""
    order = sorted(cases, key=lambda name: not cases[name].slow)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            name: pool.submit(run, name, cases[name], hub, folder / f"case{place}") for place, name in enumerate(order)
        }
        return {name: each.result() for name, each in running.items()}
