"""Work on a queue from `tdc` to the spool and on to the intake, over a real manager and agent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.stage.delivery import INTAKE
from tests.stage.one_process import OneProcess, one_process

pytestmark = pytest.mark.system

TYPO = "journal@intaek.example"
SET = ("settings", "set", "cluster", "demo")


async def test_copies_for_a_mistyped_intake_are_seen_in_the_plan_and_moved(tmp_path: Path) -> None:
    async with one_process(tmp_path) as product:
        await product.tdc(*SET, f"intake_address={TYPO}", "--yes")
        await product.in_sync(4)
        await product.send("one")
        await product.send("two")
        plan = await _plan_with_backlog(product)
        (backlog,) = plan["backlogs"]
        assert (backlog["machine"], backlog["intake"], backlog["copies"]) == ("mx1", TYPO, 2)
        assert "the intake goes" in backlog["happens"]
        await product.tdc(*SET, f"intake_address={INTAKE}", "--yes")
        await product.in_sync(5)
        done = await product.json(
            *("delivery", "move", "--from", TYPO, "--to", INTAKE, "--yes", "-m", "a typo")
        )
        assert [(row["machine"], row["copies"]) for row in done["machines"]] == [("mx1", 2)]
        await _delivered(product, 2)
        assert {each.recipients for each in product.intake.messages} == {(INTAKE,)}
        commit = await product.json("commit", "show", str(done["revision"]))
        assert (commit["author"], commit["comment"], commit["work"]["copies"]) == (
            "ana",
            "a typo",
            2,
        )
        await product.logged("Operator ana moved")
        await product.in_sync(done["revision"])


async def test_copies_that_nobody_should_get_are_dropped(tmp_path: Path) -> None:
    async with one_process(tmp_path) as product:
        await product.tdc(*SET, f"intake_address={TYPO}", "--yes")
        await product.in_sync(4)
        await product.send("one")
        await product.tdc("delivery", "drop", "--intake", TYPO, "--yes")
        await product.logged("Operator ana dropped")
        async with asyncio.timeout(15):
            while (await product.json("status"))[0]["queued"]:
                await asyncio.sleep(0.05)
        (row,) = await product.json("delivery", "dead")
        assert (row["copies"], row["problem"]) == (0, "")


async def _plan_with_backlog(product: OneProcess) -> Any:
    async with asyncio.timeout(15):
        while True:
            plan = await product.json(*SET, f"intake_address={INTAKE}", "--dry-run")
            if [each["copies"] for each in plan["backlogs"]] == [2]:
                return plan
            await asyncio.sleep(0.05)


async def _delivered(product: OneProcess, count: int) -> None:
    async with asyncio.timeout(20):
        while len(product.intake.messages) < count:
            await asyncio.sleep(0.05)
