"""Fifty gateways whose intake was away: they do not all come back in one moment."""

from __future__ import annotations

import asyncio
import contextlib
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
from tests.stage.delivery import INTAKE, MESSAGE, REPORTER, DeliveryStage, staged

pytestmark = pytest.mark.slow

GATEWAYS = 50
COPIES = 6  # of each
MOMENT = 0.25  # seconds
CONNECTIONS = 4  # of each, at most
RETRIES: dict[str, Any] = {
    "retry_initial": 1,
    "retry_maximum": 8,
    "delivery_max_connections": CONNECTIONS,
}


async def spool_with_copies(folder: Path, stage: DeliveryStage, log: TdcLog) -> Spool:
    spool = await Spool.open(folder, log=log)
    spool.intakes.set_in_force(intakes_in_force(stage.settings))
    for number in range(COPIES):
        envelope = Envelope("a@out.example", (f"user{number}@example.com",))
        spool.release(await spool.hold(envelope, MESSAGE, INTAKE, new_report_id()))
    return spool


@contextlib.asynccontextmanager
async def gateways(stage: DeliveryStage, folder: Path) -> AsyncIterator[list[Delivery]]:
    """All of them, from one moment on."""
    log = TdcLog(stream=stage.log)
    spools = [
        await spool_with_copies(folder / f"{number}", stage, log) for number in range(GATEWAYS)
    ]
    options = stage.delivery._options
    found = [
        Delivery(spool, lambda: stage.settings, options, Counters(), log, REPORTER)
        for spool in spools
    ]

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for one in found:
                group.create_task(one.run())

    try:
        async with running(all_of_them(), name="gateways"):
            yield found
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
        intake, counts = stage.intake, stage.intake.counts
        async with gateways(stage, tmp_path) as all_of_them:
            async with asyncio.timeout(30):  # each has been refused three times
                while counts.connections < 3 * GATEWAYS:
                    await asyncio.sleep(0.02)
            probes = planned(all_of_them)
            intake.faults = Faults()
            before, counts.most_connections = counts.connections, 0
            await intake.wait_for(GATEWAYS * COPIES, timeout=30)
        print(f"next tries after {[round(at - probes[0], 2) for at in probes]} s")
        assert len(probes) > 0.8 * GATEWAYS  # the others are at it
        assert max(sum(at <= other < at + MOMENT for other in probes) for at in probes) <= 20
        assert counts.messages == GATEWAYS * COPIES
        connections = counts.connections - before
        assert counts.most_connections <= connections <= GATEWAYS * CONNECTIONS


def planned(gateways: list[Delivery]) -> list[float]:
    """When each of them will look next whether the intake is back."""
    holds = [one.hold for each in gateways for one in each._destinations.values()]
    return sorted(hold.next_probe for hold in holds if hold is not None)
