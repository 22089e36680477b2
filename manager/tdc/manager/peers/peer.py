"""One other manager: a channel to it, what it last said, and since when it does not answer.

Every grpc error of a question to a manager ends in this file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import grpc
import grpc.aio
from tdc.manager.peers.wire import (
    Rotating,
    announced_to_wire,
    link_of,
    rotating_of,
    seen_of,
)
from tdc.manager.store.announced import Announced
from tdc.manager.view.elsewhere import SaidListener
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.managers import PeerFacts
from tdc.manager.view.names import MachineKey
from tdc.manager.view.seen import Moment, Seen
from tdc.shared.edge.grpc_words import NO_ANSWER, reason
from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder, Unanswered
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import unix_seconds
from tdc.shared.wire.queue_work import answer_of, order_to_wire
from tdc.shared.wire.running_settings import RunsThere, runs_of
from tdc.shared.wire.stream import known_to
from tdc.v1 import managers_pb2, managers_pb2_grpc

DEADLINE = 3.0
"""Seconds that a manager has to answer another."""

_ON_THE_WAY = 2.0
"""Seconds more than a machine has, for an answer that comes by another manager."""


_LONGEST = 60.0
"""Seconds that what is under way gets on a channel that was replaced."""


_LET_GO = "it has stopped, or is at another address now"


class _Unanswered(Exception):
    """The manager did not answer; the text says why."""


@dataclass(slots=True)
class _Said:
    """What it said so far: its run and number, and machines."""

    instance: str = ""
    number: int = 0
    seen: dict[MachineKey, Seen] = field(default_factory=dict)


class Peer:
    """One other manager. `silent` is why it does not answer, empty while it does.

    `failed`: it did not answer when it was asked last.
    """

    def __init__(
        self, announced: Announced, channel: grpc.aio.Channel, now: Callable[[], Moment]
    ) -> None:
        self.announced = announced
        self.silent = "it has not answered yet"
        self.failed = False
        self.since = now()
        self.asked_at: float | None = None
        self.task: asyncio.Task[None] | None = None
        self._channel = channel
        self._closed = False
        self._stub: managers_pb2_grpc.PeersAsyncStub = managers_pb2_grpc.PeersStub(channel)
        self._now = now
        self._said = _Said()
        self.link = EtcdLink(now())
        """Its link to etcd, as it said last."""
        self.clock_ahead = 0.0
        """Seconds by which its clock was ahead of this one's, less the way of its answer."""

    @property
    def seen(self) -> dict[MachineKey, Seen]:
        """What its streams said of machines, as it last answered."""
        return self._said.seen

    def words(self) -> str:
        """Who it is, for a sentence."""
        return f"manager {self.announced.name} ({self.announced.address})"

    async def close(self) -> None:
        """Close the channel; a question under way, or asked after that, gets no answer."""
        self._closed = True
        await self._channel.close()

    async def redial(self, channel: grpc.aio.Channel) -> None:
        """Go on by another channel; what is under way gets its answer by the one of before."""
        before, self._channel = self._channel, channel
        self._stub = managers_pb2_grpc.PeersStub(channel)
        await before.close(_LONGEST)

    async def pull(self, said: SaidListener) -> None:
        """Ask it what changed at its streams since it was asked last; never raises.

        `said` hears of which machines it spoke.
        """
        began = self._now().at
        self.asked_at = began
        try:
            changed = await self._pull()
        except _Unanswered as error:
            self._note(str(error))
        else:
            self._note("")
            said(changed)

    async def facts(
        self, wall: Callable[[], float], asking: Announced | None = None
    ) -> PeerFacts | str:
        """Ask it how it does; a sentence if it does not answer. `wall` is Unix time.

        `asking` is this manager, where it must say so itself that it is there.
        """
        request = managers_pb2.PeerRequest()
        if asking is not None:
            request.asking.CopyFrom(announced_to_wire(asking))
        sent = wall()
        began = self._now().at
        try:
            with self._let_go():
                answer = await self._stub.GetPeer(request, timeout=DEADLINE)
            took = self._now().at - began
            self._check(answer.id)
            ahead = unix_seconds(answer.time) - (sent + took / 2)
            self.link = link_of(answer, self._now())
        except grpc.aio.AioRpcError as error:
            return _why(error)
        except (_Unanswered, BadMessage) as error:
            return str(error)
        return PeerFacts(answer.machines, ahead, self.link.words(self._now().at))

    async def rotating(self) -> Rotating | str:
        """Have it look in etcd how far the rotation of the CA is; a sentence if it can't answer."""
        request = managers_pb2.PeerRequest(look_at_authority=True)
        try:
            with self._let_go():
                answer = await self._stub.GetPeer(request, timeout=DEADLINE)
            self._check(answer.id)
            return rotating_of(answer, self.announced)
        except grpc.aio.AioRpcError as error:
            return _why(error)
        except (_Unanswered, BadMessage) as error:
            return str(error)

    async def order(
        self, key: MachineKey, order: QueueOrder, timeout: float
    ) -> QueueAnswer | Unanswered:
        """Have an order sent to a machine there, once, and wait for its answer."""
        request = managers_pb2.ForwardedOrder(
            cluster=key[0], machine=key[1], order=order_to_wire(order), timeout=timeout
        )
        try:
            with self._let_go():
                answer = await self._stub.ForwardOrder(request, timeout=timeout + _ON_THE_WAY)
            if answer.HasField("answer"):
                return answer_of(answer.answer)
            return Unanswered(answer.unanswered, sent=answer.sent)
        except grpc.aio.AioRpcError as error:
            unsent = error.code() is grpc.StatusCode.PERMISSION_DENIED
            perhaps = "" if unsent else ". It may do it all the same"
            words = f"{self.words()}, which has its stream, does not answer: {_why(error)}{perhaps}"
            return Unanswered(words, sent=not unsent)
        except _Unanswered as error:
            words = f"{self.words()}, which had its stream, does not answer: {error}"
            return Unanswered(f"{words}. It may do it all the same", sent=True)
        except BadMessage as error:
            return Unanswered(f"its answer by {self.words()} is not valid: {error}", sent=True)

    async def ask_settings(
        self, key: MachineKey, known: frozenset[str], timeout: float
    ) -> RunsThere | Unanswered:
        """Ask it what a machine runs whose agent knows these settings of ours."""
        request = managers_pb2.ForwardedQuestion(cluster=key[0], machine=key[1], timeout=timeout)
        try:
            with self._let_go():
                answer = await self._stub.ForwardQuestion(request, timeout=timeout + _ON_THE_WAY)
            if answer.HasField("running"):
                return runs_of(answer.running, known)
            return Unanswered(answer.unanswered)
        except grpc.aio.AioRpcError as error:
            return Unanswered(f"{self.words()}, which saw it, does not answer: {_why(error)}")
        except (_Unanswered, BadMessage) as error:
            return Unanswered(f"{self.words()}, which saw it, does not answer: {error}")

    async def _pull(self) -> Collection[MachineKey]:
        """The machines of which it has said something new; raises _Unanswered."""
        said, number, changed = self._said, 0, dict[MachineKey, None]()
        request = managers_pb2.PresenceRequest(instance=said.instance, number=said.number)
        try:
            with self._let_go():
                async with asyncio.timeout(DEADLINE):
                    async for answer in self._stub.GetPresence(request):
                        if answer.instance != said.instance:
                            said = _Said(answer.instance)
                        now, settings = self._now(), known_to(answer.settings)
                        for each in answer.machines:
                            key, seen = seen_of(each, now, self.announced.name, settings)
                            said.seen[key] = seen
                            changed[key] = None
                        number = answer.number
                        self.link = link_of(answer, now)
                        if answer.HasField("time"):
                            self.clock_ahead = unix_seconds(answer.time) - now.wall
        except TimeoutError:
            raise _Unanswered(f"no answer within {DEADLINE:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise _Unanswered(_why(error)) from None
        except BadMessage as error:
            raise _Unanswered(f"its answer is not valid: {error}") from None
        said.number = number
        self._said = said
        return changed

    @contextlib.contextmanager
    def _let_go(self) -> Iterator[None]:
        """Raise _Unanswered where gRPC cancels or refuses a call because of the closed channel."""
        try:
            yield
        except grpc.aio.UsageError:
            raise _Unanswered(_LET_GO) from None
        except asyncio.CancelledError:
            asked = asyncio.current_task()
            if not self._closed or (asked is not None and asked.cancelling()):
                raise
            raise _Unanswered(_LET_GO) from None

    def _check(self, manager: str) -> None:
        if manager != self.announced.id:
            raise _Unanswered("another manager answers at its address")

    def _note(self, silent: str) -> None:
        if bool(silent) != bool(self.silent):
            self.since = self._now()
        self.silent, self.failed = silent, bool(silent)


def _why(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "it is older, and can't be asked"
    words = reason(error.details() or error.code().name)
    return f"no answer within {DEADLINE:g} s" if words == NO_ANSWER else words
