"""One stream of one agent: messages in, the pure half's decisions out.

In: two functions that read and write messages. Out: the `Ending`.
Promise: every wait is bounded; at most one Wanted is under way; the stream ends when either side
stops responding, when another stream of the machine opens, or when the machine loses its identity.
Shape: each event is one synchronous step of `manager_half`, so no lock is needed. The task that
calls `run` reads; the rest is `outbox`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Protocol

from tdc.manager.identity.rates import Rate, full, taken
from tdc.manager.push.orders import Orders
from tdc.manager.push.outbox import Duties, Outbox, Write
from tdc.manager.push.running import AskedSettings, KnownRunning
from tdc.manager.push.suspensions import SuspendedFleet, Suspensions
from tdc.manager.view.names import MachineKey
from tdc.manager.view.presence import Presence
from tdc.manager.view.wanted import WantedFleet
from tdc.shared.edge.clock import Clock
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync import manager_half
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.audit import AuditHead
from tdc.shared.sync.identity import MachinePeer, Trust
from tdc.shared.sync.values import Intervals, Removed, Running, Target
from tdc.shared.wire.addresses import addresses_to_wire
from tdc.shared.wire.audit import head_to_wire
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.printable import MOST_WORD, cut
from tdc.shared.wire.report import report_of
from tdc.shared.wire.stream import MAX_AGENT_MESSAGE, agent_event, check_size, known_to
from tdc.shared.wire.trust import trust_to_wire
from tdc.v1 import agents_pb2


class SessionFleet(WantedFleet, SuspendedFleet, Protocol):
    """The fleet, as one stream needs it."""

    @property
    def audit_head(self) -> AuditHead:
        """The audit log's newest entry."""


Read = Callable[[], Awaitable[agents_pb2.AgentMessage | None]]
"""Returns the next message; None at the end of the stream. Raises BadMessage."""

ChainAt = Callable[[str, Running], Awaitable[str]]
"""What a cluster's history has at what an agent runs; see `view.chains`."""


async def unknown_chain(cluster: str, running: Running) -> str:
    """Say that history is not known."""
    return ""


_KNOWN_HERE = sorted(KNOWN_HERE)


@dataclass(frozen=True, slots=True)
class Known:
    """What a manager knows beside the fleet: history, and where managers of its store are now.

    `running` has what agents run that was asked of them, `trust` which CAs machines are to trust.
    """

    chain_at: ChainAt = unknown_chain
    managers: Callable[[], tuple[str, ...]] = tuple
    running: KnownRunning = field(default_factory=KnownRunning)
    trust: Callable[[], Trust | None] = lambda: None


MESSAGES_AT_ONCE = 100.0
BYTES_AT_ONCE = 16.0 * MAX_AGENT_MESSAGE
"""What an agent may send at once on a stream; in the long run, what `stream_rates` says."""


@cache
def stream_rates(intervals: Intervals) -> tuple[Rate, Rate]:
    """PURE. How many messages and bytes an agent may send: several times what one needs."""
    statuses = 2 / intervals.status
    messages = 1 + statuses + 2 / intervals.ping
    sizes = 8_192 + MAX_AGENT_MESSAGE * statuses
    return Rate(MESSAGES_AT_ONCE, messages), Rate(BYTES_AT_ONCE, sizes)


class End(Enum):
    """Why a stream ended."""

    LEFT = "the agent disconnected"
    DEAD = "agent stopped responding"
    FAULT = "the agent broke the protocol"
    FLOOD = "the agent sends too much"
    REPLACED = "another stream of the same machine was opened"
    DENIED = "the machine's enrolment is no longer valid"
    RENAMED = "the machine has another name now"
    OTHER_STORE = "the store was replaced or restored; welcome again"
    STOPPING = "the manager is stopping"
    CUT_OFF = "the manager is cut off from the store, and another one is not"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended, and why, in words."""

    end: End
    reason: str
    removed: Removed | None = None
    """What the agent of a removed machine is told."""


LEFT = Ending(End.LEFT, End.LEFT.value)


class Session:
    """One stream; `run` it once. `set_target` and `end` may be called at any time."""

    def __init__(
        self,
        peer: MachinePeer,
        fleet: SessionFleet,
        presence: Presence,
        clock: Clock,
        intervals: Intervals,
        address: str,
        known: Known | None = None,
    ) -> None:
        """`address` is where the stream comes from, for people to read."""
        known = known or Known()
        self.key: MachineKey = (peer.cluster, peer.machine)
        self.address = address
        self.enrolment = peer.enrolment
        self._fleet = fleet
        self._chain_at = known.chain_at
        self._history = ""
        self._managers = known.managers
        self._told: tuple[str, ...] = ()
        self._trust = known.trust
        self._told_trusted: tuple[str, ...] = ()
        self._presence = presence
        self._clock = clock
        self._known = KNOWN_HERE
        self._half = manager_half.manager_opened(self._target(), intervals, clock())
        self._rates = stream_rates(intervals)
        self._buckets = [full(rate, clock()) for rate in self._rates]
        self._outbox = Outbox(Duties(self._wait, self._tick, self._late, intervals.deadline))
        self.orders = Orders(self._outbox.send)
        self.suspensions = Suspensions(self.key, fleet, self._outbox.send)
        self.running = AskedSettings(self._outbox.send, known.running)
        self._open: asyncio.Timeout | None = None
        self._ending: Ending | None = None

    def __repr__(self) -> str:
        return f"Session({self.key[1]}, {self._half.phase}, runs {self._half.running.revision})"

    @property
    def is_alive(self) -> bool:
        """Whether the agent was heard within about one ping interval."""
        return self._clock() - self._half.heard_at < 1.5 * self._half.intervals.ping

    async def run(self, read: Read, write: Write) -> Ending:
        """Serve the stream to its end; what `read` or `write` raise is raised from here."""
        ending = LEFT
        try:
            async with asyncio.TaskGroup() as group:
                if self._ending is None:
                    self._outbox.open(group, write)
                    await self._reading(read)
                ending = self._ending or ending
                self._end_questions(ending)
                await self._outbox.close()
        finally:
            self._end_questions(ending)
        return ending

    def _end_questions(self, ending: Ending) -> None:
        self.orders.end(ending.reason)
        self.running.end(ending.reason)

    def set_target(self) -> None:
        """Compare with what the view wants now, and offer it if it is due."""
        self._step(stream.TargetSet(self._target()))

    def rename(self, key: MachineKey) -> None:
        """Go by another name, and end the stream: the next Welcome tells the agent its name."""
        what = f"its cluster is called {key[0]} now"
        if key[1] != self.key[1]:
            what = f"the machine is called {key[1]} now"
        self.key = self.suspensions.key = key
        self.end(End.RENAMED, what)

    def end(self, end: End, reason: str = "", removed: Removed | None = None) -> None:
        """End the stream; the first reason counts."""
        if self._ending is None:
            self._ending = Ending(end, reason or end.value, removed)
            if self._open is not None:
                self._open.reschedule(0)

    async def _reading(self, read: Read) -> None:
        """Read until the stream ends, of itself or by `end`."""
        until = asyncio.timeout(None)
        try:
            async with until:
                self._open = until
                await self._read_on(read)
                self.end(End.LEFT)
        except TimeoutError:
            if not until.expired():
                raise
        finally:
            self._open = None

    async def _read_on(self, read: Read) -> None:
        while self._ending is None:
            try:
                message = await read()
                if message is None:
                    break
                if not self._takes(message.ByteSize()):
                    self.end(End.FLOOD)
                    return
                if message.HasField("queue_answer"):  # no part of the settings: see `orders`
                    check_size(message)
                    self.orders.answered(message.queue_answer)
                    continue
                if message.HasField("running_settings"):  # nor is this: see `running`
                    check_size(message)
                    self.running.answered(message.running_settings)
                    continue
                event = agent_event(message)
            except BadMessage as error:
                self.end(End.FAULT, str(error))
                return
            self._note_hello(message)
            if isinstance(event, stream.HelloSaid):
                self._history = await self._chain_at(self.key[0], event.running)
            if isinstance(event, stream.StatusSaid):
                # The view notifies of changed content. A newer revision of the same content,
                # which can cure a refusal, is looked for here; so is a missed notification.
                self.set_target()
            self._step(event)
            self._note(message)

    def _takes(self, size: int) -> bool:
        """Count a message of `size` bytes; False if the agent sends too much."""
        now = self._clock()
        for place, (rate, cost) in enumerate(zip(self._rates, (1.0, float(size)), strict=True)):
            left = taken(self._buckets[place], rate, now, cost)
            if left is None:
                return False
            self._buckets[place] = left
        return True

    def _wait(self) -> float:
        return manager_half.manager_wake_at(self._half) - self._clock()

    def _tick(self) -> None:
        self._step(stream.Tick())

    def _late(self) -> None:
        self.end(End.DEAD, "agent is not reading")

    def _note_hello(self, message: agents_pb2.AgentMessage) -> None:
        if message.HasField("hello") and self._half.phase is stream.Phase.NEW:
            self._known = known_to(message.hello.settings)
            version = cut(message.hello.agent_version, MOST_WORD)
            self._presence.connected(self.key, version, self._known)
            self.set_target()  # what was wanted before is now fitted to what the agent knows
            self.orders.greeted(message.hello)
            self.suspensions.greeted(message.hello)
            self.running.greeted(message.hello, self._known)

    def _note(self, message: agents_pb2.AgentMessage) -> None:
        half = self._half
        if half.phase in (stream.Phase.NEW, stream.Phase.CLOSED):
            return
        report = report_of(message.status) if message.HasField("status") else None
        self._presence.heard(self.key, half.running, half.last_attempt, report)
        if report is not None:
            self.suspensions.reported(message.status)
        if report is not None and report.refuses_manager:  # it may leave in a moment
            self.running.wish(half.running.hash)

    def _step(self, event: stream.Event) -> None:
        self._half, effects = manager_half.manager_step(self._half, event, self._clock())
        for effect in effects:
            self._perform(effect)
        self._outbox.go_on()

    def _perform(self, effect: stream.Effect) -> None:
        match effect:
            case stream.SayWelcome(intervals, wanted_hash):
                self._outbox.send(self._welcome(intervals, wanted_hash))
            case stream.Offer(target):
                self._offer(target)
            case stream.SayPing(number):
                ping = agents_pb2.Ping(number=number)
                if self._managers() not in ((), self._told):
                    ping.managers.CopyFrom(self._addresses())
                trust = self._trust()
                if trust is not None and trust.trusted != self._told_trusted:
                    ping.authorities.CopyFrom(self._trust_said(trust))
                self._outbox.send(agents_pb2.ManagerMessage(ping=ping))
            case stream.EndStream(reason, dead):
                self.end(End.DEAD if dead else End.FAULT, reason)

    def _welcome(self, intervals: Intervals, wanted_hash: str) -> agents_pb2.ManagerMessage:
        cluster, machine = self.key
        welcome = agents_pb2.Welcome(
            status_interval=intervals.status,
            ping_interval=intervals.ping,
            deadline=intervals.deadline,
            machine=machine,
            cluster=cluster,
            wanted_hash=wanted_hash,
            history=self._history,
            settings=_KNOWN_HERE,
            managers=self._addresses(),
        )
        if trust := self._trust():
            welcome.authorities.CopyFrom(self._trust_said(trust))
        return agents_pb2.ManagerMessage(welcome=welcome)

    def _addresses(self) -> agents_pb2.ManagerAddresses:
        """Where managers are, which the agent then knows."""
        self._told = self._managers()
        return addresses_to_wire(self._told)

    def _trust_said(self, trust: Trust) -> agents_pb2.TrustedAuthorities:
        """By which CAs managers are trusted, which the agent then knows."""
        self._told_trusted = trust.trusted
        return trust_to_wire(trust)

    def _offer(self, target: Target) -> None:
        wanted = self._fleet.wanted(*self.key, self._known)
        # Else the view has changed since the step began, and its listeners are about to be called.
        if wanted is not None and wanted.hash == target.hash:
            message = agents_pb2.ManagerMessage(wanted=wanted)  # a copy: `wanted` is shared
            if head := self._fleet.audit_head:
                message.wanted.audit.CopyFrom(head_to_wire(head))
            self._outbox.send(message)

    def _target(self) -> Target | None:
        wanted = self._fleet.wanted(*self.key, self._known)
        if wanted is None:
            return None
        return Target(wanted.revision, wanted.hash, wanted.store_id, wanted.history)
