"""tdc.v1.Peers: what another manager of the same store asks this one.

Only this manager's own streams are spoken of: a manager that passed on what others told it would
make answers that nobody can date.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from tdc.manager.peers.wire import seen_to_wire
from tdc.manager.push.agents import AgentSessions
from tdc.manager.rpc.entry import Context, caller
from tdc.manager.view.presence import Presence
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.sync.identity import ManagerPeer
from tdc.shared.sync.queue_work import QueueAnswer
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.queue_work import answer_to_wire, order_of
from tdc.shared.wire.running_settings import RunsThere, runs_there_to_wire
from tdc.v1 import managers_pb2, managers_pb2_grpc

PART = 500
"""Machines in one message of presence: a manager answers nobody else while it makes one."""

_KNOWN_HERE = sorted(KNOWN_HERE)

LONGEST_WAIT = 30.0
"""Seconds that another manager may have a machine waited for."""


class Rotation(Protocol):
    """The part of what follows the rotation of the CA that others ask about."""

    @property
    def step(self) -> int:
        """The number of the last step that was followed."""

    async def unsure(self) -> str:
        """Look in etcd; why it can't be said that no later step was made, empty if it can."""


@dataclass(frozen=True, slots=True)
class Here:
    """This manager: its id and run, its link to etcd, the CA's rotation as it follows that.

    `introduced` hears of who asks. `others` are the managers that this one knows.
    """

    manager: str
    instance: str
    link: Callable[[], managers_pb2.EtcdLink]
    introduced: Callable[[str, managers_pb2.PeerAnnouncement], None]
    rotation: Rotation
    others: Callable[[], Iterable[managers_pb2.KnownPeer]]


class PeersService(managers_pb2_grpc.PeersServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(
        self, here: Here, presence: Presence, sessions: AgentSessions, clock: Clock = wall
    ) -> None:
        self._here = here
        self._presence = presence
        self._sessions = sessions
        self._clock = clock

    async def GetPresence(  # noqa: N802
        self, request: managers_pb2.PresenceRequest, context: Context
    ) -> AsyncIterator[managers_pb2.PresenceResponse]:
        """Say what changed at the streams here."""
        known = request.number if request.instance == self._here.instance else 0
        number, found = self._presence.changed_since(known)
        for start in range(0, max(len(found), 1), PART):
            now = self._presence.steady()
            part = found[start : start + PART]
            machines = [seen_to_wire(*each, now) for each in part]
            yield managers_pb2.PresenceResponse(
                instance=self._here.instance,
                number=number,
                machines=machines,
                settings=_KNOWN_HERE,
                etcd=self._here.link(),
                time=timestamp(self._clock()),
            )

    async def GetPeer(  # noqa: N802
        self, request: managers_pb2.PeerRequest, context: Context
    ) -> managers_pb2.PeerResponse:
        """Say how this manager does; raises BadMessage."""
        asking = caller()
        if isinstance(asking, ManagerPeer) and request.HasField("asking"):
            self._here.introduced(asking.id, request.asking)
        answer = managers_pb2.PeerResponse(
            id=self._here.manager,
            instance=self._here.instance,
            time=timestamp(self._clock()),
            machines=len(self._sessions),
            etcd=self._here.link(),
        )
        if request.look_at_authority:
            problem = await self._here.rotation.unsure()
            answer.authority.step, answer.authority.problem = self._here.rotation.step, problem
            answer.others.extend(self._here.others())
        return answer

    async def ForwardOrder(  # noqa: N802
        self, request: managers_pb2.ForwardedOrder, context: Context
    ) -> managers_pb2.ForwardedAnswer:
        """Send an order to a machine here; raises BadMessage."""
        _check(request.timeout)
        key = (request.cluster, request.machine)
        answer = await self._sessions.ask(key, order_of(request.order), request.timeout)
        if isinstance(answer, QueueAnswer):
            return managers_pb2.ForwardedAnswer(answer=answer_to_wire(answer))
        return managers_pb2.ForwardedAnswer(unanswered=answer.reason, sent=answer.sent)

    async def ForwardQuestion(  # noqa: N802
        self, request: managers_pb2.ForwardedQuestion, context: Context
    ) -> managers_pb2.ForwardedRunning:
        """Say what a machine runs that is here, or said it here; raises BadMessage."""
        _check(request.timeout)
        key = (request.cluster, request.machine)
        found = await self._sessions.settings_said(key, request.timeout)
        if isinstance(found, RunsThere):
            return managers_pb2.ForwardedRunning(running=runs_there_to_wire(found))
        return managers_pb2.ForwardedRunning(unanswered=found.reason)


def _check(timeout: float) -> None:
    if not 0 < timeout <= LONGEST_WAIT:
        raise BadMessage(f"a machine is waited for up to {LONGEST_WAIT:g} s")
