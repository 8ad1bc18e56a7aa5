"""The one adapter for glibc's mallopt."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
LARGEST = 2**31 - 1  # bytes; mallopt takes a C int


def keep_freed_memory() -> bool:
    """Keeps freed memory in the process.

    Every step allocates the same buffers, and returning them makes the system map them again page by page. Changes
    speed only: a step of the miniature takes 6 to 12% less time (benchmarks/speed.md). Returns whether glibc
    accepted; False on systems without glibc, which stay as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    trim = mallopt(M_TRIM_THRESHOLD, LARGEST)
    # Older versions accept at most 32 MiB, and stop adapting by themselves once they were asked.
    mmap = mallopt(M_MMAP_THRESHOLD, LARGEST) or mallopt(M_MMAP_THRESHOLD, 2**25)
    return bool(trim == mmap == 1)
