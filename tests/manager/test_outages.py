"""etcd away, etcd back, and stored values that can't be read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
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
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED
from tdc.shared.sync.values import BEHIND
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.fakes.etcd import PASSWORD, USER, ExternalEtcd, external_etcd
from tests.manager.test_monitoring import Agent, agent, enrol, until
from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    connected,
    manager,
    put,
    refused,
    restore,
)
from tests.surroundings import in_time

STATUS = grpc.StatusCode


async def _warnings(api: Api) -> str:
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest())
    return "; ".join(status.warnings)


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> float:
    """Wait until the condition holds; how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def _raw_put(etcd: ExternalEtcd, key: str, value: bytes) -> None:
    async with EtcdClient(etcd.options) as client:
        await client.txn([], [Put(key, value)])


async def _two_machines(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(
        add_group("g1"),
        add_machine("mx1", "g1"),
        add_machine("mx2", "g1"),
        put("machine", "mx1", retry__initial=5),
        put("machine", "mx2", retry__initial=6),
    )


@pytest.mark.proves("F45", "P16")
async def test_while_etcd_is_away_reads_are_served_and_writes_refused_at_once(
    api: Api, etcd: ExternalEtcd
) -> None:
    await _two_machines(api)
    edit = put("machine", "mx1", retry__initial=7)
    revert = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=2))
    plan = await api.plan(edit)
    await etcd.stop()

    async def told() -> bool:
        return "etcd has been unreachable" in await _warnings(api)

    await _until(told)
    began = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError, match="etcd is unreachable") as caught:
        await api.commit_as_planned(plan, edit)
    assert caught.value.code() is STATUS.UNAVAILABLE
    assert (NOTHING_CHANGED, "1") in list(caught.value.trailing_metadata() or ())
    async with refused(STATUS.UNAVAILABLE, "etcd is unreachable"):
        await api.create_cluster("c2")
    async with refused(STATUS.UNAVAILABLE, "etcd is unreachable"):
        await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    for read in (
        lambda: api.changes.ListCommits(operators_pb2.ListCommitsRequest()),
        lambda: api.changes.GetCommit(operators_pb2.GetCommitRequest(revision=1)),
        lambda: api.plan(restore(1)),
        lambda: api.plan(revert),
        lambda: api.changes.GetDifference(operators_pb2.GetDifferenceRequest(from_revision=1)),
        lambda: api.changes.GetCluster(operators_pb2.GetClusterRequest(revision=1)),
    ):
        async with refused(STATUS.UNAVAILABLE, "history of commits can't be read now", "Try again"):
            await read()
    assert in_time(time.monotonic() - began, 1.0)
    assert await api.enabled("mx1") is False
    assert (await api.plan(edit)).fingerprint == plan.fingerprint
    explained = await api.settings.Explain(operators_pb2.ExplainRequest(machine="mx1"))
    assert len(explained.settings) > 20
    assert "who set these values, and when, can't be read now" in explained.unread

    await etcd.start()

    async def back() -> bool:
        return not await _warnings(api)

    assert await _until(back) < 5.0
    explained = await api.settings.Explain(operators_pb2.ExplainRequest(machine="mx1"))
    assert explained.unread == ""
    assert (await api.commit_as_planned(plan, edit)).revision == 3


async def test_a_frozen_etcd_is_noticed_and_a_write_is_told_in_bounded_time(
    api: Api, etcd: ExternalEtcd
) -> None:
    await _two_machines(api)
    edit = put("machine", "mx1", retry__initial=7)
    plan = await api.plan(edit)
    etcd.pause()
    try:
        began = time.monotonic()
        async with refused(STATUS.UNAVAILABLE):
            await api.commit_as_planned(plan, edit)
        assert in_time(time.monotonic() - began, 20.0)
    finally:
        etcd.resume()


async def test_a_commit_of_another_manager_is_seen(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    await _two_machines(api)
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        await other.commit(put("machine", "mx1", log__level="debug"))

        async def seen() -> bool:
            rows = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest(name="mx1"))
            return "log.level" in rows.machines[0].overrides

        assert await _until(seen) < 1.0


@pytest.mark.proves("F52")
async def test_two_managers_commit_at_a_time_and_both_commits_are_made(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    """A race lost to the other manager is planned again: the outcome is the same, so it is made."""
    await _two_machines(api)
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        for seconds in range(10, 15):
            made = await asyncio.gather(
                api.commit(put("machine", "mx1", retry__initial=seconds)),
                other.commit(put("machine", "mx2", retry__initial=seconds)),
            )
            assert len(set(made)) == 2
    history = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert [each.revision for each in history.commits] == list(range(12, 0, -1))


@pytest.mark.proves("F51")
async def test_a_damaged_shard_is_refused_alone_and_its_machine_keeps_its_last_settings(
    api: Api, etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    await _two_machines(api)
    assert machine_key("c1", "mx1") != machine_key("c1", "mx2")
    with caplog.at_level(logging.ERROR):
        await _raw_put(etcd, machine_key("c1", "mx1"), b"\x00garbage")

        async def told() -> bool:
            return machine_key("c1", "mx1") in await _warnings(api)

        await _until(told)
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
    await _two_machines(api)
    await api.create_cluster("c2")
    await _raw_put(etcd, machine_key("c1", "mx1"), b"{}")
    await _raw_put(etcd, head_key("c2"), b"[]")
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        told = await _warnings(other)
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
    await _two_machines(api)
    for key in (head_key("c1"), cluster_key("c1")):
        await _raw_put(etcd, key, b"\xff\xfe")

    async def told() -> bool:
        warnings = await _warnings(api)
        return head_key("c1") in warnings and cluster_key("c1") in warnings

    await _until(told)
    assert await api.enabled("mx1") is False
    async with refused(STATUS.FAILED_PRECONDITION, head_key("c1")):
        await api.commit(put("machine", "mx1", retry__initial=7))


async def test_a_machine_that_can_not_be_seen_keeps_its_identity_and_is_offered_nothing(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    """A manager that starts on damage must not tell an enrolled machine that it was removed."""
    await _two_machines(api)
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


@pytest.mark.proves("F49")
async def test_a_restored_etcd_welcomes_each_machine_again_and_says_what_its_history_has(
    api: Api, etcd: ExternalEtcd
) -> None:
    await _two_machines(api)
    certificate, key = await enrol(api, "mx1")
    await etcd.stop()
    shutil.copytree(etcd.folder / "data", etcd.folder / "backup")
    await _start(api, etcd)
    async with connected(api.ports, api.authority, certificate, key) as machine:
        before = Agent(machine.agents.Session())
        await before.hello()
        listening = asyncio.create_task(_listen(before))
        await api.commit(put("machine", "mx1", retry__initial=9))
        await until(api, "mx1", lambda each: each.applied_revision == 3)
        ran = before.offered[-1]
        assert len(ran.history) == 64
        assert await _welcomed(machine, ran) == ran.history, "the newest, from the view"
        await api.commit(put("machine", "mx2", retry__initial=9))
        assert await _welcomed(machine, ran) == ran.history, "an older one, from etcd"

        again = Agent(machine.agents.Session())
        await again.hello()
        await etcd.stop()
        shutil.rmtree(etcd.folder / "data")
        (etcd.folder / "backup").rename(etcd.folder / "data")
        await _start(api, etcd)
        async with asyncio.timeout(15):
            await _listen(again)
        assert again.call.done(), "the stream was ended"
        assert await _welcomed(machine, ran) == BEHIND
        await api.commit(put("machine", "mx1", retry__initial=8))
        assert await _welcomed(machine, ran) not in ("", BEHIND, ran.history)
        listening.cancel()


async def _start(api: Api, etcd: ExternalEtcd) -> None:
    """Start etcd, and wait until the manager follows it again."""
    await etcd.start()

    async def back() -> bool:
        return "unreachable" not in await _warnings(api)

    await _until(back)


async def _welcomed(machine: Api, ran: agents_pb2.Wanted) -> str:
    """What a Welcome says of the history of what was offered, to one that runs it."""
    running = agents_pb2.Running(
        revision=ran.revision, hash=ran.hash, store_id=ran.store_id, history=ran.history
    )
    call = machine.agents.Session()
    hello = agents_pb2.Hello(agent_version="1", protocol=1, running=running)
    await call.write(agents_pb2.AgentMessage(hello=hello))
    first = await call.read()
    assert isinstance(first, agents_pb2.ManagerMessage)
    call.cancel()
    return first.welcome.history


async def _listen(machine: Agent) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await machine.listen()


async def test_a_damaged_enrolment_admits_nobody_and_is_told(api: Api, etcd: ExternalEtcd) -> None:
    await _two_machines(api)
    await _raw_put(etcd, enrolment_key("c1", "mx1"), b"?")

    async def told() -> bool:
        return "enrolment of machine 'mx1'" in await _warnings(api)

    await _until(told)
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
    await _two_machines(api)
    certificate, private = await enrol(api, "mx2")
    async with agent(api, certificate, private):
        await _raw_put(etcd, key, value)

        async def told() -> bool:
            return "can't be read" in await _warnings(api)

        await _until(told)
        request = operators_pb2.GetEffectiveRequest(machine="mx2")
        assert (await api.settings.GetEffective(request)).settings.retry_initial == 6
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        assert "can't be read" in await _warnings(other)


async def test_a_foreign_record_in_history_hides_no_commit(api: Api, etcd: ExternalEtcd) -> None:
    await _two_machines(api)
    await _raw_put(etcd, commits_prefix("c1") + "zzz", b"?")
    await _raw_put(etcd, commit_key("c1", 1), pack({"revision": 7}))
    listed = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert [each.revision for each in listed.commits] == [2, 1]
    assert "can't be read" in listed.commits[1].comment
    await api.commit(put("machine", "mx1", retry__initial=9))
    assert await api.commit(restore(2), cluster="c1") == 4


@pytest.mark.proves("S7")
async def test_an_etcd_with_tls_is_served_like_any_other(tmp_path: Path) -> None:
    async with (
        external_etcd(tmp_path / "etcd", tls=True) as etcd,
        manager(
            tmp_path / "manager",
            etcd_endpoints=etcd.options.endpoints,
            etcd_ca=etcd.options.ca_file,
            etcd_certificate=etcd.options.cert_file,
            etcd_key=etcd.options.key_file,
        ) as api,
    ):
        await _two_machines(api)
        assert await api.commit(put("machine", "mx1", retry__initial=7)) == 3


async def test_an_etcd_with_login_is_served_also_after_its_token_has_expired(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with (
        external_etcd(tmp_path / "etcd", login=True) as etcd,
        manager(
            tmp_path / "manager",
            etcd_endpoints=etcd.options.endpoints,
            etcd_user=USER,
            etcd_password_file=tmp_path / "password",
        ) as api,
    ):
        await _two_machines(api)
        await asyncio.sleep(1.5)  # tokens of this etcd live for one second
        assert await api.commit(put("machine", "mx1", retry__initial=7)) == 3


async def test_an_outage_is_logged_once_however_much_is_followed(
    api: Api, etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    await _two_machines(api)
    with caplog.at_level(logging.WARNING, "tdc.manager.view.following"):
        await etcd.stop()

        async def told() -> bool:
            return "etcd has been unreachable" in await _warnings(api)

        await _until(told)
        await asyncio.sleep(1.0)
        await etcd.start()

        async def back() -> bool:
            return not await _warnings(api)

        await _until(back)
    said = [each.getMessage() for each in caplog.records]
    begun = [each for each in said if each.startswith("etcd is unreachable")]
    assert begun
    assert len(begun) == len(set(begun)), begun
    assert [each for each in said if "reachable again" in each] == [
        "etcd is reachable again; all of it was read again"
    ]


async def test_before_an_outage_is_known_a_read_of_history_says_what_it_means(
    api: Api, etcd: ExternalEtcd
) -> None:
    await _two_machines(api)
    etcd.pause()
    try:
        async with refused(STATUS.UNAVAILABLE, " did not answer in time. Changes, join tokens and"):
            await api.changes.ListCommits(operators_pb2.ListCommitsRequest(), timeout=30)
    finally:
        etcd.resume()
