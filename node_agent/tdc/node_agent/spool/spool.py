"""The durable queue of copies: what ingest, deliver and status call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from tdc.node_agent.log_lines import TdcLog
from tdc.node_agent.spool.values import Copy, Destination, Event, Setaside, SpoolFacts
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.mail.envelope import Envelope


class Spool:
    """One folder with one SQLite file. All methods are called from one event loop."""

    arrived: asyncio.Event
    """Set by release, unclaim and recovery: there may be something to claim."""

    @classmethod
    async def open(cls, folder: Path, *, clock: Clock = wall, log: TdcLog | None = None) -> Spool:
        """Open or make the spool; raises SpoolLocked (names the other's pid), SpoolError."""
        raise NotImplementedError

    async def close(self) -> None:
        """Write what is waiting, close the file, let go of the lock."""
        raise NotImplementedError

    def set_limits(self, max_messages: int, max_bytes: int) -> None:
        """Set the bounds (settings `spool.max_messages`, `spool.max_bytes`)."""
        raise NotImplementedError

    async def hold(self, envelope: Envelope, content: bytes, intake: str, report_id: str) -> int:
        """Take a copy; it is durable when its MID is returned. SpoolFull, SpoolUnavailable."""
        raise NotImplementedError

    def release(self, mid: int) -> None:
        """The next hop accepted the original: the copy is due now."""
        raise NotImplementedError

    async def discard(self, mid: int) -> None:
        """The next hop refused the original: the copy goes away, durably."""
        raise NotImplementedError

    async def claim(
        self, now: float, limit: int, *, exclude_intakes: frozenset[str] = frozenset()
    ) -> list[Copy]:
        """Return due copies, oldest first; nobody else gets them until unclaim or defer."""
        raise NotImplementedError

    def unclaim(self, mids: Iterable[int]) -> None:
        """Give claimed copies back, due as before; no attempt is counted."""
        raise NotImplementedError

    async def delivered(self, mid: int, *, reply: str, tls_version: str = "") -> None:
        """The intake accepted the report: the copy is removed, durably."""
        raise NotImplementedError

    async def defer(self, mid: int, *, next_at: float, reason: str) -> None:
        """An attempt failed: count it, and try again at `next_at` (Unix seconds)."""
        raise NotImplementedError

    async def dead(self, mid: int, *, reason: str) -> None:
        """No more attempts: onto the dead-letter list."""
        raise NotImplementedError

    def next_due(self, now: float) -> float | None:
        """Return when the next copy is due (at most `now` if one is due already), or None."""
        raise NotImplementedError

    def facts(self) -> SpoolFacts:
        """Return what status shows, from memory."""
        raise NotImplementedError

    def destinations(self) -> Mapping[str, Destination]:
        """Return intake domain -> what waits for it."""
        raise NotImplementedError

    async def history(self, mid: int) -> list[Event]:
        """Return what happened to a copy, oldest first; empty if the MID is not known."""
        raise NotImplementedError

    async def dead_letters(self, limit: int = 1_000) -> list[Setaside]:
        """Return the dead-letter list, oldest first."""
        raise NotImplementedError

    async def damaged(self, limit: int = 1_000) -> list[Setaside]:
        """Return the copies whose row is damaged."""
        raise NotImplementedError
