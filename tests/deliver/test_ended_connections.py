"""Connections that the intake ends between two messages."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import staged


async def test_a_connection_that_ends_after_a_refused_message_delays_nothing(
    tmp_path: Path,
) -> None:
    """It took commands before: its end says as little as after a message that was accepted."""
    refused_once = Faults(replies={"dot": ["554 5.7.1 no"]})
    async with staged(tmp_path, faults=refused_once) as stage:
        await stage.queue()
        await stage.until(lambda: stage.spool.facts().dead == 1)
        stage.intake.faults = Faults(drop=("mail",), drop_times=1)
        await stage.queue()
        await stage.drained()
        assert len(stage.intake.messages) == 1
        assert "on hold" not in stage.log.getvalue()
