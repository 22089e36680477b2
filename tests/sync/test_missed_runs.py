"""Missed copies by reason: a run of trouble is one, a pause begins another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from tdc.node_agent import counters as counting
from tdc.node_agent.counters import RUN_GAP, Counters, MissedReason, MissedRun
from tdc.node_agent.facts import gather
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.status import status_to_wire
from tdc.node_agent.sync.apply import InForce
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.wire.report import report_of

from tests.stage.settings_stream import SPOOL


def test_a_run_ends_with_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(counting, "monotonic", lambda: now)
    counters = Counters()
    for pause in (0.0, RUN_GAP, RUN_GAP):
        now += pause
        counters.count_missed(MissedReason.SPOOL_FULL)
    counters.count_missed(MissedReason.TOO_LARGE)
    assert counters.missed[MissedReason.SPOOL_FULL] == MissedRun(3, 100.0, 100.0 + 2 * RUN_GAP)
    now += RUN_GAP + 1
    counters.count_missed(MissedReason.SPOOL_FULL)
    assert counters.missed[MissedReason.SPOOL_FULL] == MissedRun(1, now, now)
    assert counters.missed[MissedReason.TOO_LARGE].count == 1
    assert counters.copies_missed == 5


@pytest.mark.proves("P19")
async def test_what_the_manager_reads_is_what_the_agent_counted(tmp_path: Path) -> None:
    """Every field that health goes by crosses the wire, as Unix seconds."""
    in_force = await InForce.open(tmp_path, TdcLog())
    counters = Counters()
    counters.count_delivered()
    counters.count_missed(MissedReason.SPOOL_BROKEN)
    spool, enabled = replace(SPOOL, dead=4), replace(in_force.current(), enabled=True)
    with mock.patch.object(in_force, "current", return_value=enabled):
        assert gather(in_force, spool, (), counters).copying
        facts = gather(in_force, spool, (), counters, full="it holds 9 copies")
    in_force.close()
    report = report_of(status_to_wire(facts))
    lead = wall() - monotonic()
    [missed] = report.missed
    assert (missed.reason, missed.count) == ("spool-broken", 1)
    assert missed.since == pytest.approx(wall(), abs=5)
    assert report.delivered_at == pytest.approx((counters.delivered_at or 0) + lead, abs=5)
    assert report.time == pytest.approx(wall(), abs=5)
    assert (report.dead, report.spool_full) == (4, "it holds 9 copies")
    assert report.oldest_queued == SPOOL.oldest
    assert not report.copying
