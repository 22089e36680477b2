"""Fifty gateways whose intake was away: they do not all come back in one moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.edge.tasks import running
from tdc.shared.mail.envelope import Envelope

from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_session import Session
from tests.stage.delivery import INTAKE, MESSAGE, REPORTER, DeliveryStage, staged

pytestmark = pytest.mark.slow

GATEWAYS = 50
COPIES = 6  # of each
MOMENT = 0.25  # seconds
RETRIES: dict[str, Any] = {"retry_initial": 1, "retry_maximum": 4, "delivery_max_connections": 4}


async def spool_with_copies(folder: Path, stage: DeliveryStage, log: TdcLog) -> Spool:
    spool = await Spool.open(folder, log=log)
    spool.intakes.set_in_force(intakes_in_force(stage.settings))
    for number in range(COPIES):
        envelope = Envelope("a@out.example", (f"user{number}@example.com",))
        spool.release(await spool.hold(envelope, MESSAGE, INTAKE, new_report_id()))
    return spool


@contextlib.asynccontextmanager
async def gateways(stage: DeliveryStage, folder: Path) -> AsyncIterator[None]:
    """All of them, from one moment on."""
    log = TdcLog(stream=stage.log)
    spools = [
        await spool_with_copies(folder / f"{number}", stage, log) for number in range(GATEWAYS)
    ]
    options = stage.delivery._options

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for spool in spools:
                one = Delivery(spool, lambda: stage.settings, options, Counters(), log, REPORTER)
                group.create_task(one.run())

    try:
        async with running(all_of_them(), name="gateways"):
            yield
    finally:
        for spool in spools:
            await spool.close()


@pytest.mark.proves("F39")
async def test_gateways_come_back_one_by_one_after_an_outage(tmp_path: Path) -> None:
    """All see the outage begin in one moment, and then each waits for a time of its own; who finds
    the intake well begins with one connection.
    """
    refusing = Faults(replies={"banner": "421 4.3.2 Away"})
    async with staged(tmp_path / "stage", run=False, faults=refusing, **RETRIES) as stage:
        intake, now = stage.intake, asyncio.get_running_loop().time
        comings: list[float] = []
        opened = intake.opened

        def noted(session: Session) -> int:
            comings.append(now())
            return opened(session)

        intake.opened = noted  # type: ignore[method-assign]
        async with gateways(stage, tmp_path):
            async with asyncio.timeout(20):  # each has been refused three times
                while len(comings) < 3 * GATEWAYS:
                    await asyncio.sleep(0.02)
            intake.faults = Faults()
            back, before = now(), len(comings)
            await intake.wait_for(GATEWAYS * COPIES, timeout=20)
        after = comings[before:]
        moments = Counter(int((at - back) / MOMENT) for at in after)
        print(f"connections in each {MOMENT} s: {sorted(moments.items())}")
        assert intake.counts.messages == GATEWAYS * COPIES
        assert max(moments.values()) <= 0.7 * GATEWAYS  # without jitter: all, twice over
        assert len(moments) >= 5
        assert len(after) <= GATEWAYS * RETRIES["delivery_max_connections"]
        assert intake.counts.most_connections <= len(after)
