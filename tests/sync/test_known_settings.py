"""Agents and managers of different versions on one stream, over mTLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tdc.manager.push import session
from tdc.manager.push.session import End, Ending, Session
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import monotonic
from tdc.shared.settings import known
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2

from tests.stage.settings_stream import (
    MX1,
    QUICK,
    FakeView,
    ManagerSide,
    agent,
    until,
    wanted,
    whole,
)

NEW = "delivery.messages_per_connection"
"""A setting that one of the ends is made to lack."""
LESS = KNOWN_HERE - {NEW}

Sent = list[agents_pb2.ManagerMessage]


async def said_to(
    view: FakeView, hello: agents_pb2.Hello, then: Callable[[Sent, Presence], None]
) -> Ending:
    """Let an agent say Hello and nothing more, and look at what it was sent within a moment."""
    presence, sent = Presence(view), Sent()
    talk = Session(MachinePeer(*MX1, "e1"), view, presence, monotonic, QUICK, "here")
    greeted = False

    async def read() -> agents_pb2.AgentMessage | None:
        nonlocal greeted
        if not greeted:
            greeted = True
            return agents_pb2.AgentMessage(hello=hello)
        await until(lambda: any(each.HasField("ping") for each in sent))
        then(sent, presence)
        return None

    async def write(message: agents_pb2.ManagerMessage) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        return await talk.run(read, write)


def offers(sent: Sent) -> list[agents_pb2.Wanted]:
    return [each.wanted for each in sent if each.HasField("wanted")]


@pytest.mark.parametrize("says", [True, False])
async def test_an_older_agent_is_sent_what_it_knows(
    says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of protocol 4 says which that is; one of before knows what there was then."""
    hello = agents_pb2.Hello(agent_version="0.9", protocol=4 if says else 3)
    if says:
        hello.settings.extend(sorted(LESS))
    else:
        monkeypatch.setattr(known, "FIRST_KNOWN", LESS)
    view = FakeView()
    view.commit(7, max_message_size=5_000)

    def fitting(sent: Sent, presence: Presence) -> None:
        welcome = sent[0].welcome
        assert set(welcome.settings) == KNOWN_HERE
        (offered,) = offers(sent)
        assert offered.revision == 7
        assert offered.hash == welcome.wanted_hash == view.content_hash(*MX1, LESS)
        assert not offered.settings.HasField("delivery_messages_per_connection")
        assert offered.settings.max_message_size == 5_000
        assert presence.facts(*MX1).lacks == ()

    await said_to(view, hello, fitting)


@pytest.mark.parametrize("says", [True, False])
async def test_an_older_agent_is_sent_nothing_where_it_would_not_do_as_wanted(
    says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = agents_pb2.Hello(agent_version="0.9", protocol=4 if says else 3)
    if says:
        hello.settings.extend(sorted(LESS))
    else:
        monkeypatch.setattr(known, "FIRST_KNOWN", LESS)
    view = FakeView()
    view.commit(7, delivery__messages_per_connection=5)

    def nothing(sent: Sent, presence: Presence) -> None:
        assert offers(sent) == []
        assert sent[0].welcome.wanted_hash == ""
        facts = presence.facts(*MX1)
        assert facts.lacks == (NEW,)
        assert (facts.state, facts.wanted_revision) == ("out of sync", 7)
        for words in ("version 0.9", NEW, "Upgrade the agent", "keeps what it runs"):
            assert words in facts.reason

    await said_to(view, hello, nothing)


async def test_an_agent_that_knows_endless_settings_is_let_go() -> None:
    view = FakeView()
    view.commit(1)
    hello = agents_pb2.Hello(protocol=4, settings=[f"x{each}" for each in range(1_001)])
    ending = await said_to(view, hello, lambda sent, presence: None)
    assert ending.end is End.FAULT
    assert "1001 settings" in ending.reason


async def test_a_newer_agent_takes_what_an_older_manager_knows(
    manager: ManagerSide, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its default counts where the manager lacks a setting; the newer manager then sends it."""
    monkeypatch.setattr(session, "_KNOWN_HERE", sorted(LESS))
    values = whole(max_message_size=5_000)
    del values[NEW]
    manager.view.put(wanted(values, 3, LESS))
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        assert mx1.in_force.current().max_message_size == 5_000
        assert mx1.in_force.current().delivery_messages_per_connection == 100
    async with agent(machine, manager.address) as mx1:  # what it kept is whole too
        await until(lambda: manager.state() == "in sync")
        monkeypatch.undo()
        manager.view.commit(4, max_message_size=5_000, delivery__messages_per_connection=7)
        manager.sessions.welcome_again()
        await until(lambda: mx1.in_force.current().delivery_messages_per_connection == 7)
        await until(lambda: manager.state() == "in sync")


async def test_a_newer_agent_refuses_any_other_gap(manager: ManagerSide, machine: Path) -> None:
    values = whole(max_message_size=5_000)
    del values[NEW]
    manager.view.put(wanted(values, 3, LESS))
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "rejected")
        assert NEW in manager.presence.facts(*MX1).reason
        assert mx1.in_force.running.revision == 0
