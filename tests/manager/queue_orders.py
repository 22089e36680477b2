"""Machines with queues in memory, and requests for work on them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import grpc
import pytest
from tdc.node_agent.spool.values import IntakeBacklog
from tdc.node_agent.sync.enrol import enrol
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import Api, add_machine
from tests.stage.queues import INTAKE, TYPO, MemoryQueue
from tests.stage.settings_stream import AgentSide, agent

STATUS = grpc.StatusCode


IN_HAND = "r-1"


@dataclasses.dataclass
class Machine:
    queue: MemoryQueue
    folder: Path


@pytest.fixture
async def fleet(api: Api, tmp_path: Path) -> dict[str, Machine]:
    """Cluster c1 with mx1, mx2 and mx3; mx1 and mx2 are enrolled, nobody is connected."""
    await api.create_cluster("c1")
    await api.commit(*[add_machine(f"mx{n}", "Main_Group") for n in (1, 2, 3)])
    machines = {name: Machine(MemoryQueue(), tmp_path / name) for name in ("mx1", "mx2")}
    for name, machine in machines.items():
        await _enrol(api, name, machine.folder)
    return machines


async def _enrol(api: Api, name: str, folder: Path) -> None:
    request = operators_pb2.CreateJoinTokenRequest(machine=name)
    token = (await api.fleet.CreateJoinToken(request)).token
    await enrol(f"127.0.0.1:{api.ports.enrol}", token, folder / "identity", folder)


@contextlib.asynccontextmanager
async def connected(
    api: Api, machine: Machine, backlogs: Mapping[str, IntakeBacklog] = MappingProxyType({})
) -> AsyncIterator[AgentSide]:
    address = f"127.0.0.1:{api.ports.main}"
    async with agent(
        machine.folder, address, perform=machine.queue.perform, backlogs=backlogs
    ) as side:
        async with asyncio.timeout(10):
            while not (side.stream.connected and side.in_force.running.revision):
                await asyncio.sleep(0.02)
        yield side


def scope(*machines: str) -> operators_pb2.QueueScope:
    return operators_pb2.QueueScope(machines=machines)


def move(
    *machines: str, to: str = INTAKE, request_id: str = IN_HAND
) -> operators_pb2.QueueWorkRequest:
    selection = agents_pb2.CopySelection(intake=TYPO, waiting=True, dead=True)
    work = agents_pb2.MoveCopies(selection=selection, to_intake=to)
    return operators_pb2.QueueWorkRequest(
        scope=scope(*machines), move=work, comment="typo", request_id=request_id
    )


def drop(*machines: str, request_id: str = IN_HAND) -> operators_pb2.QueueWorkRequest:
    selection = agents_pb2.CopySelection(intake=TYPO, waiting=True, dead=True)
    work = agents_pb2.DropCopies(selection=selection)
    return operators_pb2.QueueWorkRequest(scope=scope(*machines), drop=work, request_id=request_id)


def by_name(response: operators_pb2.QueueResponse) -> dict[str, operators_pb2.MachineQueue]:
    return {row.machine: row for row in response.machines}


async def newest(api: Api) -> fleet_pb2.Commit:
    listed = await api.changes.ListCommits(operators_pb2.ListCommitsRequest(limit=1))
    return listed.commits[0]


async def whole(api: Api, revision: int) -> fleet_pb2.Commit:
    return await api.changes.GetCommit(operators_pb2.GetCommitRequest(revision=revision))
