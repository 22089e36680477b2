"""What the tests would otherwise inherit from the shell that starts them, set here instead.

A job in the background of a script has SIGINT ignored, and its children inherit that; a umask, a
locale, a time zone or a limit of descriptors comes with the login. None of it may decide a test.
"""

from __future__ import annotations

import os
import resource
import signal
import time

import pytest
from tdc.node_agent.descriptors import BESIDES
from tdc.node_agent.options import IngestSection

DESCRIPTORS = 4_096

_SPIN = 0.05
"""Seconds of processor time after which `slowdown` knows."""


def most_connections() -> int:
    """As many connections from the MTA as an agent has by default, or as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    default = IngestSection("127.0.0.1:25").max_connections
    return default if hard == resource.RLIM_INFINITY else min(default, (hard - BESIDES) // 2)


def need_descriptors(count: int) -> None:
    """Raise this process's soft limit to so many, or skip the test where the hard one is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"it needs {count} file descriptors, and the hard limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def slowdown() -> float:
    """How many times as long as its own work takes this process needs for it now; at least 1."""
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < _SPIN:
        pass
    return max(1.0, (time.monotonic() - began) / _SPIN)


def in_time(seconds: float, limit: float) -> bool:
    """Whether so long is within a limit that holds where nothing else is at work.

    Where other processes take the processors, the limit is as many times as long.
    """
    return seconds < limit or seconds < limit * slowdown()


def settle() -> None:
    """Set them for this process and for all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.environ.update(LC_ALL="C.UTF-8", TZ="UTC")
    os.environ.pop("COLUMNS", None)
    time.tzset()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
