"""A probe that is due is made, also where the copies that wait are due later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.kept_health import HealthBook, Kept
from tdc.node_agent.log.lines import TdcLog
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.tasks import running

from tests.deliver.test_hosts import two_hosts
from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import INTAKE, DeliveryStage, staged

FULL = Faults(replies={"dot": "552 5.2.2 Mailbox full"})


def on_hold() -> dict[str, Hold]:
    """As after a restart: it is probed at once."""
    return {INTAKE: Hold("Intake Refused", "552 5.2.2 Mailbox full", monotonic(), monotonic())}


async def put_off(stage: DeliveryStage, copies: int, *, seconds: float = 3_000) -> None:
    """Queue copies that are due much later."""
    for _ in range(copies):
        await stage.queue()
    for copy in await stage.spool.claim(stage.spool.now(), copies):
        next_at = stage.spool.now() + seconds
        await stage.spool.defer(copy.mid, next_at=next_at, reason="full")


async def start_over(stage: DeliveryStage, sender: str) -> None:
    """Change a setting that is in each report, and wait for the probe that this brings."""
    before = stage.intake.counts.mail_commands
    stage.settings = replace(stage.settings, report_from=sender)
    stage.delivery.settings_changed()
    await stage.until(lambda: stage.intake.counts.mail_commands > before, timeout=3)
    await stage.until(lambda: stage.delivery.holds()[INTAKE].planned is None)


async def test_an_intake_that_starts_over_is_probed_with_a_copy_that_is_due_later(
    tmp_path: Path,
) -> None:
    """The only one, which was deferred as it may itself be why."""
    async with staged(tmp_path, faults=FULL, retry_initial=60, retry_maximum=3600) as stage:
        await stage.queue()
        await stage.logged("on hold: ")
        await start_over(stage, "other@corp.example")
        assert stage.delivery.holds()[INTAKE].next_probe > monotonic() + 10, "no loop"
        tried = stage.intake.counts.mail_commands
        await asyncio.sleep(0.5)
        assert stage.intake.counts.mail_commands == tried


async def test_the_probe_that_was_planned_comes_when_it_was(tmp_path: Path) -> None:
    """Each one that was asked for has put the copy off further."""
    async with staged(tmp_path, faults=FULL, retry_initial=3, retry_maximum=3600) as stage:
        await stage.queue()
        await stage.logged("on hold: ")
        for n in range(3):
            await start_over(stage, f"other{n}@corp.example")
        await stage.until(lambda: stage.spool.next_due(stage.spool.now()) is not None)  # put back
        at, now = stage.delivery.holds()[INTAKE].next_probe, stage.spool.now()
        assert (stage.spool.next_due(now) or now) - now > at - monotonic() + 5
        stage.intake.faults = Faults()
        await stage.until(lambda: stage.intake.messages, timeout=at - monotonic() + 2)


async def test_a_hold_of_before_a_restart_is_probed_at_once(tmp_path: Path) -> None:
    """Nothing says that the copies which wait are due by then."""
    async with staged(tmp_path, run=False, holds=on_hold(), retry_initial=60) as stage:
        await put_off(stage, 1)
        async with running(stage.delivery.run(), name="delivery"):
            await stage.drained(timeout=3)
        assert len(stage.intake.messages) == 1


async def test_restarts_make_no_hold_longer(tmp_path: Path) -> None:
    """Restarting the agent while an intake is being repaired does not lengthen the wait."""
    hold = Hold("Intake Refused", "552 5.2.2 Mailbox full", monotonic(), monotonic(), 3)
    for restart in range(3):
        state = tmp_path / str(restart)
        state.mkdir()
        HealthBook(state, TdcLog()).save(Kept(holds={INTAKE: hold}))
        holds = HealthBook(state, TdcLog()).load().holds
        async with staged(state, faults=FULL, holds=holds, retry_initial=60) as stage:
            await stage.queue()
            await stage.until(lambda: stage.delivery.holds()[INTAKE].next_probe > monotonic())
            hold = stage.delivery.holds()[INTAKE]
    assert hold.failures == 3
    assert hold.next_probe < monotonic() + 60 * 2**3


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("at", ["before-dot", "dot"])
async def test_a_probe_that_breaks_in_the_content_goes_on_at_the_next_host(
    tmp_path: Path, at: str, copies: int
) -> None:
    """All copies are due later, the one that it broke with too."""
    cut = Faults(drop=(at,))
    async with two_hosts(
        tmp_path, cut, run=False, holds=on_hold(), retry_initial=60, retry_maximum=60
    ) as (stage, first):
        await put_off(stage, copies)
        async with running(stage.delivery.run(), name="delivery"):
            await stage.logged("resumed", timeout=4)
        assert (first.counts.mail_commands, len(stage.intake.messages)) == (1, 1)


@pytest.mark.parametrize("seconds", [3_000, 1])
async def test_a_probe_whose_copy_alone_was_to_blame_is_followed_by_another(
    tmp_path: Path, seconds: float
) -> None:
    """When it is planned, or once a copy is due: not at once, and not much later."""
    cut = Faults(drop=("before-dot",))
    async with staged(
        tmp_path, run=False, faults=cut, holds=on_hold(), retry_initial=3, retry_maximum=3_600
    ) as stage:
        await put_off(stage, 2, seconds=seconds)
        async with running(stage.delivery.run(), name="delivery"):
            await stage.until(lambda: stage.intake.counts.mail_commands)
            await stage.until(lambda: stage.delivery.holds()[INTAKE].next_probe > monotonic())
            hold = stage.delivery.holds()[INTAKE]
            assert hold.next_probe < monotonic() + min(seconds, 6 * 1.25)
            assert (hold.failures, hold.reason) == (2, "Intake Refused")
            assert stage.intake.counts.mail_commands == 1
            stage.intake.faults = Faults()
            await stage.until(lambda: stage.intake.messages, timeout=9)
