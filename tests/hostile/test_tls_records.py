"""Intakes whose TLS breaks off, bursts or never ends: the copy waits, and others are served."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import resource
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.shared.edge.tasks import running

from tests.fakes.listening import listening
from tests.fakes.odd_tls_intake import Mischief, OddTlsIntake
from tests.fakes.tls_records import (
    HANDSHAKE,
    HELLO_REQUEST,
    KEY_UPDATE,
    KEY_UPDATE_REQUESTED,
    LONGEST,
    TlsRecords,
)
from tests.stage.delivery import HOST, MESSAGE, QUICK, DeliveryStage, staged

STAGES = ["EHLO", "MAIL", "RCPT", "DATA", "dot"]
NO_RENEGOTIATION = b"\x01\x64"  # a warning, RFC 5246 7.2.2


@contextlib.asynccontextmanager
async def odd_stage(
    folder: Path, at: str, mischief: Mischief, *, seconds: float = 1.5, **facts: object
) -> AsyncIterator[tuple[DeliveryStage, OddTlsIntake]]:
    """Delivery to an intake that does `mischief` at a stage, and has so many seconds for it."""
    timeouts = Timeouts(opening=seconds, message=seconds, goodbye=0.2)
    async with staged(folder, options={"timeouts": timeouts}, run=False, **QUICK) as stage:
        assert stage.intake.certificate is not None
        odd = OddTlsIntake(stage.intake.certificate, at, mischief, **facts)  # type: ignore[arg-type]
        async with listening(odd.serve, limit=65_536, narrow=True) as port:
            stage.settings = dataclasses.replace(
                stage.settings, smtp_route=(f"127.0.0.1:{port}",), tls_names=(HOST,)
            )
            async with running(stage.delivery.run(), name="delivery"):
                yield stage, odd


async def fin(tls: TlsRecords) -> bool:
    tls.writer.close()
    return False


async def rst(tls: TlsRecords) -> bool:
    tls.writer.transport.abort()
    return False


async def half_a_record(tls: TlsRecords) -> bool:
    tls.writer.write(tls.ours.seal(23, b"250 ok\r\n")[:-1])
    return await fin(tls)


async def half_a_reply(tls: TlsRecords) -> bool:
    tls.write(b"250 ok")
    return await fin(tls)


async def part_of_a_reply(tls: TlsRecords) -> bool:
    tls.write(b"250-ok\r\n")
    return await fin(tls)


@pytest.mark.proves("B66")
@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize("ends", [fin, rst, half_a_record, half_a_reply, part_of_a_reply])
async def test_an_end_without_close_notify_is_a_lost_connection(
    tmp_path: Path, at: str, ends: Mischief
) -> None:
    """Whoever cuts a line must not make a success of what was cut off."""
    async with odd_stage(tmp_path, at, ends, times=1) as (stage, odd):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivery failed")
        assert stage.counters.delivered == 0
        stage.delivery.kick()
        await stage.logged(f"Message {mid} delivered")
        assert stage.counters.maybe_duplicate == len(odd.contents) - 1 == (at == "dot")
        assert all(MESSAGE.replace(b"\r\n.", b"\r\n..") in content for content in odd.contents)
        assert "Traceback" not in stage.log.getvalue()


@pytest.mark.proves("B66")
async def test_an_idle_connection_that_is_cut_without_close_notify_is_no_trouble(
    tmp_path: Path,
) -> None:
    async with odd_stage(tmp_path, "none", fin) as (stage, odd):
        first = await stage.queue()
        await stage.logged(f"Message {first} delivered")
        odd.connections[0].writer.close()
        await asyncio.sleep(0.1)
        second = await stage.queue()
        await stage.logged(f"Message {second} delivered")
        assert len(odd.contents) == 2
        assert "failed" not in stage.log.getvalue()


@pytest.mark.proves("B67")
@pytest.mark.parametrize("at", STAGES)
async def test_a_record_of_17_kib_ends_the_connection_and_is_no_reply(
    tmp_path: Path, at: str
) -> None:
    """Well encrypted, and too long (RFC 8446 5.1): nothing of it is read."""

    async def burst(tls: TlsRecords) -> bool:
        tls.write(b"250-ok\r\n" * 2_175 + b"250 ok\r\n")
        await tls.until(b"never")
        return False

    async with odd_stage(tmp_path, at, burst, times=1) as (stage, odd):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivery failed")
        assert stage.counters.delivered == 0
        stage.delivery.kick()
        await stage.logged(f"Message {mid} delivered")
        assert len(odd.contents) == 1 + (at == "dot")


@pytest.mark.proves("B67")
async def test_the_longest_record_that_is_lawful_is_read(tmp_path: Path) -> None:
    async def padded(tls: TlsRecords) -> bool:
        tls.write(b"250 ok\r\n", padding=LONGEST - 8)
        await asyncio.sleep(10)
        return False

    async with odd_stage(tmp_path, "dot", padded) as (stage, _):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivered")


@pytest.mark.proves("B67")
@pytest.mark.parametrize("message", [KEY_UPDATE, KEY_UPDATE_REQUESTED])
@pytest.mark.parametrize("at", ["EHLO", "dot"])
async def test_many_changes_of_keys_are_lawful(tmp_path: Path, at: str, message: bytes) -> None:
    async def storm(tls: TlsRecords) -> bool:
        tls.key_updates(2_000, message)
        return True

    async with odd_stage(tmp_path, at, storm) as (stage, odd):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivered")
        assert len(odd.contents) == 1


@pytest.mark.slow
@pytest.mark.proves("B67")
@pytest.mark.parametrize("at", ["EHLO", "dot"])
async def test_a_storm_without_end_is_given_up_in_its_time_and_others_are_served(
    tmp_path: Path, at: str
) -> None:
    """Each change of keys is progress to TLS, and none to us."""

    async def storm(tls: TlsRecords) -> bool:
        while not tls.writer.transport.is_closing():
            tls.key_updates(50, KEY_UPDATE_REQUESTED)
            await tls.writer.drain()
            await asyncio.sleep(0)
        return False

    async with (
        odd_stage(tmp_path, at, storm) as (stage, _),
        staged(tmp_path / "other", run=True) as other,
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mid = await stage.queue()
        await asyncio.sleep(0.2)
        for _ in range(5):
            await other.queue()
        await other.drained(timeout=4)
        await stage.logged(f"Message {mid} Timeout: 127.0.0.1", timeout=6)
        assert stage.counters.delivered == 0
        assert stage.spool.facts().queued == 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.slow
@pytest.mark.proves("B67")
async def test_answers_that_an_intake_asks_for_and_does_not_read_do_not_pile_up(
    tmp_path: Path,
) -> None:
    """Each request to change keys is answered by TLS itself; what is unread of that is bounded."""

    async def storm(tls: TlsRecords) -> bool:
        while not tls.writer.transport.is_closing():
            tls.key_updates(500, KEY_UPDATE_REQUESTED)
            await tls.writer.drain()
            await asyncio.sleep(0)
        return False

    async with odd_stage(tmp_path, "dot", storm, seconds=60.0) as (stage, odd):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mid = await stage.queue()
        await stage.logged("asks for TLS answers, reads none", timeout=50)
        await stage.logged(f"Message {mid} delivery failed")
        assert (stage.spool.facts().queued, stage.counters.delivered) == (1, 0)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
        assert len(odd.contents) == stage.counters.maybe_duplicate == 1


@pytest.mark.proves("B67")
@pytest.mark.parametrize("at", ["EHLO", "MAIL", "dot"])
async def test_a_session_is_not_negotiated_twice(tmp_path: Path, at: str) -> None:
    """Who was verified is who we talk to: a request is declined, and the session goes on."""

    async def ask_again(tls: TlsRecords) -> bool:
        for _ in range(4):
            tls.write(HELLO_REQUEST, kind=HANDSHAKE)
        return True

    version = ssl.TLSVersion.TLSv1_2
    async with odd_stage(tmp_path, at, ask_again, version=version) as (stage, odd):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} delivered")
        assert odd.connections[0].handshakes == []
        assert NO_RENEGOTIATION in odd.connections[0].alerts
