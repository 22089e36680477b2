"""A next hop named by its host, of whose IP addresses one is of no use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.ingest import pool
from tdc.node_agent.ingest.pool import NextHop
from tdc.node_agent.ingest.timeouts import HopTimeouts

from tests.fakes.bad_network import black_hole
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.content_filter import running_filter
from tests.stage.next_hops import send
from tests.surroundings import in_time

CONNECT = 1.0


async def test_an_address_whose_packets_vanish_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one message a part of the time for a connection, and those that follow nothing."""

    async def both(_: str, __: int) -> tuple[str, ...]:
        return "127.0.0.1", "127.0.0.2"

    monkeypatch.setattr(pool, "addresses_of", both)
    with black_hole() as port:
        hops = (NextHop("mail.corp.example", port),)
        timeouts = HopTimeouts(connect=CONNECT, idle=0.05)
        async with (
            SmtpSink(host="127.0.0.2", port=port) as sink,
            running_filter(tmp_path, 0, next_hops=hops, hop_timeouts=timeouts) as bench,
        ):
            first = await send(bench)
            assert first.taken
            assert in_time(first.seconds, CONNECT)
            await asyncio.sleep(0.1)  # its connection is not used again
            assert in_time((await send(bench)).seconds, CONNECT / 4)
            assert sink.counts.connections > 1
            assert len(sink.messages) == 2
