"""A copy goes by the facts of the intake that it was taken for, as they were last."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tdc.node_agent import queue_work
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.edge.clock import wall
from tdc.shared.mail.envelope import Envelope
from tdc.shared.sync.queue_work import (
    DropCopies,
    MoveCopies,
    QueueAnswer,
    QueueOrder,
    Selection,
)

from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.delivery import HOST, INTAKE, QUICK, DeliveryStage, make_settings, staged

OLD, NEW = INTAKE, "copies@new.example"
REFUSING = {"mail": "451 4.3.2 Not now"}


@contextlib.asynccontextmanager
async def two_hosts(
    tmp_path: Path, **settings: Any
) -> AsyncIterator[tuple[DeliveryStage, SmtpSink]]:
    """Give a stage whose intake has a route, and the host that will be the new one's."""
    async with staged(tmp_path, **settings) as stage:
        certificate = stage.authority.issue("mx.new.example")
        async with SmtpSink(certificate=certificate) as other:
            stage.settings = replace(
                stage.settings, smtp_route=(f"127.0.0.1:{stage.intake.port}",), tls_names=(HOST,)
            )
            yield stage, other


def change_to_new(stage: DeliveryStage, other: SmtpSink) -> None:
    stage.settings = replace(
        stage.settings,
        intake_address=NEW,
        smtp_route=(f"127.0.0.1:{other.port}",),
        tls_names=("mx.new.example",),
    )
    stage.delivery.settings_changed()


def recipients(sink: SmtpSink) -> set[str]:
    return {address for message in sink.messages for address in message.recipients}


async def test_copies_of_before_go_to_the_old_host_and_those_of_now_to_the_new(
    tmp_path: Path,
) -> None:
    async with two_hosts(tmp_path, **QUICK) as (stage, other):
        stage.intake.faults = Faults(replies=dict(REFUSING))
        for _ in range(5):
            await stage.queue()
        await stage.logged("on hold")
        change_to_new(stage, other)
        for _ in range(3):
            await stage.queue(intake=NEW)
        await other.wait_for(3)
        stage.intake.faults = Faults()
        await stage.drained()
        assert (len(stage.intake.messages), len(other.messages)) == (5, 3)
        assert (recipients(stage.intake), recipients(other)) == ({OLD}, {NEW})


async def test_the_facts_of_an_intake_that_is_no_longer_in_force_outlive_the_agent(
    tmp_path: Path,
) -> None:
    before = make_settings(smtp_route=("old.example:25",), tls_names=(HOST,))
    after = make_settings(intake_address=NEW, smtp_route=("new.example:25",))
    spool = await Spool.open(tmp_path / "spool")
    spool.intakes.set_in_force(intakes_in_force(before))
    spool.release(await spool.hold(Envelope("", ("a@b.example",)), b"x", OLD, "0" * 32))
    spool.intakes.set_in_force(intakes_in_force(after))
    await spool.close()
    spool = await Spool.open(tmp_path / "spool")
    spool.intakes.set_in_force(intakes_in_force(after))
    assert [spool.intakes.find(OLD)] == list(intakes_in_force(before))
    assert [spool.intakes.find(NEW)] == list(intakes_in_force(after))
    await spool.close()


async def test_only_the_intake_that_changed_starts_over(tmp_path: Path) -> None:
    """What waits for another one goes on waiting for its probe."""
    async with two_hosts(tmp_path) as (stage, other):
        stage.intake.faults = Faults(replies=dict(REFUSING))
        await stage.queue()
        await stage.logged("on hold")
        tried = stage.intake.counts.connections
        change_to_new(stage, other)
        await stage.queue(intake=NEW)
        await other.wait_for(1)
        await asyncio.sleep(0.3)
        assert stage.intake.counts.connections == tried
        stage.settings = replace(stage.settings, report_envelope_sender="tdc@example.com")
        stage.delivery.settings_changed()
        await stage.until(lambda: stage.intake.counts.connections > tried)


async def test_an_unknown_intake_gets_the_safest_facts_and_a_warning(tmp_path: Path) -> None:
    """As of a file that an earlier version wrote, whose settings changed before the upgrade."""
    async with staged(tmp_path, smtp_route=("127.0.0.9:1",), tls_names=("x.y",)) as stage:
        stage.dns.zone["new.example"] = {"MX": [[10, "mx.new.example"]]}
        stage.dns.zone["mx.new.example"] = {"A": ["127.0.0.3"]}
        certificate = stage.authority.issue("mx.new.example")
        async with SmtpSink(
            host="127.0.0.3", port=stage.intake.port, certificate=certificate
        ) as other:
            await stage.queue(intake=NEW)
            await stage.drained()
            assert recipients(other) == {NEW}
        await stage.logged(f"{NEW}: copies wait for this intake, but its route")


async def order(stage: DeliveryStage, number: str, to: str) -> QueueAnswer:
    work = MoveCopies(Selection(OLD, waiting=True, dead=True), to)
    return await queue_work.perform(
        QueueOrder(number, "ann", work),
        stage.spool,
        stage.settings,
        TdcLog(),
        stage.delivery.kick,
    )


@pytest.mark.parametrize("scheduler_is_late", [False, True])
async def test_a_move_takes_copies_at_hand_along_and_none_goes_to_the_old_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler_is_late: bool
) -> None:
    """The old host answers nothing to EHLO for a while: all copies are claimed and at hand."""
    if scheduler_is_late:
        monkeypatch.setattr(Delivery, "_give_back_recalled", lambda _: None)
    async with two_hosts(tmp_path) as (stage, other):
        stage.intake.faults = Faults(delays={"ehlo": 1.0})
        for _ in range(20):
            await stage.queue()
        await stage.until(lambda: stage.intake.counts.open_connections)
        change_to_new(stage, other)
        answer = await order(stage, "1", NEW)
        assert (answer.copies, answer.refused) == (20, "")
        await other.wait_for(20)
        await stage.drained()
        assert len(stage.intake.messages) == 0
        assert recipients(other) == {NEW}
        assert stage.spool.backlogs() == {}


async def test_a_copy_whose_sending_has_begun_is_delivered_once_or_moved(tmp_path: Path) -> None:
    async with two_hosts(tmp_path, delivery_max_connections=1) as (stage, other):
        stage.intake.faults = Faults(delays={"bdat": 0.5})
        for _ in range(6):
            await stage.queue()
        await stage.logged("Delivery started")
        change_to_new(stage, other)
        await order(stage, "1", NEW)
        await stage.drained()
        ids = stage.report_ids() + stage.report_ids(other)
        assert len(ids) == len(set(ids)) == 6
        assert 1 <= len(stage.intake.messages) <= 2, "the one that was sent, and one announced"


async def test_a_copy_moved_while_its_sending_fails_goes_to_the_new_intake(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (stage, other):
        stage.intake.faults = Faults(
            delays={"bdat": 0.5}, replies={"bdat": "554 5.6.0 not this one"}
        )
        await stage.queue()
        await stage.logged("Delivery started")
        change_to_new(stage, other)
        await order(stage, "1", NEW)
        await other.wait_for(1)
        await stage.drained()
        facts = stage.spool.facts()
        assert (facts.dead, facts.queued, facts.bytes) == (0, 0, 0)
        assert "dead-letter" not in stage.log.getvalue()


@pytest.mark.proves("F21")
@pytest.mark.parametrize("jump", [10 * 365 * 86_400.0, -10 * 365 * 86_400.0])
async def test_a_jump_of_the_clock_during_trouble_gives_no_copy_up(
    tmp_path: Path, jump: float
) -> None:
    wrong_by = 0.0
    clocks = MachineClocks(wall=lambda: wall() + wrong_by)
    trouble = Faults(replies={"dot": "451 4.6.0 Try this one again"})
    settings: dict[str, Any] = {"retry_lifetime": 3_600, **QUICK}
    async with staged(tmp_path, clocks=clocks, faults=trouble, **settings) as stage:
        for _ in range(10):
            await stage.queue()
        await stage.logged("next try in")
        wrong_by = jump
        await stage.until(lambda: stage.log.getvalue().count("next try in") >= 20, timeout=20)
        assert stage.spool.facts().dead == 0
        stage.intake.faults = Faults()
        await stage.drained(timeout=20)
        dates = {message.content.split(b"Date: ")[1][:22] for message in stage.intake.messages}
        assert len(dates) <= 2, "of the take, not of the attempt"


@pytest.mark.parametrize("dropped", [True, False])
async def test_a_hold_goes_with_the_last_copy_of_an_intake_that_is_not_in_force(
    tmp_path: Path, dropped: bool
) -> None:
    """Nothing would try it, so it would be shown until the agent starts again."""
    async with two_hosts(tmp_path, **QUICK) as (stage, other):
        stage.intake.faults = Faults(replies=dict(REFUSING))
        await stage.queue()
        await stage.logged("on hold")
        if dropped:
            order = QueueOrder("1", "ann", DropCopies(Selection(intake=OLD, waiting=True)))
            await queue_work.perform(
                order, stage.spool, stage.settings, TdcLog(), stage.delivery.kick
            )
            await stage.until(lambda: not stage.spool.facts().queued)
            [row] = stage.delivery.destinations()
            assert row.held_reason, "it is in force: the next copy will not get there"
        change_to_new(stage, other)
        if not dropped:
            assert any(row.held_reason for row in stage.delivery.destinations()), "a copy waits"
            return
        assert not any(row.held_reason for row in stage.delivery.destinations())
        await stage.until(lambda: all(one.hold is None for one in _states(stage)))


def _states(stage: DeliveryStage) -> list[Any]:
    return list(stage.delivery._destinations.values())
