"""The audit log over the API: every change with who, from where, before and after."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.store.keys import AUDIT_HEAD, audit_key
from tdc.shared.sync.audit import chained
from tdc.v1 import audit_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_machine, put, refused

STATUS = grpc.StatusCode
OPERATOR = "ana"


@pytest.fixture
async def client(etcd: ExternalEtcd) -> AsyncIterator[EtcdClient]:
    """A hand in etcd."""
    async with EtcdClient(etcd.options) as connection:
        yield connection


async def entries(api: Api, **filters: object) -> list[audit_pb2.AuditEntry]:
    request = audit_pb2.ListEntriesRequest(**filters)  # type: ignore[arg-type]
    return list((await api.audit.ListEntries(request)).entries)


async def verdict(api: Api, *, against_agents: bool = False) -> audit_pb2.VerifyLogResponse:
    request = audit_pb2.VerifyLogRequest(against_agents=against_agents)
    return await api.audit.VerifyLog(request)


async def test_a_commit_is_written_down_with_who_where_before_and_after(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    await api.commit(put("machine", "mx1", max_message_size=5_000_000), comment="as agreed")
    newest, machine, cluster = await entries(api)
    assert [each.number for each in (newest, machine, cluster)] == [3, 2, 1]
    assert [each.operation for each in (newest, machine, cluster)] == [
        "changes.commit",
        "changes.commit",
        "changes.create_cluster",
    ]
    assert (newest.who, newest.kind, newest.outcome) == (OPERATOR, "operator", "done")
    assert newest.origin.startswith("127.0.0.1:")
    assert (newest.cluster, newest.revision, newest.comment) == ("c1", 3, "as agreed")
    assert newest.request_id
    assert newest.commit.endswith("/commits/c1/000000000003")
    (row,) = newest.rows
    assert (row.target, row.part) == ("machine mx1", "max_message_size")
    assert (row.before, row.after) == ("", "5000000")
    (made,) = machine.rows
    assert (made.target, made.part, made.after) == (
        "machine mx1",
        "created",
        "machine mx1 in Main_Group",
    )


async def test_drafts_suspensions_and_tokens_are_written_down(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    await api.drafts.ChangeDraft(
        operators_pb2.ChangeDraftRequest(
            add=operators_pb2.DraftEdits(edits=[put("machine", "mx1", max_message_size=7_000)])
        )
    )
    await api.fleet.SuspendMachines(
        operators_pb2.SuspendRequest(
            machines=["mx1"], delivery=True, reason="disk", request_id="s1"
        )
    )
    await api.fleet.ResumeMachines(
        operators_pb2.ResumeRequest(machines=["mx1"], delivery=True, request_id="s2")
    )
    token = await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    made, resumed, suspended, drafted = (await entries(api))[:4]
    assert [each.operation for each in (drafted, suspended, resumed, made)] == [
        "drafts.change",
        "suspensions.suspend",
        "suspensions.resume",
        "tokens.create",
    ]
    assert {each.who for each in (drafted, suspended, resumed, made)} == {OPERATOR}
    assert suspended.request_id == "s1"
    assert suspended.rows[0].after.endswith("disk")
    assert resumed.rows[0].before.endswith("disk")
    assert token.token not in json.dumps([str(each) for each in await entries(api)])


async def test_pages_and_filters(api: Api) -> None:
    await api.create_cluster("c1")
    for size in (1_000, 2_000, 3_000):
        await api.commit(put("cluster", "c1", max_message_size=size))
    first = await api.audit.ListEntries(audit_pb2.ListEntriesRequest(limit=3))
    assert [each.number for each in first.entries] == [4, 3, 2]
    second = await api.audit.ListEntries(audit_pb2.ListEntriesRequest(limit=3, cursor=first.next))
    assert [each.number for each in second.entries] == [1]
    assert not second.next
    up = await api.audit.ListEntries(audit_pb2.ListEntriesRequest(limit=3, oldest_first=True))
    assert [each.number for each in up.entries] == [1, 2, 3]
    up = await api.audit.ListEntries(
        audit_pb2.ListEntriesRequest(limit=3, oldest_first=True, cursor=up.next)
    )
    assert [each.number for each in up.entries] == [4]
    assert not up.next
    assert len(await entries(api, operation="changes")) == 4
    assert len(await entries(api, operation="changes.create_cluster")) == 1
    assert len(await entries(api, who=OPERATOR, cluster="c1", outcome="done")) == 4
    assert not await entries(api, who="ben")
    assert not await entries(api, outcome="refused")
    async with refused(STATUS.INVALID_ARGUMENT, "outcome"):
        await entries(api, outcome="maybe")
    async with refused(STATUS.NOT_FOUND, "no entry 77"):
        await api.audit.GetEntry(audit_pb2.GetEntryRequest(number=77))


async def test_anybody_can_compute_the_chain_of_an_export_again(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(put("cluster", "c1", max_message_size=1_000), comment="größer")
    chain = ""
    for each in await entries(api, oldest_first=True, with_content=True):
        line = json.loads(each.content)
        kept = line.pop("chain")
        chain = chained(chain, line)
        assert chain == kept == each.chain


async def test_what_was_changed_by_hand_is_named(api: Api, client: EtcdClient) -> None:
    await api.create_cluster("c1")
    for size in (1_000, 2_000, 3_000, 4_000):
        await api.commit(put("cluster", "c1", max_message_size=size))
    whole = await verdict(api)
    assert (whole.entries, whole.first, whole.newest.number) == (5, 1, 5)
    assert not whole.faults
    await client.txn([], [Delete(audit_key(2))])
    (fault,) = (await verdict(api)).faults
    assert (fault.number, fault.what) == (2, "entry 2 is missing")
    assert fault.meaning
    assert fault.advice


async def test_a_cut_tail_is_contradicted_by_history(api: Api, client: EtcdClient) -> None:
    await api.create_cluster("c1")
    for size in (1_000, 2_000):
        await api.commit(put("cluster", "c1", max_message_size=size))
    head = await client.get(AUDIT_HEAD)
    assert head is not None
    await api.commit(put("cluster", "c1", max_message_size=3_000))
    await api.commit(put("cluster", "c1", max_message_size=4_000))
    await client.txn([], [Delete(audit_key(4)), Delete(audit_key(5)), Put(AUDIT_HEAD, head.value)])
    (fault,) = (await verdict(api)).faults
    assert fault.source == "commits"
    assert "ends at entry 3" in fault.what


async def test_a_change_after_the_head_was_deleted_goes_on_and_says_so(
    api: Api, client: EtcdClient
) -> None:
    await api.create_cluster("c1")
    await client.txn([], [Delete(AUDIT_HEAD)])
    assert "is missing" in (await verdict(api)).faults[0].what
    await api.commit(put("cluster", "c1", max_message_size=1_000))
    found = await verdict(api)
    assert not found.faults
    assert "deleted by hand" in found.remarks[0]
    assert (await entries(api))[0].number == 2
