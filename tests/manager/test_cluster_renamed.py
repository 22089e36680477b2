"""A cluster renamed over the API: all that is in it stays, and its old name is free."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tdc.manager.identity.peer import identity_of
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import (
    Api,
    Certificate,
    add_group,
    add_machine,
    connected,
    enrolled,
    key_and_request,
    level,
    manager,
    put,
    refused,
    remove_machine,
    rename_cluster,
    restore,
)

STATUS = grpc.StatusCode


async def _fleet(api: Api) -> int:
    """c1 with mx1 in g1, the cluster and mx1 with a setting of their own; the revision."""
    await api.create_cluster("c1")
    return await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        put("cluster", "c1", log__level="debug"),
        put("machine", "mx1", retry__initial=30),
    )


@contextlib.asynccontextmanager
async def _welcomed(api: Api, certificate: Certificate) -> AsyncIterator[tuple[str, str]]:
    """What the manager calls a machine that connects, and its cluster."""
    async with connected(api.ports, api.authority, *certificate) as machine:
        session = machine.agents.Session()
        await session.write(agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2)))
        message = await session.read()
        assert isinstance(message, agents_pb2.ManagerMessage)
        yield message.welcome.cluster, message.welcome.machine
        session.cancel()


async def _called(api: Api, certificate: Certificate) -> tuple[str, str]:
    async with _welcomed(api, certificate) as names:
        return names


async def _names(api: Api) -> list[str]:
    found = await api.fleet.ListClusters(operators_pb2.ListClustersRequest())
    return [row.name for row in found.clusters]


async def _history(api: Api, cluster: str) -> list[int]:
    found = await api.changes.ListCommits(operators_pb2.ListCommitsRequest(cluster=cluster))
    return [commit.revision for commit in found.commits]


async def _log_level(api: Api, cluster: str) -> str:
    request = operators_pb2.GetLevelRequest(level=level("cluster", cluster))
    return (await api.settings.GetLevel(request)).settings.log_level


async def test_it_is_planned_committed_and_found_by_both_names(api: Api) -> None:
    start = await _fleet(api)
    plan = await api.plan(rename_cluster("c1", "emea"))
    assert [(each.level, each.name, each.before_name) for each in plan.topology] == [
        (fleet_pb2.LEVEL_CLUSTER, "emea", "c1")
    ]
    assert (len(plan.levels), len(plan.machines), len(plan.problems)) == (0, 0, 0)
    for _ in range(2):  # sent again it is the same commit, though there is no c1 any more
        made = await api.commit_as_planned(plan, rename_cluster("c1", "emea"), request_id="once")
        assert (made.cluster, made.revision, made.committed) == ("emea", start + 1, True)
    assert await _names(api) == ["emea"]
    assert await _history(api, "emea") == await _history(api, "c1") == [3, 2, 1]
    assert await _log_level(api, "emea") == "debug"
    async with refused(STATUS.NOT_FOUND, "no cluster is called 'c1' any more: it is called emea"):
        await api.commit(put("cluster", "c1", log__level="info"))
    await api.commit(put("cluster", "emea", log__level="error"))
    asked = operators_pb2.GetDifferenceRequest(cluster="emea", from_revision=start)
    found = await api.changes.GetDifference(asked)
    assert [(each.name, each.before_name) for each in found.topology] == [("emea", "c1")]
    assert [(each.name, each.setting) for each in found.levels] == [("emea", "log.level")]
    then = await api.changes.GetCluster(
        operators_pb2.GetClusterRequest(cluster="emea", revision=start)
    )
    assert (then.cluster, then.settings.log_level) == ("c1", "debug")


async def test_a_rollback_keeps_the_name_and_a_revert_says_how_to_get_the_old_one(
    api: Api,
) -> None:
    await _fleet(api)
    start = await api.commit(put("cluster", "c1", retry__maximum=900))
    await api.commit(rename_cluster("c1", "emea"))
    later = await api.commit(put("cluster", "emea", log__level="error"))
    undo = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=start + 1))
    async with refused(STATUS.INVALID_ARGUMENT, "tdc cluster rename emea c1"):
        await api.plan(undo, cluster="emea")
    await api.commit(
        fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=later)), cluster="emea"
    )
    assert await _log_level(api, "emea") == "debug"
    await api.commit(put("cluster", "emea", log__level="error"))
    await api.commit(restore(start), cluster="emea")
    assert (await _names(api), await _log_level(api, "emea")) == (["emea"], "debug")
    first = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=start))
    await api.commit(first, cluster="emea")
    request = operators_pb2.GetLevelRequest(level=level("cluster", "emea"))
    assert not (await api.settings.GetLevel(request)).settings.HasField("retry_maximum")
    await api.commit(rename_cluster("emea", "c1"))
    assert await _names(api) == ["c1"]
    assert len(await _history(api, "emea")) == 10


@pytest.mark.proves("S6")
async def test_a_later_cluster_of_the_old_name_is_another(tmp_path: Path) -> None:
    """Nothing of the one opens anything of the other, for a manager that starts later too."""
    folder = tmp_path / "m"
    async with manager(folder) as api:
        await _fleet(api)
        old = await enrolled(api, "mx1")
        token = (await api.fleet.CreateJoinToken(
            operators_pb2.CreateJoinTokenRequest(machine="mx1"))).token  # fmt: skip
        await api.commit(rename_cluster("c1", "emea"))
        assert await _called(api, old) == ("emea", "mx1")
        await api.create_cluster("c1")
        await api.commit(add_group("g1"), cluster="c1")
        await api.commit(add_machine("mx1", "g1"), cluster="c1")
        await api.commit(put("cluster", "c1", log__level="error"))
        assert await _called(api, old) == ("emea", "mx1")
        assert (await _history(api, "c1"), await _history(api, "emea")) == ([4, 3, 2, 1], [3, 2, 1])
    async with manager(folder) as api:
        assert await _names(api) == ["c1", "emea"]
        assert (await _log_level(api, "c1"), await _log_level(api, "emea")) == ("error", "debug")
        assert await _called(api, old) == ("emea", "mx1")
        request = operators_pb2.CreateJoinTokenRequest(machine="mx1", cluster="c1")
        new = await enrolled(api, "mx1", (await api.fleet.CreateJoinToken(request)).token)
        assert await _called(api, new) == ("c1", "mx1")
        assert await _called(api, old) == ("emea", "mx1")
        again = await enrolled(api, "mx1", token)
        peer = identity_of(again[0])
        assert isinstance(peer, MachinePeer)
        assert (peer.cluster, peer.machine) == ("emea", "mx1")
        assert await _called(api, new) == ("c1", "mx1")
        await api.commit(remove_machine("mx1"),
                         cluster="emea")  # fmt: skip
        async with (
            connected(api.ports, api.authority, *again) as machine,
            refused(STATUS.PERMISSION_DENIED, "machine mx1 was removed by revision"),
        ):
            await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem="x"))
        assert await _called(api, new) == ("c1", "mx1")


async def test_a_connected_agent_is_told_and_renews_to_the_new_name(api: Api) -> None:
    await _fleet(api)
    old = await enrolled(api, "mx1")
    async with connected(api.ports, api.authority, *old) as machine:
        session = machine.agents.Session()
        await session.write(agents_pb2.AgentMessage(hello=agents_pb2.Hello(protocol=2)))
        await session.read()
        await api.commit(rename_cluster("c1", "emea"))
        async with refused(STATUS.UNAVAILABLE, "its cluster is called emea now"):
            while await session.read() is not grpc.aio.EOF:
                pass
        key, request = key_and_request()
        answer = await machine.agents.Renew(agents_pb2.RenewRequest(csr_pem=request.decode()))
    peer = identity_of(answer.certificate_pem.encode())
    assert isinstance(peer, MachinePeer)
    assert (peer.cluster, peer.machine) == ("emea", "mx1")
    assert await _called(api, (answer.certificate_pem.encode(), key)) == ("emea", "mx1")
    (row,) = (await api.monitoring.GetStatus(operators_pb2.StatusRequest())).machines
    assert (row.cluster, row.HasField("since")) == ("emea", True)


async def test_drafts_and_suspensions_stay_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    async with manager(folder) as api:
        await _fleet(api)
        edits = [put("cluster", "c1", max_message_size=7), put("machine", "mx1", retry__initial=9)]
        await api.drafts.ChangeDraft(
            operators_pb2.ChangeDraftRequest(add=operators_pb2.DraftEdits(edits=edits))
        )
        await api.fleet.SuspendMachines(operators_pb2.SuspendRequest(
            machines=["mx1"], reason="disk", copying=True, request_id="s"))  # fmt: skip
        await api.commit(rename_cluster("c1", "emea"))
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"), cluster="c1")
    async with manager(folder) as api:
        rows = (await api.monitoring.GetStatus(operators_pb2.StatusRequest())).machines
        assert [(row.cluster, row.HasField("suspension")) for row in rows] == [
            ("c1", False), ("emea", True),
        ]  # fmt: skip
        draft = await api.drafts.GetDraft(operators_pb2.GetDraftRequest(cluster="emea"))
        assert [(row.name, row.state) for row in draft.rows] == [("emea", "open"), ("mx1", "open")]
        await api.commit(*draft.edits, cluster="emea")
        assert not (await api.drafts.GetDraft(operators_pb2.GetDraftRequest(cluster="c1"))).rows
        listed = (await api.drafts.ListDrafts(operators_pb2.ListDraftsRequest())).drafts
        assert [each.cluster for each in listed] == ["emea"]
        resume = operators_pb2.ResumeRequest(
            machines=["mx1"], cluster="emea", copying=True, request_id="r"
        )
        assert (await api.fleet.ResumeMachines(resume)).machines[0].changed


async def test_names_are_given_away_and_taken_back(api: Api) -> None:
    """A chain of names, a deletion among them; each history is that of its own cluster."""
    await _fleet(api)
    await api.commit(rename_cluster("c1", "c2"))
    await api.create_cluster("c1")
    await api.commit(rename_cluster("c1", "c3"))
    await api.create_cluster("c1")
    await api.commit(rename_cluster("c2", "c4"))
    await api.commit(rename_cluster("c3", "c2"))
    assert await _names(api) == ["c1", "c2", "c4"]
    assert [await _history(api, each) for each in ("c1", "c2", "c3", "c4")] == [
        [1], [3, 2, 1], [3, 2, 1], [4, 3, 2, 1],
    ]  # fmt: skip
    async with refused(STATUS.ALREADY_EXISTS, "'c1'"):
        await api.plan(rename_cluster("c4", "c1"))
    await api.commit(rename_cluster("c1", "c5"))
    async with refused(STATUS.INVALID_ARGUMENT, "clusters c2, c4, c5 were called 'c1'"):
        await _history(api, "c1")
    await api.commit(rename_cluster("c5", "c1"))
    await api.commit(fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c1")))
    async with refused(STATUS.ALREADY_EXISTS, "was deleted, and its history"):
        await api.plan(rename_cluster("c4", "c1"))
    await api.commit(fleet_pb2.Edit(remove_cluster=fleet_pb2.RemoveCluster(name="c2")))
    await api.create_cluster("c2")
    assert await _history(api, "c2") == [5, 4, 3, 2, 1]
    await api.create_cluster("c1")
    assert await _history(api, "c1") == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([rename_cluster("c1", "c1 ")], "is not a valid cluster name"),
        ([rename_cluster("c1", "G1")], "has a group g1"),
        ([rename_cluster("c1", "C2")], "differs only in case"),
        ([rename_cluster("c9", "c3")], "unknown cluster 'c9'"),
        ([rename_cluster("c1", "c3"), add_group("g9")], "must be the only edit of its commit"),
    ],
)
async def test_a_mistake_is_named(api: Api, edits: list[fleet_pb2.Edit], words: str) -> None:
    await _fleet(api)
    await api.create_cluster("c2")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.plan(*edits)
    assert words in (caught.value.details() or "")
