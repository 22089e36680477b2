"""A machine's certificate is withdrawn: denied at once at every manager, until it enrols again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from tdc.node_agent.sync import identity as identities
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import agents_pb2, agents_pb2_grpc, audit_pb2, operators_pb2

from tests.stage.manager import rename_cluster
from tests.stage.managers import Several, holds, several
from tests.stage.settings_stream import agent


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Several]:
    async with several(tmp_path, "one", "two") as managers:
        await managers.fleet("mx1", "mx2")
        yield managers


async def _withdraw(two: Several, at: str, machine: str = "mx1") -> None:
    request = operators_pb2.WithdrawCertificateRequest(machine=machine, reason="disk was stolen")
    await two[at].api.fleet.WithdrawCertificate(request)


async def _denied(address: str, folder: Path) -> str:
    """Why the certificate in a folder is refused; empty if it is not."""
    held = identities.load(folder / "identity")
    request = agents_pb2.RenewRequest(csr_pem=identities.request_for(held.key_pem))
    async with client_channel(address, held.ca_pem, held.certificate_pem, held.key_pem) as channel:
        try:
            await agents_pb2_grpc.AgentsStub(channel).Renew(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
    return ""


@pytest.mark.proves("S6")
async def test_it_is_denied_at_every_manager_and_its_stream_ends(two: Several) -> None:
    side = await two.machine("mx1", "two", learns=False)
    await two.machine("mx2", "two", learns=False)

    async def states(**wanted: str) -> bool:
        return [await two[each].states() for each in ("one", "two")] == [wanted, wanted]

    await holds(lambda: states(mx1="in sync", mx2="in sync"))
    assert await _denied(two["one"].address, side.folder) == ""
    await _withdraw(two, "one")
    await holds(lambda: states(mx1="offline", mx2="in sync"))
    assert side.in_force.running.revision == 2  # it goes on with what it ran
    for name in ("one", "two"):
        why = await _denied(two[name].address, side.folder)
        assert "its certificate was withdrawn by ana: disk was stolen" in why
        assert "new join token" in why
        (row,) = (await two[name].status("mx1")).machines
        assert "withdrawn by ana: disk was stolen" in row.reason
        assert not any("mx1" in each for each in (await two[name].status()).warnings)
    await _withdraw(two, "two")  # once more is no fault


async def test_a_new_token_brings_it_back_and_the_certificate_of_before_stays_out(
    two: Several, tmp_path: Path
) -> None:
    before = await two.enrolled("mx1")
    await _withdraw(two, "two")
    kept = tmp_path / "kept"
    before.rename(kept)
    now = await two.enrolled("mx1")
    assert await _denied(two["two"].address, now) == ""
    assert "enrolled again" in await _denied(two["two"].address, kept)
    async with agent(now, two["two"].address):
        await holds(lambda: _in_sync(two))


async def test_it_is_of_the_cluster_whatever_that_is_called(two: Several) -> None:
    """Its keys have the name that the cluster had first, which another has by now."""
    folder = await two.enrolled("mx1")
    edit = rename_cluster("c1", "emea")
    await two["one"].api.commit(edit, cluster="c1")
    await two["one"].api.create_cluster("c1")
    await _withdraw(two, "one")
    assert "no valid enrolment" in await _denied(two["one"].address, folder)
    (row,) = (await two["one"].status("mx1")).machines
    assert (row.cluster, "withdrawn by ana" in row.reason) == ("emea", True)


async def _in_sync(two: Several) -> bool:
    return (await two["one"].states())["mx1"] == "in sync"


async def test_it_is_forgotten_by_no_restart_and_written_down(two: Several) -> None:
    folder = await two.enrolled("mx1")
    await _withdraw(two, "one")
    await two["two"].program.kill()
    await two.again("two")
    assert "was withdrawn by ana" in await _denied(two["two"].address, folder)
    found = (await two["two"].api.audit.ListEntries(audit_pb2.ListEntriesRequest())).entries
    (entry,) = (each for each in found if each.operation == "tokens.withdraw")
    assert (entry.who, entry.comment) == ("ana", "disk was stolen")
