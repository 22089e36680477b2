"""What the machine reports of itself: gathered at one moment, and soon when it must not wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.node_agent.counters import Counters
from tdc.node_agent.facts import gather
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import report_changes
from tdc.node_agent.sync.apply import InForce
from tdc.shared.edge.tasks import running

from tests.stage.settings_stream import SPOOL, until


async def test_facts_stay_what_they_were_while_the_agent_counts_on(tmp_path: Path) -> None:
    in_force = await InForce.open(tmp_path, TdcLog())
    counters = Counters(copies_taken=3)
    spool = replace(SPOOL, warning="a damaged file was set aside")
    facts = gather(in_force, spool, (), counters, ("the certificate could not be renewed",))
    counters.copies_taken = 4
    in_force.close()
    assert facts.counters.copies_taken == 3
    assert facts.warnings == (
        "a damaged file was set aside",
        "the certificate could not be renewed",
    )


async def test_a_change_is_reported_once_and_its_reversal_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report_changes, "INTERVAL", 0.01)
    fact: str | None = None
    reports: list[str | None] = []
    work = report_changes.report_changes(lambda: fact, lambda: reports.append(fact))
    async with running(work, name="health"):
        await asyncio.sleep(0.05)
        assert reports == []
        fact = "disk full"
        await until(lambda: reports == ["disk full"])
        await asyncio.sleep(0.05)
        fact = None
        await until(lambda: reports == ["disk full", None])
