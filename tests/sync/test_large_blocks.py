"""Large blocks are mappings of their own, once a program asked for that."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tdc.shared.edge.memory import LARGE

BLOCKS = 100

PROGRAM = f"""
import ctypes, sys
from tdc.shared.edge import memory

class Info(ctypes.Structure):  # mallinfo2(3): hblks, the mappings, is the fourth
    _fields_ = [(str(number), ctypes.c_size_t) for number in range(10)]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.mallinfo2.restype = Info

if sys.argv[1] == "asked":
    memory.map_large_blocks()
before = getattr(libc.mallinfo2(), "3")
for _ in range({BLOCKS}):
    libc.malloc({LARGE})
print(getattr(libc.mallinfo2(), "3") - before)
"""


@pytest.mark.parametrize(("how", "least", "most"), [("asked", BLOCKS // 2, BLOCKS), ("not", 0, 0)])
def test_a_large_block_is_a_mapping_of_its_own(how: str, least: int, most: int) -> None:
    """But for the few that fit a hole of the heap."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=30
    )
    assert least <= int(done.stdout) <= most
