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
        try:
            os.replace(part, path)
        except FileNotFoundError:  # taken for left over by such another, which has just written the file
            if not path.exists():
                raise
    finally:
        for left in path.parent.glob(f".{escape(path.name)}.*.part"):
            left.unlink(missing_ok=True)
