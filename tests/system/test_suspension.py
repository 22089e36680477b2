"""A gateway taken out for an hour: `tdc machine suspend` to the agent's rooms and back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.stage.fleet import Gateway, RunningFleet
from tests.stage.one_process import OneProcess, one_process

pytestmark = pytest.mark.system

OUT = ("machine", "suspend", "mx1", "--reason", "disk change", "--yes")


async def test_suspended_delivery_keeps_copies_and_sends_them_once_resumed(tmp_path: Path) -> None:
    async with one_process(tmp_path) as product:
        await product.json(*OUT, "--delivery", "--for", "1h")
        row = await until(product, lambda row: row["suspension"]["in_force"])
        part = row["suspension"]["delivery"]
        assert (part["by"], part["reason"]) == ("ana", "disk change")
        assert part["until"] is not None
        assert row["suspension"]["copying"] is None
        assert row["copying"]
        assert row["health"] == "warning"
        await product.send("one")
        await until(product, lambda row: row["queued"] == 1)
        await asyncio.sleep(0.5)
        assert not product.intake.messages
        await product.json("machine", "resume", "mx1", "--yes")
        async with asyncio.timeout(15):
            while not product.intake.messages:
                await asyncio.sleep(0.05)
        row = await until(product, lambda row: not row["queued"])
        assert row["suspension"]["delivery"] is None
        assert row["suspension"]["resumed_by"] == "ana"


async def test_suspended_copying_passes_originals_and_counts_what_it_missed(tmp_path: Path) -> None:
    async with one_process(tmp_path) as product:
        await product.json(*OUT, "--copying")
        await until(product, lambda row: row["suspension"]["in_force"])
        await product.send("one")
        row = await until(product, lambda row: row["missed"])
        assert [(each["reason"], each["count"]) for each in row["missed"]] == [("suspended", 1)]
        assert not row["copying"]
        assert row["queued"] == 0
        kinds = {each["kind"]: each["severity"] for each in row["problems"]}
        assert kinds["suspended"] == kinds["missed"] == "warning"
        plan = await product.json(
            *("settings", "set", "machine", "mx1", "max_message_size=70000B", "--dry-run")
        )
        (warning,) = plan["warnings"]
        assert "copying is suspended there by ana" in warning["reason"]
        explained = await product.json("settings", "explain", "mx1")
        assert explained["suspension"]["copying"]["reason"] == "disk change"
        await product.json("machine", "resume", "mx1", "--yes")
        await until(product, lambda row: row["copying"])
        await product.send("two")
        async with asyncio.timeout(15):
            while not product.intake.messages:
                await asyncio.sleep(0.05)
        await product.logged("Copying is no longer suspended: an operator resumed it.")


async def test_a_suspension_outlives_kill_9_of_all_of_it_and_ends_without_a_manager(
    copying: RunningFleet,
) -> None:
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    other = await copying.add_gateway("mx2", group="Main_Group")
    await copying.in_sync()
    await copying.tdc("machine", "suspend", "mx1", "--delivery", "--for", "20s", *OUT[3:])
    await copying.wait_for(lambda rows: (rows["mx1"]["suspension"] or {}).get("in_force", False))
    assert copying.run_tdc("status", "--check", "--machine", "mx1").returncode == 1
    await copying.manager.kill()
    await gateway.agent.kill()
    await gateway.agent.start()
    await send(gateway, 1, 3)
    await send(other, 10, 1)
    await copying.intake.wait_for(1)
    assert copying.intake.counts.messages == 1, "of the other machine, which nobody suspended"
    await copying.intake.wait_for(4, timeout=40)
    async with asyncio.timeout(10):  # the log is written beside
        while "Delivery is no longer suspended: its time is over." not in (
            gateway.agent.log.read_text()
        ):
            await asyncio.sleep(0.1)
    await copying.manager.start()
    await copying.wait_for(lambda rows: rows["mx1"]["suspension"] is None)
    await copying.in_sync()
    history = json.loads(await copying.tdc("commit", "history", "-o", "json"))
    assert not any("disk" in each["comment"] for each in history)


async def send(gateway: Gateway, first: int, count: int) -> None:
    messages = [
        Message(str(n), "alice@partner.example", ("bob@corp.example",), b"Subject: x\r\n\r\nx\r\n")
        for n in range(first, first + count)
    ]
    await send_all("127.0.0.1", gateway.port, messages)


async def until(product: OneProcess, holds: Any) -> Any:
    row: Any = None
    try:
        async with asyncio.timeout(15):
            while True:
                (row,) = await product.json("status")
                if row["suspension"] is not None and holds(row):
                    return row
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(row) from None
