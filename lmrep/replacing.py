"""Files that are there whole or not at all, whenever a process is killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; on an error, `path` stays as it was.

    Its name is this process's own: another that was thought dead cannot write into it. What killed processes left is
    removed.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        yield part
        with suppress_if_replaced(path):
            with open(part, "rb") as written:
                os.fsync(written.fileno())  # else a host that goes down may leave the name with nothing behind it
            os.replace(part, path)
    finally:
        for left in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}.part"):
            left.unlink(missing_ok=True)


@contextmanager
def suppress_if_replaced(path: Path) -> Iterator[None]:
    """Lets the part be gone where another process took it for left over: one that has just written `path`."""
    try:
        yield
    except FileNotFoundError:
        if not path.exists():
            raise
