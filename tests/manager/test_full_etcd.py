"""An etcd at its quota (NOSPACE): changes are refused with the way out, all else goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.v1 import operators_pb2

from tests.fakes.etcd import FULL_QUOTA, external_etcd, fill
from tests.manager.test_monitoring import Agent
from tests.stage.manager import add_machine, connected, enrolled, manager, put, refused


@pytest.mark.proves("F46")
async def test_changes_are_refused_with_the_way_out_and_machines_are_served(
    tmp_path: Path,
) -> None:
    arguments = (f"--quota-backend-bytes={FULL_QUOTA}",)
    async with (
        external_etcd(tmp_path / "etcd", arguments=arguments) as etcd,
        manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api,
        EtcdClient(etcd.options) as client,
    ):
        await api.create_cluster("corp")
        await api.commit(add_machine("mx1", "Main_Group"))
        certificate, key = await enrolled(api, "mx1")
        await fill(client)
        edit = put("machine", "mx1", retry__initial=7)
        plan = await api.plan(edit)
        assert plan.fingerprint, "plans are still made"
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "NOSPACE", "etcdctl alarm disarm"):
            await api.commit_as_planned(plan, edit)
        assert not await api.enabled("mx1")
        async with connected(api.ports, api.authority, certificate, key) as machine:
            agent = Agent(machine.agents.Session())
            async with asyncio.timeout(5):
                assert (await agent.hello()).machine == "mx1"
            agent.call.cancel()
        listed = await api.changes.ListCommits(operators_pb2.ListCommitsRequest())
        assert listed.commits[0].revision == 2
        await client.compact((await client.status()).revision, wait=True)
        await client.defragment()
        await client.disarm()
        made = await api.commit_as_planned(plan, edit)
        assert made.revision == 3
