"""What identifies the content of an input, wherever it comes from: Snakemake reruns by this, not by time stamps."""

import json
from contextlib import suppress
from pathlib import Path

from lmrep.errors import InputError
from lmrep.files import replacing
from lmrep.inputs.headers import check_header, check_sizes
from lmrep.inputs.paths import LOCK, file_pins
from lmrep.inputs.pins import lock_key, read_lock
from lmrep.provenance import file_sha256
from lmrep.study.sources import CONFIG_FILE, Image, Pin, Weights
from lmrep.workflow.digest import code_digest

HASHES = Path(".snakemake", "lmrep-hashes.json")  # hashes of local files, good for one state of each


def read_entries(path: Path) -> dict[str, dict[str, str | int]]:
    """A JSON file of entries by name; none if it is missing or broken."""
    with suppress(OSError, ValueError):
        entries = json.loads(path.read_text())
        if isinstance(entries, dict):
            return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    return {}


def local_sha256(path: str, key: str) -> str:
    """The sha256 of a local file. It is computed once for a size, inode, and times of modification and change.

    A file that was copied or unpacked may have another file's time of modification, but not its time of change.

    Raises InputError, naming `key`, if the file cannot be read.
    """
    try:
        stat = Path(path).stat()
        seen = {"bytes": stat.st_size, "modified": stat.st_mtime_ns, "changed": stat.st_ctime_ns, "inode": stat.st_ino}
        known = read_entries(HASHES)
        entry = known.get(path, {})
        if entry.items() >= seen.items() and "sha256" in entry:
            return str(entry["sha256"])
        found = file_sha256(Path(path))
    except OSError as error:
        raise InputError(f"{key}: {path}: expected a readable file ({error.strerror})") from None
    with suppress(OSError):  # a folder that cannot be written costs time, not the build
        HASHES.parent.mkdir(exist_ok=True)
        with replacing(HASHES) as part:
            part.write_text(json.dumps({**known, path: {**seen, "sha256": found}}, indent=1, sort_keys=True))
    return found


def hold_to_pin(key: str, expected: str, found: str, where: str) -> str:
    """`found`, or `expected` if that is empty. Raises InputError, naming the pin's `key`, if they differ."""
    if expected and found and expected.lower() != found.lower():
        raise InputError(f"{key}: expected {expected}, but {where} has {found}")
    return found or expected


def pin_content(pin: Pin, key: str) -> str:
    """The sha256 that a file of a model has or will have, or a note that its download will tell. `key`: the pin's."""
    if pin.path:
        entry = f"weights.{pin.name}.path"
        found = hold_to_pin(key, pin.sha256, local_sha256(pin.path, entry), pin.path)
        check_header(Path(pin.path), entry)
        return found
    recorded = str(read_lock(LOCK).get(lock_key(pin), {}).get("sha256", ""))
    found = hold_to_pin(key, pin.sha256, recorded, f"{lock_key(pin)}, as recorded in {LOCK},")
    return found.lower() or f"not known before the download of {lock_key(pin)}"


def weights_content(weights: Weights) -> str:
    """The sha256 of a weight file; of a model of several files, the name and sha256 of each.

    Snakemake asks again before it starts a job, when the download is done. Raises InputError if a pin contradicts
    its file, if a local file is no weight file, or if a local model has other sizes than the config says.
    """
    key, pins = f"weights.{weights.name}.sha256", file_pins(weights)
    if len(pins) == 1:
        return pin_content(pins[0], key)
    found = ", ".join(sorted(f"{Path(pin.file).name} {pin_content(pin, f'{key}.{pin.file}')}" for pin in pins))
    for pin in pins:
        if pin.path and Path(pin.path).name == CONFIG_FILE:
            check_sizes(weights, Path(pin.path))
    return found


def image_content(image: Image) -> str:
    """A text that changes with the pixels of an image: its file's hash and member, or the name of another picture."""
    if image.skimage or image.drawing:
        return f"skimage {image.skimage}" if image.skimage else f"drawing {image.drawing}"
    found = image.sha256
    if image.path:
        key = f"images.{image.name}"
        found = hold_to_pin(f"{key}.sha256", image.sha256, local_sha256(image.path, key), image.path)
    return f"{found.lower()} {image.member}".strip()


def image_code(image: Image) -> str:
    """The digest of the code that reads or draws an image's original."""
    modules = ["lmrep.inputs.images"]
    modules += ["lmrep.inputs.shipped"] if image.skimage else []
    modules += ["lmrep.inputs.drawings"] if image.drawing else []
    return code_digest(*modules)
