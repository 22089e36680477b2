"""Refused attempts in the audit log: each kind of them, and a flood that must not fill it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.intent.permissions import PERMISSIONS
from tdc.manager.intent.refusals import AUDITED, EACH, IN_ALL, Refusals
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_entry import read_entry
from tdc.manager.store.keys import AUDIT
from tdc.shared.edge.tasks import running
from tdc.shared.sync.audit_entry import REFUSED, AuditEntry, AuditEvent, By
from tdc.v1 import agents_pb2, audit_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd, answering
from tests.stage.manager import Api, add_machine, connected, enrolled, put, refused

STATUS = grpc.StatusCode

READS = frozenset(
    {
        "changes.plan",
        "changes.list_commits",
        "changes.read_commit",
        "changes.read_cluster",
        "changes.read_difference",
        "drafts.read",
        "drafts.list",
        "settings.read_level",
        "settings.read_effective",
        "settings.explain",
        "settings.check",
        "fleet.list_clusters",
        "fleet.list_groups",
        "fleet.list_machines",
        "monitoring.read_status",
        "monitoring.read_delivery",
        "queue.list_dead",
        "queue.plan",
        "audit.list",
        "audit.read",
        "audit.verify",
        "managers.list",
        "managers.status",
        "recovery.find_edits",
        "people.who_am_i",
        "people.list_users",
        "people.list_sessions",
        "people.list_tokens",
        "people.list_operators",
        "people.look_after_oneself",
        "people.look_after_others",
    }
)
"""Operations that change nothing: what is refused of them is written down only if it is denied."""


def test_of_every_operation_it_is_decided_whether_it_changes_something() -> None:
    assert PERMISSIONS.keys() == AUDITED | READS
    assert not AUDITED & READS


async def refusals(api: Api, count: int) -> list[audit_pb2.AuditEntry]:
    """The refused attempts, newest first, once there are `count`."""
    request = audit_pb2.ListEntriesRequest(outcome=REFUSED)
    async with asyncio.timeout(10):
        while len(found := (await api.audit.ListEntries(request)).entries) < count:
            await asyncio.sleep(0.05)
    return list(found)


@pytest.mark.proves("S14")
async def test_each_kind_of_refused_attempt_is_written_down(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    with_certificate = await enrolled(api, "mx1")
    async with (
        connected(api.ports, api.authority, *with_certificate) as machine,
        refused(STATUS.PERMISSION_DENIED),
    ):
        await machine.fleet.ListClusters(operators_pb2.ListClustersRequest())
    (wrong,) = await refusals(api, 1)
    assert (wrong.operation, wrong.kind, wrong.who) == ("fleet.list_clusters", "machine", "mx1")
    assert wrong.origin.startswith("127.0.0.1:")

    token = (
        await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    ).token
    await enrolled(api, "mx1", token)
    async with refused(STATUS.PERMISSION_DENIED, "used"):
        await enrolled(api, "mx1", token)
    used = (await refusals(api, 2))[0]
    assert (used.operation, used.kind) == ("enrolment.enrol", "unknown")
    assert "has been used already" in used.reason

    stale = operators_pb2.CommitRequest(
        cluster="c1",
        edits=[put("cluster", "c1", max_message_size=7)],
        fingerprint="not of this plan",
        request_id="r7",
    )
    async with refused(STATUS.ABORTED, "out of date"):
        await api.changes.MakeCommit(stale)
    late = (await refusals(api, 3))[0]
    assert (late.operation, late.who, late.cluster) == ("changes.commit", "ana", "c1")
    assert (late.request_id, late.outcome) == ("r7", "refused")
    assert "out of date" in late.reason

    async with (
        connected(api.ports, api.authority, *with_certificate) as machine,
        refused(STATUS.PERMISSION_DENIED, "enrolled again"),
    ):
        await machine.agents.Renew(agents_pb2.RenewRequest())
    denied = (await refusals(api, 4))[0]
    assert (denied.who, denied.cluster) == ("mx1", "c1")
    assert "enrolled again" in denied.reason


async def test_a_read_that_fails_is_not_written_down(api: Api) -> None:
    await api.create_cluster("c1")
    async with refused(STATUS.NOT_FOUND):
        await api.changes.GetCommit(operators_pb2.GetCommitRequest(cluster="c1", revision=77))
    async with refused(STATUS.NOT_FOUND):
        await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx9"))
    (only,) = await refusals(api, 1)
    assert only.operation == "tokens.create"


def _event(number: int, operation: str = "enrolment.enrol") -> AuditEvent:
    by = By("", kind="unknown", origin=f"192.0.2.{number % 250}:5")
    return AuditEvent(operation, by, outcome=REFUSED, reason=f"attempt {number}")


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def _entries(etcd: EtcdClient) -> list[AuditEntry]:
    return [read_entry(each.key, each.value) for each in (await etcd.range(AUDIT)).items]


async def test_a_flood_is_counted_in_one_entry_and_delays_no_change(etcd: ExternalEtcd) -> None:
    now = 0.0
    async with EtcdClient(etcd.options) as client:
        audit = AuditLog(client)
        found = Refusals(audit, steady=lambda: now, every=60)
        for number in range(1_300):
            found.refused(_event(number))
        found.refused(_event(0, "changes.commit"))
        async with running(found.run(), name="refusals"):
            assert await audit.txn([], [], _event(0, "a.change"))
            async with asyncio.timeout(10):
                while len(await _entries(client)) < IN_ALL.burst + 1:
                    await asyncio.sleep(0.05)
            now = 61.0
            found.refused(_event(0))  # wakes it
            async with asyncio.timeout(10):
                while not any(each.event.count > 1 for each in await _entries(client)):
                    await asyncio.sleep(0.05)
        written = await _entries(client)
        (summary,) = [each.event for each in written if each.event.count > 1]
        assert summary.what.startswith(f"and {1_300 - IN_ALL.burst:.0f} more attempts of the kind")
        assert summary.operation == "enrolment.enrol"
        assert len(written) <= IN_ALL.burst + 8
        assert sum(each.event.count for each in written) == 1_303


async def test_who_is_known_is_written_down_whatever_noise_strangers_make(
    etcd: ExternalEtcd,
) -> None:
    async with EtcdClient(etcd.options) as client:
        found = Refusals(AuditLog(client), steady=lambda: 0.0)
        for number in range(1_300):
            found.refused(_event(number, f"some.call{number % 13}"))
        by = By("eve", kind="operator", role="read only", means="session", origin="192.0.2.9:5")
        async with running(found.run(), name="refusals"):
            await _until(lambda: not found.waiting)
            found.refused(AuditEvent("changes.commit", by, outcome=REFUSED, reason="not hers"))
            async with asyncio.timeout(10):
                while "eve" not in {each.event.by.name for each in await _entries(client)}:
                    await asyncio.sleep(0.05)


async def test_what_can_not_be_written_is_written_once_etcd_is_back(
    etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    async with EtcdClient(etcd.options) as client:
        found = Refusals(AuditLog(client))
        await etcd.stop()
        async with running(found.run(), name="refusals"):
            found.refused(_event(1))
            await _until(lambda: "can't be written down now" in caplog.text)
            await etcd.start()
            await answering(client)
            async with asyncio.timeout(20):
                while True:
                    try:
                        if await _entries(client):
                            break
                    except Exception:  # it is starting
                        pass
                    await asyncio.sleep(0.1)


async def test_what_is_left_at_the_end_is_said(
    etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    async with EtcdClient(etcd.options) as client:
        found = Refusals(AuditLog(client))
        async with running(found.run(), name="refusals"):
            await asyncio.sleep(0)
            for number in range(300):
                found.refused(_event(number % 3))
            await asyncio.sleep(0.2)
        assert "refused attempts are not in the audit log" in caplog.text


async def test_who_gives_another_name_each_time_has_the_budget_of_one(etcd: ExternalEtcd) -> None:
    async with EtcdClient(etcd.options) as client:
        found = Refusals(AuditLog(client))
        for number in range(50):
            by = By(f"name{number}", kind="unknown", origin=f"192.0.2.7:{number}")
            found.refused(AuditEvent("people.log_in", by, outcome=REFUSED, reason="wrong"))
        elsewhere = By("bob", kind="unknown", origin="192.0.2.8:1")
        found.refused(AuditEvent("people.log_in", elsewhere, outcome=REFUSED, reason="wrong"))
        async with running(found.run(), name="refusals"), asyncio.timeout(10):
            while not any(each.event.by.name == "bob" for each in await _entries(client)):
                await asyncio.sleep(0.02)
        assert len(await _entries(client)) == EACH.burst + 1
