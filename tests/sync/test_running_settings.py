"""A manager that lost what machines run asks them, over mTLS on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.manager.push.running import AskedSettings, KnownRunning
from tdc.shared.settings.known import KNOWN_HERE, hash_of
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Settings
from tdc.shared.sync.queue_work import Unanswered
from tdc.shared.sync.values import NOTHING_RUNS, Running
from tdc.shared.wire import running_settings
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.running_settings import RunsThere, runs_of, runs_to_wire
from tdc.v1 import agents_pb2

from tests.stage.settings_stream import (
    MX1,
    FakeJoins,
    FakeView,
    ManagerSide,
    agent,
    until,
    whole,
)

SETTINGS = Settings.of(
    {name: each for name, each in default_values().items() if each is not None}
    | {"max_message_size": 5_000}
)
RUNS = Running(7, hash_of(SETTINGS), "s")


@pytest.mark.proves("F49")
async def test_an_agent_says_what_it_runs_also_to_a_manager_that_it_refuses(
    manager: ManagerSide, machine: Path
) -> None:
    manager.view.commit(9, max_message_size=9_000)
    async with agent(machine, manager.address) as mx1:
        await until(lambda: manager.state() == "in sync")
        manager.view.commit(3, max_message_size=3_000)  # an older backup
        await until(lambda: manager.state() == "rejected")
        answer = await manager.sessions.ask_settings(MX1, 3)
        assert isinstance(answer, RunsThere)
        assert answer.proven
        assert answer.running == mx1.in_force.running
        assert dict(answer.values) == whole(max_message_size=9_000)
        assert manager.sessions.running.find(answer.running.hash, KNOWN_HERE) == answer.values
        assert manager.state() == "rejected", "a look at what runs changes nothing"
    gone = await manager.sessions.ask_settings(MX1, 3)
    assert isinstance(gone, Unanswered)


@pytest.mark.proves("F49")
async def test_what_an_agent_runs_is_known_after_it_left_for_another_manager(
    manager: ManagerSide, machine: Path
) -> None:
    """Two managers serve the restored store: it refuses both in turn, and both come to know."""
    manager.view.commit(9, max_message_size=9_000)
    async with agent(machine, manager.address):
        await until(lambda: manager.state() == "in sync")
    view = FakeView()
    view.enrolments[MX1] = "e1"
    other = ManagerSide(manager.authority, view, FakeJoins(view))
    await other.start()
    try:
        for each in (manager, other):
            each.view.commit(3, max_message_size=3_000)
        values = whole(max_message_size=9_000)
        hash_ = hash_of({name: each for name, each in values.items() if each is not None})
        async with agent(machine, manager.address, other.address, chance=lambda: 0.0):
            await until(
                lambda: any(
                    each.sessions.running.find(hash_, KNOWN_HERE) for each in (manager, other)
                )
            )
    finally:
        await other.stop()


def asked(protocol: int) -> tuple[AskedSettings, list[agents_pb2.ManagerMessage], KnownRunning]:
    sent, kept = list[agents_pb2.ManagerMessage](), KnownRunning()
    asking = AskedSettings(sent.append, kept)
    asking.greeted(agents_pb2.Hello(protocol=protocol, agent_version="0.9"), KNOWN_HERE)
    return asking, sent, kept


async def test_an_agent_of_before_can_not_be_asked() -> None:
    asking, sent, _ = asked(3)
    asking.wish("h")
    answer = await asking.ask(1)
    assert isinstance(answer, Unanswered)
    assert "version 0.9, can't be asked this: upgrade" in answer.reason
    assert sent == []


async def test_one_question_is_under_way_at_a_time_and_each_wait_is_bounded() -> None:
    asking, sent, kept = asked(4)
    late = await asking.ask(0.05)
    assert late == Unanswered("it did not answer within 0.05 s")
    both = asyncio.gather(asking.ask(1), asking.ask(1))
    await asyncio.sleep(0)
    assert len(sent) == 1
    with pytest.raises(BadMessage):
        asking.answered(agents_pb2.RunningSettings(id="another"))
    asking.answered(runs_to_wire(sent[0].ask_settings.id, RUNS, SETTINGS, KNOWN_HERE))
    one, other = await both
    assert one == other
    asking.wish(RUNS.hash)
    assert len(sent) == 1, "that is known already"
    assert kept.find(RUNS.hash, KNOWN_HERE) is not None
    waits = asyncio.create_task(asking.ask(1))
    await asyncio.sleep(0)
    asking.end("it is over")
    assert isinstance(await waits, Unanswered)


def test_an_answer_is_good_for_others_only_if_it_fits_its_hash() -> None:
    """An agent whose key was stolen must not speak for a fleet."""
    kept = KnownRunning()
    lie = runs_to_wire("q", Running(7, "what others run", "s"), SETTINGS, KNOWN_HERE)
    found = runs_of(lie, KNOWN_HERE)
    assert isinstance(found, RunsThere)
    assert not found.proven
    kept.take(found, KNOWN_HERE)
    assert kept.find("what others run", KNOWN_HERE) is None


def test_what_is_kept_of_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdc.manager.push.running.MOST_BYTES", 2_500)
    kept = KnownRunning()
    for each in range(5):
        kept.take(RunsThere(Running(1, str(each), "s"), {}, 1_000, proven=True), KNOWN_HERE)
    there = [each for each in range(5) if kept.find(str(each), KNOWN_HERE) is not None]
    assert there == [3, 4]


def test_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    never = runs_of(runs_to_wire("q", NOTHING_RUNS, Settings(), KNOWN_HERE), KNOWN_HERE)
    assert never == Unanswered("it has not had settings of a manager yet")
    torn = runs_to_wire("q", RUNS, SETTINGS, KNOWN_HERE)
    torn.settings.ClearField("spool_max_bytes")
    answer = runs_of(torn, KNOWN_HERE)
    assert answer == Unanswered("its answer has no value for spool.max_bytes")
    less = runs_of(torn, KNOWN_HERE - {"spool.max_bytes"})
    assert isinstance(less, RunsThere)
    assert less.values["spool.max_bytes"] == default_values()["spool.max_bytes"]
    newer = runs_to_wire("q", RUNS, SETTINGS, KNOWN_HERE)
    newer.settings.MergeFromString(b"\xfa\x3f\x01x")
    assert isinstance(runs_of(newer, KNOWN_HERE), Unanswered)
    monkeypatch.setattr(running_settings, "MAX_AGENT_MESSAGE", 1_100)
    large = runs_to_wire("q", RUNS, SETTINGS, KNOWN_HERE)
    assert "which no message can hold" in large.refused
    assert large.ByteSize() < 1_000


def test_a_manager_is_sent_what_it_knows_and_what_it_must_not_miss() -> None:
    less = KNOWN_HERE - {"max_message_size", "spool.max_bytes"}
    answer = runs_to_wire("q", RUNS, SETTINGS, less)
    assert answer.settings.max_message_size == 5_000
    assert not answer.settings.HasField("spool_max_bytes"), "its default says nothing"
