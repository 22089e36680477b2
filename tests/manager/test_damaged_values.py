"""Stored values that can't be read: what is served beside them, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Put
from tdc.manager.store.encoding import pack
from tdc.manager.store.keys import (
    CLUSTERS,
    ENROLMENTS,
    cluster_key,
    commit_key,
    commits_prefix,
    enrolment_key,
    head_key,
    machine_key,
)
from tdc.v1 import operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.manager.test_monitoring import agent, enrol
from tests.stage.manager import (
    Api,
    add_machine,
    manager,
    put,
    refused,
    restore,
)
from tests.stage.two_machines import seconds_until, two_machines, warnings_of

STATUS = grpc.StatusCode


async def _raw_put(etcd: ExternalEtcd, key: str, value: bytes) -> None:
    async with EtcdClient(etcd.options) as client:
        await client.txn([], [Put(key, value)])


@pytest.mark.proves("F51")
async def test_a_damaged_shard_is_refused_alone_and_its_machine_keeps_its_last_settings(
    api: Api, etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    await two_machines(api)
    assert machine_key("c1", "mx1") != machine_key("c1", "mx2")
    with caplog.at_level(logging.ERROR):
        await _raw_put(etcd, machine_key("c1", "mx1"), b"\x00garbage")

        async def told() -> bool:
            return machine_key("c1", "mx1") in await warnings_of(api)

        await seconds_until(told)
    assert any(machine_key("c1", "mx1") in record.message for record in caplog.records)
    request = operators_pb2.GetEffectiveRequest(machine="mx1")
    assert (await api.settings.GetEffective(request)).settings.retry_initial == 5
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    marked = {each.name: "last known" in " ".join(each.warnings) for each in status.machines}
    assert marked == {"mx1": True, "mx2": False}

    async with refused(STATUS.FAILED_PRECONDITION, machine_key("c1", "mx1"), "nothing was changed"):
        await api.commit(put("machine", "mx1", retry__initial=7))
    assert await api.commit(put("machine", "mx2", retry__initial=8)) == 3
    assert await api.commit(put("cluster", "c1", log__level="debug")) == 4
    request = operators_pb2.GetEffectiveRequest(machine="mx1")
    effective = (await api.settings.GetEffective(request)).settings
    assert (effective.retry_initial, effective.log_level) == (5, "debug")


async def test_a_manager_that_starts_on_damage_serves_the_rest(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    await two_machines(api)
    await api.create_cluster("c2")
    await _raw_put(etcd, machine_key("c1", "mx1"), b"{}")
    await _raw_put(etcd, head_key("c2"), b"[]")
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        told = await warnings_of(other)
        assert machine_key("c1", "mx1") in told
        assert head_key("c2") in told
        rows = await other.fleet.ListMachines(operators_pb2.ListMachinesRequest())
        assert [each.name for each in rows.machines] == ["mx2"]
        async with refused(STATUS.NOT_FOUND, "mx1"):
            await other.enabled("mx1")
        async with refused(STATUS.FAILED_PRECONDITION, machine_key("c1", "mx1")):
            await other.commit(add_machine("mx1", "g1"))
        assert await other.commit(put("machine", "mx2", retry__initial=9)) == 3


async def test_a_damaged_head_or_cluster_level_keeps_what_was_known_and_refuses_commits(
    api: Api, etcd: ExternalEtcd
) -> None:
    await two_machines(api)
    for key in (head_key("c1"), cluster_key("c1")):
        await _raw_put(etcd, key, b"\xff\xfe")

    async def told() -> bool:
        warnings = await warnings_of(api)
        return head_key("c1") in warnings and cluster_key("c1") in warnings

    await seconds_until(told)
    assert await api.enabled("mx1") is False
    async with refused(STATUS.FAILED_PRECONDITION, head_key("c1")):
        await api.commit(put("machine", "mx1", retry__initial=7))


async def test_a_machine_that_can_not_be_seen_keeps_its_identity_and_is_offered_nothing(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    """A manager that starts on damage must not tell an enrolled machine that it was removed."""
    await two_machines(api)
    certificate, key = await enrol(api, "mx1")
    await _raw_put(etcd, machine_key("c1", "mx1"), b"{}")
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "manager", etcd_endpoints=endpoints) as later:
        async with agent(later, certificate, key) as machine:
            await asyncio.sleep(0.5)
            assert not machine.call.done()
            assert machine.offered == []
        async with refused(STATUS.NOT_FOUND, "mx1"):
            await later.enabled("mx1")


async def test_a_damaged_enrolment_admits_nobody_and_is_told(api: Api, etcd: ExternalEtcd) -> None:
    await two_machines(api)
    await _raw_put(etcd, enrolment_key("c1", "mx1"), b"?")

    async def told() -> bool:
        return "enrolment of machine 'mx1'" in await warnings_of(api)

    await seconds_until(told)
    rows = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest(name="mx1"))
    assert rows.machines[0].enrolled is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (f"{CLUSTERS}\udcff/head", b"{}"),
        (f"{CLUSTERS}c1/\udcff", b"{}"),
        (machine_key("c1", "mx1"), b'{"schema":1,"machines":{"\\ud800":{}}}'),
        (head_key("c1"), b'{"schema":1,"revision":99999999999999999999,"request_id":"x"}'),
        (cluster_key("c1"), b'{"schema":1,"settings":{"enabled":true},"set_by":{"enabled":1e99}}'),
        (f"{ENROLMENTS}\udcff/mx1", b"{}"),
    ],
)
async def test_a_poisonous_key_or_value_is_named_and_ends_no_manager(
    api: Api, etcd: ExternalEtcd, tmp_path: Path, key: str, value: bytes
) -> None:
    """Bytes that are no text, numbers beyond any message: neither running nor starting on them."""
    await two_machines(api)
    certificate, private = await enrol(api, "mx2")
    async with agent(api, certificate, private):
        await _raw_put(etcd, key, value)

        async def told() -> bool:
            return "can't be read" in await warnings_of(api)

        await seconds_until(told)
        request = operators_pb2.GetEffectiveRequest(machine="mx2")
        assert (await api.settings.GetEffective(request)).settings.retry_initial == 6
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        assert "can't be read" in await warnings_of(other)


async def test_a_foreign_record_in_history_hides_no_commit(api: Api, etcd: ExternalEtcd) -> None:
    await two_machines(api)
    await _raw_put(etcd, commits_prefix("c1") + "zzz", b"?")
    await _raw_put(etcd, commit_key("c1", 1), pack({"revision": 7}))
    listed = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert [each.revision for each in listed.commits] == [2, 1]
    assert "can't be read" in listed.commits[1].comment
    await api.commit(put("machine", "mx1", retry__initial=9))
    assert await api.commit(restore(2), cluster="c1") == 4
