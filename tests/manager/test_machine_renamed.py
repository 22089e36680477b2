"""A machine renamed over the API: known by its enrolment, and sent its new name."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tdc.manager.identity.peer import identity_of
from tdc.shared.sync.identity import MachinePeer
from tdc.shared.sync.values import Removed
from tdc.shared.wire.removed import removed_from_metadata
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import (
    Api,
    Certificate,
    add_group,
    add_machine,
    connected,
    enrolled,
    key_and_request,
    manager,
    put,
    refused,
    remove_machine,
    rename_machine,
    restore,
)

STATUS = grpc.StatusCode


async def _fleet(api: Api) -> int:
    """mx1 and mx2 in g1; mx1 has a setting of its own; the revision."""
    await api.create_cluster("c1")
    return await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        put("machine", "mx1", log__level="debug"),
    )


@contextlib.asynccontextmanager
async def _welcomed(api: Api, certificate: Certificate) -> AsyncIterator[tuple[Api, str]]:
    """A machine's connection, and what the manager calls it."""
    async with connected(api.ports, api.authority, *certificate) as machine:
        session = machine.agents.Session()
        await session.write(agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2)))
        message = await session.read()
        assert isinstance(message, agents_pb2.ManagerMessage)
        yield machine, message.welcome.machine
        session.cancel()


async def _name(api: Api, certificate: Certificate) -> str:
    async with _welcomed(api, certificate) as (_, name):
        return name


async def _renewed(api: Api, certificate: Certificate) -> tuple[str, Certificate]:
    """Renew: the name in the new certificate, and that."""
    key, request = key_and_request()
    async with connected(api.ports, api.authority, *certificate) as machine:
        answer = await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem=request.decode()))
    pem = answer.certificate_pem.encode()
    peer = identity_of(pem)
    assert isinstance(peer, MachinePeer)
    return peer.machine, (pem, key)


async def _machines(api: Api) -> dict[str, bool]:
    reply = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest())
    return {row.name: row.enrolled for row in reply.machines}


async def _denied(api: Api, certificate: Certificate, words: str) -> None:
    async with refused(STATUS.PERMISSION_DENIED, words):
        await _renewed(api, certificate)


async def test_it_is_planned_committed_and_undone_like_any_edit(api: Api) -> None:
    start = await _fleet(api)
    edits = (rename_machine("mx1", "edge1"), put("machine", "edge1", retry__initial=30))
    plan = await api.plan(*edits)
    assert [(each.name, each.before_name, each.group) for each in plan.topology] == [
        ("edge1", "mx1", "g1")
    ]
    assert [(each.machine, each.setting) for each in plan.machines] == [("edge1", "retry.initial")]
    assert (await api.commit_as_planned(plan, *edits)).revision == start + 1
    assert (await _machines(api)).keys() == {"edge1", "mx2"}
    asked = operators_pb2.GetDifferenceRequest(cluster="c1", from_revision=start)
    found = await api.changes.GetDifference(asked)
    assert (found.topology, found.machines) == (plan.topology, plan.machines)
    undo = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=start + 1))
    for back in (undo, restore(start)):
        await api.commit(back, cluster="c1")
        found = await api.changes.GetDifference(asked)
        assert (len(found.topology), len(found.machines), len(found.levels)) == (0, 0, 0)
        await api.commit(*edits)


async def test_its_certificate_stays_good_and_is_renewed_to_the_new_name(api: Api) -> None:
    await _fleet(api)
    old = await enrolled(api, "mx1")
    async with connected(api.ports, api.authority, *old) as machine:
        session = machine.agents.Session()
        await session.write(agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2)))
        await session.read()
        await api.commit(rename_machine("mx1", "edge1"))
        async with refused(STATUS.UNAVAILABLE, "the machine is called edge1 now"):
            while await session.read() is not grpc.aio.EOF:
                pass
    assert await _machines(api) == {"edge1": True, "mx2": False}
    assert await _name(api, old) == "edge1"
    name, new = await _renewed(api, old)
    assert name == "edge1"
    assert await _name(api, new) == "edge1"
    await api.commit(rename_machine("edge1", "mx1"))
    assert await _name(api, new) == await _name(api, old) == "mx1"


@pytest.mark.proves("S6")
async def test_a_later_machine_of_the_old_name_is_another(tmp_path: Path) -> None:
    """Neither gets anything of the other, for a manager that starts afterwards too."""
    folder = tmp_path / "m"
    async with manager(folder) as api:
        await _fleet(api)
        first = await enrolled(api, "mx1")
        await api.commit(rename_machine("mx1", "edge1"))
        await api.commit(add_machine("mx1", "g1"))
        assert await _machines(api) == {"edge1": True, "mx1": False, "mx2": False}
        second = await enrolled(api, "mx1")
    async with manager(folder) as api:
        assert await _name(api, first) == "edge1"
        assert await _name(api, second) == "mx1"
        await api.commit(rename_machine("mx1", "edge2"))
        await api.commit(rename_machine("edge1", "mx1"))
        assert (await _name(api, first), await _name(api, second)) == ("mx1", "edge2")
        await api.commit(remove_machine("mx1", stop=True))
        await _denied(api, first, "machine mx1 was removed by revision")
        assert await _name(api, second) == "edge2"


async def test_machines_of_one_commit_that_change_names_are_not_taken_for_each_other(
    api: Api,
) -> None:
    """They were created by the same revision."""
    await _fleet(api)
    first, second = await enrolled(api, "mx1"), await enrolled(api, "mx2")
    await api.commit(rename_machine("mx1", "mx3"))
    await api.commit(rename_machine("mx2", "mx1"))
    assert (await _name(api, first), await _name(api, second)) == ("mx3", "mx1")
    third = await enrolled(api, "mx1")
    await _denied(api, second, "has no valid enrolment")
    assert (await _name(api, first), await _name(api, third)) == ("mx3", "mx1")


async def test_a_removed_machine_is_told_though_its_certificate_has_a_name_of_before(
    api: Api,
) -> None:
    await _fleet(api)
    old = await enrolled(api, "mx1")
    await api.commit(rename_machine("mx1", "edge1"))
    revision = await api.commit(remove_machine("edge1", stop=True))
    await api.commit(add_machine("mx1", "g1"))  # it has the slot now, and was never enrolled
    await _denied(api, old, f"machine edge1 was removed by revision {revision}")
    await api.commit(remove_machine("mx1"))
    async with connected(api.ports, api.authority, *old) as machine:
        session = machine.agents.Session()
        async with refused(STATUS.PERMISSION_DENIED, "machine edge1 was removed"):
            await session.read()
        told = removed_from_metadata(tuple(await session.trailing_metadata() or ()))
        assert told is not None
        assert told == Removed(True, told.store_id, revision)


@pytest.mark.proves("S6")
async def test_a_removed_machine_is_told_though_another_has_its_name(tmp_path: Path) -> None:
    """Also by a manager that starts later: else a gateway that was away would go on copying."""
    folder = tmp_path / "m"
    async with manager(folder) as api:
        await _fleet(api)
        old = await enrolled(api, "mx1")
        revision = await api.commit(remove_machine("mx1", stop=True))
        await api.commit(add_machine("mx1", "g1"))
        await _told(api, old, revision)
        second = await enrolled(api, "mx1")
        await _told(api, old, revision)
    async with manager(folder) as api:
        await _told(api, old, revision)
        assert await _name(api, second) == "mx1"
        status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
        assert not [each for each in status.warnings if "does not know" in each]
        again = await api.commit(remove_machine("mx1"))
        await api.commit(add_machine("mx1", "g1"))
        third = await enrolled(api, "mx1")
        await _told(api, old, revision)
        await _told(api, second, again, stops=False)
        assert await _name(api, third) == "mx1"
        newest = await enrolled(api, "mx1")
        await _denied(api, third, "was enrolled again")
        assert await _name(api, newest) == "mx1"


async def _told(api: Api, certificate: Certificate, revision: int, *, stops: bool = True) -> None:
    async with connected(api.ports, api.authority, *certificate) as machine:
        session = machine.agents.Session()
        words = f"machine mx1 was removed by revision {revision} "
        async with refused(STATUS.PERMISSION_DENIED, words):
            await session.read()
        told = removed_from_metadata(tuple(await session.trailing_metadata() or ()))
        assert told is not None
        assert told == Removed(stops, told.store_id, revision)


async def test_a_token_is_for_its_machine_whatever_that_is_called(api: Api) -> None:
    await _fleet(api)
    request = operators_pb2.CreateJoinTokenRequest(machine="mx1")
    token = (await api.fleet.CreateJoinToken(request)).token
    await api.commit(rename_machine("mx1", "edge1"))
    await api.commit(add_machine("mx1", "g1"))
    certificate = await enrolled(api, "mx1", token)
    peer = identity_of(certificate[0])
    assert isinstance(peer, MachinePeer)
    assert peer.machine == "edge1"
    assert await _machines(api) == {"edge1": True, "mx1": False, "mx2": False}
    again = await enrolled(api, "edge1")
    await _denied(api, certificate, "was enrolled again")
    assert await _name(api, again) == "edge1"


async def test_what_is_known_of_it_goes_along(api: Api) -> None:
    await _fleet(api)
    certificate = await enrolled(api, "mx1")
    async with _welcomed(api, certificate):
        pass
    await api.commit(rename_machine("mx1", "edge1"))
    reply = await api.monitoring.GetStatus(operators_pb2.StatusRequest(machine="edge1"))
    (row,) = reply.machines
    assert row.state == "offline"
    assert row.HasField("since")
    assert "has not connected" not in row.reason


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([rename_machine("mx1", "mx2")], "already has a machine mx2"),
        ([rename_machine("mx1", "MX2")], "differs only in case"),
        ([rename_machine("mx9", "mx3")], "unknown machine 'mx9'"),
        ([rename_machine("mx1", "a b")], "is not a valid machine name"),
        ([rename_machine("mx1", "mx3"), add_machine("mx1", "g1")], "in a commit of its own"),
    ],
)
async def test_a_mistake_is_named(api: Api, edits: list[fleet_pb2.Edit], words: str) -> None:
    await _fleet(api)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.plan(*edits)
    assert words in (caught.value.details() or "")
