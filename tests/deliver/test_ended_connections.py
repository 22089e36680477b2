"""Connections that end between two messages, or that must not carry another one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.node_agent.deliver.connection import Connection, Following
from tdc.node_agent.smtp.dialogue import Finished, Outgoing

from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import staged


async def test_a_connection_that_ends_after_a_refused_message_delays_nothing(
    tmp_path: Path,
) -> None:
    """It took commands before: its end says as little as after a message that was accepted."""
    refused_once = Faults(replies={"dot": ["554 no"]})
    async with staged(tmp_path, faults=refused_once) as stage:
        await stage.queue()
        await stage.until(lambda: stage.counters.deferred == 1)
        stage.intake.faults = Faults(drop=("mail",), drop_times=1)
        second = await stage.queue()
        await stage.logged(f"Message {second} delivered")
        assert len(stage.intake.messages) == 1
        assert "on hold" not in stage.log.getvalue()


async def test_an_idle_connection_that_the_intake_closed_is_no_trouble(tmp_path: Path) -> None:
    """It may never have carried anything: another one took the report that it was opened for."""
    async with staged(tmp_path) as stage:
        await stage.queue()
        await stage.drained()
        stage.intake.faults.delays.update({"ehlo": 0.3, "dot": 0.1})
        await asyncio.gather(stage.queue(), stage.queue())
        await stage.drained()
        await stage.until(lambda: stage.delivery.destinations()[0].connections_out == 2)
        stage.intake.faults = Faults()
        stage.intake.drop_connections()
        await stage.until(lambda: not stage.intake.counts.open_connections)
        await asyncio.sleep(0.1)  # the agent hears of it
        await stage.queue()
        await stage.drained()
        assert "on hold" not in stage.log.getvalue()
        assert stage.counters.deferred == 0


async def test_a_connection_opened_under_earlier_settings_carries_no_report(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, faults=Faults(delays={"ehlo": 0.3})) as stage:
        await stage.queue()
        await stage.until(lambda: stage.intake.counts.open_connections)
        stage.settings = replace(stage.settings, smtp_route=("elsewhere.example",))
        stage.delivery.kick()
        await stage.logged("elsewhere.example")
        assert not stage.intake.messages


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent has a fault: it can't send message 2."""
    deliver = Connection.deliver

    async def stumble(
        connection: Connection, transaction: Outgoing, following: Following, **_: bool
    ) -> Finished:
        if any(b"number 2" in part for part in transaction.parts):
            raise RuntimeError("a fault of ours")
        return await deliver(connection, transaction, lambda: None)

    monkeypatch.setattr(Connection, "deliver", stumble)


@pytest.mark.usefixtures("stumbling")
async def test_a_message_that_we_stumble_over_holds_delivery_but_not_for_good(
    tmp_path: Path,
) -> None:
    """It is deferred like any other suspect, so that the probe is another message."""
    async with staged(tmp_path, retry_initial=1, delivery_max_connections=1) as stage:
        for number in (1, 2, 3):
            await stage.queue(b"Subject: number %d\r\n\r\n" % number)
        await stage.logged("on hold: Internal Error")
        await stage.until(lambda: len(stage.intake.messages) == 2)
        await stage.logged("resumed")
        assert stage.spool.facts().queued == 1
