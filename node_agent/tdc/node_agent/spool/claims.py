"""Copies taken from the queue for delivery: out of memory, or read from the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tdc.node_agent.spool.faults import DamagedCopy
from tdc.node_agent.spool.ledger import Ledger
from tdc.node_agent.spool.suspects import Suspects
from tdc.node_agent.spool.values import Copy, SpoolUnavailable
from tdc.node_agent.spool.writer import Writer


class Claims:
    """One claim at a time. `reading` is held meanwhile; `on_damaged` gets a copy and its intake."""

    def __init__(self, writer: Writer, on_damaged: Callable[[DamagedCopy, str], None]) -> None:
        self._writer = writer
        self._on_damaged = on_damaged
        self.reading = asyncio.Lock()

    async def claim(
        self,
        ledger: Ledger,
        suspects: Suspects,
        popped: Callable[[], list[tuple[str, int, float]]],
        max_bytes: int,
    ) -> list[Copy]:
        """Claim what `popped` takes from the queue; what is not read goes back there."""
        async with self.reading:
            taken = popped()
            try:
                read = await self._read(ledger, suspects, taken, max_bytes)
            except BaseException as error:
                for intake, mid, due_at in taken:
                    ledger.due.push(intake, mid, due_at)
                if isinstance(error, SpoolUnavailable):
                    return []
                raise
            return self._claimed(ledger, taken, read)

    async def _read(
        self,
        ledger: Ledger,
        suspects: Suspects,
        taken: list[tuple[str, int, float]],
        max_bytes: int,
    ) -> dict[int, Copy | DamagedCopy]:
        missing = [mid for _, mid, _ in taken if not ledger.is_recent(mid)]
        if not missing:
            return {}
        with ledger.reading(intake for intake, _, _ in taken):
            return await self._writer.ask(
                lambda database: database.read_up_to(max_bytes, missing, suspects)
            )

    def _claimed(
        self,
        ledger: Ledger,
        taken: list[tuple[str, int, float]],
        read: dict[int, Copy | DamagedCopy],
    ) -> list[Copy]:
        copies = []
        for intake, mid, due_at in taken:
            copy = ledger.recall(mid) or read.get(mid)
            if copy is None:
                ledger.due.push(intake, mid, due_at)
            elif isinstance(copy, DamagedCopy):
                self._on_damaged(copy, intake)
            else:
                ledger.claim(copy, due_at)
                copies.append(copy)
        return copies
