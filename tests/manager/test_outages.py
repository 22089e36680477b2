"""etcd away, etcd back, and etcd set back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from pathlib import Path

import grpc
import pytest
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED
from tdc.shared.sync.values import BEHIND
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.fakes.etcd import PASSWORD, USER, ExternalEtcd, external_etcd
from tests.manager.test_monitoring import Agent, enrol, until
from tests.stage.manager import (
    Api,
    connected,
    manager,
    put,
    refused,
    restore,
)
from tests.stage.two_machines import seconds_until, two_machines, warnings_of
from tests.surroundings import in_time

STATUS = grpc.StatusCode


async def _start(api: Api, etcd: ExternalEtcd) -> None:
    """Start etcd, and wait until the manager follows it again."""
    await etcd.start()

    async def back() -> bool:
        return "unreachable" not in await warnings_of(api)

    await seconds_until(back)


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


@pytest.mark.proves("F45", "P16")
async def test_while_etcd_is_away_reads_are_served_and_writes_refused_at_once(
    api: Api, etcd: ExternalEtcd
) -> None:
    await two_machines(api)
    edit = put("machine", "mx1", retry__initial=7)
    revert = fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=2))
    plan = await api.plan(edit)
    await etcd.stop()

    async def told() -> bool:
        return "etcd has been unreachable" in await warnings_of(api)

    await seconds_until(told)
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
    checked = await api.settings.CheckConsistency(operators_pb2.CheckConsistencyRequest())
    assert "Showing the last known state" in " ".join(checked.warnings)

    await etcd.start()

    async def back() -> bool:
        return not await warnings_of(api)

    assert await seconds_until(back) < 5.0
    explained = await api.settings.Explain(operators_pb2.ExplainRequest(machine="mx1"))
    assert explained.unread == ""
    checked = await api.settings.CheckConsistency(operators_pb2.CheckConsistencyRequest())
    assert list(checked.warnings) == []
    assert (await api.commit_as_planned(plan, edit)).revision == 3


async def test_a_frozen_etcd_is_noticed_and_a_write_is_told_in_bounded_time(
    api: Api, etcd: ExternalEtcd
) -> None:
    await two_machines(api)
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
    await two_machines(api)
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "other", etcd_endpoints=endpoints) as other:
        await other.commit(put("machine", "mx1", log__level="debug"))

        async def seen() -> bool:
            rows = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest(name="mx1"))
            return "log.level" in rows.machines[0].overrides

        assert await seconds_until(seen) < 1.0


@pytest.mark.proves("F52")
async def test_two_managers_commit_at_a_time_and_both_commits_are_made(
    api: Api, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    """A race lost to the other manager is planned again: the outcome is the same, so it is made."""
    await two_machines(api)
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


@pytest.mark.proves("F49")
async def test_a_restored_etcd_welcomes_each_machine_again_and_says_what_its_history_has(
    api: Api, etcd: ExternalEtcd
) -> None:
    await two_machines(api)
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
        await two_machines(api)
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
        await two_machines(api)
        await asyncio.sleep(1.5)  # tokens of this etcd live for one second
        assert await api.commit(put("machine", "mx1", retry__initial=7)) == 3


async def test_an_outage_is_logged_once_however_much_is_followed(
    api: Api, etcd: ExternalEtcd, caplog: pytest.LogCaptureFixture
) -> None:
    await two_machines(api)
    with caplog.at_level(logging.WARNING, "tdc.manager.view.following"):
        await etcd.stop()

        async def told() -> bool:
            return "etcd has been unreachable" in await warnings_of(api)

        await seconds_until(told)
        await asyncio.sleep(1.0)
        await etcd.start()

        async def back() -> bool:
            return not await warnings_of(api)

        await seconds_until(back)
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
    await two_machines(api)
    etcd.pause()
    try:
        async with refused(STATUS.UNAVAILABLE, " did not answer in time. Changes, join tokens and"):
            await api.changes.ListCommits(operators_pb2.ListCommitsRequest(), timeout=30)
    finally:
        etcd.resume()
