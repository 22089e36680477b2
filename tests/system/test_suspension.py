"""A gateway taken out for an hour: `tdc machine suspend` to the agent's rooms and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

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
