"""The CA is replaced while a manager is cut off from etcd: it is waited for, or shut out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync.enrol import EnrolFailed, enrol
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2

from tests.stage.manager import put
from tests.stage.managers import Several, holds, joined, several, tdc_manager
from tests.stage.settings_stream import Proxy

pytestmark = pytest.mark.system


@pytest.fixture
async def managers(tmp_path: Path) -> AsyncIterator[tuple[Several, Proxy]]:
    """Managers one and two, of which two reaches etcd by a link that can be cut."""
    async with several(tmp_path, "one") as made:
        (endpoint,) = made.etcd.options.endpoints
        async with Proxy(int(endpoint.rpartition(":")[2])) as link:
            await joined(made["one"].folder, tmp_path / "two")
            await made.run("two", etcd=f"http://127.0.0.1:{link.port}")
            await made.fleet("mx1", "mx2")
            yield made, link


async def _ca(made: Several, *arguments: str, expect: int = 0) -> str:
    return await tdc_manager("ca", *arguments, "--folder", str(made["one"].folder), expect=expect)


async def _renewed(made: Several, at: str, folder: Path) -> None:
    """Have a machine's certificate renewed."""
    held = identities.load(folder / "identity")
    request = agents_pb2.RenewRequest(csr_pem=identities.request_for(held.key_pem))
    own = (held.ca_pem, held.certificate_pem, held.key_pem)
    async with client_channel(made[at].address, *own) as channel:
        await agents_pb2_grpc.AgentsStub(channel).Renew(request, timeout=10)


@pytest.mark.parametrize("cut_for", [0, 12], ids=["just now", "so long that nobody announces it"])
async def test_no_step_is_taken_for_followed_by_a_manager_that_is_cut_off(
    managers: tuple[Several, Proxy], cut_for: float
) -> None:
    made, link = managers
    await _ca(made, "prepare")
    link.cut()
    await asyncio.sleep(cut_for)
    said = await _ca(made, "status", expect=4)
    assert "manager two may hear of no step now: etcd did not answer" in said
    refused = await _ca(made, "switch", expect=1)
    assert "manager two may hear of no step now" in refused
    assert "Nothing was changed" in refused
    said = await _ca(made, "switch", "--force", expect=4)
    assert "Followed by: one." in said
    assert "manager two may hear of no step now" in said
    link.join()
    await holds(partial(_is_ready, made), timeout=20)


async def test_a_manager_that_is_cut_off_makes_no_certificate(
    managers: tuple[Several, Proxy],
) -> None:
    """From the first second on; so an agent gets it from another, by the CA that signs there."""
    made, link = managers
    folder = await made.enrolled("mx1")
    request = operators_pb2.CreateJoinTokenRequest(machine="mx2")
    token = (await made["one"].api.fleet.CreateJoinToken(request)).token
    await _renewed(made, "two", folder)
    link.cut()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _renewed(made, "two", folder)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "ask another manager" in (refused.value.details() or "")
    other = made.folder / "mx2"
    other.mkdir()
    with pytest.raises(EnrolFailed, match="makes no certificates now"):
        await enrol(made["two"].enrol_address, token, other / "identity", other)
    await _renewed(made, "one", folder)
    await enrol(made["one"].enrol_address, token, other / "identity", other)  # it is not used up


async def test_a_manager_whose_ca_was_dropped_ends_and_lets_nobody_change_anything(
    managers: tuple[Several, Proxy],
) -> None:
    made, link = managers
    side = await made.machine("mx1", "two")
    await holds(lambda: _in_sync(made))
    link.cut()
    await _ca(made, "prepare", expect=4)
    await _ca(made, "switch", "--force", expect=4)
    await _ca(made, "finish", "--force", expect=4)
    link.join()
    async with asyncio.timeout(30):
        while made["two"].program.running:
            with pytest.raises(grpc.aio.AioRpcError):
                await made["two"].api.commit(put("machine", "mx1", retry__initial=7))
            await asyncio.sleep(0.05)
    assert side.in_force.running.revision == 2
    log = (made.folder / "two.log").read_text()
    assert "the CA was replaced while this manager was away" in log.splitlines()[-1]
    assert "tdc-manager package" in log.splitlines()[-1]
    assert "Traceback" not in log


async def _is_ready(made: Several) -> bool:
    return "manager two" not in await _ca(made, "status", expect=4)


async def _in_sync(made: Several) -> bool:
    return (await made["one"].states())["mx1"] == "in sync"
