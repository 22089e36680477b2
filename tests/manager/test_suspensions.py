"""Suspend and resume over the API: who is reached, what is refused, what is kept and shown."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.levels.suspensions import NO_SUSPENSIONS
from tdc.manager.store.keys import suspensions_key
from tdc.manager.store.suspensions import pack_suspensions
from tdc.shared.edge.clock import wall
from tdc.shared.sync.suspension import Suspended
from tdc.shared.wire.suspension import part_of
from tdc.v1 import fleet_pb2, operators_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import (
    Api,
    add_group,
    add_machine,
    manager,
    put,
    refused,
    remove_machine,
    rename_machine,
    restore,
)

STATUS = grpc.StatusCode
OUT = {"reason": "disk change", "copying": True, "delivery": True}
BOTH = {"copying": True, "delivery": True}


async def fleet(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(
        add_group("g1"),
        *(add_machine(name, "g1") for name in ("mx1", "mx2", "mx3")),
        put("cluster", "c1", enabled=True, intake_address="in@intake.example"),
    )


async def suspend(api: Api, *names: str, **more: object) -> operators_pb2.SuspensionResponse:
    asked = {"machines": names, "request_id": f"s{wall()}"} | OUT | more
    return await api.fleet.SuspendMachines(operators_pb2.SuspendRequest(**asked))  # type: ignore[arg-type]


async def resume(api: Api, *names: str, **more: object) -> operators_pb2.SuspensionResponse:
    asked = {"machines": names, "request_id": f"r{wall()}"} | BOTH | more
    return await api.fleet.ResumeMachines(operators_pb2.ResumeRequest(**asked))  # type: ignore[arg-type]


async def wanted(api: Api, name: str) -> dict[str, Suspended]:
    """What is wanted to be suspended on a machine, by work."""
    request = operators_pb2.StatusRequest(machine=name)
    (row,) = (await api.monitoring.GetStatus(request)).machines
    state = row.suspension
    parts = {"copying": "wanted_copying", "delivery": "wanted_delivery"}
    return {
        work: part_of(getattr(state, field))
        for work, field in parts.items()
        if row.HasField("suspension") and state.HasField(field)
    }


async def test_it_reaches_the_machines_that_are_named_and_makes_no_commit(api: Api) -> None:
    await fleet(api)
    before = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    reply = await suspend(api, "mx1", "mx2", delivery=False)
    assert [(row.machine, row.changed) for row in reply.machines] == [("mx1", True), ("mx2", True)]
    assert reply.machines[0].waits.startswith("it is offline")
    (part,) = (await wanted(api, "mx1")).values()
    assert (part.by, part.reason, part.until) == ("ana", "disk change", None)
    assert abs(part.since - wall()) < 60
    assert await wanted(api, "mx3") == {}
    assert await api.enabled("mx1")
    after = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
    assert after == before
    await resume(api, "mx1")
    assert await wanted(api, "mx1") == {}
    assert await wanted(api, "mx2") != {}


async def test_what_is_not_in_force_is_not_called_suspended(api: Api) -> None:
    await fleet(api)
    await suspend(api, "mx1")
    request = operators_pb2.StatusRequest(machine="mx1")
    (row,) = (await api.monitoring.GetStatus(request)).machines
    assert not row.suspension.in_force
    assert not row.suspension.HasField("delivery")
    kinds = {each.kind: each for each in row.problems}
    assert "suspended" not in kinds
    assert "not in force: it is offline" in kinds["not-suspended"].text
    assert kinds["not-suspended"].severity == "warning"
    explained = await api.settings.Explain(operators_pb2.ExplainRequest(machine="mx1"))
    assert explained.suspension == row.suspension


async def test_a_check_changes_nothing(api: Api) -> None:
    await fleet(api)
    reply = await suspend(api, "mx1", check_only=True, request_id="")
    assert reply.machines[0].changed
    assert await wanted(api, "mx1") == {}


async def test_what_is_wrong_is_refused_in_words_and_nothing_is_changed(api: Api) -> None:
    await fleet(api)
    await api.create_cluster("c2")
    await api.commit(add_machine("mx9", "Main_Group"), cluster="c2")
    now = int(wall())
    for names, more, code, words in (
        ((), {}, STATUS.INVALID_ARGUMENT, "none never means all"),
        (("mx1", "mx7"), {}, STATUS.NOT_FOUND, "mx7"),
        (("mx1", "mx9"), {}, STATUS.INVALID_ARGUMENT, "clusters c1, c2"),
        (("mx1",), {"reason": " "}, STATUS.INVALID_ARGUMENT, "needs a reason"),
        (("mx1",), {"reason": "x" * 1_001}, STATUS.INVALID_ARGUMENT, "1000 characters"),
        (("mx1",), {"copying": False, "delivery": False}, STATUS.INVALID_ARGUMENT, "no work"),
        (("mx1",), {"request_id": ""}, STATUS.INVALID_ARGUMENT, "request id"),
        (("mx1",), {"lifetime": -1}, STATUS.INVALID_ARGUMENT, "lasts 1s to"),
        (("mx1",), {"lifetime": 10**9}, STATUS.INVALID_ARGUMENT, "lasts 1s to"),
        (("mx1",), {"until": {"seconds": now - 9}}, STATUS.INVALID_ARGUMENT, "over already"),
        (("mx1",), {"until": {"seconds": now + 10**9}}, STATUS.INVALID_ARGUMENT, "away"),
        (("mx1",), {"until": {"seconds": now + 9}, "lifetime": 9}, STATUS.INVALID_ARGUMENT, "not"),
        (("mx1",), {"until": {"seconds": 10**15}}, STATUS.INVALID_ARGUMENT, "timestamp"),
    ):  # fmt: skip
        async with refused(code, words):
            await suspend(api, *names, **more)
    assert await wanted(api, "mx1") == {}


async def test_a_request_is_done_once_however_often_it_is_sent(api: Api) -> None:
    await fleet(api)
    await suspend(api, "mx1", request_id="one")
    first = await wanted(api, "mx1")
    assert not (await suspend(api, "mx1", request_id="one")).machines[0].changed
    assert await wanted(api, "mx1") == first
    await resume(api, "mx1")
    await suspend(api, "mx1", request_id="one")
    assert await wanted(api, "mx1") == {}
    async with refused(STATUS.INVALID_ARGUMENT, "something else"):
        await suspend(api, "mx2", request_id="one")
    async with refused(STATUS.INVALID_ARGUMENT, "something else"):
        await suspend(api, "mx1", request_id="one", reason="another")


async def test_an_end_is_by_the_manager_s_clock_and_then_nothing_is_wanted(api: Api) -> None:
    await fleet(api)
    await suspend(api, "mx1", delivery=False, lifetime=3_600)
    (part,) = (await wanted(api, "mx1")).values()
    assert part.until is not None
    assert abs(part.until - wall() - 3_600) < 60
    await suspend(api, "mx2", until={"seconds": int(wall()) + 2})
    while await wanted(api, "mx2"):
        assert wall() < part.until
    (row,) = (await api.monitoring.GetStatus(operators_pb2.StatusRequest(machine="mx2"))).machines
    assert not row.HasField("suspension")


async def test_a_machine_takes_its_suspension_with_it_and_its_name_begins_without(
    api: Api,
) -> None:
    await fleet(api)
    await suspend(api, "mx1")
    remove = remove_machine("mx1")
    await api.commit(remove)
    async with refused(STATUS.NOT_FOUND, "mx1"):
        await resume(api, "mx1")
    await api.commit(restore(2))
    assert await wanted(api, "mx1") == {}
    await suspend(api, "mx1", delivery=False)
    assert set(await wanted(api, "mx1")) == {"copying"}


async def test_a_renamed_machine_stays_suspended_and_its_name_begins_without(
    tmp_path: Path,
) -> None:
    """Also where it is renamed back, by a revert and by a rollback; for a new manager too."""
    rename = rename_machine("mx1", "edge1")
    async with manager(tmp_path) as api:
        await fleet(api)
        await suspend(api, "mx1")
        for back in (fleet_pb2.Edit(revert=fleet_pb2.RevertRevision(revision=3)), restore(2)):
            await api.commit(rename)
            assert set(await wanted(api, "edge1")) == {"copying", "delivery"}
            (warning, *_) = (await api.plan(put("machine", "edge1", retry__initial=9))).warnings
            assert warning.machine == "edge1"
            await api.commit(back, cluster="c1")
            assert set(await wanted(api, "mx1")) == {"copying", "delivery"}
        await api.commit(rename)
        await api.commit(add_machine("mx1", "g1"))
        assert await wanted(api, "mx1") == {}
        await suspend(api, "mx1", delivery=False, reason="new")
        await resume(api, "edge1", copying=False)
    async with manager(tmp_path) as api:
        assert {(name, work, part.reason) for name in ("edge1", "mx1", "mx2")
                for work, part in (await wanted(api, name)).items()} == {
            ("edge1", "copying", "disk change"), ("mx1", "copying", "new"),
        }  # fmt: skip


async def test_a_plan_of_a_rename_warns_of_what_is_suspended_by_its_new_name(api: Api) -> None:
    await fleet(api)
    await suspend(api, "mx1")
    plan = await api.plan(
        rename_machine("mx1", "edge1"),
        put("machine", "edge1", retry__initial=9),
    )
    assert [(each.machine, each.setting) for each in plan.warnings] == [("edge1", "retry.initial")]


async def test_a_plan_warns_and_is_not_refused(api: Api) -> None:
    await fleet(api)
    edit = put("machine", "mx1", retry__initial=9)
    calm = await api.plan(edit)
    assert not calm.warnings
    await suspend(api, "mx1")
    plan = await api.plan(edit)
    (warning,) = plan.warnings
    assert (warning.machine, warning.setting) == ("mx1", "retry.initial")
    assert "delivery is suspended there by ana" in warning.reason
    assert plan.fingerprint == calm.fingerprint
    assert not plan.problems


async def test_it_is_there_after_a_restart_of_the_manager_and_goes_by_no_rollback(
    tmp_path: Path,
) -> None:
    async with manager(tmp_path) as api:
        await fleet(api)
        await suspend(api, "mx1")
        await api.commit(put("machine", "mx1", log__level="debug"))
        await api.commit(restore(2))
    async with manager(tmp_path) as api:
        assert set(await wanted(api, "mx1")) == {"copying", "delivery"}


@pytest.mark.parametrize("by_hand", ["was deleted", "was set back", "can't be read"])
async def test_suspensions_that_were_spoilt_in_etcd_hold_and_are_written_again(
    tmp_path: Path, etcd: ExternalEtcd, by_hand: str
) -> None:
    key = suspensions_key("c1")
    endpoints = etcd.options.endpoints
    async with manager(tmp_path, etcd_endpoints=endpoints) as api:
        await fleet(api)
        await suspend(api, "mx1")
        async with EtcdClient(etcd.options) as client:
            hand: dict[str, Delete | Put] = {
                "was deleted": Delete(key),
                "was set back": Put(key, pack_suspensions(key, NO_SUSPENSIONS)),
                "can't be read": Put(key, b"{}"),
            }
            await client.txn([], [hand[by_hand]])
            request = operators_pb2.StatusRequest()
            while not (status := await api.monitoring.GetStatus(request)).warnings:
                pass
            assert by_hand in status.warnings[0]
            assert set(await wanted(api, "mx1")) == {"copying", "delivery"}
            await suspend(api, "mx2")
            assert await client.get(key) is not None
        assert not (await api.monitoring.GetStatus(request)).warnings
        assert set(await wanted(api, "mx1")) == {"copying", "delivery"}
