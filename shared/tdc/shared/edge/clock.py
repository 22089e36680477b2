"""The clock and chance, as values that are passed in. Only this file reads them.

Pure rooms take `now` as an argument; a cycle reads it once. Tests pass a clock of their own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

Clock = Callable[[], float]
"""Seconds. Which epoch depends on the clock: see `wall` and `monotonic`."""

Chance = Callable[[], float]
"""A number in [0, 1)."""


def wall() -> float:
    """Unix time in seconds; may jump when an administrator sets the clock."""
    return time.time()


def monotonic() -> float:
    """Seconds since an unknown moment; never goes back."""
    return time.monotonic()


def since_boot() -> float:
    """Seconds since the machine started, time asleep included; never goes back until the next."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """What names this start of the machine; empty where the system doesn't say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def chance() -> float:
    """A number in [0, 1), for jitter; not for secrets."""
    return random.random()  # noqa: S311
