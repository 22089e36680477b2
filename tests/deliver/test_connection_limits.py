"""Limits of messages for a connection: learned from an intake that has one, and from no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.deliver.assign import Lane
from tdc.node_agent.deliver.destination import DestinationState
from tdc.shared.edge.tasks import running

from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import (
    INTAKE,
    make_settings,
    staged,
)


async def test_a_limit_of_messages_for_a_connection_is_learned(tmp_path: Path) -> None:
    """421 after 3 messages is no failure, and later connections stop by themselves."""
    faults = Faults(offer_starttls=False)
    async with staged(tmp_path, faults=faults, delivery_max_connections=1) as stage:
        # All wait before the first is sent: a 421 to an idle connection says nothing of a limit.
        await asyncio.gather(*(stage.queue() for _ in range(20)))
        await stage.logged("on hold: TLS Error")
        failed = stage.counters.deferred
        stage.intake.faults = Faults(too_many_after=3)
        stage.delivery.kick()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 20
        assert stage.counters.deferred == failed
        # One envelope too many on each of the first two connections taught it.
        assert stage.intake.counts.mail_commands <= 22


@pytest.mark.parametrize(
    "restart", [Faults(close_after=3), Faults(too_many_after=3)], ids=["silent", "421"]
)
async def test_an_intake_that_restarts_teaches_no_limit(tmp_path: Path, restart: Faults) -> None:
    """One connection that ends says nothing of a limit: later ones carry more than it did."""
    async with staged(tmp_path, faults=restart, delivery_max_connections=1, run=False) as stage:
        for _ in range(4):
            await stage.queue()
        async with running(stage.delivery.run(), name="delivery"):
            await stage.until(lambda: stage.intake.counts.connections == 2)
            stage.intake.faults = Faults()
            await stage.drained()
            await asyncio.gather(*(stage.queue() for _ in range(20)))
            await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 24
        assert stage.intake.counts.connections == 2


def test_connections_that_end_together_teach_no_limit() -> None:
    """All that were open when an intake restarted may end after the same count."""
    one = DestinationState(INTAKE)
    for number in (1, 2):
        one.lanes[number] = Lane(number)
    for number in (1, 2):
        one.learn_messages(number, 5, now=0.0)
    assert messages_for_each(one) == 100
    one.learn_messages(3, 4, now=1.0)
    one.learn_messages(4, 5, now=2.0)
    assert messages_for_each(one) == 100, "another count each time"
    one.learn_messages(5, 5, now=3.0)
    assert messages_for_each(one) == 5


def messages_for_each(one: DestinationState) -> int:
    return one.limits(make_settings(), idle=10.0, now=4.0).messages


async def test_a_close_after_some_messages_loses_and_repeats_nothing(tmp_path: Path) -> None:
    faults = Faults(close_after=4)
    async with staged(tmp_path, faults=faults, delivery_max_connections=2) as stage:
        for _ in range(30):
            await stage.queue()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert stage.counters.maybe_duplicate == 0
