"""The commands before a message have a bound together; a RSET waits for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.ingest.timeouts import HopTimeouts

from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import SILENCE, Hop, before, send
from tests.surroundings import in_time

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pipelining", [True, False])
async def test_what_was_pipelined_together_has_one_bound(tmp_path: Path, pipelining: bool) -> None:
    """Each reply is in time by itself, also where they are asked for one by one."""
    slow = Hop(slow={"RCPT": 0.3}, pipelining=pipelining)
    async with before(tmp_path, slow, timeouts=HopTimeouts(command=0.5)) as bench:
        sent = await send(bench, *(f"r{n}@d.example" for n in range(10)))
        assert sent.codes[-1] == 451
        assert in_time(sent.seconds, 1.5)


async def test_an_envelope_has_a_bound_where_the_mta_pipelines_nothing(tmp_path: Path) -> None:
    slow = Hop(slow={"RCPT": 0.3})
    timeouts = HopTimeouts(command=5.0, envelope=1.0)
    async with before(tmp_path, slow, timeouts=timeouts) as bench:
        sent = await send(bench, *(f"r{n}@d.example" for n in range(10)), pipelined=False)
        assert sent.codes[-1] == 451
        assert sent.codes.count(451) > 5
        assert in_time(sent.seconds, 2.5)
        slow.slow = {}
        assert (await send(bench)).taken  # another transaction has it whole


async def test_a_reset_waits_for_no_mute_next_hop(tmp_path: Path) -> None:
    """Nothing depends on its reply."""
    mute = Hop(mute="RSET")
    async with before(tmp_path, mute) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n")
        async with asyncio.timeout(3 * SILENCE):
            for line in ("220 *", "250 *", "250 *", "250 2.0.0 Ok"):
                await mta.expect(line)
        await mta.close()
        mute.mute = ""
        assert (await send(bench)).soon
