"""Lines that lose, delay or cut what is sent: delivery goes round them, or waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.shared.edge.tasks import running

from tests.fakes.bad_network import (
    bad_line,
    black_hole,
    reset_after_the_banner,
    reset_at_once,
)
from tests.fakes.listening import Serve, free_port, listening
from tests.stage.accepted import rows_of
from tests.stage.delivery import HOST, MESSAGE, QUICK, DeliveryStage, staged

Trouble = Callable[[], contextlib.AbstractAsyncContextManager[int]]

SHORT = 0.3
KBIT_64 = 64_000 / 8  # octets a second
LOST = 5  # packets
BODY = MESSAGE + (b"y" * 78 + b"\r\n") * 400  # 32 kB
LARGE = MESSAGE + (b"y" * 78 + b"\r\n") * 130_000  # 10 MB


@contextlib.asynccontextmanager
async def _black_hole() -> AsyncIterator[int]:
    with black_hole() as port:
        yield port


@contextlib.asynccontextmanager
async def _refused() -> AsyncIterator[int]:
    yield free_port()


def _served(serve: Serve) -> Trouble:
    return lambda: listening(serve)


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "black-hole": (_black_hole, "did not answer within 0.3 s"),
    "refused": (_refused, "can't be reached"),
    "reset-at-once": (_served(reset_at_once), "closed the connection"),
    "reset-after-the-banner": (_served(reset_after_the_banner), "closed the connection"),
}


@contextlib.asynccontextmanager
async def routed(
    folder: Path, *ports: int, options: Timeouts | None = None, **settings: Any
) -> AsyncIterator[DeliveryStage]:
    """Delivery to these ports, in their order; 0 is the good intake's."""
    timeouts = options or Timeouts(connect=SHORT)
    async with staged(folder, options={"timeouts": timeouts}, run=False, **settings) as stage:
        _route(stage, *ports)
        async with running(stage.delivery.run(), name="delivery"):
            yield stage


def _route(stage: DeliveryStage, *ports: int) -> None:
    route = tuple(f"127.0.0.1:{port or stage.intake.port}" for port in ports)
    stage.settings = dataclasses.replace(stage.settings, smtp_route=route, tls_names=(HOST,))


@pytest.mark.proves("F29", "P10")
@pytest.mark.parametrize("kind", TROUBLES)
async def test_the_next_host_takes_over_and_no_copy_is_charged(tmp_path: Path, kind: str) -> None:
    """At once, but for the wait that a black hole costs; and the bad host is not asked again."""
    trouble, says = TROUBLES[kind]
    async with trouble() as bad, routed(tmp_path, bad, 0) as stage:
        for _ in range(20):
            await stage.queue()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 20
        assert (stage.counters.deferred, stage.counters.maybe_duplicate) == (0, 0)
        log = stage.log.getvalue()
        assert says in log
        assert log.count("trying the next host") == 1
        assert "delivery failed" not in log
        assert "on hold" not in log


@pytest.mark.slow
@pytest.mark.proves("F29", "P6")
@pytest.mark.parametrize("kind", TROUBLES)
async def test_without_another_host_all_wait_and_one_probes(tmp_path: Path, kind: str) -> None:
    """No attempt is charged to a copy: the trouble is the host's. All go once it is well."""
    trouble, says = TROUBLES[kind]
    async with trouble() as bad, routed(tmp_path, bad, **QUICK) as stage:
        for _ in range(20):
            await stage.queue()
        await stage.logged(f"on hold: {'Timeout' if kind == 'black-hole' else 'Connection'}")
        await stage.logged(says)
        await asyncio.sleep(1.6)
        [row] = stage.delivery.destinations()
        assert (row.host_status, row.active_recipients) == ("down", 20)
        assert stage.counters.deferred <= 5  # once for the hold, and once for each of its probes
        assert stage.log.getvalue().count("on hold") == 1
        assert rows_of(tmp_path / "spool", "SELECT attempts FROM copies") == [(0,)] * 20
        _route(stage, 0)
        stage.delivery.settings_changed()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 20


@pytest.mark.slow
@pytest.mark.proves("F32")
@pytest.mark.parametrize(("loss", "rate"), [(30, 1e9), (30, KBIT_64)])
async def test_a_line_that_loses_30_percent_or_has_64_kbit_carries_the_report(
    tmp_path: Path, loss: int, rate: float
) -> None:
    """32 kB, whole and once. Lost is what comes to the intake's end: segments, confirmations.

    By chance, so reports are sent until the line has lost some of them.
    """
    async with routed(tmp_path, 0, options=Timeouts()) as stage:
        async with bad_line(stage.intake.port, loss=loss, rate=rate) as line:
            _route(stage, line.port)
            sent = 0
            while line.lost < LOST:
                began = time.monotonic()
                await stage.queue(BODY)
                sent += 1
                await stage.drained(timeout=60)
                assert time.monotonic() - began > 0.9 * len(BODY) / rate
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == sent
        assert all(BODY in message.content for message in stage.intake.messages)
        assert (stage.counters.deferred, stage.counters.maybe_duplicate) == (0, 0)


@pytest.mark.slow
@pytest.mark.proves("F32")
async def test_a_report_that_a_slow_line_can_not_carry_in_its_time_waits(tmp_path: Path) -> None:
    """10 MB that may take a second: no part of it counts, and another intake's copies go on."""
    short = Timeouts(message=1.0, rate=1e9)
    random = os.urandom(5_000_000).hex().encode()  # nothing on the way makes it smaller
    body = MESSAGE + b"\r\n".join(random[at : at + 76] for at in range(0, len(random), 76))
    async with (
        routed(tmp_path, 0, options=short) as stage,
        staged(tmp_path / "other") as other,
    ):
        async with bad_line(stage.intake.port, loss=30, rate=KBIT_64) as line:
            _route(stage, line.port)
            mid = await stage.queue(body)
            await stage.logged("Delivery started", timeout=20)
            for _ in range(20):
                await other.queue()
            await other.drained(timeout=4)
            await stage.logged(f"Message {mid} Timeout: 127.0.0.1", timeout=20)
        assert stage.intake.messages == []
        assert (stage.spool.facts().queued, stage.counters.delivered) == (1, 0)
        assert stage.counters.maybe_duplicate == 0


@pytest.mark.proves("F32")
def test_10_mb_have_the_time_that_64_kbit_take() -> None:
    """And the retransmissions of what 30 % of loss costs."""
    assert Timeouts().for_message(len(LARGE)) > 2 * len(LARGE) / KBIT_64
