"""Who holds turns and sends nothing: an honest login, enrolment or look at the health gets through.

The attack comes from other addresses of the loopback, and from the honest caller's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tdc.manager.rpc.requests import ON_A_CONNECTION
from tdc.manager.rpc.strangers import GRACE, OF_ALL, OF_AN_ADDRESS, Strangers
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import agents_pb2, agents_pb2_grpc

from tests.manager.test_login import Desk, desk
from tests.stage.http2 import END_HEADERS, HEADERS, PREFACE, SETTINGS, call_headers, frame
from tests.stage.manager import key_and_request, refused
from tests.surroundings import in_time

__all__ = ["desk"]

CONNECTIONS = 16
ACK = 1
LOG_IN = "/tdc.v1.Login/LogIn"


async def _held(desk: Desk, port: int, path: str, address: str) -> None:
    """Begin calls at their headers on a connection from `address`; again when it ends."""
    context = ssl.create_default_context(cadata=desk.api.authority.ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    while True:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=context,
            server_hostname=grpc_tls.SERVER_NAME,
            local_addr=(address, 0),
        )
        writer.write(PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK))
        for number in range(1, 64, 2):
            writer.write(frame(HEADERS, number, call_headers(path), END_HEADERS))
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(4.0):
                while await reader.read(65_536):
                    pass
        writer.transport.abort()


@contextlib.asynccontextmanager
async def _attacked(desk: Desk, port: int, path: str, *addresses: str) -> AsyncIterator[None]:
    """Hold all the turns that these addresses get, while the body runs."""
    tasks = [
        asyncio.create_task(_held(desk, port, path, address))
        for address in addresses
        for _ in range(CONNECTIONS)
    ]
    try:
        await asyncio.sleep(1.0)
        assert not any(each.done() for each in tasks)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.proves("S15", "S22")
@pytest.mark.parametrize(
    "addresses", [("127.0.0.2",), ("127.0.0.1",), ("127.0.0.2", "127.0.0.3", "127.0.0.4")]
)
async def test_logins_get_through_beside_who_sends_nothing(
    desk: Desk, addresses: tuple[str, ...]
) -> None:
    await desk.user("bob")
    port = desk.api.ports.operators
    assert port is not None
    most = GRACE if addresses == ("127.0.0.2",) else 4 * GRACE
    async with _attacked(desk, port, LOG_IN, *addresses):
        for _ in range(3):
            async with desk.caller() as bob:
                began = monotonic()
                await bob.log_in("bob")
                assert in_time(monotonic() - began, most)


@pytest.mark.proves("S15", "S22")
async def test_enrolment_and_health_get_through_beside_who_sends_nothing(desk: Desk) -> None:
    port = desk.api.ports.enrol
    stranger = client_channel(f"127.0.0.1:{port}", desk.api.authority.ca_pem)
    attack = _attacked(desk, port, "/tdc.v1.Enrolment/Enrol", "127.0.0.1", "127.0.0.2")
    async with attack, stranger as channel:
        began = monotonic()
        health = health_pb2_grpc.HealthStub(channel)
        await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        stub: agents_pb2_grpc.EnrolmentAsyncStub = agents_pb2_grpc.EnrolmentStub(channel)
        guess = agents_pb2.EnrolRequest(token="a guess", csr_pem=key_and_request()[1].decode())
        async with refused(grpc.StatusCode.PERMISSION_DENIED):
            await stub.Enrol(guess, timeout=10)
        assert in_time(monotonic() - began, 6 * GRACE)


class _Held:
    """Callers that hold their turns until they are told to leave, or have to give way."""

    def __init__(self) -> None:
        self.turns = Strangers()
        self.holding: list[str] = []
        self.gave_way: list[str] = []

    async def call(self, address: str, connection: str = "") -> None:
        try:
            async with (
                asyncio.timeout(60) as limit,
                self.turns.turn(address, connection or address, limit),
            ):
                self.holding.append(address)
                try:
                    await asyncio.Event().wait()
                finally:
                    self.holding.remove(address)
        except TimeoutError:
            self.gave_way.append(address)


@contextlib.asynccontextmanager
async def _holding(*addresses: str) -> AsyncIterator[tuple[_Held, asyncio.TaskGroup]]:
    held = _Held()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(held.call(each)) for each in addresses]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield held, group
        everybody = asyncio.all_tasks() - {asyncio.current_task()}
        for task in [*tasks, *everybody]:
            if task.get_coro().__qualname__ == "_Held.call":  # type: ignore[union-attr]
                task.cancel()
    assert not len(held.turns)


async def test_an_address_has_its_turns_and_all_have_theirs() -> None:
    many = [f"10.0.0.{number % 9}" for number in range(9 * OF_AN_ADDRESS)]
    async with _holding(*["10.0.0.1"] * 40) as (held, _):
        assert len(held.holding) == OF_AN_ADDRESS
    async with _holding(*many) as (held, _):
        assert len(held.holding) == OF_ALL
        assert max(map(held.holding.count, held.holding)) <= OF_ALL // 9 + 1


async def test_nobody_gives_way_while_nobody_waits_for_it() -> None:
    async with _holding(*["10.0.0.1"] * OF_AN_ADDRESS) as (held, group):
        group.create_task(held.call("10.0.0.2"))
        await asyncio.sleep(2 * GRACE)
        assert not held.gave_way
        assert len(held.holding) == OF_AN_ADDRESS + 1


async def test_nobody_gives_way_to_who_has_all_that_his_address_may() -> None:
    async with _holding("10.0.0.2", *["10.0.0.1"] * 40) as (held, _):
        await asyncio.sleep(2 * GRACE)
        assert "10.0.0.2" not in held.gave_way
        assert len(held.gave_way) >= OF_AN_ADDRESS


async def test_who_comes_next_has_his_turn_after_a_grace_and_the_largest_gives_way() -> None:
    full = [*["10.0.0.1"] * OF_AN_ADDRESS, *["10.0.0.2"] * (OF_ALL - OF_AN_ADDRESS - 1), "10.0.0.3"]
    async with _holding(*full, *["10.0.0.1"] * 9) as (held, group):
        group.create_task(held.call("10.0.0.4"))
        await asyncio.sleep(0.5 * GRACE)
        assert "10.0.0.4" not in held.holding
        assert not held.gave_way
        await asyncio.sleep(GRACE)
        assert "10.0.0.4" in held.holding
        assert "10.0.0.3" not in held.gave_way
        assert set(held.gave_way) <= {"10.0.0.1", "10.0.0.2"}


def test_a_connection_alone_never_has_all_turns_of_its_address() -> None:
    assert ON_A_CONNECTION < OF_AN_ADDRESS < OF_ALL
