"""Groups and machines over the API: renamed, moved, removed, rolled back; and who may still in."""

from __future__ import annotations

import grpc
import pytest
from tdc.shared.sync.values import Removed
from tdc.shared.wire.removed import removed_from_metadata
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    connected,
    enrolled,
    level,
    put,
    refused,
    remove_machine,
    rename_group,
    restore,
)

STATUS = grpc.StatusCode


def _move(name: str, group: str) -> fleet_pb2.Edit:
    return fleet_pb2.Edit(move_machine=fleet_pb2.MoveMachine(name=name, group=group))


def _remove_group(name: str, move_to: str = "") -> fleet_pb2.Edit:
    return fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name=name, move_to=move_to))


async def _fleet(api: Api) -> int:
    """mx1 and mx2 in g1, mx3 in g2, all copying; g1 has a retry time of its own."""
    await api.create_cluster("c1")
    return await api.commit(
        add_group("g1"),
        add_group("g2"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        add_machine("mx3", "g2"),
        put("cluster", "c1", enabled=True, intake_address="in@intake.example"),
        put("group", "g1", retry__initial=30),
        put("machine", "mx1", log__level="debug"),
    )


async def _places(api: Api) -> dict[str, list[str]]:
    reply = await api.fleet.ListGroups(operators_pb2.ListGroupsRequest())
    return {row.name: list(row.machines) for row in reply.groups}


async def _retry(api: Api, machine: str) -> int:
    request = operators_pb2.GetEffectiveRequest(machine=machine)
    return (await api.settings.GetEffective(request)).settings.retry_initial


async def test_groups_and_machines_change_in_one_commit_and_come_back_by_a_rollback(
    api: Api,
) -> None:
    start = await _fleet(api)
    edits = (
        rename_group("g1", "edge"),
        _move("mx3", "edge"),
        _remove_group("g2"),
        remove_machine("mx1"),
    )
    plan = await api.plan(*edits)
    assert [(each.name, each.before_name, each.removed) for each in plan.topology] == [
        ("edge", "g1", False),
        ("mx3", "mx3", False),
        ("mx1", "", True),
        ("g2", "", True),
    ]
    assert [(each.machine, each.setting) for each in plan.machines] == [("mx3", "retry.initial")]
    assert (await api.commit_as_planned(plan, *edits)).revision == start + 1
    assert await _places(api) == {"Main_Group": [], "edge": ["mx2", "mx3"]}
    assert await _retry(api, "mx3") == 30
    record = await api.changes.GetCommit(
        operators_pb2.GetCommitRequest(cluster="c1", revision=start + 1)
    )
    assert record.topology == plan.topology

    await api.commit(restore(start))
    assert await _places(api) == {"Main_Group": [], "g1": ["mx1", "mx2"], "g2": ["mx3"]}
    found = await api.settings.GetLevel(
        operators_pb2.GetLevelRequest(level=level("machine", "mx1"))
    )
    assert found.settings.log_level == "debug"
    assert await _retry(api, "mx3") == 60


@pytest.mark.proves("S6")
@pytest.mark.parametrize("stop", [False, True])
async def test_a_certificate_of_a_removed_machine_opens_nothing_ever_again(
    api: Api, stop: bool
) -> None:
    """Not at once, not after the name was used again, not after a rollback created it again."""
    start = await _fleet(api)
    certificate = await enrolled(api, "mx1")
    async with connected(api.ports, api.authority, *certificate) as machine:
        session = machine.agents.Session()
        await session.write(agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2)))
        await session.read()  # the welcome
        wanted = await session.read()
        assert isinstance(wanted, agents_pb2.ManagerMessage)
        await api.commit(remove_machine("mx1", stop=stop))
        async with refused(STATUS.PERMISSION_DENIED, "was removed by revision 3 of cluster c1"):
            while await session.read() is not grpc.aio.EOF:
                pass
        told = removed_from_metadata(tuple(await session.trailing_metadata() or ()))
        assert told == Removed(stop, wanted.wanted.store_id, 3)

        async def denied() -> None:
            async with refused(STATUS.PERMISSION_DENIED):
                await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))

        await denied()
        await api.commit(add_machine("mx1", "g2"))
        await denied()
        await enrolled(api, "mx1")  # the new machine has a certificate of its own
        await denied()
        await api.commit(remove_machine("mx1"))
        await api.commit(restore(start))
        await denied()


async def test_a_token_of_a_machine_that_was_removed_enrols_no_other_of_its_name(api: Api) -> None:
    await _fleet(api)
    token = await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    await api.commit(remove_machine("mx1"))
    await api.commit(add_machine("mx1", "g1"))
    certificate = await enrolled(api, "mx1", token.token)
    async with (
        connected(api.ports, api.authority, *certificate) as machine,
        refused(STATUS.PERMISSION_DENIED, "machine mx1 was removed by revision"),
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))


async def test_such_a_token_ends_no_enrolment_of_the_new_machine(api: Api) -> None:
    await _fleet(api)
    token = await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    await api.commit(remove_machine("mx1"))
    await api.commit(add_machine("mx1", "g1"))
    certificate = await enrolled(api, "mx1")
    useless = await enrolled(api, "mx1", token.token)
    async with (
        connected(api.ports, api.authority, *useless) as machine,
        refused(STATUS.PERMISSION_DENIED, "machine mx1 was removed by revision"),
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))
    async with (
        connected(api.ports, api.authority, *certificate) as machine,
        refused(STATUS.INVALID_ARGUMENT),  # the certificate is good, the request is not
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))


async def test_a_machine_that_moves_keeps_its_certificate(api: Api) -> None:
    await _fleet(api)
    certificate = await enrolled(api, "mx1")
    await api.commit(_move("mx1", "g2"), rename_group("g2", "edge"))
    async with (
        connected(api.ports, api.authority, *certificate) as machine,
        refused(STATUS.INVALID_ARGUMENT),  # the certificate is good, the request is not
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_move("mx1", "g9"), ["unknown group 'g9'", "g1"]),
        (_move("mx9", "g1"), ["unknown machine 'mx9'", "mx1"]),
        (remove_machine("mx9"), ["unknown machine 'mx9'"]),
        (rename_group("g9", "x"), ["unknown group 'g9'"]),
        (_remove_group("g1"), ["2 machines (mx1, mx2)", "--move-to"]),
    ],
)
async def test_a_mistake_is_named(api: Api, edit: fleet_pb2.Edit, words: list[str]) -> None:
    await _fleet(api)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.plan(edit)
    assert caught.value.code() in (STATUS.NOT_FOUND, STATUS.INVALID_ARGUMENT)
    assert all(word in (caught.value.details() or "") for word in words)


async def test_settings_are_copied_moved_and_deleted(api: Api) -> None:
    await _fleet(api)
    source, target = level("group", "g1"), level("machine", "mx3")

    def copy(move: bool, *names: str) -> fleet_pb2.Edit:
        copied = fleet_pb2.CopySettings(source=source, target=target, names=names, move=move)
        return fleet_pb2.Edit(copy=copied)

    await api.commit(copy(False))
    assert (await _retry(api, "mx3"), await _retry(api, "mx1")) == (30, 30)
    await api.commit(fleet_pb2.Edit(delete=fleet_pb2.DeleteSettings(level=target)))
    assert await _retry(api, "mx3") == 60
    await api.commit(copy(True, "retry.initial"))
    assert (await _retry(api, "mx3"), await _retry(api, "mx1")) == (30, 60)
    async with refused(STATUS.INVALID_ARGUMENT, "has no log.level of its own"):
        await api.plan(copy(False, "log.level"))


async def test_one_commit_is_undone_and_what_came_after_stays(api: Api) -> None:
    start = await _fleet(api)
    await api.commit(_move("mx3", "g1"), put("cluster", "c1", log__level="error"))
    await api.commit(put("group", "g2", retry__initial=90))
    undo = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=start + 1))
    await api.commit(undo, cluster="c1")
    assert await _places(api) == {"Main_Group": [], "g1": ["mx1", "mx2"], "g2": ["mx3"]}
    assert await _retry(api, "mx3") == 90
    async with refused(STATUS.INVALID_ARGUMENT, "machine mx3 was moved again"):
        await api.plan(undo, cluster="c1")
    async with refused(STATUS.NOT_FOUND, "has no commit 99"):
        await api.plan(fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=99)), cluster="c1")
    async with refused(STATUS.INVALID_ARGUMENT, "must be the only edit"):
        await api.plan(undo, add_group("g9"), cluster="c1")


async def test_a_machine_of_a_later_commit_is_not_removed_for_its_name(api: Api) -> None:
    created = await _fleet(api) + 1
    for edit in (add_machine("mx9", "g1"), remove_machine("mx9"), add_machine("mx9", "g1")):
        await api.commit(edit)
    undo = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=created))
    async with refused(STATUS.INVALID_ARGUMENT, "machine mx9 is no longer there"):
        await api.plan(undo, cluster="c1")
