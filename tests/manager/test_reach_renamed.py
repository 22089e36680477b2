"""Who reaches a cluster or a group reaches it by any name, and nothing else that gets its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
from tdc.shared.wire import people_answers as answers
from tdc.shared.wire.people_documents import ReachDocument
from tdc.v1 import audit_pb2, fleet_pb2, operators_pb2, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.manager.test_login import PASSWORD, Caller, Desk
from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    connected,
    manager,
    of_people,
    put,
    refused,
    rename_cluster,
    rename_group,
)

STATUS = grpc.StatusCode


@pytest.fixture
async def desk(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[Desk]:
    """c1 with mx1 in g1 and mx2 in g2, and the user bob, who reaches c1."""
    folder = tmp_path / "manager"
    async with manager(folder, etcd_endpoints=etcd.options.endpoints, operator_port=0) as api:
        await api.create_cluster("c1")
        await api.commit(
            *(add_group(each) for each in ("g1", "g2")),
            add_machine("mx1", "g1"),
            add_machine("mx2", "g2"),
        )
        made = Desk(api)
        await made.people.CreateUser(_user("bob", _reach(["c1"])))
        yield made


def _reach(clusters: Sequence[str] = (), groups: Sequence[str] = ()) -> people_pb2.Reach:
    """Clusters by name, groups as CLUSTER/GROUP."""
    pairs = [each.split("/") for each in groups]
    named = [people_pb2.GroupName(cluster=home, group=group) for home, group in pairs]
    return people_pb2.Reach(clusters=clusters, groups=named)


def _user(name: str, reach: people_pb2.Reach) -> people_pb2.CreateUserRequest:
    return people_pb2.CreateUserRequest(name=name, role="operator", reach=reach, password=PASSWORD)


def _role(reach: people_pb2.Reach, role: str = "operator") -> people_pb2.SetRoleRequest:
    """The role and reach of bob."""
    return people_pb2.SetRoleRequest(name="bob", role=role, reach=reach)


async def _another_c1(api: Api) -> None:
    """c1 is called emea, and another cluster c1, with mx9 in a group g1."""
    await api.commit(rename_cluster("c1", "emea"))
    await api.create_cluster("c1")
    await api.commit(add_group("g1"), add_machine("mx9", "g1"), cluster="c1")


async def _clusters(who: Caller) -> list[str]:
    request = operators_pb2.ListClustersRequest()
    found = await who.fleet.ListClusters(request, metadata=who.shown)
    return [each.name for each in found.clusters]


NOTHING = ReachDocument((), (), ())


def _named(reach: people_pb2.Reach) -> list[str]:
    return [*reach.clusters, *(f"{each.cluster}/{each.group}" for each in reach.groups)]


@pytest.mark.proves("S12")
async def test_a_session_keeps_its_cluster_and_gets_no_other(desk: Desk) -> None:
    async with desk.caller() as bob:
        await bob.log_in("bob")
        await _another_c1(desk.api)
        assert (await bob.machines(), await _clusters(bob)) == (["mx1", "mx2"], ["emea"])
        assert list((await bob.who()).reach.clusters) == ["emea"]
        request = operators_pb2.ListMachinesRequest(cluster="c1")
        async with refused(STATUS.NOT_FOUND, "it is called emea now"):
            await bob.fleet.ListMachines(request, metadata=bob.shown)


@pytest.mark.proves("S12")
async def test_so_do_a_token_of_before_and_one_of_after(desk: Desk) -> None:
    async with desk.caller() as bob, desk.caller() as robot:
        await bob.log_in("bob")
        await desk.people.SetRole(_role(_reach(groups=["c1/g1"])))
        await bob.log_in("bob")
        made = [await _token(bob), await _token(bob, "c1/g1")]
        await _another_c1(desk.api)
        made += [await _token(bob), await _token(bob, "emea/g1")]
        async with refused(STATUS.PERMISSION_DENIED, "would do more than bob"):
            await _token(bob, "c1/g1")
        for each in made:
            robot.secret = each
            assert await robot.machines() == ["mx1"]
        request = people_pb2.ListApiTokensRequest()
        listed = (await bob.people.ListApiTokens(request, metadata=bob.shown)).tokens
        assert {tuple(_named(each.reach)) for each in listed} == {("emea/g1",)}


async def _token(who: Caller, group: str = "") -> str:
    reach = _reach(groups=[group] if group else [])
    request = people_pb2.CreateApiTokenRequest(label="ci", reach=reach)
    return (await who.people.CreateApiToken(request, metadata=who.shown)).secret


@pytest.mark.proves("S12")
async def test_so_does_a_certificate_at_a_manager_that_starts_later(
    desk: Desk, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    await _another_c1(desk.api)
    issued = desk.api.authority.issue_operator("bob")
    pair = (issued.certificate_pem, issued.key_pem)
    folder = tmp_path / "manager"
    async with (
        manager(folder, etcd_endpoints=etcd.options.endpoints) as later,
        connected(later.ports, later.authority, *pair) as bob,
    ):
        me = await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())
        assert (me.role, list(me.reach.clusters)) == ("operator", ["emea"])
        found = await bob.fleet.ListMachines(operators_pb2.ListMachinesRequest())
        assert [each.name for each in found.machines] == ["mx1", "mx2"]
        listed = await of_people(later.channel).ListUsers(people_pb2.ListUsersRequest())
        assert [_named(each.reach) for each in listed.users] == [["emea"]]


async def test_a_reach_names_what_there_is(desk: Desk) -> None:
    """Else it would come to be a reach of whatever gets that name."""
    await _another_c1(desk.api)
    await desk.api.commit(rename_cluster("c1", "apac"))
    for reach, words in (
        (_reach(["c2"]), "unknown cluster 'c2'"),
        (_reach(["c1"]), "that were are called apac, emea now"),
        (_reach([""]), "a reach names its clusters and groups"),
        (_reach(groups=["emea/g9"]), "unknown group 'g9'"),
        (_reach(groups=["/g2"]), "a reach names its clusters and groups"),
    ):
        async with refused(STATUS.NOT_FOUND, words):
            await desk.people.CreateUser(_user("cat", reach))
    await desk.people.CreateUser(_user("cat", _reach(["apac"])))
    async with desk.caller() as cat:
        await cat.log_in("cat")
        assert await cat.machines() == ["mx9"]


@pytest.mark.parametrize(
    "reach",
    [
        people_pb2.Reach(nothing=True),
        people_pb2.Reach(gone=[people_pb2.GroupName(cluster="c1")]),
    ],
)
async def test_a_reach_of_nothing_that_is_sent_back_is_not_everything(
    desk: Desk, reach: people_pb2.Reach
) -> None:
    for change in (
        desk.people.CreateUser(_user("cat", reach)),
        desk.people.SetRole(_role(reach)),
        desk.people.CreateApiToken(people_pb2.CreateApiTokenRequest(label="ci", reach=reach)),
    ):
        async with refused(STATUS.INVALID_ARGUMENT, "a reach that is asked for"):
            await change


async def test_a_deleted_cluster_is_reached_again_when_it_goes_on(desk: Desk) -> None:
    """The next of its name has its history."""
    await desk.api.create_cluster("c2")
    await desk.people.CreateUser(_user("cat", _reach(["c2"])))
    async with desk.caller() as cat:
        await cat.log_in("cat")
        await desk.api.commit(fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c2")))
        async with refused(
            STATUS.PERMISSION_DENIED, "reaches nothing here (cluster c2 (not there))"
        ):
            await _clusters(cat)
        assert [each.cluster for each in (await cat.who()).reach.gone] == ["c2"]
        await desk.api.create_cluster("c2")
        assert await _clusters(cat) == ["c2"]


async def test_the_audit_log_has_names_of_then(desk: Desk) -> None:
    await _another_c1(desk.api)
    await desk.people.SetRole(_role(_reach(groups=["emea/g1"])))
    entries = (await desk.api.audit.ListEntries(audit_pb2.ListEntriesRequest(limit=500))).entries
    (row,) = next(each.rows for each in entries if each.operation == "people.set_role")
    assert (row.before, row.after) == ("cluster emea", "group g1 of cluster emea")
    (renamed,) = [each for each in entries if each.operation == "changes.rename_cluster"]
    assert (renamed.cluster, renamed.commit) == ("emea", "/tdc/v1/commits/c1/000000000003")
    assert [(each.before, each.after) for each in renamed.rows] == [("cluster c1", "cluster emea")]
    assert [each.number for each in entries if each.cluster == "c1"] != []
    verdict = await desk.api.audit.VerifyLog(audit_pb2.VerifyLogRequest())
    assert not verdict.faults


async def test_who_reaches_a_cluster_or_less_renames_none(desk: Desk) -> None:
    for role, reach in (("operator", _reach()), ("administrator", _reach(["c1"]))):
        await desk.people.SetRole(_role(reach, role))
        issued = desk.api.authority.issue_operator("bob")
        pair = (issued.certificate_pem, issued.key_pem)
        async with connected(desk.api.ports, desk.api.authority, *pair) as bob:
            request = operators_pb2.PlanRequest(edits=[rename_cluster("c1", "emea")])
            if role == "administrator":
                async with refused(STATUS.PERMISSION_DENIED, "renaming a cluster needs the whole"):
                    await bob.changes.MakePlan(request)
            plan = await desk.api.plan(rename_cluster("c1", "emea"))
            async with refused(STATUS.PERMISSION_DENIED, "changes.rename_cluster"):
                await bob.commit_as_planned(plan, *request.edits)
    assert await desk.api.commit(put("cluster", "c1", log__level="debug")) == 3


@pytest.mark.proves("S12")
async def test_a_renamed_group_stays_in_reach_and_the_next_of_its_name_does_not_come(
    desk: Desk, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    await desk.people.SetRole(_role(_reach(groups=["c1/g1"])))
    async with desk.caller() as bob, desk.caller() as robot:
        await bob.log_in("bob")
        robot.secret = await _token(bob)
        await desk.api.commit(rename_group("g1", "edge"))
        await desk.api.commit(add_group("g1"), add_machine("mx9", "g1"))
        await _another_c1(desk.api)
        for each in (bob, robot):
            assert (await each.machines(), _named((await each.who()).reach)) == (
                ["mx1"], ["emea/edge"],
            )  # fmt: skip
        await desk.people.SetRole(_role(_reach(groups=["emea/g1", "emea/g2"])))
        await bob.log_in("bob")
        assert await bob.machines() == ["mx2", "mx9"]
        # Its user does not reach that group any more: nothing is not everything, and no empty list.
        async with refused(STATUS.PERMISSION_DENIED, "reaches nothing here (nothing)"):
            await robot.machines()
        me = (await robot.who()).reach
        assert (me.nothing, _named(me), answers.reach(me)) == (True, [], NOTHING)
        swap = (("g1", "old"), ("edge", "g1"), ("old", "edge"))
        for name, to in swap:
            await desk.api.commit(rename_group(name, to), cluster="emea")
        assert await bob.machines() == ["mx2", "mx9"]
        assert _named((await bob.who()).reach) == ["emea/edge", "emea/g2"]
        async with manager(tmp_path / "later", etcd_endpoints=etcd.options.endpoints) as later:
            listed = await of_people(later.channel).ListUsers(people_pb2.ListUsersRequest())
        assert [_named(each.reach) for each in listed.users] == [["emea/edge", "emea/g2"]]


async def test_a_group_that_was_removed_is_named_as_not_there(desk: Desk) -> None:
    await desk.people.SetRole(_role(_reach(groups=["c1/g1"])))
    await desk.api.commit(
        fleet_pb2.Edit(remove_group=fleet_pb2.RemoveGroup(name="g1", move_to="g2"))
    )
    async with desk.caller() as bob:
        await bob.log_in("bob")
        async with refused(STATUS.PERMISSION_DENIED, "group g1 of cluster c1 (not there)"):
            await bob.machines()
        me = (await bob.who()).reach
        assert (me.nothing, _named(me)) == (True, [])
        assert [(each.cluster, each.group) for each in me.gone] == [("c1", "g1")]
        await desk.api.commit(add_group("g1"), add_machine("mx9", "g1"))
        assert await bob.machines() == ["mx9"]
