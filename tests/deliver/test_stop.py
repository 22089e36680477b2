"""Delivery that is stopped: between a reply and its mark, and while marks wait for a slow disk."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from tdc.node_agent.deliver import courier, scheduler
from tdc.node_agent.deliver.connection import Connection
from tdc.shared.edge.tasks import running

from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import (
    staged,
)


async def test_what_the_intake_accepted_is_marked_however_slow_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop between a reply and its mark would have the report sent again."""
    monkeypatch.setattr(courier, "UNRECORDED", 0)
    monkeypatch.setattr(scheduler, "STOP_WITHIN", 0.2)
    async with staged(tmp_path, run=False) as stage:
        marked: list[int] = []

        def delivered(mid: int, **_: str) -> asyncio.Future[None]:
            marked.append(mid)
            return asyncio.get_running_loop().create_future()

        monkeypatch.setattr(stage.spool, "delivered", delivered)
        for _ in range(3):
            await stage.queue()
        async with running(stage.delivery.run(), name="delivery"):
            await stage.until(lambda: marked)
        assert len(stage.intake.messages) == len(marked)


async def test_a_reply_that_arrives_in_the_moment_of_the_stop_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been read from the socket, and the courier that waits for it has yet to run."""
    async with staged(tmp_path, run=False) as stage:
        await stage.queue()
        delivery = asyncio.ensure_future(stage.delivery.run())
        feed = Connection.data_received

        def stop_at_the_reply(connection: Connection, data: bytes) -> None:
            if stage.intake.messages:
                delivery.cancel()
            feed(connection, data)

        monkeypatch.setattr(Connection, "data_received", stop_at_the_reply)
        with contextlib.suppress(asyncio.CancelledError):
            await delivery
        assert len(stage.intake.messages) == 1
        assert (stage.counters.delivered, stage.spool.facts().queued) == (1, 0)


async def test_stopping_gives_back_what_was_not_sent(tmp_path: Path) -> None:
    """A report under way may finish; a slow intake does not keep the agent from stopping."""
    async with staged(tmp_path, faults=Faults(delays={"mail": 30}), run=False) as stage:
        async with running(stage.delivery.run(), name="delivery"):
            await stage.queue()
            await stage.until(lambda: stage.intake.counts.mail_commands == 1)
        assert stage.spool.facts().queued == 1
        assert stage.counters.maybe_duplicate == 0
        stage.intake.faults = Faults()
        async with running(stage.delivery.run(), name="delivery"):
            await stage.drained()
        assert len(stage.intake.messages) == 1
