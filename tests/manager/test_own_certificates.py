"""A manager renews its own certificates: new connections see them, open ones go on."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_state import prepared, switched, switched_back
from tdc.manager.identity.own import OwnCertificates
from tdc.manager.rpc.server import Ports, Servers
from tdc.shared.edge.clock import wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.edge.tasks import running

from tests.manager.test_server import ENROL, MAIN, OPERATORS, deny_all

LIFETIME = 4.0


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    Authority.create(tmp_path / "ca")
    return Authorities.load(tmp_path / "ca")


async def shown(port: int, trusted: Path) -> tuple[str, str]:
    """The serial number that a new connection sees, and what openssl says of the certificate."""
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(trusted)),
            *("-no-CApath", "-alpn", "h2"),
        ],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    text = (done.stdout + done.stderr).decode(errors="replace")
    found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    assert found is not None, text
    verdict = re.search(r"Verify return code: (\d+)", text)
    return found[0], verdict[1] if verdict is not None else text


@pytest.fixture
async def served(authorities: Authorities) -> AsyncIterator[tuple[OwnCertificates, Ports]]:
    own = OwnCertificates(authorities, "m1", lifetime=LIFETIME, names=("127.0.0.1",))
    servers = Servers(lambda: own.server)
    ports = servers.bind("127.0.0.1", Ports(0, 0))
    await servers.start(main=MAIN, enrol=ENROL, operators=OPERATORS, admit=deny_all)
    async with running(own.run(), name="own certificates"):
        yield own, ports
    await servers.stop(0)


async def test_a_short_certificate_is_renewed_again_and_again_and_no_stream_ends(
    served: tuple[OwnCertificates, Ports], authorities: Authorities, tmp_path: Path
) -> None:
    own, ports = served
    heard: list[float] = []
    own.on_change(lambda: heard.append(own.ends))
    operator = authorities.issue_operator("ana")
    async with client_channel(
        f"127.0.0.1:{ports.main}", authorities.ca_pem, operator.certificate_pem, operator.key_pem
    ) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        stream = stub.Watch(health_pb2.HealthCheckRequest())
        assert isinstance(await stream.read(), health_pb2.HealthCheckResponse)
        first, _ = await shown(ports.enrol, tmp_path / "ca/ca.pem")
        await asyncio.sleep(1.5 * LIFETIME)  # the first one has ended
        later, verdict = await shown(ports.enrol, tmp_path / "ca/ca.pem")
        assert (later != first, verdict) == (True, "0")
        assert len(heard) >= 2
        assert own.ends > wall()
        assert not stream.done()
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)  # the same connection
        stream.cancel()
    async with client_channel(
        f"127.0.0.1:{ports.main}", authorities.ca_pem, operator.certificate_pem, operator.key_pem
    ) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert b"BEGIN CERTIFICATE" in own.client.certificate_pem


async def test_a_new_ca_is_shown_at_once_and_by_a_bridge_to_who_trusts_the_old_one(
    served: tuple[OwnCertificates, Ports], authorities: Authorities, tmp_path: Path
) -> None:
    own, ports = served
    old, new = authorities.signing, Authority.new()
    for name, each in (("old", old), ("new", new)):
        (tmp_path / name).write_bytes(each.ca_pem)
    begun = prepared(authorities.state, new.pair, old.bridge_to(new), 1.0)
    await authorities.adopt(begun)
    assert (await shown(ports.enrol, tmp_path / "old"))[1] == "0"
    assert (await shown(ports.enrol, tmp_path / "new"))[1] != "0"
    by_new = new.issue_operator("ana")
    await _call(ports, old.ca_pem, by_new.certificate_pem, by_new.key_pem)  # trusted already
    await authorities.adopt(switched(begun, 2.0))
    for name in ("old", "new"):
        assert (await shown(ports.enrol, tmp_path / name))[1] == "0"
    await authorities.adopt(switched_back(switched(begun, 2.0), 3.0))
    for name in ("old", "new"):  # join tokens name either
        assert (await shown(ports.enrol, tmp_path / name))[1] == "0"
    await authorities.adopt(switched(begun, 2.0))
    by_old = old.issue_operator("ana")
    for trusted in (old.ca_pem, new.ca_pem, old.ca_pem + new.ca_pem, new.ca_pem + old.ca_pem):
        for shows in (by_old, by_new):
            await _call(ports, trusted, shows.certificate_pem, shows.key_pem)
    assert own.server.ca == new.ca_pem + old.ca_pem


async def _call(ports: Ports, ca_pem: bytes, certificate_pem: bytes, key_pem: bytes) -> None:
    async with client_channel(
        f"127.0.0.1:{ports.main}", ca_pem, certificate_pem, key_pem
    ) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)


async def test_it_is_due_at_half_of_its_life_and_when_the_clock_went_back(
    authorities: Authorities,
) -> None:
    now = [1_800_000_000.0]
    own = OwnCertificates(authorities, "m1", ("x",), lifetime=1_000.0, clock=lambda: now[0])
    own.ends = now[0] + 1_000.0  # the CA itself goes by the wall's clock
    assert own.due_in() == 500.0
    now[0] += 500.0
    assert own.due_in() == 0.0
    now[0] -= 501.0
    assert own.due_in() == 0.0


async def test_a_connection_of_before_is_refused_once_its_ca_is_trusted_no_more(
    authorities: Authorities,
) -> None:
    own = OwnCertificates(authorities, "m1", ("127.0.0.1",))
    servers = Servers(lambda: own.server)
    ports = servers.bind("127.0.0.1", Ports(0, 0))
    trusted = [True]
    await servers.start(
        main=MAIN, enrol=ENROL, operators=OPERATORS, admit=deny_all, trusts=lambda peer: trusted[0]
    )
    operator = authorities.issue_operator("ana")
    async with client_channel(
        f"127.0.0.1:{ports.main}", authorities.ca_pem, operator.certificate_pem, operator.key_pem
    ) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/tdc.v1.Fleet/ListClusters"
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await method(b"", timeout=10)
        assert "replaced" not in (error.value.details() or "")
        trusted[0] = False
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await method(b"", timeout=10)
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "is by a CA that was replaced" in (error.value.details() or "")
    await servers.stop(0)
