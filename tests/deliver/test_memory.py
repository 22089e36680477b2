"""What delivery holds of reports that were delivered: nothing."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from tdc.node_agent.smtp.dialogue import Outgoing
from tdc.node_agent.spool import ledger
from tdc.node_agent.spool.values import Copy
from tdc.shared.edge.tasks import running

from tests.stage.delivery import (
    MESSAGE,
    staged,
)

LARGE = 1_000_000


async def test_an_idle_connection_holds_no_content(tmp_path: Path) -> None:
    """It is kept for the next report, not for the last one."""
    async with staged(tmp_path) as stage:
        for _ in range(3):
            await stage.queue(MESSAGE + b"x" * (2 * LARGE) + b"\r\n")
            await stage.drained()
        await stage.until(lambda: stage.delivery.destinations()[0].connections_out == 1)
        # Soon, not at once: the last commit's group may still be on its way back from the thread.
        await stage.until(lambda: not _held())


def _held() -> list[Copy | Outgoing]:
    """Ours, by their size: other tests' modules have small ones of their own in memory."""
    gc.collect()
    copies = (one for one in gc.get_objects() if isinstance(one, Copy | Outgoing))
    return [one for one in copies if _size(one) > LARGE]


def _size(one: Copy | Outgoing) -> int:
    return one.size if isinstance(one, Outgoing) else len(one.content)


async def test_a_backlog_of_large_messages_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "RECENT_BYTES", 0)
    async with staged(tmp_path, options={"bytes_at_hand": 100_000}, run=False) as stage:
        for size in (1_000,) * 5 + (40_000,) * 20:
            await stage.queue(MESSAGE + b"x" * size + b"\r\n")
        most = 0

        def drained() -> bool:
            nonlocal most
            most = max(most, sum(stage.delivery.bytes_at_hand().values()))
            return stage.spool.facts().queued == 0

        async with running(stage.delivery.run(), name="delivery"):
            await stage.until(drained, timeout=20)
        assert len(stage.intake.messages) == 25
        assert 40_000 < most < 100_000 + 41_000
