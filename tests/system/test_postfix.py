"""Real Postfix on both sides of the filter, with the settings of deploy/postfix."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import smtplib
import time
from collections import Counter
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.fleet import RunningFleet
from tests.stage.programs import Program
from tests.system.conftest import needs_postfix
from tests.system.postfix import PrivatePostfix, filter_settings, private_postfix, smtp_source

pytestmark = [pytest.mark.system, needs_postfix]

MESSAGES = 1_000
# What the re-injecting smtpd puts on top, and nothing else.
RECEIVED = re.compile(rb"Received: from [^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n")


async def test_a_thousand_messages_pass_postfix_and_the_filter_unharmed(
    copying: RunningFleet,
) -> None:
    """Each original leaves Postfix once, as it was; each copy is at the intake once."""
    filter_port, reinject_port = free_port(), free_port()
    await copying.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=reinject_port
    )
    await copying.in_sync()
    main, master = filter_settings(filter_port, reinject_port)
    async with SmtpSink(folder=copying.folder / "out") as out:
        route = f"\nrelay_transport = smtp:[127.0.0.1]:{out.port}\n"
        with private_postfix(main=main + route, master=master) as postfix:
            async with asyncio.timeout(90):
                await smtp_source(postfix.port, messages=MESSAGES, size=4_096, connections=20)
            await out.wait_for(MESSAGES, timeout=60)
            await copying.intake.wait_for(MESSAGES, timeout=60)
            assert postfix.queued() == 0

    reports = [read_report(path.read_bytes()) for path in copying.reports.glob("*.eml")]
    copies = {report.original: report for report in reports}
    assert len(reports) == len(copies) == MESSAGES
    assert all(report.sender == "alice@partner.example" for report in reports)
    assert all(report.recipients == ("bob@corp.example",) for report in reports)
    originals = Counter(
        RECEIVED.sub(b"", path.read_bytes(), count=1)
        for path in (copying.folder / "out").glob("*.eml")
    )
    assert originals == Counter(dict.fromkeys(copies, 1))
    assert _envelopes(copying.folder / "out") == {("alice@partner.example", "bob@corp.example")}


@pytest.mark.parametrize("xforward", ["yes", "no"])
async def test_the_log_names_a_message_as_postfix_does(
    copying: RunningFleet, xforward: str
) -> None:
    """By XFORWARD, and without it from the field that Postfix itself wrote on top."""
    filter_port, reinject_port = free_port(), free_port()
    gateway = await copying.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=reinject_port
    )
    await copying.in_sync()
    main, master = filter_settings(filter_port, reinject_port)
    sends = "smtp_send_xforward_command="
    assert f"{sends}yes" in master
    master = master.replace(f"{sends}yes", f"{sends}{xforward}")
    async with SmtpSink(folder=copying.folder / "out") as out:
        route = f"\nrelay_transport = smtp:[127.0.0.1]:{out.port}\n"
        with private_postfix(main=main + route, master=master) as postfix:
            async with asyncio.timeout(30):
                await smtp_source(postfix.port, messages=5, size=512, connections=1)
            await copying.intake.wait_for(5, timeout=30)
    reports = [read_report(path.read_bytes()) for path in copying.reports.glob("*.eml")]
    given = [
        re.search(rb"^\tby \S+ \(Postfix\) with E?SMTP id (\w+)", report.original, re.M)
        for report in reports
    ]
    log = gateway.agent.log.read_text()
    named = re.findall(r"queued for delivery\. (?:Message-ID \S+, )?queue id (\w+)\.", log)
    assert len(named) == 5
    assert sorted(named) == sorted(found[1].decode() for found in given if found)


async def test_a_message_to_many_recipients_is_one_report(copying: RunningFleet) -> None:
    """Postfix's own limit, 50 for each transaction, would make two of it."""
    filter_port, reinject_port = free_port(), free_port()
    await copying.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=reinject_port
    )
    await copying.in_sync()
    main, master = filter_settings(filter_port, reinject_port)
    people = [f"user{number}@corp.example" for number in range(100)]
    async with SmtpSink(folder=copying.folder / "out") as out:
        route = f"\nrelay_transport = smtp:[127.0.0.1]:{out.port}\n"
        with private_postfix(main=main + route, master=master) as postfix:
            message = b"Subject: to all\r\n\r\nhello\r\n"
            await asyncio.to_thread(_send, postfix.port, people, message)
            await copying.intake.wait_for(1, timeout=30)
            await asyncio.sleep(1)  # a second report would come now
    [report] = [read_report(path.read_bytes()) for path in copying.reports.glob("*.eml")]
    assert sorted(report.recipients) == sorted(people)


def _send(port: int, recipients: list[str], message: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        assert client.sendmail("alice@partner.example", recipients, message) == {}


STOP = 8.0  # seconds
SOON = 25.0  # 10 s to a message's next try, at most 10 s to the queue's next run, and some load


async def test_a_stop_of_seconds_delays_mail_by_seconds(copying: RunningFleet) -> None:
    """Mail that comes while the agent is stopped waits for a try or two, and no longer."""
    async with _gateway(copying) as (postfix, agent):
        await _submit(postfix.port, 1, ["bob@corp.example"])
        await copying.intake.wait_for(1, timeout=30)
        await agent.stop()
        for number in range(5):
            await _submit(postfix.port, number, ["bob@corp.example"])
        await asyncio.sleep(STOP)
        assert postfix.queued() == 5
        await agent.start()
        started = time.monotonic()
        await _submit(postfix.port, 6, ["bob@corp.example"])
        await copying.intake.wait_for(2, timeout=5)  # what comes now does not wait for the others
        await copying.intake.wait_for(7, timeout=SOON)
        print(f"all had arrived {time.monotonic() - started:.1f} s after the start")
        await _until_empty(postfix)


async def test_a_restart_in_place_puts_no_message_aside(copying: RunningFleet) -> None:
    """Under a stream of mail, on connections that Postfix keeps and on new ones."""
    async with _gateway(copying) as (postfix, agent):
        stream = smtp_source(postfix.port, messages=900, size=2_048, connections=8)
        sending = asyncio.create_task(stream)
        for times in (2, 3, 4):
            await asyncio.sleep(0.3)
            agent.signal(signal.SIGUSR2)
            async with asyncio.timeout(20):
                while (log := agent.log.read_text()).count("accepts mail") < times:
                    assert "not restarted" not in log, log
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            await sending
        await copying.intake.wait_for(900, timeout=60)
        await _until_empty(postfix)
        assert "status=sent" in postfix.log.read_text()
        assert "status=deferred" not in postfix.log.read_text()
    reports = [read_report(path.read_bytes()) for path in copying.reports.glob("*.eml")]
    assert len({report.original for report in reports}) == len(reports) == 900


# As smtpd is before the lines for main.cf are there; what comes in here is kept for a while.
BEFORE = """
127.0.0.1:{port} inet n - n - - smtpd
    -o content_filter=
    -o {{ smtpd_client_restrictions = check_client_access static:HOLD }}
"""


async def test_what_was_queued_goes_on_as_it_came_in_and_local_mail_is_copied(
    copying: RunningFleet,
) -> None:
    """The operator guide says so of both, and how to send what was queued through the agent."""
    before = free_port()
    async with _gateway(copying, BEFORE.format(port=before)) as (postfix, _):
        await _submit(before, 1, ["early@corp.example"])
        assert postfix.queued() == 1
        postfix.release()
        await _until_empty(postfix)
        assert not copying.intake.messages  # it went out, and was not copied
        await _submit(before, 2, ["again@corp.example"])
        postfix.requeue()  # Postfix looks for these once a minute, and when a program submits
        postfix.sendmail("local@corp.example", b"Subject: local\n\nx\n")
        await copying.intake.wait_for(2, timeout=20)
        await _until_empty(postfix)
    reports = [read_report(path.read_bytes()) for path in sorted(copying.reports.glob("*.eml"))]
    assert {report.recipients[0] for report in reports} == {
        "again@corp.example",
        "local@corp.example",
    }
    assert len(reports) == 2


@contextlib.asynccontextmanager
async def _gateway(
    fleet: RunningFleet, services: str = ""
) -> AsyncIterator[tuple[PrivatePostfix, Program]]:
    """A Postfix with the lines that we hand out, in front of an agent and behind it."""
    filter_port, reinject_port = free_port(), free_port()
    gateway = await fleet.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=reinject_port
    )
    await fleet.in_sync()
    main, master = filter_settings(filter_port, reinject_port)
    async with SmtpSink() as out:
        route = f"\nrelay_transport = smtp:[127.0.0.1]:{out.port}\n"
        with private_postfix(main=main + route, master=master + services) as postfix:
            yield postfix, gateway.agent


async def _submit(port: int, number: int, recipients: list[str]) -> None:
    text = EmailMessage()
    text["Subject"] = f"number {number}"
    text.set_content("x")

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            assert client.send_message(text, "alice@partner.example", recipients) == {}

    await asyncio.to_thread(send)


async def _until_empty(postfix: PrivatePostfix) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(postfix.queued):
            await asyncio.sleep(0.1)


def _envelopes(folder: Path) -> set[tuple[str, str]]:
    facts = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return {(fact["sender"], recipient) for fact in facts for recipient in fact["recipients"]}
