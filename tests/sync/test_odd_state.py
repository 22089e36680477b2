"""Files in the state folder with a right checksum and a wrong content: mail must flow."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.facts import DestinationFacts
from tdc.node_agent.facts import gather
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.status import status_to_wire
from tdc.node_agent.sync import last_good
from tdc.node_agent.sync.apply import ATTEMPT, InForce
from tdc.node_agent.version import VERSION
from tdc.shared.edge import durable_file
from tdc.shared.sync.stream_state import StatusSaid
from tdc.shared.sync.values import NOTHING_RUNS
from tdc.shared.wire.stream import MAX_DESTINATIONS, agent_event
from tdc.v1 import agents_pb2

from tests.stage.settings_stream import SPOOL

texts = st.text(st.characters(exclude_categories=()), max_size=4)  # halves of pairs as well
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(texts, st.integers(), max_size=2),
)


async def started(folder: Path) -> InForce:
    """Start as the agent does, and say what it says at each connect."""
    in_force = await InForce.open(folder, TdcLog())
    try:
        status_to_wire(gather(in_force, SPOOL, (), Counters()))
    finally:
        in_force.close()
    return in_force


def started_on(name: str, document: object) -> InForce:
    with tempfile.TemporaryDirectory() as folder:
        durable_file.write_checked(Path(folder) / name, json.dumps(document).encode())
        return asyncio.run(started(Path(folder)))


@given(
    odd
    | st.fixed_dictionaries(
        {
            "format": st.just(1),
            "revision": st.integers() | odd,
            "hash": texts | odd,
            "store_id": texts | odd,
            "settings": st.just({}) | odd,
        }
    )
)
def test_settings_that_make_no_sense_turn_copying_off_and_no_more(document: object) -> None:
    in_force = started_on(last_good.NEWEST, document)
    assert not in_force.current().enabled
    assert in_force.running == NOTHING_RUNS or not in_force.warnings


@given(
    odd
    | st.fixed_dictionaries(
        {
            "agent_version": st.just(VERSION),
            "revision": st.integers() | odd,
            "hash": texts | odd,
            "applied": st.booleans() | odd,
            "reason": texts | odd,
            "time": st.floats() | odd,
        }
    )
)
def test_an_attempt_that_makes_no_sense_is_none(document: object) -> None:
    started_on(ATTEMPT, document)


@pytest.mark.parametrize("content", [b"", b"[" * 200_000, b'{"format":1,"revision":1e999}'])
def test_content_that_is_hardly_json_is_damage(content: bytes, tmp_path: Path) -> None:
    for name in (last_good.NEWEST, ATTEMPT):
        durable_file.write_checked(tmp_path / name, content)
    in_force = asyncio.run(started(tmp_path))
    assert "copying is off" in in_force.warnings[0]
    assert in_force.last_attempt is None


async def test_a_status_is_never_larger_than_the_manager_takes(tmp_path: Path) -> None:
    """An intake may answer at any length; that must not cost the machine its stream."""
    in_force = await InForce.open(tmp_path, TdcLog())
    row = DestinationFacts(
        "the.tdc.queue", "i.example", "up", "", 0, 0, 0, 0, 0, None, "x" * 50_000, "", "y" * 50_000
    )
    long = status_to_wire(gather(in_force, SPOOL, [row] * 500, Counters()))
    many = status_to_wire(
        gather(in_force, SPOOL, [replace(row, last_reply="", held_reason="")] * 2_000, Counters())
    )
    in_force.close()
    for status in (long, many):
        assert isinstance(agent_event(agents_pb2.AgentMessage(status=status)), StatusSaid)
        assert status.warnings == [
            f"only {len(status.destinations)} of {2_000 if status is many else 500} destinations "
            "fit into this status"
        ]
    assert len(long.destinations) > 50
    assert len(many.destinations) == MAX_DESTINATIONS
