"""Certificates that end: said 30, 7 and 1 days before, in status and in the log.

In: what ends, and when. Out: sentences; a log line when a step is reached.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from tdc.shared.edge.clock import Clock, wall

log = logging.getLogger(__name__)

DAY = 86_400.0
STEPS = (30, 7, 1, 0)
"""Days before the end at which it is said again; 0 is the end."""
_LOOK_EVERY = 3_600.0


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate, when it ends (Unix seconds), and what that means and what to do."""

    what: str
    at: float
    then: str


def step_of(ending: Ending, now: float) -> int | None:
    """The last step that was reached, in days before the end; None while it is far."""
    left = (ending.at - now) / DAY
    return min((step for step in STEPS if left <= step), default=None)


def sentence_of(ending: Ending, now: float) -> str:
    """What an operator should know of it."""
    day = f"{datetime.fromtimestamp(ending.at, UTC):%Y-%m-%d %H:%M}Z"
    left = ending.at - now
    if left <= 0:
        return f"{ending.what} expired {day}: {ending.then}"
    days = int(left // DAY)
    when = "in less than a day" if days < 1 else "in 1 day" if days == 1 else f"in {days} days"
    return f"{ending.what} expires {day}, {when}: {ending.then}"


class ExpiryWatch:
    """Watches what `endings` gives; it is asked again at each look, for files are replaced."""

    def __init__(self, endings: Callable[[], Iterable[Ending]], clock: Clock = wall) -> None:
        self._endings = endings
        self._clock = clock
        self._logged: dict[str, int | None] = {}

    def problems(self) -> tuple[str, ...]:
        """A sentence for each that ends within the first step."""
        now = self._clock()
        ending = [each for each in self._endings() if step_of(each, now) is not None]
        return tuple(sentence_of(each, now) for each in ending)

    async def run(self) -> None:
        """Log each step that is reached, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY)

    def look(self) -> None:
        """Log what has reached another step since the last look."""
        now = self._clock()
        for ending in self._endings():
            step = step_of(ending, now)
            if step is not None and step != self._logged.get(ending.what):
                log.log(logging.ERROR if step <= 1 else logging.WARNING, sentence_of(ending, now))
            self._logged[ending.what] = step


def end_of(path: Path) -> float | None:
    """When the first certificate of a PEM file ends; None if that can't be read."""
    try:
        return end_of_pem(path.read_bytes())
    except (OSError, ValueError):
        return None


def end_of_pem(pem: bytes) -> float:
    """When the first certificate of a PEM text ends; raises ValueError."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
