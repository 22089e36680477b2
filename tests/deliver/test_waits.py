"""Every wait for an intake ends, whatever it drips: each bound is tried by itself.

The table names the field of Timeouts that is to end the wait; all others are a minute. So a bound
that is dropped, or that a byte renews, fails its row by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.node_agent.deliver import resolver
from tdc.node_agent.deliver.mx import NoRoute
from tdc.node_agent.deliver.resolver import Resolver
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.shared.edge.tasks import running

from tests.fakes.bad_network import black_hole
from tests.fakes.dns import DnsServer
from tests.fakes.listening import listening
from tests.fakes.slow_intake import SlowIntake
from tests.stage.delivery import HOST, MESSAGE, DeliveryStage, staged

pytestmark = pytest.mark.slow


MINUTE = 60.0
SHORT = 0.4
SOON = 4.0
LARGE = MESSAGE + (b"y" * 78 + b"\r\n") * 300_000

# field of Timeouts -> where the intake drips, and what the log says
WAITS = [
    ("banner", "banner", "did not reply within 0.4 s (banner)"),
    ("command", "EHLO", "did not reply within 0.4 s (EHLO)"),
    ("command", "STARTTLS", "did not reply within 0.4 s (STARTTLS)"),
    ("tls", "TLS", "did not end the TLS handshake within 0.4 s"),
    ("command", "EHLO2", "did not reply within 0.4 s (EHLO)"),
    ("command", "MAIL", "did not reply within 0.4 s (MAIL)"),
    ("command", "RCPT", "did not reply within 0.4 s (RCPT)"),
    ("data", "DATA", "did not reply within 0.4 s (DATA)"),
    ("block", "unread", "accepted no data for 0.4 s (content)"),
    ("dot", "dot", "did not reply within 0.4 s (end of data)"),
    *(
        ("opening", stage, "did not reply within 0.4 s to open a session")
        for stage in ("banner", "EHLO", "STARTTLS", "EHLO2")
    ),
    ("opening", "TLS", "did not end the TLS handshake within 0.4 s"),
    *(
        ("message", stage, "did not reply within 0.4 s for one message")
        for stage in ("MAIL", "RCPT", "DATA", "dot")
    ),
    ("message", "content", "accepted no data in the 0.4 s for one message (content)"),
    ("message", "unread", "accepted no data in the 0.4 s for one message (content)"),
]
TRIED_BELOW = {"connect", "opening_hurried", "envelope_hurried", "rate", "goodbye", "idle"}


def only(**short: float) -> Timeouts:
    """Bounds of a minute, but for these."""
    fields = {field.name: MINUTE for field in dataclasses.fields(Timeouts)}
    return Timeouts(**{**fields, "rate": 1e12, **short})


@contextlib.asynccontextmanager
async def slow_stage(
    folder: Path, intake: SlowIntake, timeouts: Timeouts, *more_hosts: int
) -> AsyncIterator[DeliveryStage]:
    """Delivery to a slow intake, and then to the hosts with these ports (0: the good sink)."""
    async with staged(folder, options={"timeouts": timeouts}, run=False) as stage:
        chain, key = stage.intake.certificate or ("", "")
        intake.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        intake.tls.load_cert_chain(chain, key)
        async with listening(intake.serve, limit=65_536) as port:
            ports = [port, *(each or stage.intake.port for each in more_hosts)]
            stage.settings = dataclasses.replace(
                stage.settings,
                smtp_route=tuple(f"127.0.0.1:{each}" for each in ports),
                tls_names=(HOST,),
                retry_initial=60,
                retry_maximum=60,
            )
            async with running(stage.delivery.run(), name="delivery"):
                yield stage


@pytest.mark.proves("F31", "B35")
@pytest.mark.parametrize(("bound", "at", "says"), WAITS, ids=[f"{w[0]}-{w[1]}" for w in WAITS])
async def test_an_intake_that_drips_is_given_up(
    tmp_path: Path, bound: str, at: str, says: str
) -> None:
    """The copy waits, and the log says for what we waited and for how long."""
    intake = SlowIntake(at)
    async with slow_stage(tmp_path, intake, only(**{bound: SHORT})) as stage:
        unread = at in ("content", "unread")  # it can't notice then that we left
        await stage.queue(LARGE if unread else MESSAGE)
        await stage.logged(says, timeout=SOON)
        await stage.until(lambda: unread or intake.ended.is_set())
        assert stage.spool.facts().queued == 1
        assert stage.counters.delivered == 0


def test_every_bound_is_tried() -> None:
    """A new field of Timeouts needs a row."""
    fields = {field.name for field in dataclasses.fields(Timeouts)}
    assert fields == {wait[0] for wait in WAITS} | TRIED_BELOW


def test_the_bounds_are_those_that_the_standards_page_states() -> None:
    """RFC 5321 4.5.3.2 asks for these at least; lowering one must be deliberate."""
    steps = Timeouts()
    assert (steps.banner, steps.command, steps.data) == (300, 300, 120)
    assert (steps.block, steps.dot) == (180, 600)
    assert all(0 < getattr(steps, field.name) <= 10_000 for field in dataclasses.fields(Timeouts))


@pytest.mark.proves("F33", "B35")
async def test_a_host_that_does_not_answer_a_connection_is_given_up(tmp_path: Path) -> None:
    """A listener whose queue is full drops what comes, as a host does that has vanished."""
    with black_hole() as port:
        async with staged(
            tmp_path, options={"timeouts": only(connect=SHORT)}, smtp_route=(f"127.0.0.1:{port}",)
        ) as stage:
            await stage.queue()
            await stage.logged("did not answer within 0.4 s", timeout=SOON)


@pytest.mark.proves("P10", "F31")
@pytest.mark.parametrize("at", ["banner", "EHLO", "STARTTLS", "TLS", "EHLO2"])
async def test_a_second_host_takes_over_from_one_that_drips(tmp_path: Path, at: str) -> None:
    """Soon: the first is not given the minutes that the last one would get."""
    intake = SlowIntake(at)
    timeouts = only(opening_hurried=SHORT)
    async with slow_stage(tmp_path, intake, timeouts, 0) as stage:
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivered", timeout=SOON)
        assert intake.connections == 1
        await stage.queue()
        await stage.drained(timeout=SOON)
        assert intake.connections == 1  # remembered: the good one is asked first


@pytest.mark.proves("P10")
async def test_the_last_host_to_be_tried_gets_all_the_time_there_is(tmp_path: Path) -> None:
    """Slow is not dead: where nobody else is left, its minutes are those of RFC 5321."""
    async with listening(SlowIntake("banner").serve) as dripping:
        slow = SlowIntake("", pace=0.15)
        timeouts = only(opening_hurried=SHORT)
        async with slow_stage(tmp_path, SlowIntake("banner"), timeouts) as stage:
            slow.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            slow.tls.load_cert_chain(*(stage.intake.certificate or ("", "")))
            async with listening(slow.serve) as port:
                route = tuple(f"127.0.0.1:{each}" for each in (dripping, port))
                stage.settings = dataclasses.replace(stage.settings, smtp_route=route)
                mid = await stage.queue()
                await stage.logged(f"Message {mid} delivered", timeout=SOON)
                assert slow.taken == 1


async def test_a_large_report_has_time_in_proportion(tmp_path: Path) -> None:
    """An intake that reads slowly, but at the rate that is asked for, gets it."""
    intake = SlowIntake("", pace=0.1, pipelining=True)
    async with slow_stage(tmp_path, intake, only(message=0.1, rate=1e6)) as stage:
        mid = await stage.queue(LARGE)
        await stage.logged(f"Message {mid} delivered", timeout=2 * SOON)


async def test_pipelined_replies_have_their_time_each(tmp_path: Path) -> None:
    """A reply that came whole is progress: the next one has its own time."""
    intake = SlowIntake("", pace=0.25, pipelining=True)
    async with slow_stage(tmp_path, intake, only(command=SHORT, data=SHORT, dot=SHORT)) as stage:
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivered", timeout=SOON)


async def test_a_goodbye_waits_for_no_answer(tmp_path: Path) -> None:
    intake = SlowIntake("QUIT")
    async with slow_stage(tmp_path, intake, only(goodbye=SHORT, idle=0.2)) as stage:
        await stage.queue()
        await stage.until(lambda: intake.taken)
        await stage.until(lambda: intake.goodbyes, timeout=SOON)  # idle for long enough
        await stage.until(intake.ended.is_set, timeout=SOON)


@pytest.mark.proves("B35")
async def test_one_resolution_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nameservers and names there are, and whatever each of them costs."""
    monkeypatch.setattr(resolver, "FIND_TIMEOUT", SHORT)
    zone = {"i.example": {"fault": "timeout"}, "h.example": {"fault": "timeout"}}
    async with DnsServer(zone) as dns:
        began = asyncio.get_running_loop().time()
        for route in (("usedns",), ("h.example", "i.example")):
            with pytest.raises(NoRoute, match=r"the DNS did not say within 0\.4 s"):
                await Resolver((dns.nameserver,) * 3).find(
                    "i.example", route, 25, allow_private=True
                )
        assert asyncio.get_running_loop().time() - began < SOON


@pytest.mark.proves("B35")
async def test_one_question_is_bounded_over_all_nameservers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", SHORT)
    async with DnsServer({"i.example": {"fault": "timeout"}}) as dns:
        began = asyncio.get_running_loop().time()
        with pytest.raises(NoRoute, match="no answer"):
            await Resolver((dns.nameserver,) * 5).find(
                "i.example", ("usedns",), 25, allow_private=True
            )
        assert asyncio.get_running_loop().time() - began < SOON
