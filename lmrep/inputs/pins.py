"""What a pinned file is called, and how a file is compared with its pin."""

from lmrep.errors import InputError
from lmrep.study.sources import Pin


class Mismatch(InputError):
    """A file has another size or hash than expected."""


def lock_key(pin: Pin) -> str:
    """Returns the name of the file's entry in the lock file."""
    return f"{pin.wheel}/{pin.file}" if pin.wheel else f"{pin.repo}@{pin.revision}/{pin.file}"


def check(pin: Pin, where: str, kind: str, expected: object, found: object, note: str = "") -> None:
    """Raises Mismatch, naming `where` the file comes from, if it is not as expected."""
    if found != expected:
        raise Mismatch(f"weights.{pin.name}: {where}: {kind} is {found}, expected {expected}{note}")
