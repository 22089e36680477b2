"""kill -9 of the agent at random moments under load."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tdc.node_agent.deliver.courier import UNRECORDED

from tests.demo.messages import Message
from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.accepted import Unmarked
from tests.stage.fleet import Gateway, RunningFleet
from tests.system.mta import Account, Mta

pytestmark = [pytest.mark.system, pytest.mark.crash, pytest.mark.timeout(240)]

KILLS = 30


class Load:
    """Distinct messages until the kills are over; the name in each tells it from the others."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.over = False

    def __iter__(self) -> Iterator[Message]:
        while not self.over:
            self.messages.append(numbered(len(self.messages)))
            yield self.messages[-1]


def numbered(number: int) -> Message:
    """A message that differs from the others."""
    name = f"m{number:06d}"
    head = f"Subject: {name}\r\nMessage-ID: <{name}@partner.example>\r\n\r\n"
    body = bytes([65 + number % 26]) * (number % 7) * 1_500
    return Message(
        name, "alice@partner.example", ("bob@corp.example",), head.encode() + body + b"\r\n"
    )


@pytest.mark.proves("P3", "P4", "F25")
async def test_thirty_kills_lose_no_original_and_no_copy(copying: RunningFleet) -> None:
    """Repeats are allowed only where a kill fell between the final dot and its reply, and a report
    is sent again only if a kill fell between the intake's reply and its mark: once for each."""
    gateway = await copying.add_gateway("mx1", group="Main_Group", listen=free_port())
    await copying.in_sync()
    load = Load()
    mta = Mta(gateway.port, connections=8)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(mta.send(load, timeout=200))
        unmarked = await _kill_again_and_again(gateway, copying.intake)
        load.over = True
    account = sending.result()
    await drained(copying, load.messages)
    check(gateway, copying.reports, load.messages, account, unmarked)


async def _kill_again_and_again(gateway: Gateway, intake: SmtpSink) -> Counter[str]:
    """Return how often a kill found each report accepted, and not marked."""
    chance = random.Random(20261124)
    unmarked = Unmarked(gateway, intake)
    for _ in range(KILLS):
        intake.counts.most_connections = 0
        await asyncio.sleep(chance.uniform(0.05, 0.9))
        await gateway.agent.kill()
        most = intake.counts.most_connections * (UNRECORDED + 1)
        assert len(await unmarked.look()) <= most
        await gateway.agent.start()
    return unmarked.times


async def drained(fleet: RunningFleet, messages: list[Message]) -> None:
    await fleet.wait_for(lambda rows: rows["mx1"]["queued"] == 0, timeout=60)
    names = {message.name for message in messages}
    async with asyncio.timeout(30):
        while {_name(report.content) for report in fleet.intake.messages} < names:
            await asyncio.sleep(0.2)


def _name(content: bytes) -> str:
    return content.partition(b"Message-ID: <")[2].partition(b"@")[0].decode()


def check(
    gateway: Gateway,
    reports: Path,
    messages: list[Message],
    account: Account,
    unmarked: Counter[str],
) -> None:
    wanted = {message.content: message.name for message in messages}
    originals = Counter(path.read_bytes() for path in gateway.originals.glob("*.eml"))
    assert set(originals) == set(wanted), "an original was lost or altered"
    repeated = {wanted[content]: count - 1 for content, count in originals.items() if count > 1}
    assert all(count <= account.ambiguous[name] for name, count in repeated.items())

    read = [read_report(path.read_bytes()) for path in sorted(reports.glob("*.eml"))]
    copies = Counter(report.original for report in read)
    assert set(copies) == set(wanted), "an acknowledged copy was lost or altered"
    by_report = Counter((report.headers["message-id"], report.original) for report in read)
    resent = {
        name.strip("<").partition("@")[0]: count - 1
        for (name, _), count in by_report.items()
        if count > 1
    }
    taken_again = {
        name: count - 1
        for name, count in Counter(wanted[original] for _, original in by_report).items()
        if count > 1
    }
    assert all(count <= account.ambiguous[name] for name, count in taken_again.items())
    print(
        f"kills {KILLS}, messages {len(messages)}, attempts {account.attempts}, "
        f"broken between dot and reply {account.ambiguous.total()}; originals lost 0, altered 0, "
        f"repeated {sum(repeated.values())}; copies lost 0, "
        f"taken again {sum(taken_again.values())}, resent {sum(resent.values())}"
    )
    assert resent == dict(unmarked)
