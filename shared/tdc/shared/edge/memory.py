"""Keeps a program small: gives freed memory back, and takes less for buffers that stay empty.

What is freed goes back by itself only where it was a mapping of its own, or the last of its arena.
SQLite frees pages by the thousand, in the arena of the spool's thread, around some that stay: half
of a message's size remained for good. gRPC leaves as much of what its connections took. glibc gives
such holes back only when it is asked to.

Of each TLS connection gRPC keeps two buffers of 17 KiB, of which a handshake uses a fifth. As parts
of the heap they lie where something was before, and count whole; as mappings of their own they
count as far as they were used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
from collections.abc import Callable
from pathlib import Path

from tdc.shared.edge.daemon_thread import in_daemon_thread

LOOK_EVERY = 2.0
"""Seconds between two looks at the size."""

WORTH = 24 * 1024**2
"""Octets above the smallest size, or above that after the last time, that are worth the walk."""

AGAIN_AFTER = 20.0
"""Seconds after which it is done again though the size has not grown: it may have been in use."""

LARGE = 16 * 1024
"""Octets from which a block is a mapping of its own."""

MOST_MAPPINGS = 30_000
"""Such blocks at a time; more are parts of the heap. Linux allows a process 65 530 mappings."""

_STATM = Path("/proc/self/statm")
_PAGE = 4_096
_M_MMAP_THRESHOLD, _M_MMAP_MAX = -3, -4  # malloc.h


class Keeper:
    """Decides when to ask, from the size and the time."""

    def __init__(self, now: float) -> None:
        self._smallest = self._after = math.inf
        self._asked = now

    def due(self, size: int, now: float) -> bool:
        """Whether to ask now that the program has this size."""
        self._smallest = min(self._smallest, size)
        self._after = min(self._after, size)
        if size - self._smallest < WORTH:
            return False
        return size - self._after >= WORTH or now - self._asked >= AGAIN_AFTER

    def asked(self, size: int, now: float) -> None:
        """Note the size after it was asked."""
        self._after, self._asked = size, now


async def give_back() -> None:
    """Keep the program small until cancelled; with another C library than glibc, do nothing.

    What it needs itself may be what the program is short of, a descriptor or a thread: then it
    does nothing this time.
    """
    trim = _trim()
    if trim is None:
        return
    loop = asyncio.get_running_loop()
    keeper = Keeper(loop.time())
    while True:
        with contextlib.suppress(OSError):
            if keeper.due(_resident(), loop.time()):
                await in_daemon_thread(trim, 0)  # milliseconds, without the interpreter lock
                keeper.asked(_resident(), loop.time())
        await asyncio.sleep(LOOK_EVERY)


def map_large_blocks() -> None:
    """Make blocks of LARGE octets mappings of their own; nothing with another C library than glibc.

    For a program that holds thousands of connections. Blocks that are taken and given back all the
    time cost a system call each from then on.
    """
    with contextlib.suppress(AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, LARGE)
        set_option(_M_MMAP_MAX, MOST_MAPPINGS)


def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None


def _resident() -> int:
    return int(_STATM.read_text().split()[1]) * _PAGE
