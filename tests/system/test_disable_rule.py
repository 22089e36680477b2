"""The disable rule as operators and gateways see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import Gateway, RunningFleet

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

HELLO = Message(
    "hello", "alice@partner.example", ("bob@corp.example",), b"Subject: hello\r\n\r\nHello\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def of_three(shared_copying: RunningFleet) -> RunningFleet:
    """The fleet with three gateways in two groups."""
    await shared_copying.tdc("group", "create", "branch", "--cluster", "demo", "--yes")
    await shared_copying.add_gateway("mx1", group="Main_Group")
    await shared_copying.add_gateway("mx2", group="Main_Group")
    await shared_copying.add_gateway("mx3", group="branch")
    return shared_copying


@pytest_asyncio.fixture(loop_scope="module")
async def three(of_three: RunningFleet) -> AsyncIterator[RunningFleet]:
    """The same, all copying; rolled back afterwards to what was set before."""
    before = await _revision(of_three)
    await of_three.in_sync()
    yield of_three
    if await _revision(of_three) != before:
        await of_three.tdc("commit", "rollback", str(before), "--yes")


async def _revision(fleet: RunningFleet) -> int:
    return int((await fleet.json("commit", "history"))[0]["revision"])


async def _present(fleet: RunningFleet, level: str, name: str) -> dict[str, Any]:
    return dict((await fleet.json("settings", "show", level, name))["settings"])


async def _copying(fleet: RunningFleet) -> dict[str, bool]:
    return {name: row["copying"] for name, row in (await fleet.status()).items()}


async def test_a_disable_on_one_machine_reaches_its_group_and_cluster_at_once(
    three: RunningFleet,
) -> None:
    """Same revision; inheriting machines stop within a second; own enabled = true goes on."""
    await three.tdc("settings", "set", "machine", "mx3", "enabled=true", "--yes")
    await three.in_sync()
    assert await _copying(three) == {"mx1": True, "mx2": True, "mx3": True}

    plan = await three.json("settings", "set", "machine", "mx1", "enabled=false", "--dry-run")
    assert sorted(plan["stop_copying"]) == ["mx1", "mx2"]
    assert {
        (row["level"], row["name"], row["setting"], row["after"]) for row in plan["levels"]
    } == {
        ("machine", "mx1", "enabled", False),
        ("group", "Main_Group", "enabled", False),
        ("cluster", "demo", "enabled", False),
    }

    commit = await three.json("settings", "set", "machine", "mx1", "enabled=false", "--yes")
    await asyncio.sleep(1.0)
    taken_before = len(three.intake.messages)
    for name in ("mx1", "mx2", "mx3"):
        await send_all("127.0.0.1", three.gateways[name].port, [HELLO])
    await three.intake.wait_for(taken_before + 1)
    assert await _copying(three) == {"mx1": False, "mx2": False, "mx3": True}
    assert len(three.intake.messages) == taken_before + 1

    for level, name in (("machine", "mx1"), ("group", "Main_Group"), ("cluster", "demo")):
        assert (await _present(three, level, name))["enabled"] is False
    effective = await three.json("settings", "show", "--effective", "mx2")
    assert effective["settings"]["enabled"] == {
        "value": False,
        "origin": {"level": "group", "name": "Main_Group", "revision": commit["revision"]},
    }
    shown = await three.json("commit", "show", str(commit["revision"]))
    key = ("level", "name", "setting", "before", "after")
    assert [{k: row[k] for k in key} for row in shown["levels"]] == [
        {k: row[k] for k in key} for row in plan["levels"]
    ]


async def test_rolling_back_restores_everything(three: RunningFleet) -> None:
    """What the rule set above is taken away again, and every machine copies as before."""
    before = await _revision(three)
    levels = [("machine", "mx1"), ("group", "Main_Group"), ("cluster", "demo")]
    present = [await _present(three, *level) for level in levels]
    await three.tdc("settings", "set", "machine", "mx1", "enabled=false", "--yes")
    await three.wait_for(lambda rows: not any(row["copying"] for row in rows.values()))

    await three.tdc("commit", "rollback", str(before), "--yes")

    await three.wait_for(lambda rows: all(row["copying"] for row in rows.values()))
    assert [await _present(three, *level) for level in levels] == present


async def test_an_agent_stops_copying_within_a_second_of_the_commit(three: RunningFleet) -> None:
    """Measured at the gateway by mail, not by status."""
    mx1 = three.gateways["mx1"]
    delivered = len(three.intake.messages)
    await send_all("127.0.0.1", mx1.port, [HELLO])
    await three.intake.wait_for(delivered + 1)

    await three.tdc("settings", "set", "group", "Main_Group", "enabled=false", "--yes")
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        await send_all("127.0.0.1", mx1.port, [HELLO])
    taken = _taken(mx1)
    await send_all("127.0.0.1", mx1.port, [HELLO])
    await asyncio.sleep(0.3)
    assert _taken(mx1) == taken


def _taken(gateway: Gateway) -> int:
    return gateway.agent.log.read_text().count(" queued for delivery.")
