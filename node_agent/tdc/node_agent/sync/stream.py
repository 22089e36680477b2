"""The settings stream, agent's side: connect over mTLS, drive the pure half, come back for ever.

In: manager addresses, this machine's identity, what is in force. Out: settings applied, status
told.
Promise: never gives up and never stops mail; both ends notice a dead stream by its deadline;
returns are spread by jitter, and by the manager's hint where it gave one.
Shape: reading, writing, keeping time and applying are tasks of one group; each event is one
synchronous step of `agent_half`. Every grpc error ends in this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import grpc.aio
import tenacity
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync.apply import InForce
from tdc.node_agent.sync.identity import Identity, IdentityUnusable, NotEnrolled
from tdc.node_agent.version import VERSION
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import Chance, Clock, chance, monotonic
from tdc.shared.sync import agent_half
from tdc.shared.sync import stream_state as stream
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.stream import PROTOCOL, attempt_to_wire, manager_event, running_to_wire
from tdc.v1 import agents_pb2, agents_pb2_grpc

RETRY_FIRST = 0.2
RETRY_DENIED = 15.0
"""Seconds, at most, between tries while the manager denies this machine."""

STEADY = 10.0
"""Seconds after which a stream counts as one that worked, so that backoff begins anew."""

_REPEAT_LOG = 600.0

_LATE_STATUS = (0.01, 0.04, 0.15)
"""Seconds to wait, in turn, for a manager's own status to replace that of a crossing write."""

Call = grpc.aio.StreamStreamCall[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
Status = Callable[[], agents_pb2.MachineStatus]


class StreamEnded(Exception):
    """A stream ended, or none came about.

    `served` says whether a Welcome came; `denied` that the manager does not accept this machine;
    `spread` are the seconds over which the manager wants returns to be spread, if it said so.
    """

    def __init__(self, reason: str, *, denied: bool = False, spread: float | None = None) -> None:
        super().__init__(reason)
        self.denied = denied
        self.spread = spread
        self.served = False


@dataclass(frozen=True, slots=True)
class Managers:
    """Where managers are (host:port) and the longest wait between two tries, seconds."""

    addresses: tuple[str, ...]
    retry_maximum: float = 3.0


class SettingsStream:
    """Keeps this machine connected to a manager; `run` once. `identity` is read at each try."""

    def __init__(
        self,
        managers: Managers,
        identity: Callable[[], Identity],
        in_force: InForce,
        status: Status,
        log: TdcLog,
        *,
        clock: Clock = monotonic,
        chance: Chance = chance,
    ) -> None:
        self._managers = managers
        self._identity = identity
        self._in_force = in_force
        self._status = status
        self._log = log
        self._clock = clock
        self._chance = chance
        self._next = int(chance() * len(managers.addresses))  # spread over managers, too
        self._session: _Session | None = None
        self._logged = ("", 0.0)

    @property
    def connected(self) -> bool:
        """True while a manager has welcomed this machine."""
        return self._session is not None and self._session.welcomed

    def status_due(self) -> None:
        """Tell the manager soon how the machine does; for changes that should not wait."""
        if self._session is not None:
            self._session.step(stream.StatusDue())

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            ended = await self._until_served()
            await asyncio.sleep(self._chance() * (ended.spread or RETRY_FIRST))

    async def _until_served(self) -> StreamEnded:
        """Try managers in turn until one has served a stream; return how that ended."""
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(StreamEnded), wait=self._wait
        ):
            with attempt:
                began = self._clock()
                try:
                    await self._once()
                except StreamEnded as ended:
                    self._say(str(ended))
                    # One that ends at once, again and again, is trouble too: two machines with
                    # one certificate end each other's streams.
                    if ended.served and self._clock() - began > STEADY:
                        return ended
                    raise
        raise AssertionError("unreachable: it is tried until a stream was served")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return a wait with jitter under a doubling bound."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, StreamEnded) and error.spread is not None:
            return self._chance() * error.spread
        denied = isinstance(error, StreamEnded) and error.denied
        most = RETRY_DENIED if denied else self._managers.retry_maximum
        bound = min(most, RETRY_FIRST * 2.0 ** min(state.attempt_number, 16))
        return float(bound * (0.25 + 0.75 * self._chance()))

    async def _once(self) -> None:
        addresses = self._managers.addresses
        address = addresses[self._next % len(addresses)]
        self._next += 1
        try:
            who = await asyncio.to_thread(self._identity)
        except (NotEnrolled, IdentityUnusable) as error:
            raise StreamEnded(str(error), denied=True) from None
        pem = (who.ca_pem, who.certificate_pem, who.key_pem)
        async with grpc_tls.client_channel(address, *pem) as channel:
            call = agents_pb2_grpc.AgentsStub(channel).Session()
            session = self._session = _Session(
                call, address, self._in_force, self._status, self._log, self._clock
            )
            try:
                await session.run()
            except StreamEnded as ended:
                ended.served = session.welcomed
                raise
            finally:
                self._session = None
                call.cancel()

    def _say(self, reason: str) -> None:
        """Log a reason once, and again only after a while: a manager may be away for days."""
        said, at = self._logged
        if reason != said or self._clock() - at > _REPEAT_LOG:
            self._logged = (reason, self._clock())
            self._log.warning(f"no settings stream: {reason}; mail goes on with what is in force")


class _Session:
    """One stream, from Hello to its end; `run` raises StreamEnded, whatever ends it."""

    def __init__(
        self,
        call: Call,
        address: str,
        in_force: InForce,
        status: Status,
        log: TdcLog,
        clock: Clock,
    ) -> None:
        self._call = call
        self._address = address
        self._in_force = in_force
        self._status = status
        self._log = log
        self._clock = clock
        self._half = agent_half.agent_opened(in_force.running, clock())
        self._outbox: asyncio.Queue[stream.Effect] = asyncio.Queue()
        self._work: asyncio.Queue[stream.Apply | stream.Refuse] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.welcomed = False
        self._ended: asyncio.Future[StreamEnded] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._reading(), name="stream: read"),
                group.create_task(self._writing(), name="stream: write"),
                group.create_task(self._applying(), name="stream: apply"),
                group.create_task(self._keeping_time(), name="stream: time"),
            ]
            self.step(stream.StreamOpened())
            ended = await self._ended
            for task in tasks:
                task.cancel()
        raise ended

    def step(self, event: stream.Event) -> None:
        """Let the pure half decide about an event, and pass its effects on."""
        self._half, effects = agent_half.agent_step(self._half, event, self._clock())
        for effect in effects:
            match effect:
                case stream.Apply() | stream.Refuse():
                    self._work.put_nowait(effect)
                case stream.EndStream(reason):
                    self._end(StreamEnded(f"{self._address}: {reason}"))
                case _:
                    self._outbox.put_nowait(effect)
        self._changed.set()

    async def _reading(self) -> None:
        try:
            while isinstance(message := await self._call.read(), agents_pb2.ManagerMessage):
                event = manager_event(message)
                self.step(event)
                if isinstance(event, stream.WelcomeSaid) and not self.welcomed:
                    self.welcomed = True
                    self._log.info(f"connected to manager {self._address}")
            self._end(StreamEnded(f"{self._address} ended the stream"))
        except BadMessage as error:
            self._end(StreamEnded(f"{self._address}: {error}"))
        except grpc.aio.AioRpcError:
            await self._broke()

    async def _writing(self) -> None:
        try:
            while True:
                message = self._message(await self._outbox.get())
                async with asyncio.timeout(self._half.intervals.deadline):
                    await self._call.write(message)
        except TimeoutError:
            self._end(StreamEnded(f"{self._address} takes no messages"))
        except grpc.aio.AioRpcError:
            await self._broke()
        except asyncio.InvalidStateError:
            pass  # the call is over; reading says why

    async def _applying(self) -> None:
        while True:
            match await self._work.get():
                case stream.Apply(wanted):
                    self.step(await self._in_force.apply(wanted))
                case stream.Refuse(wanted, reason):
                    self.step(await self._in_force.refuse(wanted, reason))

    async def _keeping_time(self) -> None:
        while True:
            wait = agent_half.agent_wake_at(self._half) - self._clock()
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                self.step(stream.Tick())
            self._changed.clear()

    def _message(self, effect: stream.Effect) -> agents_pb2.AgentMessage:
        """Return what an effect says; facts are read as late as possible, when it is sent."""
        match effect:
            case stream.SayHello():
                return agents_pb2.AgentMessage(hello=self._hello())
            case stream.SayOutcome(attempt):
                return agents_pb2.AgentMessage(outcome=attempt_to_wire(attempt))
            case stream.SayPong(number):
                return agents_pb2.AgentMessage(pong=agents_pb2.Pong(number=number))
            case stream.SayStatus():
                return agents_pb2.AgentMessage(status=self._status())
        raise AssertionError(f"{effect} is no message of an agent")

    def _hello(self) -> agents_pb2.Hello:
        hello = agents_pb2.Hello(
            agent_version=VERSION,
            protocol=PROTOCOL,
            running=running_to_wire(self._in_force.running),
        )
        if self._in_force.last_attempt is not None and not self._in_force.passing:
            hello.last_attempt.CopyFrom(attempt_to_wire(self._in_force.last_attempt))
        return hello

    async def _broke(self) -> None:
        """End with what the manager said, which a write that crossed it may hide for a moment.

        grpc.aio calls a write on a call that has just ended INTERNAL, for reader and writer; the
        manager's own status (denied, or when to come back) follows as soon as it is read.
        """
        for pause in _LATE_STATUS:
            if await self._call.code() is not grpc.StatusCode.INTERNAL:
                break
            await asyncio.sleep(pause)
        self._end(await _ended(self._address, self._call))

    def _end(self, ended: StreamEnded) -> None:
        if not self._ended.done():
            self._ended.set_result(ended)


async def _ended(address: str, call: Call) -> StreamEnded:
    """Return what the status of a call that is over means for the next try."""
    code = await call.code()
    denied = code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    spread = None
    for key, value in await call.trailing_metadata() or ():
        if key == grpc_tls.RETRY_AFTER:
            spread = _seconds(value)
    said = "the stream broke" if code is grpc.StatusCode.INTERNAL else await call.details()
    return StreamEnded(f"{address}: {said}", denied=denied, spread=spread)


def _seconds(text: str | bytes) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= 3_600 else None
