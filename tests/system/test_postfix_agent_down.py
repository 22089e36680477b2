"""The agent dies under a real Postfix: mail is accepted, waits in Postfix's queue, and flows."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.demo.messages import Message
from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.fleet import RunningFleet
from tests.system.conftest import needs_postfix
from tests.system.mta import Mta
from tests.system.postfix import filter_settings, private_postfix
from tests.system.test_postfix import RECEIVED

pytestmark = [pytest.mark.system, needs_postfix]

BEFORE, WITHOUT, AFTER = 100, 50, 20
IN_DOUBT = 20  # transactions with the filter at a time, by Postfix's default


def _message(number: int) -> Message:
    """With the fields that Postfix would add, and no line that it would break."""
    name = f"m{number:06d}"
    fields = (
        "From: alice@partner.example",
        "Date: Fri, 27 Nov 2026 09:00:00 +0000",
        f"Subject: {name}",
        f"Message-ID: <{name}@partner.example>",
        "",
    )
    content = "".join(f"{line}\r\n" for line in [*fields, *[name * 10] * (number % 7 * 20), "."])
    return Message(name, "alice@partner.example", ("bob@corp.example",), content.encode())


@pytest.mark.proves("F23", "F25")
async def test_mail_waits_in_postfix_while_the_agent_is_dead(copying: RunningFleet) -> None:
    """Killed amid mail, away for a while, back: Postfix took every message at its first try, and
    each original arrives unaltered. A repeat follows only what the kill left in doubt.
    """
    filter_port, reinject_port = free_port(), free_port()
    gateway = await copying.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=reinject_port
    )
    await copying.in_sync()
    main, master = filter_settings(filter_port, reinject_port)
    messages = [_message(number) for number in range(BEFORE + WITHOUT + AFTER)]
    async with SmtpSink() as out:
        route = f"\nrelay_transport = smtp:[127.0.0.1]:{out.port}\n"
        with private_postfix(main=main + route, master=master) as postfix:
            client = Mta(postfix.port, connections=4)
            async with asyncio.TaskGroup() as group:
                group.create_task(client.send(messages[:BEFORE]))
                await out.wait_for(BEFORE // 4, timeout=30)
                await gateway.agent.kill()
            await client.send(messages[BEFORE : BEFORE + WITHOUT])
            waiting = await asyncio.to_thread(postfix.queued)
            assert waiting >= WITHOUT
            await gateway.agent.start()
            await client.send(messages[BEFORE + WITHOUT :])
            async with asyncio.timeout(60):
                while await asyncio.to_thread(postfix.queued):
                    await asyncio.to_thread(postfix.flush)  # how soon without: test_postfix
                    await asyncio.sleep(0.5)
            await copying.wait_for(lambda rows: rows["mx1"]["queued"] == 0)
            await asyncio.sleep(0.2)

    assert client.account.attempts == len(messages), "Postfix did not take one at its first try"
    wanted = {message.content for message in messages}
    originals = Counter(RECEIVED.sub(b"", one.content, count=2) for one in out.messages)
    assert originals.keys() == wanted, "an original was lost or altered"
    assert originals.total() - len(wanted) <= IN_DOUBT
    reports = [read_report(path.read_bytes()) for path in copying.reports.glob("*.eml")]
    copies = Counter(RECEIVED.sub(b"", report.original, count=1) for report in reports)
    assert copies.keys() == wanted, "a copy is missing"
    assert copies.total() - len(wanted) <= 2 * IN_DOUBT
