"""The contract with glibc's mallopt."""

import platform
import subprocess
import sys

import pytest
from conftest import ROOT

# Three blocks of 24 MiB: glibc left alone returns them to the system.
KEPT = """
import ctypes, sys
from lmrep.descent.allocator import keep_freed_memory
accepted = keep_freed_memory() if sys.argv[1] == "keep" else None
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1])
before = resident()
for _ in range(3):
    blocks = [libc.malloc(24 << 20) for _ in range(3)]
    for block in blocks:
        ctypes.memset(block, 1, 24 << 20)
    most = resident()
    for block in blocks:
        libc.free(block)
print(accepted, (resident() - before) / (most - before))
"""


def measure(word: str) -> tuple[str, float]:
    """What keep_freed_memory returned, and the share of freed memory that the process kept."""
    command = [sys.executable, "-c", KEPT, word]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    accepted, share = output.split()
    return accepted, float(share)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system has no glibc")
def test_glibc_accepts_the_settings_and_keeps_freed_memory():
    assert measure("leave")[1] < 0.5
    accepted, share = measure("keep")
    assert accepted == "True", "this glibc refuses mallopt: see lmrep/descent/allocator.py"
    assert share > 0.9


def test_other_systems_are_left_alone(monkeypatch):
    from lmrep.descent import allocator

    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
