"""A gateway renamed while mail flows: it copies all the time, and takes its new name by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.sync import identity

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import RunningFleet

pytestmark = pytest.mark.system

HELLO = Message(
    "hello", "alice@partner.example", ("bob@corp.example",), b"Subject: hello\r\n\r\nHello\r\n"
)


def _named(folder: Path) -> str:
    return identity.load(folder / "state/identity").machine


async def _until_named(folder: Path, name: str) -> None:
    async with asyncio.timeout(20):
        while _named(folder) != name:
            await asyncio.sleep(0.05)


async def test_it_copies_all_the_time_and_is_told_of_its_new_name(copying: RunningFleet) -> None:
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    before = identity.load(gateway.folder / "state/identity")
    sent, stop = 0, asyncio.Event()

    async def mail() -> None:
        nonlocal sent
        while not stop.is_set():
            await send_all("127.0.0.1", gateway.port, [HELLO])
            sent += 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(mail())
        await copying.tdc("machine", "rename", "mx1", "edge1", "--yes")
        await _until_named(gateway.folder, "edge1")
        await copying.in_sync()
        stop.set()
    after = identity.load(gateway.folder / "state/identity")
    assert (after.enrolment, after.key_pem) == (before.enrolment, before.key_pem)
    async with asyncio.timeout(20):
        while len(copying.intake.messages) < sent:
            await asyncio.sleep(0.05)
    assert len(copying.intake.messages) == sent > 0, "each message copied, and once"
    (row,) = (await copying.status()).values()
    assert (row["name"], row["missed"], row["warnings"]) == ("edge1", [], [])
    log = gateway.agent.log.read_text()
    assert "this machine was renamed from mx1 to edge1" in log
    await copying.tdc("settings", "set", "machine", "edge1", "log.level=debug", "--yes", "--wait")
    history = await copying.json("commit", "history")
    shown = await copying.json("commit", "show", str(history[1]["revision"]))
    assert [(each["change"], each["before_name"]) for each in shown["topology"]] == [
        ("renamed", "mx1")
    ]
    await copying.tdc("commit", "revert", str(history[1]["revision"]), "--yes")
    await _until_named(gateway.folder, "mx1")
    await copying.in_sync()


async def test_one_that_was_away_comes_back_beside_another_of_its_old_name(
    copying: RunningFleet,
) -> None:
    away = await copying.add_gateway("mx1", group="Main_Group")
    other = await copying.add_gateway("mx2", group="Main_Group")
    await copying.in_sync()
    await away.agent.stop()
    await copying.tdc("machine", "rename", "mx1", "edge1", "--yes")
    await copying.tdc("machine", "rename", "mx2", "mx1", "--yes")
    await _until_named(other.folder, "mx1")
    rows = await copying.status()
    assert (rows["edge1"]["state"], rows["mx1"]["state"]) == ("offline", "in sync")
    assert rows["edge1"]["since"] is not None
    await away.agent.start()
    await _until_named(away.folder, "edge1")
    await copying.in_sync()
    assert _named(other.folder) == "mx1"
    assert sorted(await copying.status()) == ["edge1", "mx1"]


async def test_one_that_is_suspended_stays_so_without_a_moment_in_between(
    copying: RunningFleet,
) -> None:
    """Its copies wait under the new name, and work on them is ordered by that."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    out = ("--reason", "disk change", "--yes")
    await copying.tdc("machine", "suspend", "mx1", "--delivery", *out)
    await copying.wait_for(lambda rows: (rows["mx1"]["suspension"] or {}).get("in_force", False))
    await send_all("127.0.0.1", gateway.port, [HELLO])
    await copying.wait_for(lambda rows: rows["mx1"]["queued"] == 1)
    await copying.tdc("machine", "rename", "mx1", "edge1", "--yes", "--wait")
    await _until_named(gateway.folder, "edge1")
    await copying.wait_for(lambda rows: rows["edge1"]["suspension"]["in_force"])
    assert (await copying.status())["edge1"]["queued"] == 1
    explained = await copying.json("settings", "explain", "edge1", "enabled")
    assert (explained["machine"], explained["state"]) == ("edge1", "in sync")
    assert explained["suspension"]["delivery"]["reason"] == "disk change"
    await copying.tdc("delivery", "retry", "--machine", "edge1", "--which", "waiting", "--yes")
    await gateway.agent.kill()
    await gateway.agent.start()
    await copying.wait_for(lambda rows: rows["edge1"]["state"] == "in sync")
    await asyncio.sleep(0.5)
    assert not copying.intake.messages
    log = gateway.agent.log.read_text()
    assert "no longer suspended" not in log
    assert "which holds here" not in log, "no manager ever said otherwise"
    await copying.tdc("machine", "resume", "edge1", "--yes")
    await copying.intake.wait_for(1, timeout=20)


async def test_its_cluster_is_renamed_and_another_gets_the_name(copying: RunningFleet) -> None:
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    away = await copying.add_gateway("mx2", group="Main_Group")
    await copying.in_sync()
    await away.agent.stop()
    was = identity.load(gateway.folder / "state/identity")
    await copying.tdc("cluster", "rename", was.cluster, "renamed", "--yes")
    async with asyncio.timeout(20):
        while identity.load(gateway.folder / "state/identity").cluster != "renamed":
            await asyncio.sleep(0.05)
    await copying.tdc("cluster", "create", was.cluster)
    await away.agent.start()
    async with asyncio.timeout(20):
        while identity.load(away.folder / "state/identity").cluster != "renamed":
            await asyncio.sleep(0.05)
    await copying.in_sync()
    for number, each in enumerate((gateway, away), 1):
        await send_all("127.0.0.1", each.port, [HELLO])
        await copying.intake.wait_for(number, timeout=20)
    assert {row["cluster"] for row in (await copying.status()).values()} == {"renamed"}
    after = identity.load(gateway.folder / "state/identity")
    assert (after.enrolment, after.key_pem) == (was.enrolment, was.key_pem)
    await copying.manager.kill()
    await copying.manager.start()
    await copying.in_sync()
    set_it = ("settings", "set", "machine", "mx1", "log.level=debug")
    await copying.tdc(*set_it, "--yes", "--wait")
