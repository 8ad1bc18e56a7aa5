"""One member of a zip, and nothing else of it whatever the members are called. A wheel is a zip too."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lmrep.errors import InputError, one_line

LISTED = 8  # members that a message names


@contextmanager
def open_member(archive: Path | IO[bytes], member: str, label: str) -> Iterator[IO[bytes]]:
    """Yields a member of a zip, open for reading.

    Raises InputError, starting with `label`, if there is no such member or the zip cannot be read. The error may also
    come while the caller reads.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            if member not in names or member.endswith("/"):
                listed = ", ".join([name for name in names if not name.endswith("/")][:LISTED])
                line = f"{label}: expected a member '{member}', found {listed or 'none'}"
                raise InputError("".join(letter if letter.isprintable() else "?" for letter in line))
            with opened.open(member) as file:
                yield file
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        # RuntimeError: a member with a password
        raise InputError(f"{label}: expected a readable zip with '{member}': {one_line(error)}") from None
