"""A cluster deleted over the API: what goes, what stays readable, and who may still in."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import (
    Api,
    Certificate,
    add_group,
    add_machine,
    connected,
    enrolled,
    level,
    manager,
    put,
    refused,
    remove_machine,
    restore,
)

STATUS = grpc.StatusCode
DELETE = fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c1"))
REMOVE_MX1 = remove_machine("mx1", stop=True)


async def _cluster(api: Api) -> int:
    """c1 with a group and two settings of its own, and mx1 in it; the revision."""
    await api.create_cluster("c1")
    return await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        put("cluster", "c1", log__level="debug"),
        put("group", "g1", retry__initial=30),
    )


async def _names(api: Api) -> list[str]:
    found = await api.fleet.ListClusters(operators_pb2.ListClustersRequest())
    return [row.name for row in found.clusters]


async def _history(api: Api) -> list[int]:
    found = await api.changes.ListCommits(operators_pb2.ListCommitsRequest(cluster="c1"))
    return [commit.revision for commit in found.commits]


async def _deleted(api: Api) -> int:
    """The same, deleted; the revision before."""
    await _cluster(api)
    before = await api.commit(REMOVE_MX1)
    await api.commit(DELETE)
    return before


async def _denied(api: Api, certificate: Certificate, words: str) -> None:
    async with (
        connected(api.ports, api.authority, *certificate) as machine,
        refused(STATUS.PERMISSION_DENIED, words),
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))


async def test_a_cluster_with_machines_stays_and_one_without_goes_as_planned(api: Api) -> None:
    await _cluster(api)
    async with refused(STATUS.INVALID_ARGUMENT, "1 machine (mx1)", "tdc machine remove"):
        await api.plan(DELETE)
    before = await api.commit(REMOVE_MX1)
    async with refused(STATUS.INVALID_ARGUMENT, "must be the only edit of its commit"):
        await api.plan(DELETE, add_group("g9"))
    plan = await api.plan(DELETE)
    assert [(each.level, each.name, each.removed) for each in plan.topology] == [
        (fleet_pb2.LEVEL_GROUP, "Main_Group", True),
        (fleet_pb2.LEVEL_GROUP, "g1", True),
        (fleet_pb2.LEVEL_CLUSTER, "c1", True),
    ]
    assert [(each.name, each.setting) for each in plan.levels] == [
        ("g1", "retry.initial"),
        ("c1", "log.level"),
    ]
    assert plan.base_revision == before
    made = await api.commit_as_planned(plan, DELETE, cluster="c1", request_id="once")
    again = await api.commit_as_planned(plan, DELETE, cluster="c1", request_id="once")
    assert made.revision == again.revision == before + 1
    assert await _names(api) == []
    async with refused(STATUS.NOT_FOUND, "was deleted by revision 4", "tdc commit history"):
        await api.commit(put("cluster", "c1", log__level="info"))
    async with refused(STATUS.NOT_FOUND):
        await api.commit(add_machine("mx2", "g1"), cluster="c1")


async def test_its_history_and_what_it_was_stay_readable(api: Api) -> None:
    before = await _deleted(api)

    async def look() -> None:
        found = await api.changes.GetCluster(
            operators_pb2.GetClusterRequest(cluster="c1", revision=before)
        )
        assert found.settings.log_level == "debug"
        assert {each.name: each.settings.retry_initial for each in found.groups} == {
            "Main_Group": 0,
            "g1": 30,
        }
        asked = operators_pb2.GetDifferenceRequest(
            cluster="c1", from_revision=before, to_revision=before + 1
        )
        difference = await api.changes.GetDifference(asked)
        assert {each.name for each in difference.topology if each.removed} >= {"g1"}
        record = await api.changes.GetCommit(
            operators_pb2.GetCommitRequest(cluster="c1", revision=before + 1)
        )
        assert ("c1", True) in [(each.name, each.removed) for each in record.topology]

    assert await _history(api) == [4, 3, 2, 1]
    await look()
    async with refused(STATUS.NOT_FOUND, "was deleted by revision 4"):
        await api.changes.GetCluster(operators_pb2.GetClusterRequest(cluster="c1"))
    await api.create_cluster("c1")
    assert await _history(api) == [5, 4, 3, 2, 1]
    await look()


async def test_the_name_is_given_to_another_cluster_and_history_does_not_reach_across(
    api: Api,
) -> None:
    before = await _deleted(api)
    await api.create_cluster("c1")
    assert await _names(api) == ["c1"]
    groups = await api.fleet.ListGroups(operators_pb2.ListGroupsRequest())
    assert [row.name for row in groups.groups] == ["Main_Group"]
    found = await api.settings.GetLevel(operators_pb2.GetLevelRequest(level=level("cluster", "c1")))
    assert not found.settings.HasField("log_level")
    async with refused(STATUS.INVALID_ARGUMENT, "that revision 4 deleted", "tdc export"):
        await api.plan(restore(before), cluster="c1")
    async with refused(STATUS.INVALID_ARGUMENT, "that revision 4 deleted"):
        await api.plan(restore(before + 1), cluster="c1")
    for revision, words in ((2, "that revision 4 deleted"), (4, "deleted the cluster")):
        undo = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=revision))
        async with refused(STATUS.INVALID_ARGUMENT, words, "tdc export"):
            await api.plan(undo, cluster="c1")
    assert await api.commit(put("cluster", "c1", log__level="error")) == 6
    await api.commit(restore(5), cluster="c1")
    async with refused(STATUS.ALREADY_EXISTS, "already exists, at revision 7"):
        await api.create_cluster("c1")


async def test_a_kept_plan_deletes_no_cluster_that_was_created_since(api: Api) -> None:
    await api.create_cluster("c1")
    plan = await api.plan(DELETE)
    await api.commit(DELETE)
    await api.create_cluster("c1")
    async with refused(STATUS.ABORTED, "out of date"):
        await api.commit_as_planned(plan, DELETE, cluster="c1")
    assert await _names(api) == ["c1"]


@pytest.mark.proves("S6")
async def test_no_certificate_or_token_of_then_opens_anything(tmp_path: Path) -> None:
    """Nor for a manager that starts afterwards."""
    folder = tmp_path / "m"
    async with manager(folder) as api:
        await _cluster(api)
        certificate = await enrolled(api, "mx1")
        request = operators_pb2.CreateJoinTokenRequest(machine="mx1")
        tokens = [(await api.fleet.CreateJoinToken(request)).token for _ in range(2)]
        await api.commit(REMOVE_MX1)
        await api.commit(DELETE)
        await _denied(api, certificate, "was removed by revision 3 of cluster c1")
        await _denied(api, await enrolled(api, "mx1", tokens[0]), "was removed by revision 3")
    async with manager(folder) as api:
        assert await _names(api) == []
        await _denied(api, certificate, "was removed by revision 3 of cluster c1")
        await api.create_cluster("c1")
        await _denied(api, certificate, "was removed by revision 3 of cluster c1")
        await api.commit(add_machine("mx1", "Main_Group"), cluster="c1")
        gone = await enrolled(api, "mx1", tokens[1])
        new = await enrolled(api, "mx1")
        await _denied(api, gone, "was removed by revision 3 of cluster c1")
        await _denied(api, certificate, "was enrolled again")
        async with (
            connected(api.ports, api.authority, *new) as machine,
            refused(STATUS.INVALID_ARGUMENT),  # the certificate is good, the request is not
        ):
            await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))


async def test_status_finds_nothing_wrong_with_a_deleted_cluster_or_the_next(api: Api) -> None:
    await _deleted(api)
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    assert list(status.warnings) == []
    await api.create_cluster("c1")
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    assert list(status.warnings) == []


async def test_drafts_of_a_deleted_cluster_are_none_of_the_next_one(api: Api) -> None:
    await _cluster(api)
    await api.commit(REMOVE_MX1)
    edits = operators_pb2.DraftEdits(edits=[put("cluster", "c1", retry__initial=77)])
    await api.drafts.ChangeDraft(operators_pb2.ChangeDraftRequest(cluster="c1", add=edits))
    await api.commit(DELETE)
    await api.create_cluster("c1")
    draft = await api.drafts.GetDraft(operators_pb2.GetDraftRequest(cluster="c1"))
    assert (len(draft.rows), draft.discarded_count) == (0, 0)
