"""Machines as operators see them: enrolled, connected, in sync, rejected, gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.timestamp_pb2 import Timestamp
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import agents_pb2, agents_pb2_grpc, operators_pb2

from tests.stage.manager import Api, add_machine, connected, put, refused
from tests.surroundings import in_time

STATUS = grpc.StatusCode


@dataclass
class Agent:
    """A machine's end of the stream, as small as can be: it applies what it is offered."""

    call: grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
    offered: list[agents_pb2.Wanted] = field(default_factory=list)
    reject: str = ""

    async def hello(self) -> agents_pb2.Welcome:
        hello = agents_pb2.Hello(agent_version="1.2.3", protocol=1)
        await self.call.write(agents_pb2.AgentMessage(hello=hello))
        first = await self.call.read()
        assert isinstance(first, agents_pb2.ManagerMessage)
        return first.welcome

    async def listen(self) -> None:
        """Answer until the stream ends."""
        while isinstance(message := await self.call.read(), agents_pb2.ManagerMessage):
            if message.HasField("ping"):
                pong = agents_pb2.Pong(number=message.ping.number)
                await self.call.write(agents_pb2.AgentMessage(pong=pong))
            if message.HasField("wanted"):
                self.offered.append(message.wanted)
                await self.call.write(self._outcome(message.wanted))

    def _outcome(self, wanted: agents_pb2.Wanted) -> agents_pb2.AgentMessage:
        outcome = agents_pb2.Outcome(
            revision=wanted.revision,
            hash=wanted.hash,
            applied=not self.reject,
            reason=self.reject,
        )
        return agents_pb2.AgentMessage(outcome=outcome)


async def enrol(api: Api, machine: str) -> tuple[bytes, bytes]:
    """Make a join token as an operator, and use it as a machine: certificate and key."""
    token = await api.fleet.CreateJoinToken(
        operators_pb2.CreateJoinTokenRequest(machine=machine, lifetime=60)
    )
    assert token.expires.seconds - time.time() <= 61
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    async with client_channel(token.enrol_address, api.authority.ca_pem) as channel:
        stub: agents_pb2_grpc.EnrolmentAsyncStub = agents_pb2_grpc.EnrolmentStub(channel)
        asked = agents_pb2.EnrolRequest(token=token.token, csr_pem=csr.decode())
        answer = await stub.Enrol(asked)
        async with refused(STATUS.PERMISSION_DENIED, "used already"):
            await stub.Enrol(asked)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return answer.certificate_pem.encode(), pem


@contextlib.asynccontextmanager
async def agent(api: Api, certificate: bytes, key: bytes) -> AsyncIterator[Agent]:
    async with (
        connected(api.ports, api.authority, certificate, key) as machine,
        asyncio.TaskGroup() as tasks,
    ):
        made = Agent(machine.agents.Session())
        await made.hello()
        listening = tasks.create_task(made.listen())
        yield made
        listening.cancel()
        made.call.cancel()


async def row(api: Api, machine: str) -> operators_pb2.MachineRowStatus:
    status = await api.monitoring.GetStatus(operators_pb2.StatusRequest(machine=machine))
    return status.machines[0]


async def until(
    api: Api, machine: str, holds: Callable[[operators_pb2.MachineRowStatus], bool]
) -> operators_pb2.MachineRowStatus:
    async with asyncio.timeout(5):
        while not holds(found := await row(api, machine)):
            await asyncio.sleep(0.01)
    return found


async def _fleet(api: Api) -> None:
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"), add_machine("mx2", "Main_Group"))
    await api.commit(put("cluster", "c1", enabled=True, intake_address="in@intake.example"))


async def test_status_comes_in_pages_and_by_state(api: Api) -> None:
    """Each machine once, in order; what is counted and warned of is in the first answer."""
    await _fleet(api)
    await api.create_cluster("c2")
    await api.commit(add_machine("mx1", "Main_Group"), cluster="c2")
    certificate, key = await enrol(api, "mx2")
    async with agent(api, certificate, key):
        await until(api, "mx2", lambda each: each.state == "in sync")
        pages: list[list[tuple[str, str]]] = []
        request = operators_pb2.StatusRequest(limit=2)
        while not pages or request.after:
            page = await api.monitoring.GetStatus(request)
            pages.append([(each.name, each.cluster) for each in page.machines])
            first = {"offline": 2, "in sync": 1} if len(pages) == 1 else {}
            assert dict(page.by_state) == first
            request.after = page.next
        assert pages == [[("mx1", "c1"), ("mx1", "c2")], [("mx2", "c1")]]
        exactly = await api.monitoring.GetStatus(operators_pb2.StatusRequest(limit=3))
        assert (len(exactly.machines), exactly.next) == (3, "")
        away = operators_pb2.StatusRequest(states=["offline", "stale"], limit=1)
        page = await api.monitoring.GetStatus(away)
        assert [each.cluster for each in page.machines] == ["c1"]
        away.after = page.next
        page = await api.monitoring.GetStatus(away)
        assert ([each.cluster for each in page.machines], page.next) == (["c2"], "")
    for wrong, words in (
        (operators_pb2.StatusRequest(states=["gone"]), ("'gone' is not a state", "'in sync'")),
        (operators_pb2.StatusRequest(limit=-1), ("limit",)),
        (operators_pb2.StatusRequest(after="mx1"), ("after",)),
    ):
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, *words):
            await api.monitoring.GetStatus(wrong)


async def test_an_enrolled_machine_is_offered_its_settings_and_is_in_sync(api: Api) -> None:
    await _fleet(api)
    before = await row(api, "mx1")
    assert (before.state, before.applied_revision) == ("offline", 0)
    assert not before.HasField("since")  # it was never anything else
    certificate, key = await enrol(api, "mx1")
    machines = await api.fleet.ListMachines(operators_pb2.ListMachinesRequest())
    assert [each.enrolled for each in machines.machines] == [True, False]
    async with agent(api, certificate, key) as machine:
        found = await until(api, "mx1", lambda each: each.state == "in sync")
        assert (found.wanted_revision, found.applied_revision) == (3, 3)
        assert found.agent_version == "1.2.3"
        (wanted,) = machine.offered
        assert wanted.settings.enabled
        assert wanted.settings.intake_address == "in@intake.example"
    gone = await until(api, "mx1", lambda each: each.state == "offline")
    assert gone.reason
    assert gone.since.ToMilliseconds() >= found.since.ToMilliseconds() > 0


async def test_a_change_reaches_only_the_machines_it_touches_and_within_a_second(
    api: Api,
) -> None:
    await _fleet(api)
    async with (
        agent(api, *await enrol(api, "mx1")) as one,
        agent(api, *await enrol(api, "mx2")) as other,
    ):
        for name in ("mx1", "mx2"):
            await until(api, name, lambda each: each.state == "in sync")
        began = time.monotonic()
        await api.commit(put("machine", "mx1", retry__initial=5))
        await until(api, "mx1", lambda each: each.applied_revision == 4)
        assert in_time(time.monotonic() - began, 1.0)
        assert [each.revision for each in one.offered] == [3, 4]
        found = await row(api, "mx2")
        assert (found.state, found.applied_revision) == ("in sync", 4), "its settings are the same"
        assert [each.revision for each in other.offered] == [3]


async def test_a_rejection_is_shown_with_its_reason(api: Api) -> None:
    await _fleet(api)
    async with agent(api, *await enrol(api, "mx1")) as machine:
        await until(api, "mx1", lambda each: each.state == "in sync")
        machine.reject = "no route to that intake"
        await api.commit(put("machine", "mx1", smtp_route=["relay.example:25"]))
        found = await until(api, "mx1", lambda each: each.state == "rejected")
        assert (found.wanted_revision, found.applied_revision) == (4, 3)
        assert "no route to that intake" in found.reason


@pytest.mark.proves("F49")
async def test_machines_that_are_ahead_of_a_restored_store_are_told_of(api: Api) -> None:
    """They never go back by themselves, so an operator must hear of it before a mail is missed."""
    await _fleet(api)
    async with agent(api, *await enrol(api, "mx1")) as machine:
        await until(api, "mx1", lambda each: each.state == "in sync")
        machine.reject = "older than what runs here"
        running = agents_pb2.Running(
            revision=58, hash="of before", store_id=machine.offered[0].store_id
        )
        status = agents_pb2.MachineStatus(running=running)
        await machine.call.write(agents_pb2.AgentMessage(status=status))
        found = await until(api, "mx1", lambda each: each.applied_revision == 58)
        assert (found.wanted_revision, found.state) == (3, "out of sync")
        (warning,) = (await api.monitoring.GetStatus(operators_pb2.StatusRequest())).warnings
        ahead = "ahead of the store: 1 machine runs revision 58 of cluster c1, the store is at 3"
        assert ahead in warning
        assert "`tdc recover c1`" in warning
        checked = await api.settings.CheckConsistency(operators_pb2.CheckConsistencyRequest())
        assert (checked.findings[0].kind, checked.findings[0].remedy) == ("ahead", "tdc recover c1")
        plan = await api.plan(put("cluster", "c1", log__level="debug"))
        assert ahead in plan.warnings[0].reason


async def test_an_old_gateway_whose_name_another_has_is_named_with_its_address(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of that name is in sync, and is not to be touched."""
    monkeypatch.setattr("tdc.manager.push.strangers.AGAIN", 0.0)
    await _fleet(api)
    old, now = await enrol(api, "mx1"), await enrol(api, "mx1")
    async with agent(api, *now):
        await until(api, "mx1", lambda each: each.state == "in sync")
        async with connected(api.ports, api.authority, *old) as machine:
            for _ in range(2):
                async with refused(STATUS.PERMISSION_DENIED, "was enrolled again"):
                    await machine.agents.Session().read()
        (warning,) = (await api.monitoring.GetStatus(operators_pb2.StatusRequest())).warnings
        assert "an earlier certificate of a name that another enrolment has now" in warning
        assert "c1/mx1 (from 127.0.0.1:" in warning
        assert (await row(api, "mx1")).state == "in sync"


async def test_what_a_machine_says_of_itself_is_shown(api: Api) -> None:
    await _fleet(api)
    async with agent(api, *await enrol(api, "mx1")) as machine:
        await until(api, "mx1", lambda each: each.state == "in sync")
        running = agents_pb2.Running(
            revision=3, hash=machine.offered[0].hash, store_id=machine.offered[0].store_id
        )
        status = agents_pb2.MachineStatus(
            running=running,
            last_attempt=agents_pb2.Outcome(
                revision=3, applied=True, time=Timestamp(seconds=1_800_000_000)
            ),
            copying=True,
            queued=7,
            spool_unhealthy="no space left",
            warnings=["TLS is pinned"],
            counters=agents_pb2.Counters(copies_taken=9),
            destinations=[agents_pb2.Destination(domain="the.tdc.queue", delivered=2)],
        )
        await machine.call.write(agents_pb2.AgentMessage(status=status))
        found = await until(api, "mx1", lambda each: each.queued == 7)
        assert found.copying
        assert list(found.warnings) == ["spool is not writable: no space left", "TLS is pinned"]
        delivery = await api.monitoring.GetDelivery(operators_pb2.DeliveryRequest(machine="mx1"))
        (line,) = delivery.rows
        assert (line.destination.domain, line.destination.delivered) == ("the.tdc.queue", 2)
        assert line.counters.copies_taken == 9
        explained = await api.settings.Explain(
            operators_pb2.ExplainRequest(machine="mx1", setting="enabled")
        )
        assert (explained.state, explained.running.revision) == ("in sync", 3)
        assert (explained.last_attempt.applied, explained.reason) == (True, "")
        assert explained.last_attempt.time.seconds == 1_800_000_000
        assert explained.HasField("since")


async def _read_to_end(agent: Agent) -> None:
    while isinstance(await agent.call.read(), agents_pb2.ManagerMessage):
        pass


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800])
async def test_a_time_that_is_none_ends_its_stream_and_spoils_no_listing(
    api: Api, seconds: int
) -> None:
    """One machine's nonsense must not keep an operator from seeing the fleet."""
    await _fleet(api)
    certificate, key = await enrol(api, "mx1")
    async with connected(api.ports, api.authority, certificate, key) as machine:
        odd = Agent(machine.agents.Session())
        await odd.hello()
        destination = agents_pb2.Destination(oldest_queued=Timestamp(seconds=seconds))
        status = agents_pb2.MachineStatus(destinations=[destination])
        await odd.call.write(agents_pb2.AgentMessage(status=status))
        with pytest.raises(grpc.aio.AioRpcError, match=f"invalid timestamp: {seconds} s"):
            await _read_to_end(odd)  # an answer could meet the end, and hide why it ended
    delivery = await api.monitoring.GetDelivery(operators_pb2.DeliveryRequest())
    assert not delivery.rows


async def test_two_machines_with_one_certificate_are_told_of(api: Api) -> None:
    """In sync is then said now of the one, now of the other: an operator must hear of it."""
    await _fleet(api)
    certificate, key = await enrol(api, "mx1")
    async with contextlib.AsyncExitStack() as stack:
        calls = []
        for streams in range(1, 5):
            machine = await stack.enter_async_context(
                connected(api.ports, api.authority, certificate, key)
            )
            calls.append(machine.agents.Session())
            await Agent(calls[-1]).hello()
            found = await row(api, "mx1")
            clones = [each.text for each in found.problems if each.kind == "cloned"]
            assert bool(clones) == (streams == 4), "one that starts again is no clone"
    (warning,) = clones
    assert warning in found.warnings
    assert "two machines seem to share this certificate" in warning
    assert warning.count(" 127.0.0.1:") == 2


async def test_enrolling_anew_ends_the_stream_of_the_old_certificate(api: Api) -> None:
    await _fleet(api)
    certificate, key = await enrol(api, "mx1")
    async with connected(api.ports, api.authority, certificate, key) as machine:
        old = Agent(machine.agents.Session())
        await old.hello()
        listening = asyncio.gather(old.listen(), return_exceptions=True)
        await until(api, "mx1", lambda each: each.state == "in sync")
        await enrol(api, "mx1")
        async with asyncio.timeout(5):
            await listening
        assert await old.call.code() is STATUS.PERMISSION_DENIED
        assert "enrolled again" in await old.call.details()


async def test_a_token_for_too_long_is_refused(api: Api) -> None:
    await _fleet(api)
    async with refused(STATUS.INVALID_ARGUMENT, "a join token lives 1s to 7d, not 8d"):
        await api.fleet.CreateJoinToken(
            operators_pb2.CreateJoinTokenRequest(machine="mx1", lifetime=8 * 86_400)
        )


async def test_a_commit_does_not_make_a_machine_look_newly_enrolled(api: Api) -> None:
    """One that never connected would never be critical, where somebody commits now and then."""
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    await enrol(api, "mx1")
    before = (await row(api, "mx1")).since
    await asyncio.sleep(0.05)
    await api.commit(put("machine", "mx1", retry__initial=7))
    assert (await row(api, "mx1")).since == before
