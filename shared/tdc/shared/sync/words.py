"""PURE. Moments and spans of time as sentences for operators have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799.0  # of the year 9999


def moment_words(seconds: float) -> str:
    """``2026-11-23 09:15:02Z``, of Unix seconds."""
    moment = _FIRST + timedelta(seconds=int(min(seconds, _LATEST)))
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def lapse_words(seconds: float) -> str:
    """A time that has passed, such as ``45 s``, ``12 min``, ``5 h`` or ``3 days``."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{max(0, int(seconds // size))} {unit}"
    return f"{int(seconds // 86_400)} days"
