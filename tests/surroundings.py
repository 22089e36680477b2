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

DESCRIPTORS = 4_096


def need_descriptors(count: int) -> None:
    """Raise this process's soft limit to so many, or skip the test where the hard one is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"it needs {count} file descriptors, and the hard limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


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
