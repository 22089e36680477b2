"""PURE. Numbers, times and states as pages show them.

A time has its zone, an age its unit; what is not known is said so, and grey.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tdc.manager.web.answers import Cell
from tdc.shared.sync.words import lapse_words

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905  # in one line

NONE = "-"
"""Where there is nothing to show."""

STATE_OF = {
    "in sync": "ok",
    "out of sync": "warn",
    "stale": "warn",
    "offline": "bad",
    "rejected": "bad",
    "unknown": "unknown",
}
"""The look of each sync state."""
WORST = ("rejected", "offline", "out of sync", "stale", "unknown", "in sync")
"""Sync states, the worst first."""
HEALTH_OF = {"ok": "ok", "warning": "warn", "critical": "bad"}
HOST_OF = {"up": "ok", "refusing": "warn", "down": "bad", "suspended": "off"}
AWAY = ("offline", "stale", "unknown")
"""States in which what is shown of a machine is what was last known."""


def moment(seconds: float | None) -> str:
    """``26 Nov 2026 03:12:05 (GMT +00:00)``, of Unix seconds."""
    if seconds is None:
        return NONE
    at = _FIRST + timedelta(seconds=int(seconds))
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} (GMT +00:00)"


def clock_time(seconds: float) -> str:
    """``03:12:05``, of Unix seconds."""
    return f"{_FIRST + timedelta(seconds=int(seconds)):%H:%M:%S}"


def ago(seconds: float | None, now: float) -> str:
    """``12 min ago``."""
    return NONE if seconds is None else f"{lasting(seconds, now)} ago"


def lasting(seconds: float | None, now: float) -> str:
    """``12 min``: for how long it has been so.

    Not in seconds: a page that is open would change each second, and say nothing by it.
    """
    if seconds is None:
        return NONE
    return "under 1 min" if now - seconds < 60 else _minutes(now - seconds)


def _minutes(seconds: float) -> str:
    return "1 min" if seconds < 120 else lapse_words(seconds)


def number(value: float) -> str:
    """``41,000``."""
    return f"{value:,.0f}"


def counted(count: int, one: str, more: str = "") -> str:
    """``1 machine``, ``3 machines``."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """``mx1, mx2 and mx3``; beyond `most` the others are counted."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most:,} more"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def state_cell(state: str) -> Cell:
    """A sync state."""
    return Cell(state, STATE_OF.get(state, "unknown"))
