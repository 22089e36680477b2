"""Whether the next hop takes mail, as the machine reports it: from mail alone, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.node_agent.counters import Counters
from tdc.node_agent.facts import gather
from tdc.node_agent.ingest.hop_state import HopTrouble, NextHopState
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.status import status_to_wire
from tdc.node_agent.sync.apply import InForce
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.wire.report import report_of

from tests.fakes.listening import free_port, listening
from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import Hop, before, send
from tests.stage.settings_stream import SPOOL

WAITS = "; mail waits in the MTA"


def trouble(state: NextHopState) -> HopTrouble | None:
    return state.trouble


def test_trouble_begins_when_the_last_one_fails_and_ends_when_one_answers() -> None:
    now = 100.0
    state, both = NextHopState(lambda: now), ("a:1", "b:1")
    state.failed("a:1", "refused", both)
    assert trouble(state) is None
    now = 110.0
    state.failed("b:1", "no answer", both)
    assert trouble(state) == HopTrouble(110.0, f"a:1: refused; b:1: no answer{WAITS}")
    now = 120.0
    state.failed("a:1", "no route", both)
    assert trouble(state) == HopTrouble(110.0, f"a:1: no route; b:1: no answer{WAITS}")
    state.works("b:1")
    assert trouble(state) is None
    now = 130.0
    state.failed("b:1", "refused", both)  # the other one has not worked since
    assert trouble(state) == HopTrouble(130.0, f"a:1: no route; b:1: refused{WAITS}")


async def test_a_next_hop_that_is_stopped_is_trouble_until_it_takes_a_message(
    tmp_path: Path,
) -> None:
    port, state = free_port(), NextHopState()
    async with before(tmp_path, port, hop_state=state) as bench:
        assert trouble(state) is None  # nothing is known yet
        mta = await connected(bench.filter.port)
        await mta.expect("220 *")
        mta.writer.write(b"EHLO mta\r\n")
        await mta.expect("421 *")
        await mta.close()
        assert (
            getattr(trouble(state), "reason", "") == f"127.0.0.1:{port}: Connection refused{WAITS}"
        )
        hop = Hop(mute="RCPT")
        async with listening(hop.serve, port):
            await send(bench)
            # It greets, and then is silent.
            assert "did not answer" in getattr(trouble(state), "reason", "")
            hop.mute = ""
            assert (await send(bench)).taken
            assert trouble(state) is None


async def test_one_of_two_is_no_trouble(tmp_path: Path) -> None:
    state = NextHopState()
    async with before(tmp_path, free_port(), Hop(), hop_state=state) as bench:
        assert (await send(bench)).taken
        assert trouble(state) is None


@pytest.mark.parametrize("down", [False, True])
async def test_it_is_in_the_report(tmp_path: Path, down: bool) -> None:
    known = HopTrouble(monotonic() - 60, "mta:10026: refused") if down else None
    in_force = await InForce.open(tmp_path, TdcLog())
    facts = gather(in_force, SPOOL, (), Counters(), next_hop=known)
    in_force.close()
    report = report_of(status_to_wire(facts))
    assert report.next_hop_trouble == ("" if known is None else known.reason)
    if known is None:
        assert report.next_hop_since is None
    else:
        assert report.next_hop_since == pytest.approx(wall() - 60, abs=10)
