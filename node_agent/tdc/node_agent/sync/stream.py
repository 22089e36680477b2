"""The settings stream, agent's side: connect over mTLS, drive the pure half, reconnect for ever.

In: manager addresses, this machine's identity, settings in force. Out: settings applied, status
reported.
Promise: never gives up and never stops mail; both ends notice a dead stream by its deadline;
reconnects are spread by jitter, and by the manager's hint if there is one. Which manager is next:
`choice`.
Shape: reading, writing, keeping time and applying are tasks of one group; each event is one
synchronous step of `agent_half`. Every grpc error ends in this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.choice import Choice
from tdc.node_agent.sync.ended import (
    StreamEnded,
    at_enrolment_port,
    explained,
    seconds_to_next_try,
)
from tdc.node_agent.sync.identity import Identity, IdentityUnusable, NotEnrolled
from tdc.node_agent.sync.managers import Managers
from tdc.node_agent.sync.orders import Orders, Perform
from tdc.node_agent.sync.saying import Said, SayRunning, message_of
from tdc.node_agent.sync.suspending import Suspending
from tdc.node_agent.sync.suspension import KeptSuspension
from tdc.shared.edge import grpc_tls, grpc_words
from tdc.shared.edge.clock import Chance, Clock, chance, monotonic
from tdc.shared.sync import agent_half
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.acceptance import doubtful
from tdc.shared.sync.identity import Trust
from tdc.shared.sync.queue_work import QueueAnswer
from tdc.shared.sync.values import Removed
from tdc.shared.wire.addresses import addresses_in
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.removed import removed_from_metadata
from tdc.shared.wire.stream import manager_event
from tdc.shared.wire.trust import trust_in
from tdc.v1 import agents_pb2, agents_pb2_grpc

STEADY = 10.0
"""Seconds after which a stream counts as steady: the backoff starts over."""

_REPEAT_LOG = 600.0

_LONGEST_WAIT = 3_600.0

LEFT_WITHIN = 5.0
"""Seconds that a manager is given to end a stream that this machine leaves."""

_LATE_STATUS = (0.01, 0.04, 0.15)
"""Seconds to wait, in turn, for the manager's own status to replace that of a crossing write."""

Call = grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the stream asks of the rest of the agent.

    `called` hears what managers call it, `told` which CAs it is to trust.
    """

    status: Callable[[], agents_pb2.MachineStatus]
    perform: Perform
    suspension: KeptSuspension
    called: Callable[[str, str], object] = lambda cluster, machine: None
    told: Callable[[Trust], object] = lambda trust: None


class SettingsStream:
    """Keeps this machine connected to a manager; `run` once. `identity` is read at each try."""

    def __init__(
        self,
        managers: Managers,
        identity: Callable[[], Identity],
        in_force: InForce,
        machine: Machine,
        log: TdcLog,
        *,
        clock: Clock = monotonic,
        chance: Chance = chance,
    ) -> None:
        self._managers = managers
        self._identity = identity
        self._in_force = in_force
        self._machine = machine
        self._log = log
        self._clock = clock
        self._chance = chance
        # Spread over managers, too.
        self._choice = Choice(managers.addresses, int(chance() * len(managers.addresses)))
        self._session: _Session | None = None
        self._logged: dict[str, float] = {}

    @property
    def connected(self) -> bool:
        """True while a manager has welcomed this machine."""
        return self._session is not None and self._session.welcomed

    def status_due(self) -> None:
        """Report the machine's status soon; for changes that should not wait."""
        if self._session is not None:
            self._session.step(stream.StatusDue())

    def warnings(self) -> tuple[str, ...]:
        """Managers that were refused lately, but for the present one, which learns it by itself."""
        here = self._session.address if self._session is not None else ""
        refused = self._choice.refused_lately(self._clock())
        return tuple(f"manager {each} was refused: {why}" for each, why in refused if each != here)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        while True:
            began = self._clock()
            self._choice = self._choice.among(self._managers.addresses)
            address, self._choice = self._choice.next(began)
            try:
                await self._once(address)
            except StreamEnded as ended:
                if ended.left:
                    self._log.info(f"left manager {address} to try the others")
                elif ended.removed is not None:
                    await self._removed(ended, ended.removed)
                else:
                    self._log_reason(str(ended))
                self._note(address, ended)
                # A stream that ends at once, again and again, is a failure too: two machines with
                # one certificate end each other's streams.
                steady = ended.served and self._clock() - began > STEADY
                failures = 0 if steady and not ended.left else failures + (not ended.left)
                longest = self._managers.retry_maximum
                await asyncio.sleep(seconds_to_next_try(ended, failures, longest, self._chance()))

    async def _removed(self, ended: StreamEnded, told: Removed) -> None:
        """Take a removal for what it is, unless it can't be of the history that runs here."""
        doubt = doubtful(told, self._in_force.running)
        if doubt:
            ended.removed = None
            self._log_reason(f"{ended}: {doubt}")
            return
        await self._in_force.removed(told, str(ended))
        await self._machine.suspension.end("this machine was removed")

    def _note(self, address: str, ended: StreamEnded) -> None:
        """Note how a try ended, for the choice of the next."""
        now = self._clock()
        if ended.refused:
            self._choice = self._choice.refused(
                address, ended.refused, now, self._chance(), left=ended.left
            )
        elif ended.served:
            self._choice = self._choice.served(address)
        else:
            self._choice = self._choice.failed(address)

    async def _once(self, address: str) -> None:
        try:
            who = await asyncio.to_thread(self._identity)
        except (NotEnrolled, IdentityUnusable) as error:
            raise StreamEnded(str(error), denied=True) from None
        self._in_force.enrolment = who.enrolment
        pem = (who.ca_pem, who.certificate_pem, who.key_pem)
        async with grpc_tls.client_channel(address, *pem) as channel:
            call = agents_pb2_grpc.AgentsStub(channel).Session()
            leave_at = self._choice.leave_at(address, self._clock())
            session = self._session = _Session(
                call, address, self._in_force, self._machine, self._log, self._clock, leave_at
            )
            session.learn = self._managers.learn
            try:
                await session.run()
            except StreamEnded as ended:
                ended.served, ended.refused = session.welcomed, session.refused
                ended.left = session.leaves
                raise
            finally:
                self._session = None
                call.cancel()

    def _log_reason(self, reason: str) -> None:
        """Log a reason once, and again only after a while: a manager may be away for days."""
        now = self._clock()
        self._logged = {each: at for each, at in self._logged.items() if now - at <= _REPEAT_LOG}
        if reason not in self._logged:
            self._logged[reason] = now
            meanwhile = "mail flow continues with current settings"
            if self._in_force.removal.stop_copying:
                meanwhile = "originals pass, and nothing is copied, for this machine was removed"
            elif not self._in_force.running.revision:
                meanwhile = "originals pass, and nothing is copied until a manager sends settings"
            self._log.warning(f"Not connected to a manager: {reason}; {meanwhile}")


class _Session:
    """One stream, from Hello to its end; `run` always ends by raising StreamEnded."""

    def __init__(
        self,
        call: Call,
        address: str,
        in_force: InForce,
        machine: Machine,
        log: TdcLog,
        clock: Clock,
        leave_at: float,
    ) -> None:
        self._call = call
        self.address = address
        self._in_force = in_force
        self._machine = machine
        self.learn: Callable[[Sequence[str]], Awaitable[None]] | None = None
        self._log = log
        self._clock = clock
        self._half = agent_half.agent_opened(in_force.running, clock(), leave_at)
        self._outbox: asyncio.Queue[Said] = asyncio.Queue()
        self._orders = Orders(machine.perform, self._answered, log)
        self._suspending = Suspending(
            machine.suspension, in_force, lambda: self.step(stream.StatusDue())
        )
        self._work: asyncio.Queue[stream.Apply | stream.Refuse] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.welcomed = False
        self.refused = ""
        self.leaves = False
        self._ended: asyncio.Future[StreamEnded] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._reading(), name="stream: read"),
                group.create_task(self._writing(), name="stream: write"),
                group.create_task(self._applying(), name="stream: apply"),
                group.create_task(self._keeping_time(), name="stream: time"),
                group.create_task(self._orders.run(), name="stream: orders"),
                group.create_task(self._suspending.run(), name="stream: suspensions"),
            ]
            self.step(stream.StreamOpened())
            ended = await self._ended
            for task in tasks:
                task.cancel()
        raise ended

    def step(self, event: stream.Event) -> None:
        """Let the pure half decide about an event, and pass on its effects."""
        self._half, effects = agent_half.agent_step(self._half, event, self._clock())
        for effect in effects:
            match effect:
                case stream.Apply() | stream.Refuse():
                    self._work.put_nowait(effect)
                case stream.NoteManager(refused):
                    self._note_manager(refused)
                case stream.EndStream(reason):
                    self._end(StreamEnded(f"{self.address}: {reason}"))
                case _:
                    self._outbox.put_nowait(effect)
        self._changed.set()

    def _note_manager(self, refused: str) -> None:
        self.refused = self._in_force.refuses_manager = refused
        if refused:
            self._log.error(f"manager {self.address} is refused: {refused}")

    async def _reading(self) -> None:
        try:
            while isinstance(message := await self._call.read(), agents_pb2.ManagerMessage):
                if message.HasField("queue_order"):  # no part of the settings: see `orders`
                    self._orders.take(message.queue_order)
                    continue
                if message.HasField("suspension"):  # nor is this: see `suspending`
                    self._suspending.take(message.suspension)
                    continue
                if message.HasField("ask_settings"):  # a look at what runs changes nothing
                    asked = SayRunning(message.ask_settings.id, self._half.known)
                    self._outbox.put_nowait(asked)
                    continue
                event = manager_event(message)
                self.step(event)
                if isinstance(event, stream.WelcomeSaid) and not self.welcomed:
                    self.welcomed = True
                    await self._in_force.welcome()
                    await self._suspending.welcome()
                    self._machine.called(message.welcome.cluster, message.welcome.machine)
                    self._log.info(f"connected to manager {self.address}")
                if trust := trust_in(message):
                    self._machine.told(trust)
                if self.learn is not None:
                    await self.learn(addresses_in(message))
            self._end(StreamEnded(f"{self.address} ended the stream"))
        except BadMessage as error:
            self._end(StreamEnded(f"{self.address}: {error}"))
        except grpc.aio.AioRpcError:
            await self._broke()

    def _answered(self, answer: QueueAnswer) -> None:
        self._outbox.put_nowait(answer)
        self.step(stream.StatusDue())  # what waits may have changed

    async def _writing(self) -> None:
        try:
            while True:
                effect = await self._outbox.get()
                if isinstance(effect, stream.Leave):
                    await self._leave()
                    return
                message = message_of(effect, self._in_force, self._machine.status)
                async with asyncio.timeout(self._half.intervals.deadline):
                    await self._call.write(message)
        except TimeoutError:
            self._end(StreamEnded(f"{self.address} is not reading"))
        except grpc.aio.AioRpcError:
            await self._broke()
        except asyncio.InvalidStateError:
            pass  # the call is over; reading finds out why

    async def _leave(self) -> None:
        """Let the manager read all that was written, and end the stream."""
        self.leaves = True
        await self._call.done_writing()
        await asyncio.sleep(LEFT_WITHIN)
        self._end(StreamEnded(f"left {self.address}"))

    async def _applying(self) -> None:
        while True:
            match await self._work.get():
                case stream.Apply(wanted):
                    self.step(await self._in_force.apply(wanted))
                case stream.Refuse(wanted, reason, of_manager):
                    self.step(await self._in_force.refuse(wanted, reason, passing=of_manager))

    async def _keeping_time(self) -> None:
        while True:
            wait = min(agent_half.agent_wake_at(self._half) - self._clock(), _LONGEST_WAIT)
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                self.step(stream.Tick())
            self._changed.clear()

    async def _broke(self) -> None:
        """End with the manager's status, which a write that crossed it may hide for a moment.

        If a write meets a call that has just ended, grpc.aio reports INTERNAL to reader and
        writer; the manager's own status (denied, or when to reconnect) follows once it is read.
        """
        for pause in _LATE_STATUS:
            if await self._call.code() is not grpc.StatusCode.INTERNAL:
                break
            await asyncio.sleep(pause)
        self._end(await _ended(self.address, self._call))

    def _end(self, ended: StreamEnded) -> None:
        if not self._ended.done():
            self._ended.set_result(ended)


async def _ended(address: str, call: Call) -> StreamEnded:
    """What the status of a call that is over means for the next try."""
    code = await call.code()
    denied = code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return StreamEnded(at_enrolment_port(address), denied=True)
    spread, metadata = None, tuple(await call.trailing_metadata() or ())
    for key, value in metadata:
        if key == grpc_tls.RETRY_AFTER:
            spread = _seconds(value)
    removed = removed_from_metadata(metadata) if denied else None
    why = "the stream broke" if code is grpc.StatusCode.INTERNAL else await call.details()
    reason = explained(f"{address}: {grpc_words.reason(why or '')}")
    return StreamEnded(reason, denied=denied, spread=spread, removed=removed)


def _seconds(text: str | bytes) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= 3_600 else None
