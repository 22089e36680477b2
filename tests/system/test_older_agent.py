"""An agent that does not know a setting, under a manager that does: whole programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.programs import Program

pytestmark = pytest.mark.system

NEW = "delivery.messages_per_connection"
ON_MX1 = ("machine", "mx1", "--cluster", "demo")


async def _start_as_older(gateway: Gateway) -> None:
    """Let the machine's agent be of a version before NEW was made."""
    await gateway.agent.stop()
    _, *arguments = gateway.agent.command
    older = [sys.executable, "-m", "tests.stage.older_agent", NEW, *arguments]
    gateway.agent = Program(
        older,
        log=gateway.folder / "older.log",
        ports_file=gateway.folder / "ports.json",
        environment={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    await gateway.agent.start()


async def test_agents_are_upgraded_in_any_order(copying: RunningFleet) -> None:
    """What an agent does not know stops nothing, and is shown until it is upgraded."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.add_gateway("mx2", group="Main_Group")
    await copying.in_sync()
    upgraded = gateway.agent
    await _start_as_older(gateway)
    try:
        await copying.in_sync()
        await copying.tdc("settings", "set", "cluster", "demo", "max_message_size=5MiB", "-y")
        await copying.in_sync()
        assert (await copying.status())["mx1"]["unknown_settings"] == []

        to_all = ("settings", "set", "cluster", "demo", f"{NEW}=7")
        refused = json.loads(await copying.tdc(*to_all, "-y", "-o", "json", expect=1))
        assert not refused["committed"]
        (problem,) = refused["plan"]["problems"]
        assert (problem["machine"], problem["setting"]) == ("mx1", NEW)
        assert f"does not know {NEW}. Upgrade the agent first" in problem["reason"]
        plan = await copying.json("settings", "set", "machine", "mx2", f"{NEW}=7", "--dry-run")
        assert plan["problems"] == [], "a level whose machines know it"

        await gateway.agent.stop()
        offline = await copying.json("settings", "set", "cluster", "demo", f"{NEW}=7", "--dry-run")
        assert offline["problems"] == []
        (warned,) = offline["warnings"]
        assert (warned["machine"], warned["setting"]) == ("mx1", NEW)
        assert "not known whether" in warned["reason"]
        await copying.tdc("settings", "set", "cluster", "demo", f"{NEW}=7", "-y")
        await gateway.agent.start()
        await copying.wait_for(lambda rows: rows["mx1"]["state"] == "out of sync")
        await copying.wait_for(lambda rows: rows["mx1"]["copying"])
        row = (await copying.status())["mx1"]
        assert (row["state"], row["copying"]) == ("out of sync", True), "it goes on as it was"
        assert row["applied_revision"] < row["wanted_revision"]
        assert [each["kind"] for each in row["problems"]] == ["lacks-setting"]
        assert NEW in row["reason"]
        assert row["unknown_settings"] == [NEW]

        explained = await copying.tdc("settings", "explain", "mx1", NEW)
        assert "not known to this agent (version" in explained
        assert "Upgrade it." in explained
        checked = await copying.json("settings", "check", "--cluster", "demo")
        (found,) = [each for each in checked["findings"] if each["kind"] == "lacks-setting"]
        assert (found["name"], found["setting"]) == ("mx1", NEW)

        await copying.tdc("settings", "set", *ON_MX1, f"{NEW}=100", "-y")
        await copying.in_sync()
        checked = await copying.json("settings", "check", "--cluster", "demo")
        (found,) = [each for each in checked["findings"] if each["kind"] == "knows-less"]
        assert NEW in found["text"]

        await gateway.agent.stop()
        await copying.tdc("settings", "unset", *ON_MX1, NEW, "-y")
        await gateway.agent.start()
        await copying.wait_for(lambda rows: rows["mx1"]["state"] == "out of sync")
    finally:
        await gateway.agent.stop()
        gateway.agent = upgraded
    await gateway.agent.start()
    await copying.in_sync()
    assert (await copying.status())["mx1"]["unknown_settings"] == []
