"""tdc.v1.Peers: what another manager of the same store asks this one.

Only this manager's own streams are spoken of: a manager that passed on what others told it would
make answers that nobody can date.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

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


class PeersService(managers_pb2_grpc.PeersServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(
        self,
        manager: str,
        instance: str,
        presence: Presence,
        sessions: AgentSessions,
        link: Callable[[], managers_pb2.EtcdLink],
        introduced: Callable[[str, managers_pb2.PeerAnnouncement], None],
        clock: Clock = wall,
    ) -> None:
        """`link` is how this manager is linked to etcd; `introduced` hears of who asks."""
        self._link = link
        self._introduced = introduced
        self._manager = manager
        self._instance = instance
        self._presence = presence
        self._sessions = sessions
        self._clock = clock

    async def GetPresence(  # noqa: N802
        self, request: managers_pb2.PresenceRequest, context: Context
    ) -> AsyncIterator[managers_pb2.PresenceResponse]:
        """Say what changed at the streams here."""
        known = request.number if request.instance == self._instance else 0
        number, found = self._presence.changed_since(known)
        for start in range(0, max(len(found), 1), PART):
            now = self._presence.steady()
            part = found[start : start + PART]
            machines = [seen_to_wire(*each, now) for each in part]
            yield managers_pb2.PresenceResponse(
                instance=self._instance,
                number=number,
                machines=machines,
                settings=_KNOWN_HERE,
                etcd=self._link(),
            )

    async def GetPeer(  # noqa: N802
        self, request: managers_pb2.PeerRequest, context: Context
    ) -> managers_pb2.PeerResponse:
        """Say how this manager does; raises BadMessage."""
        asking = caller()
        if isinstance(asking, ManagerPeer) and request.HasField("asking"):
            self._introduced(asking.id, request.asking)
        return managers_pb2.PeerResponse(
            id=self._manager,
            instance=self._instance,
            time=timestamp(self._clock()),
            machines=len(self._sessions),
            etcd=self._link(),
        )

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
