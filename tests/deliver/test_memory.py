"""What delivery holds of reports that were delivered: nothing."""

from __future__ import annotations

import gc
from pathlib import Path

from tdc.node_agent.smtp.dialogue import Outgoing
from tdc.node_agent.spool.values import Copy

from tests.stage.delivery import MESSAGE, staged


async def test_an_idle_connection_holds_no_content(tmp_path: Path) -> None:
    """It is kept for the next report, not for the last one."""
    async with staged(tmp_path) as stage:
        for _ in range(3):
            await stage.queue(MESSAGE + b"x" * 2_000_000 + b"\r\n")
            await stage.drained()
        await stage.until(lambda: stage.delivery.destinations()[0].connections_out == 1)
        # Soon, not at once: the last commit's group may still be on its way back from the thread.
        await stage.until(lambda: not _held())


def _held() -> list[Copy | Outgoing]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Copy | Outgoing)]
