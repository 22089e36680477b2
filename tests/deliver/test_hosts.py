"""Several hosts of one intake: a sound one gets the reports, whatever the others do."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import math
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.deliver import reply_table
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.shared.edge.tasks import running

from tests.fakes.listening import listening
from tests.fakes.slow_intake import SlowIntake
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.delivery import HOST, QUICK, DeliveryStage, staged

FIRST = "mx0.intake.example"
POISON = b"Subject: poison\r\n\r\npoison\r\n"

IN_CONTENT = {
    "cut within the content": Faults(drop=("before-dot",)),
    "cut after the dot": Faults(drop=("dot",)),
    "mute after the dot": Faults(delays={"dot": 30.0}),
    **{
        f"dot: {reply}": Faults(replies={"dot": reply})
        for reply in (
            "451 Try again", "554 Transaction failed", "421 4.3.2 Shutting down",
            "452 4.3.1 Insufficient storage", "550 5.7.1 Denied", "451 4.7.1 Later",
            "552 5.2.2 Mailbox full", "554 5.3.0 Broken", "554 5.6.0 Not a report",
            "552 5.3.4 Too big", "500 What?",
        )
    },
}  # fmt: skip
IN_ENVELOPE = {
    f"{stage}: {reply}": Faults(replies={stage: reply})
    for stage, reply in (
        ("mail", "550 no"), ("mail", "451 no"), ("mail", "421 no"), ("mail", "555 5.5.4 no"),
        ("rcpt", "452 4.3.1 no"), ("rcpt", "451 4.7.1 no"), ("rcpt", "450 no"),
        ("rcpt", "550 5.1.1 no"), ("rcpt", "556 no"), ("data", "451 no"), ("data", "554 no"),
    )
}  # fmt: skip
SIZE = Faults(extra_keywords=("SIZE 100",))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No 300 s of greylisting."""
    rows = tuple(dataclasses.replace(row, at_least=0.0) for row in reply_table.ROWS)
    monkeypatch.setattr(reply_table, "ROWS", rows)


@contextlib.asynccontextmanager
async def two_hosts(
    folder: Path, first: Faults, *, by_route: bool = False, run: bool = True, **given: Any
) -> AsyncIterator[tuple[DeliveryStage, SmtpSink]]:
    """Delivery to an intake whose first host has faults; the stage's own is the second."""
    settings = {"delivery_max_connections": 4, **QUICK, **given}
    async with staged(folder, run=False, **settings) as stage:
        certificate = stage.authority.issue(FIRST)
        without = ("CHUNKING", "BINARYMIME", *(["SIZE"] if first is SIZE else []))
        async with SmtpSink(
            host="127.0.0.2",
            port=stage.intake.port,
            certificate=certificate,
            faults=first,
            without=without,
        ) as bad:
            stage.dns.zone["intake.example"] = {"MX": [[10, FIRST], [20, HOST]]}
            stage.dns.zone[FIRST] = {"A": ["127.0.0.2"]}
            if by_route:
                route = tuple(f"{host}:{stage.intake.port}" for host in (FIRST, HOST))
                stage.settings = dataclasses.replace(
                    stage.settings, smtp_route=route, tls_names=(FIRST, HOST)
                )
            async with contextlib.AsyncExitStack() as delivering:
                if run:
                    delivery = running(stage.delivery.run(), name="delivery")
                    await delivering.enter_async_context(delivery)
                yield stage, bad


async def queue_many(stage: DeliveryStage, count: int) -> None:
    await asyncio.gather(*(stage.queue() for _ in range(count)))


@pytest.mark.parametrize("by_route", [False, True], ids=["mx", "route"])
@pytest.mark.parametrize("faults", IN_CONTENT.values(), ids=IN_CONTENT.keys())
@pytest.mark.proves("P10")
async def test_a_first_host_that_fails_at_the_content_hides_no_sound_second_one(
    tmp_path: Path, faults: Faults, by_route: bool
) -> None:
    """It gets a few reports, each once at most, and no hold begins."""
    async with two_hosts(tmp_path, faults, by_route=by_route) as (stage, bad):
        await queue_many(stage, 30)
        await stage.drained(timeout=12)
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert bad.counts.mail_commands <= 8, "three reports, announced or encoded twice"
        assert len(set(stage.report_ids(bad))) == len(bad.messages) <= 1
        assert "on hold" not in stage.log.getvalue()
        assert stage.spool.facts().dead == 0


@pytest.mark.parametrize("faults", [*IN_ENVELOPE.values(), SIZE], ids=[*IN_ENVELOPE, "SIZE 100"])
@pytest.mark.proves("P10")
async def test_what_a_first_host_refuses_before_the_content_goes_to_the_second_at_once(
    tmp_path: Path, faults: Faults
) -> None:
    async with two_hosts(tmp_path, faults) as (stage, bad):
        await queue_many(stage, 30)
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert not bad.messages
        assert stage.counters.deferred == 0
        assert "on hold" not in stage.log.getvalue()


@pytest.mark.parametrize("at", ["EHLO2", "MAIL", "RCPT", "DATA"])
@pytest.mark.proves("P10", "F31")
async def test_a_first_host_that_falls_mute_before_the_content_is_left_soon(
    tmp_path: Path, at: str
) -> None:
    """Nothing of the message was sent: to give up repeats none."""
    slow = SlowIntake(at)
    timeouts = Timeouts(opening_hurried=0.4, envelope_hurried=0.4)
    async with staged(tmp_path, options={"timeouts": timeouts}, run=False) as stage:
        slow.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        slow.tls.load_cert_chain(*(stage.intake.certificate or ("", "")))
        async with listening(slow.serve) as port:
            route = (f"127.0.0.1:{port}", f"127.0.0.1:{stage.intake.port}")
            stage.settings = dataclasses.replace(
                stage.settings, smtp_route=route, tls_names=(HOST,)
            )
            async with running(stage.delivery.run(), name="delivery"):
                await queue_many(stage, 10)
                await stage.drained(timeout=4)
        assert (slow.connections, stage.counters.deferred) == (1, 0)
        assert len(stage.intake.messages) == 10


@pytest.mark.parametrize(
    "faults",
    [
        Faults(replies={"rcpt": "550 5.1.1 No such user"}),
        Faults(replies={"dot": "552 5.2.2 Mailbox full"}),
        Faults(replies={"dot": "554 No"}),
        Faults(drop=("before-dot",)),
        Faults(drop=("banner",)),
    ],
    ids=str,
)
@pytest.mark.proves("F37", "P6")
async def test_an_intake_that_fails_at_all_hosts_is_held_and_its_probes_try_each(
    tmp_path: Path, faults: Faults
) -> None:
    async with two_hosts(tmp_path, faults) as (stage, bad):
        stage.intake.faults = faults
        await queue_many(stage, 30)
        await stage.logged("on hold: ", timeout=20)
        before = (bad.counts.connections, stage.intake.counts.connections)
        await asyncio.sleep(3.2)
        probes = [
            now - then
            for now, then in zip(
                (bad.counts.connections, stage.intake.counts.connections), before, strict=True
            )
        ]
        assert all(1 <= count <= 5 for count in probes), probes
        assert stage.log.getvalue().count("on hold") == 1
        assert (stage.spool.facts().queued, stage.spool.facts().dead) == (30, 0)
        bad.faults = Faults()  # one sound host is enough, whichever it is
        await stage.drained(timeout=12)
        assert len(set(stage.report_ids(bad))) == 30


@pytest.mark.parametrize(
    ("stage_name", "reply"),
    [("mail", "451 4.3.0 No"), ("rcpt", "550 5.1.1 No"), ("dot", "552 5.2.2 Full")],
)
async def test_each_probe_tries_all_hosts_before_the_next_one_waits(
    tmp_path: Path, stage_name: str, reply: str
) -> None:
    """Whichever is sound by then gets a report: it has not to wait for its turn."""
    faults = Faults(replies={stage_name: reply})
    async with two_hosts(tmp_path, faults, retry_initial=1, retry_maximum=1) as (stage, first):
        second = stage.intake
        second.faults = faults
        await queue_many(stage, 2)
        await stage.logged("on hold: ", timeout=20)
        tried = [(first.counts.mail_commands, second.counts.mail_commands)]
        for _ in range(3):
            await stage.until(lambda: first.counts.mail_commands > tried[-1][0], timeout=10)
            await asyncio.sleep(0.4)  # less than a probe's wait
            tried.append((first.counts.mail_commands, second.counts.mail_commands))
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(tried)]
        assert steps == [(1, 1)] * 3
        second.faults = Faults()
        await stage.drained(timeout=10)
        assert len(second.messages) == 2


@pytest.mark.parametrize("word", ["refuse", "drop"])
async def test_one_message_has_not_all_hosts_avoided(tmp_path: Path, word: str) -> None:
    """It fails at both, and the others go on to the first one as before."""
    async with two_hosts(tmp_path, Faults(), retry_initial=1, retry_maximum=1) as (stage, first):
        await queue_many(stage, 4)
        await stage.drained()
        assert len(first.messages) == 4
        reply = "554 Not this one" if word == "refuse" else "421 4.3.2 Crashed"
        first.faults = stage.intake.faults = Faults(refuse={"poison": reply})
        poison = await stage.queue(POISON)
        for _ in range(12):
            await stage.queue()
            await asyncio.sleep(0.3)
        await stage.until(lambda: stage.spool.facts().queued == 1)
        assert len(first.messages) + len(stage.intake.messages) == 16
        assert stage.log.getvalue().count(f"Message {poison} delivery failed") >= 2
        assert "on hold" not in stage.log.getvalue()
        assert len(first.messages) == 16, "it serves the others: it is not to blame"


async def test_a_host_that_is_sound_again_gets_the_reports_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is not, one connection at a time tries it, less and less often."""
    monkeypatch.setattr("tdc.node_agent.deliver.hosts.BAD_HOST_WAIT", 0.5)
    faults = Faults(replies={"rcpt": "450 Not now"})
    async with two_hosts(tmp_path, faults) as (stage, first):
        began = time.monotonic()
        for _ in range(30):
            await stage.queue()
            await stage.drained()
            stage.intake.drop_connections()  # so that each report needs a new one
            await asyncio.sleep(0.05)
        # It is tried after 0, 0.5, 1.5, 3.5 s and so on.
        most = 2 + math.log2(1 + (time.monotonic() - began) / 0.5)
        assert 2 <= first.counts.mail_commands <= most
        first.faults = Faults()
        async with asyncio.timeout(30):
            while not first.messages:
                await stage.queue()
                await stage.drained()
                stage.intake.drop_connections()
                await asyncio.sleep(0.1)
        await stage.drained()
        assert stage.counters.deferred == 0
