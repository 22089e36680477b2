"""The disable rule as operators and gateways see it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import Stage

pytestmark = pytest.mark.system

HELLO = Message(
    "hello", "alice@partner.example", ("bob@corp.example",), b"Subject: hello\r\n\r\nHello\r\n"
)


async def _fleet_of_three(fleet: Stage) -> None:
    await fleet.tdc("group", "create", "branch", "--cluster", "demo", "--yes")
    await fleet.add_gateway("mx1", group="Main_Group")
    await fleet.add_gateway("mx2", group="Main_Group")
    await fleet.add_gateway("mx3", group="branch")
    await fleet.in_sync()


async def _present(fleet: Stage, level: str, name: str) -> dict[str, Any]:
    return dict((await fleet.json("settings", "show", level, name))["settings"])


async def _copying(fleet: Stage) -> dict[str, bool]:
    return {name: row["copying"] for name, row in (await fleet.status()).items()}


async def test_a_disable_on_one_machine_reaches_its_group_and_cluster_at_once(
    copying: Stage,
) -> None:
    """Same revision; inheriting machines stop within a second; own enabled = true goes on."""
    await _fleet_of_three(copying)
    await copying.tdc("settings", "set", "machine", "mx3", "enabled=true", "--yes")
    await copying.in_sync()
    assert await _copying(copying) == {"mx1": True, "mx2": True, "mx3": True}

    plan = await copying.json("settings", "set", "machine", "mx1", "enabled=false", "--dry-run")
    assert sorted(plan["stop_copying"]) == ["mx1", "mx2"]
    assert {
        (row["level"], row["name"], row["setting"], row["after"]) for row in plan["levels"]
    } == {
        ("machine", "mx1", "enabled", False),
        ("group", "Main_Group", "enabled", False),
        ("cluster", "demo", "enabled", False),
    }

    commit = await copying.json("settings", "set", "machine", "mx1", "enabled=false", "--yes")
    await asyncio.sleep(1.0)
    taken_before = len(copying.intake.messages)
    for name in ("mx1", "mx2", "mx3"):
        await send_all("127.0.0.1", copying.gateways[name].port, [HELLO])
    await copying.intake.wait_for(taken_before + 1)
    assert await _copying(copying) == {"mx1": False, "mx2": False, "mx3": True}
    assert len(copying.intake.messages) == taken_before + 1

    for level, name in (("machine", "mx1"), ("group", "Main_Group"), ("cluster", "demo")):
        assert (await _present(copying, level, name))["enabled"] is False
    effective = await copying.json("settings", "show", "--effective", "mx2")
    assert effective["settings"]["enabled"] == {
        "value": False,
        "origin": {"level": "group", "name": "Main_Group", "revision": commit["revision"]},
    }
    shown = await copying.json("commit", "show", str(commit["revision"]))
    key = ("level", "name", "setting", "before", "after")
    assert [{k: row[k] for k in key} for row in shown["levels"]] == [
        {k: row[k] for k in key} for row in plan["levels"]
    ]


async def test_rolling_back_restores_everything(copying: Stage) -> None:
    """What the rule set above is taken away again, and every machine copies as before."""
    await _fleet_of_three(copying)
    before = (await copying.json("commit", "history"))[0]["revision"]
    levels = [("machine", "mx1"), ("group", "Main_Group"), ("cluster", "demo")]
    present = [await _present(copying, *level) for level in levels]
    await copying.tdc("settings", "set", "machine", "mx1", "enabled=false", "--yes")
    await copying.wait_for(lambda rows: not any(row["copying"] for row in rows.values()))

    await copying.tdc("commit", "rollback", str(before), "--yes")

    await copying.wait_for(lambda rows: all(row["copying"] for row in rows.values()))
    assert [await _present(copying, *level) for level in levels] == present


async def test_an_agent_stops_copying_within_a_second_of_the_commit(copying: Stage) -> None:
    """Measured at the gateway by mail, not by status."""
    await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    port = copying.gateways["mx1"].port
    await send_all("127.0.0.1", port, [HELLO])
    await copying.intake.wait_for(1)

    await copying.tdc("settings", "set", "group", "Main_Group", "enabled=false", "--yes")
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        before = len(copying.intake.messages)
        await send_all("127.0.0.1", port, [HELLO])
    await copying.wait_for(lambda rows: rows["mx1"]["queued"] == 0)
    before = len(copying.intake.messages)
    await send_all("127.0.0.1", port, [HELLO])
    await copying.wait_for(lambda rows: rows["mx1"]["queued"] == 0)
    assert len(copying.intake.messages) == before
