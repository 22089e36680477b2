"""A manager's agent side and an agent's sync room, real but for the store: gRPC over mTLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import grpc.aio
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.join import NewToken, new_token
from tdc.manager.levels.fleet import RemovedMachine
from tdc.manager.push.agents import AgentSessions
from tdc.manager.rpc.agents import AgentsService
from tdc.manager.rpc.callers import RPCS
from tdc.manager.rpc.enrolment import EnrolmentService
from tdc.manager.rpc.guard import Guard
from tdc.manager.store.errors import TokenExpired, TokenUnknown, TokenUsed
from tdc.manager.store.joins import JoinToken, Withdrawal
from tdc.manager.view.presence import Presence
from tdc.node_agent.counters import Counters
from tdc.node_agent.facts import gather
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.values import IntakeBacklog, SpoolFacts
from tdc.node_agent.status import status_to_wire
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.enrol import enrol
from tdc.node_agent.sync.managers import Managers
from tdc.node_agent.sync.orders import Perform
from tdc.node_agent.sync.stream import Machine, SettingsStream
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import Chance, chance, monotonic, wall
from tdc.shared.edge.tasks import running
from tdc.shared.settings.check import checked
from tdc.shared.settings.known import KNOWN_HERE, fitted, hash_of, lacking
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Value
from tdc.shared.sync.audit import NO_ENTRY, AuditHead
from tdc.shared.sync.identity import MachinePeer
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspension
from tdc.shared.sync.values import Intervals
from tdc.shared.wire.settings import settings_from_wire, settings_to_wire
from tdc.v1 import agents_pb2, agents_pb2_grpc

QUICK = Intervals(status=0.2, ping=0.15, deadline=0.6)
SPOOL = SpoolFacts(queued=7, held=0, dead=0, bytes=0, oldest=None, newest=None, unhealthy=None)
MX1 = ("c1", "mx1")


def whole(**changed: Value) -> dict[str, Value | None]:
    """Effective values: the defaults, with these changed (``_`` for ``.``)."""
    return {**default_values(), **{name.replace("__", "."): it for name, it in changed.items()}}


def wanted(
    values: dict[str, Value | None], revision: int, known: frozenset[str] = KNOWN_HERE
) -> agents_pb2.Wanted:
    present = {name: value for name, value in values.items() if value is not None}
    return agents_pb2.Wanted(
        revision=revision,
        hash=hash_of(checked(present), known),
        settings=settings_to_wire(values),
        store_id="store-1",
    )


@dataclass
class FakeView:
    """What the view tells push, set by the test."""

    machines: dict[tuple[str, str], agents_pb2.Wanted] = field(default_factory=dict)
    enrolments: dict[tuple[str, str], str] = field(default_factory=dict)
    gone: dict[tuple[str, str], RemovedMachine] = field(default_factory=dict)
    suspensions: dict[tuple[str, str], Suspension] = field(default_factory=dict)
    listeners: list[Callable[[frozenset[tuple[str, str]]], None]] = field(default_factory=list)
    store_id: str = "store-1"

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        found = self.wanted(cluster, machine, known)
        return found.hash if found else None

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        found = self.machines.get((cluster, machine))
        if known is KNOWN_HERE or found is None:
            return found
        if self.lacking(cluster, machine, known):
            return None
        values = fitted(default_values() | dict(settings_from_wire(found.settings)), known)
        return wanted(values, found.revision, known)

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        found = self.machines.get((cluster, machine))
        if known is KNOWN_HERE or found is None:
            return ()
        return lacking(settings_from_wire(found.settings), known)

    def enrolment(self, cluster: str, machine: str) -> str | None:
        return self.enrolments.get((cluster, machine))

    def withdrawn(self, cluster: str, machine: str) -> Withdrawal | None:
        return None

    def removed(self, peer: MachinePeer) -> RemovedMachine | None:
        return self.gone.get((peer.cluster, peer.machine))

    @property
    def audit_head(self) -> AuditHead:
        return NO_ENTRY

    def suspension(self, cluster: str, machine: str) -> Suspension:
        return self.suspensions.get((cluster, machine), NOT_SUSPENDED)

    def suspend(self, wanted: Suspension, key: tuple[str, str] = MX1) -> None:
        self.suspensions[key] = wanted
        self.tell(key)

    def recognised(self, peer: MachinePeer) -> MachinePeer:
        return peer

    def present(self, place: str, slot: str, born: int) -> tuple[str, str] | None:
        return place, slot

    def on_renamed(self, listener: object) -> None:
        """No machine is renamed here."""

    def on_change(self, listener: Callable[[frozenset[tuple[str, str]]], None]) -> None:
        self.listeners.append(listener)

    def commit(self, revision: int, key: tuple[str, str] = MX1, **changed: Value) -> None:
        self.put(wanted(whole(**changed), revision), key)

    def put(self, message: agents_pb2.Wanted, key: tuple[str, str] = MX1) -> None:
        before = self.machines.get(key)
        self.machines[key] = message
        if before is None or before.hash != message.hash:
            self.tell(key)

    def tell(self, key: tuple[str, str]) -> None:
        for listener in self.listeners:
            listener(frozenset([key]))

    def remove(self, key: tuple[str, str]) -> None:
        del self.machines[key]
        self.enrolments.pop(key, None)
        self.tell(key)


@dataclass
class FakeJoins:
    """Join tokens in memory, with the store's own promises."""

    view: FakeView
    tokens: dict[str, JoinToken] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)

    def make(self, authority: Authority, machine: str = "mx1", lifetime: float = 60) -> NewToken:
        token = new_token(authority.fingerprint)
        self.tokens[token.hash] = JoinToken("c1", "Main_Group", machine, wall() + lifetime)
        return token

    async def redeem(
        self, token_hash: str, now: float, enrolment_id: str, origin: str
    ) -> JoinToken:
        await asyncio.sleep(0)
        token = self.tokens.get(token_hash)
        if token is None:
            raise TokenUnknown("the join token is not known")
        if token_hash in self.used:
            raise TokenUsed("the join token has been used already")
        if now >= token.expires:
            raise TokenExpired("the join token has expired")
        self.used[token_hash] = enrolment_id
        self.view.enrolments[token.cluster, token.machine] = enrolment_id
        self.view.tell((token.cluster, token.machine))
        return token


@dataclass
class ManagerSide:
    """A manager as agents see it; `restart` keeps its port."""

    authority: Authority
    view: FakeView
    joins: FakeJoins
    intervals: Intervals = QUICK
    lifetime: float = 3_600.0
    port: int = 0
    enrol_port: int = 0
    sent: list[agents_pb2.Wanted] = field(default_factory=list)

    async def start(self) -> None:
        self.presence = Presence(self.view)
        self.sessions = AgentSessions(self.view, self.presence, intervals=self.intervals)
        rows = {
            name: row
            for name, row in RPCS.items()
            if name.startswith(("tdc.v1.Agents.", "tdc.v1.Enrolment."))
        }
        guard = Guard(self.sessions.admit, rows)
        agents = AgentsService(self.sessions, self.authority, self.lifetime)
        enrolment = EnrolmentService(self.joins, self.authority, self.view, lifetime=self.lifetime)
        self._server = grpc.aio.server(options=list(grpc_tls.server_options()))
        self._enrol = grpc.aio.server(options=list(grpc_tls.server_options()))
        agents_pb2_grpc.add_AgentsServicer_to_server(agents, guard.on(self._server))
        agents_pb2_grpc.add_EnrolmentServicer_to_server(enrolment, guard.on(self._enrol))
        guard.check()
        mine = self.authority.issue_server()
        pem = (mine.certificate_pem, mine.key_pem)
        mutual = grpc_tls.ServerMaterial(*pem, self.authority.ca_pem)
        one_way = grpc_tls.ServerMaterial(*pem)
        self.port = self._server.add_secure_port(
            f"127.0.0.1:{self.port}", grpc_tls.server_credentials(lambda: mutual)
        )
        self.enrol_port = self._enrol.add_secure_port(
            f"127.0.0.1:{self.enrol_port}", grpc_tls.server_credentials(lambda: one_way)
        )
        await self._server.start()
        await self._enrol.start()

    async def stop(self) -> None:
        self.sessions.stop()
        await asyncio.gather(self._server.stop(0.5), self._enrol.stop(0.5))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def enrol_address(self) -> str:
        return f"127.0.0.1:{self.enrol_port}"

    def enrolled(self, folder: Path, machine: str = "mx1", enrolment: str = "e1") -> Path:
        """Put a valid identity in `folder`, as enrolment would."""
        self.view.enrolments["c1", machine] = enrolment
        key = identities.new_key()
        certificate = self.authority.issue_machine(
            identities.request_for(key), "c1", machine, enrolment, lifetime=self.lifetime
        )
        identities.save(folder, identities.make_identity(key, certificate, self.authority.ca_pem))
        return folder

    def state(self, machine: str = "mx1") -> str:
        return str(self.presence.facts("c1", machine).state)


@dataclass
class AgentSide:
    """The sync room of one machine; no mail."""

    folder: Path
    in_force: InForce
    stream: SettingsStream
    suspension: KeptSuspension
    statuses: int = 0


class _Fixed(Managers):
    """The managers of an agent of before, which learned of no others."""

    async def learn(self, named: Sequence[str]) -> None:
        """Leave it."""


async def no_copies(order: QueueOrder) -> QueueAnswer:
    """The answer of a machine whose spool is empty."""
    return QueueAnswer(order.id)


@contextlib.asynccontextmanager
async def agent(
    folder: Path,
    *addresses: str,
    retry_maximum: float = 0.3,
    perform: Perform = no_copies,
    backlogs: Mapping[str, IntakeBacklog] = MappingProxyType({}),
    chance: Chance = chance,
    learns: bool = True,
) -> AsyncIterator[AgentSide]:
    """`learns`: it remembers the managers that a manager names."""
    log = TdcLog()
    in_force = await InForce.open(folder, log)

    def status() -> agents_pb2.MachineStatus:
        side.statuses += 1
        facts = gather(
            in_force, SPOOL, (), Counters(), (), backlogs, suspension=suspension.current()
        )
        return status_to_wire(facts)

    suspension = await KeptSuspension.open(folder, log, monotonic)
    fixed = _Fixed(addresses, retry_maximum)
    stream = SettingsStream(
        Managers(addresses, retry_maximum, folder=folder, log=log) if learns else fixed,
        lambda: identities.load(folder / "identity"),
        in_force,
        Machine(status, perform, suspension),
        log,
        chance=chance,
    )
    side = AgentSide(folder, in_force, stream, suspension)
    try:
        async with running(stream.run(), name="stream"), running(suspension.run(), name="time"):
            yield side
    finally:
        in_force.close()


async def join(manager: ManagerSide, token: str, folder: Path) -> identities.Identity:
    return await enrol(manager.enrol_address, token, folder / "identity", folder)


async def until(holds: Callable[[], bool], *, timeout: float = 5) -> None:
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.01)


class Proxy:
    """A TCP link that can fall silent without closing, and counts what passes to the agent.

    While it is `cut`, connections are made, and nothing passes.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._silent: set[asyncio.StreamWriter] = set()
        self._cut = False
        self.bytes_down = 0
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    def silence(self) -> None:
        """Let nothing pass any more on the connections there are; new ones work."""
        self._silent.update(self._writers)

    def cut(self) -> None:
        """Let nothing pass any more, also on new connections."""
        self._cut = True
        self.silence()

    def join(self) -> None:
        """Let all pass again, on new connections: what was sent meanwhile is lost."""
        self._cut = False
        for writer in self._silent:
            writer.transport.abort()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, up_writer]
        if self._cut:
            self._silent |= {writer, up_writer}
        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, up_writer, down=False))
                group.create_task(self._pass(up_reader, writer, down=True))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if writer in self._silent:
                    continue
                if down:
                    self.bytes_down += len(data)
                writer.write(data)
                await writer.drain()
        if writer not in self._silent:
            writer.close()
