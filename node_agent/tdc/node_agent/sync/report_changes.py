"""Facts that should not wait for the next regular status: report as soon as they change.

It is polled: whether the spool is healthy also depends on how long a write has been hanging, and
time passing calls nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two looks, so that the manager hears of a change within 5 s."""


async def report_changes(fact: Callable[[], object], status_due: Callable[[], None]) -> None:
    """Call `status_due` whenever `fact()` has changed; until cancelled."""
    reported = fact()
    while True:
        await asyncio.sleep(INTERVAL)
        now = fact()
        if now != reported:
            reported = now
            status_due()
