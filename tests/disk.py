"""A disk without room: files of this process cannot grow beyond a few kilobytes."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def almost_full(room: int = 4096) -> Iterator[None]:
    """Within it, a write beyond `room` bytes of a file fails with EFBIG (Python ignores the signal)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
