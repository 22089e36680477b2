"""An agent that gets no more memory, or is killed for it: what was taken is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from tests.demo.messages import Message
from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_faults import Faults
from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.memory import allow_allocations, killed_beyond, refuse_allocations, size_of
from tests.system.conftest import copying
from tests.system.mta import Account, Mta
from tests.system.test_kill import numbered

__all__ = ["copying"]  # a fixture

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

MEGABYTE = 1_000_000
LARGE = [
    Message(
        f"large{number}",
        "alice@partner.example",
        ("bob@corp.example",),
        b"Subject: large%d\r\n\r\n" % number + (b"y" * 998 + b"\r\n") * 30_000,
    )
    for number in range(2)
]
HUGE = Message(
    "huge",
    "alice@partner.example",
    ("bob@corp.example",),
    b"Subject: huge\r\n\r\n" + (b"y" * 998 + b"\r\n") * 70_000,
)
"""More than the memory that an agent kept after a large one."""
SMALL = [numbered(number) for number in range(40)]


@pytest.mark.proves("F17")
async def test_an_agent_that_is_killed_for_its_memory_loses_nothing(
    copying: RunningFleet,
) -> None:
    """By large mail, and then by hand amid it; the MTA has what was not accepted, the spool the
    rest.
    """
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    client = Mta(gateway.port, connections=6)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(client.send([*SMALL, *LARGE], timeout=100))
        pid = gateway.agent.pid
        limit = size_of(pid, "VmRSS") + 15 * MEGABYTE
        with killed_beyond(pid, limit) as by_kernel:
            async with asyncio.timeout(30):
                while gateway.agent.running:
                    if not by_kernel and size_of(pid, "VmRSS") > limit:
                        await gateway.agent.kill()
                    await asyncio.sleep(0.01)
        await gateway.agent.start()
        await asyncio.sleep(0.2)
        await gateway.agent.kill()
        await gateway.agent.start()
        account = await sending
    await arrived(copying, gateway, account)


@pytest.mark.proves("F17")
async def test_allocations_that_fail_lose_nothing(copying: RunningFleet) -> None:
    """The agent refuses, or ends, by itself or in a library; what it had taken is there again."""
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    copying.intake.faults = Faults(replies={"mail": "451 4.3.2 Not now"})
    client = Mta(gateway.port, connections=4)
    await client.send(LARGE[:1])
    refuse_allocations(gateway.agent.pid, 10 * MEGABYTE)
    copying.intake.faults = Faults()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(client.send([HUGE, *SMALL], timeout=100))
        for spare in (5, 2, 1):  # until something is refused, whatever the agent holds by now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while gateway.agent.running and not _refused(gateway):
                        await asyncio.sleep(0.05)
            if not gateway.agent.running or _refused(gateway) or sending.done():
                break
            refuse_allocations(gateway.agent.pid, spare * MEGABYTE)
        await asyncio.sleep(1.0)
        if gateway.agent.running:
            assert _refused(gateway), "it had all that it asked for"
            allow_allocations(gateway.agent.pid)
            await sending  # what failed in a library leaves a connection until its time is over
            await gateway.agent.kill()
        await gateway.agent.start()
        account = await sending
    await arrived(copying, gateway, account)


def _refused(gateway: Gateway) -> bool:
    return "MemoryError" in gateway.agent.log.read_text()


async def arrived(fleet: RunningFleet, gateway: Gateway, account: Account) -> None:
    """Each message is at the next hop and at the intake; repeats are only those in doubt."""
    sent = {message.name: message for message in [*SMALL, *LARGE, HUGE]}
    wanted = {sent[name].content for name in account.accepted}
    await fleet.wait_for(lambda rows: rows["mx1"]["queued"] == 0, timeout=60)
    originals = Counter(path.read_bytes() for path in gateway.originals.glob("*.eml"))
    assert originals.keys() == wanted
    assert originals.total() - len(wanted) <= account.ambiguous.total()
    reports = Counter(
        read_report(path.read_bytes()).original for path in fleet.reports.glob("*.eml")
    )
    assert reports.keys() == wanted
    assert "dead-letter" not in gateway.agent.log.read_text()
