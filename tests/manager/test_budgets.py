"""What a caller may do how often: he is cut off with a reason, and others get through."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tdc.manager.etcd.errors import EtcdUnavailable
from tdc.manager.push.session import BYTES_AT_ONCE, MESSAGES_AT_ONCE, stream_rates
from tdc.manager.rpc.agents import RENEWALS_EACH
from tdc.manager.rpc.enrolment import TRIES_EACH, EnrolmentService
from tdc.manager.rpc.entry import CALLS_EACH
from tdc.manager.rpc.health import WATCHES_EACH
from tdc.manager.rpc.server import ENROL_STREAMS
from tdc.manager.store.joins import JoinToken
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.sync.values import DEFAULT_INTERVALS
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2

from tests.stage.manager import Api, add_machine, connected, enrolled, key_and_request, refused

STATUS = grpc.StatusCode


async def _fleet(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"), add_machine("mx2", "Main_Group"))


@pytest.fixture
async def mx1(api: Api) -> AsyncIterator[Api]:
    """The machine mx1, with its certificate; mx2 is there too, not enrolled."""
    await _fleet(api)
    certificate, key = await enrolled(api, "mx1")
    async with connected(api.ports, api.authority, certificate, key) as machine:
        yield machine


@pytest.mark.proves("S15", "S22")
async def test_a_machine_renews_a_few_times_an_hour_and_others_are_not_kept_from_it(
    api: Api, mx1: Api
) -> None:
    _, request = key_and_request()
    renewal = agents_pb2.RenewRequest(csr_pem=request.decode())
    for _ in range(int(RENEWALS_EACH.burst)):
        await mx1.agents.Renew(renewal)
    async with refused(STATUS.RESOURCE_EXHAUSTED, "mx1", "renewed its certificate too often"):
        await mx1.agents.Renew(renewal)
    certificate, key = await enrolled(api, "mx2")
    async with connected(api.ports, api.authority, certificate, key) as mx2:
        await mx2.agents.Renew(renewal)


@pytest.mark.proves("S15", "S22")
async def test_a_machine_that_calls_without_end_is_refused(api: Api, mx1: Api) -> None:
    """It is the machine that is counted: another connection, or certificate, is no new budget."""
    codes = []
    for _ in range(int(CALLS_EACH.burst) + 10):
        call: Any = mx1.agents.Renew(agents_pb2.RenewRequest(csr_pem="nothing"))
        codes.append(await call.code())
    async with refused(STATUS.RESOURCE_EXHAUSTED, "machine mx1", "calls too often"):
        await mx1.agents.Session().read()
    certificate, key = await enrolled(api, "mx1")
    async with (
        connected(api.ports, api.authority, certificate, key) as again,
        refused(STATUS.RESOURCE_EXHAUSTED, "machine mx1", "calls too often"),
    ):
        for _ in range(5):  # what it gains meanwhile
            await again.agents.Session().read()


@pytest.mark.proves("S15", "B92")
async def test_enrolments_that_fail_are_limited_before_the_store_is_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fleet(api)
    token = await api.fleet.CreateJoinToken(operators_pb2.CreateJoinTokenRequest(machine="mx1"))
    _, request = key_and_request()
    address = f"127.0.0.1:{api.ports.enrol}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        stub: agents_pb2_grpc.EnrolmentAsyncStub = agents_pb2_grpc.EnrolmentStub(channel)
        guess = agents_pb2.EnrolRequest(token="a guess", csr_pem=request.decode())
        codes = [await stub.Enrol(guess).code() for _ in range(2 * int(TRIES_EACH.burst))]
        assert codes.count(STATUS.RESOURCE_EXHAUSTED) > 0.5 * TRIES_EACH.burst
        assert set(codes) == {STATUS.PERMISSION_DENIED, STATUS.RESOURCE_EXHAUSTED}
        await asyncio.sleep(3.0)  # what the budget gains: the token was not used up meanwhile
        await stub.Enrol(agents_pb2.EnrolRequest(token=token.token, csr_pem=request.decode()))


async def test_of_enrolments_tried_at_once_no_more_than_the_budget_reach_the_store(
    api: Api,
) -> None:
    _, request = key_and_request()
    address = f"127.0.0.1:{api.ports.enrol}"
    guess = agents_pb2.EnrolRequest(token="a guess", csr_pem=request.decode())
    async with contextlib.AsyncExitStack() as stack:
        stubs: list[agents_pb2_grpc.EnrolmentAsyncStub] = [
            agents_pb2_grpc.EnrolmentStub(
                await stack.enter_async_context(client_channel(address, api.authority.ca_pem))
            )
            for _ in range(int(1.3 * TRIES_EACH.burst / ENROL_STREAMS))
        ]
        began = time.monotonic()
        # No more at once than one connection may have, or HTTP/2 itself would refuse the rest.
        calls = [stub.Enrol(guess) for stub in stubs for _ in range(ENROL_STREAMS)]
        codes = await asyncio.gather(*(call.code() for call in calls))
        gained = (time.monotonic() - began) * TRIES_EACH.per_second
    assert codes.count(STATUS.PERMISSION_DENIED) <= TRIES_EACH.burst + gained + 1
    assert set(codes) == {STATUS.PERMISSION_DENIED, STATUS.RESOURCE_EXHAUSTED}


async def test_a_store_that_is_away_uses_up_nobodys_tries(api: Api) -> None:
    class Away:
        async def redeem(
            self, token_hash: str, now: float, enrolment_id: str, origin: str, /
        ) -> JoinToken:
            raise EtcdUnavailable("no connection")

        def enrolment(self, cluster: str, machine: str) -> str | None:
            return None

        def present(self, place: str, slot: str, born: int) -> tuple[str, str] | None:
            return None

    _, request = key_and_request()
    service = EnrolmentService(Away(), api.authority, Away())
    guess = agents_pb2.EnrolRequest(token="a guess", csr_pem=request.decode())
    context = Mock(peer=lambda: "ipv4:192.0.2.7:4312")
    for _ in range(2 * int(TRIES_EACH.burst)):
        with pytest.raises(EtcdUnavailable):
            await service.Enrol(guess, context)
    context.abort.assert_not_called()


@pytest.mark.parametrize(("waited", "charged"), [(5.0, False), (0.1, True)])
async def test_a_caller_who_gives_up_is_charged_unless_the_store_hangs(
    api: Api, waited: float, charged: bool
) -> None:
    now = 0.0

    class Hangs:
        async def redeem(
            self, token_hash: str, now: float, enrolment_id: str, origin: str, /
        ) -> JoinToken:
            raise asyncio.CancelledError  # as when the caller's deadline ends the call

        def enrolment(self, cluster: str, machine: str) -> str | None:
            return None

        def present(self, place: str, slot: str, born: int) -> tuple[str, str] | None:
            return None

    def steady() -> float:
        nonlocal now
        now += waited
        return now

    _, request = key_and_request()
    service = EnrolmentService(Hangs(), api.authority, Hangs(), steady=steady)
    guess = agents_pb2.EnrolRequest(token="a guess", csr_pem=request.decode())
    refuse = AsyncMock(side_effect=grpc.aio.AbortError)
    context = Mock(peer=lambda: "ipv4:192.0.2.7:4312", abort=refuse)
    for _ in range(2 * int(TRIES_EACH.burst)):
        with contextlib.suppress(asyncio.CancelledError, grpc.aio.AbortError):
            await service.Enrol(guess, context)
    assert (refuse.await_count > 0) == charged


@pytest.mark.proves("F55", "S15", "S22")
async def test_a_stream_that_floods_is_ended_with_a_reason(mx1: Api) -> None:
    stream: Any = mx1.agents.Session()
    hello = agents_pb2.Hello(protocol=1, agent_version="0.1")
    await stream.write(agents_pb2.AgentMessage(hello=hello))
    said = agents_pb2.Outcome(revision=1, hash="h", reason="x" * 200_000)
    status = agents_pb2.AgentMessage(status=agents_pb2.MachineStatus(last_attempt=said))
    for _ in range(int(BYTES_AT_ONCE / 200_000) + 2):
        await stream.write(status)
    async with refused(STATUS.RESOURCE_EXHAUSTED, "the agent sends too much"):
        while await stream.read() is not grpc.aio.EOF:
            pass


def test_an_agent_that_does_as_it_is_asked_stays_far_below_the_rates() -> None:
    messages, sizes = stream_rates(DEFAULT_INTERVALS)
    needed = 1 / DEFAULT_INTERVALS.status + 1 / DEFAULT_INTERVALS.ping
    assert messages.per_second >= 2 * needed
    assert messages.burst == MESSAGES_AT_ONCE
    assert sizes.per_second >= MAX_AGENT_MESSAGE / DEFAULT_INTERVALS.status, "the longest it may"
    assert sizes.burst == BYTES_AT_ONCE


@pytest.mark.proves("S15")
async def test_watches_of_health_are_bounded_and_free_again_once_they_end(api: Api) -> None:
    async with contextlib.nullcontext(api.channel) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        watches: list[Any] = [stub.Watch(request) for _ in range(WATCHES_EACH)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with refused(STATUS.RESOURCE_EXHAUSTED, "use Check instead"):
            await stub.Watch(request).read()
        await stub.Check(request)
        watches[0].cancel()
        async with asyncio.timeout(10):
            while True:
                again: Any = stub.Watch(request)
                try:
                    await again.read()
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
                else:
                    break


async def test_health_is_listed(api: Api) -> None:
    answer = await health_pb2_grpc.HealthStub(api.channel).List(health_pb2.HealthListRequest())
    assert {name: each.status for name, each in answer.statuses.items()} == {
        "": health_pb2.HealthCheckResponse.SERVING
    }
