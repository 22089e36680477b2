"""Names that mean nothing, or too much; and the lists."""

from __future__ import annotations

import grpc
from tdc.v1 import operators_pb2

from tests.stage.manager import Api, add_group, add_machine, level, put, refused

STATUS = grpc.StatusCode


async def test_unknown_names_are_told_with_the_nearest_that_exist(api: Api) -> None:
    await api.create_cluster("mail")
    await api.commit(add_group("edge"), add_machine("gateway1", "edge"))
    async with refused(STATUS.NOT_FOUND, "gatway1", "did you mean gateway1"):
        await api.enabled("gatway1")
    async with refused(STATUS.NOT_FOUND, "gatway1", "did you mean gateway1"):
        await api.plan(put("machine", "gatway1", enabled=True))
    async with refused(STATUS.NOT_FOUND, "group 'egde'", "edge"):
        await api.own("group", "egde")
    async with refused(STATUS.NOT_FOUND, "cluster 'male'", "mail"):
        await api.own("cluster", "male")
    async with refused(STATUS.NOT_FOUND, "gatway1"):
        await api.monitoring.GetStatus(operators_pb2.StatusRequest(machine="gatway1"))
    async with refused(STATUS.NOT_FOUND, "gatway1"):
        await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="gatway1"))
    async with refused(STATUS.NOT_FOUND, "no commit 9"):
        await api.changes.GetCommit(operators_pb2.GetCommitRequest(revision=9))


async def test_without_any_cluster_it_says_how_to_begin(api: Api) -> None:
    """Not that the group is unknown: on a new manager, nothing is known."""
    for edit in (add_machine("mx1", "Main_Group"), add_group("branch")):
        async with refused(
            STATUS.NOT_FOUND, "there are no clusters, or none", "tdc cluster create"
        ):
            await api.plan(edit)
    async with refused(STATUS.NOT_FOUND, "there are no clusters"):
        await api.enabled("mx1")


async def test_a_name_in_two_clusters_must_be_said_with_its_cluster(api: Api) -> None:
    for cluster in ("east", "west"):
        await api.create_cluster(cluster)
        await api.commit(add_machine("mx1", "Main_Group"), cluster=cluster)
    async with refused(
        STATUS.INVALID_ARGUMENT, "machine 'mx1' is in clusters east, west: name one"
    ):
        await api.enabled("mx1")
    async with refused(STATUS.INVALID_ARGUMENT, "east, west"):
        await api.plan(put("group", "Main_Group", enabled=False))
    async with refused(STATUS.INVALID_ARGUMENT, "clusters east, west: name one"):
        await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    async with refused(STATUS.INVALID_ARGUMENT, "a commit changes only one"):
        await api.plan(
            put("machine", "mx1", "east", enabled=False),
            put("machine", "mx1", "west", enabled=False),
        )
    assert await api.enabled("mx1", "east") is False
    plan = await api.plan(put("machine", "mx1", "west", retry__initial=5))
    assert (plan.cluster, plan.base_revision) == ("west", 2)


async def test_the_cluster_is_found_from_the_edits_where_their_names_are_unique(api: Api) -> None:
    for cluster in ("east", "west"):
        await api.create_cluster(cluster)
    await api.commit(add_group("hub"), cluster="west")
    plan = await api.plan(add_machine("mx1", "hub"), put("machine", "mx1", retry__initial=5))
    assert plan.cluster == "west"


async def test_a_cluster_is_created_once(api: Api) -> None:
    request = operators_pb2.CreateClusterRequest(name="c1", request_id="same")
    first = await api.fleet.CreateCluster(request)
    assert (first.revision, first.committed) == (1, True)
    assert await api.fleet.CreateCluster(request) == first
    async with refused(STATUS.ALREADY_EXISTS, "c1"):
        await api.create_cluster("c1")
    async with refused(STATUS.INVALID_ARGUMENT, "a b"):
        await api.create_cluster("a b")


async def test_lists_show_groups_machines_and_overrides(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_group("g1"), add_machine("mx2", "g1"), add_machine("mx1", "Main_Group"))
    await api.commit(put("machine", "mx1", log__level="debug"))
    clusters = await api.fleet.ListClusters(operators_pb2.ListClustersRequest())
    (row,) = clusters.clusters
    assert (row.name, row.revision, row.groups, row.machines) == ("c1", 3, 2, 2)
    groups = await api.fleet.ListGroups(operators_pb2.ListGroupsRequest())
    assert [(each.name, list(each.machines)) for each in groups.groups] == [
        ("Main_Group", ["mx1"]),
        ("g1", ["mx2"]),
    ]
    machines = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest())
    assert [(each.name, each.enrolled, list(each.overrides)) for each in machines.machines] == [
        ("mx1", False, ["log.level"]),
        ("mx2", False, []),
    ]
    some = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest(group="g1"))
    assert [each.name for each in some.machines] == ["mx2"]


async def test_a_level_shows_only_what_is_present_there(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(put("group", "Main_Group", incoming_domains=[]))
    request = operators_pb2.GetLevelRequest(level=level("group", "Main_Group"))
    found = await api.settings.GetLevel(request)
    assert [field.name for field, _ in found.settings.ListFields()] == ["incoming_domains"]
    assert dict(found.set_by) == {"incoming_domains": 2}
    assert found.level.cluster == "c1"


async def test_a_setting_that_does_not_exist_or_a_bad_address_is_refused(api: Api) -> None:
    await api.create_cluster("c1")
    edit = put("cluster", "c1", intake_address="in@intake.example")
    edit.set.settings.intake_address = "no address"
    async with refused(STATUS.INVALID_ARGUMENT, "intake_address", "no address"):
        await api.plan(edit)
    for huge in ("x" * 1_000_000, "ü" * 1_000_000, "\n" * 100_000):
        edit.set.settings.intake_address = huge
        async with refused(STATUS.INVALID_ARGUMENT, "intake_address"):
            await api.plan(edit)
    edit.Clear()
    edit.unset.level.CopyFrom(level("cluster", "c1"))
    edit.unset.names.append("intake_adress")
    async with refused(STATUS.INVALID_ARGUMENT, "unknown setting", "intake_address"):
        await api.plan(edit)
