"""tdc.v1.Agents: the settings stream and the renewal of certificates, for machines.

The certificate says which machine it is (`guard.caller`); nothing in a request does.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from tdc.manager.identity.authorities import Issuing
from tdc.manager.identity.authority import MACHINE_LIFETIME, RequestRefused
from tdc.manager.identity.peer import Denied
from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.push.agents import AgentSessions, Stopping
from tdc.manager.push.session import End
from tdc.manager.rpc.entry import caller
from tdc.manager.rpc.sure import Unsure, require, sure
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.edge.grpc_tls import RETRY_AFTER
from tdc.shared.edge.grpc_words import address
from tdc.shared.sync.identity import MachinePeer
from tdc.shared.wire.removed import removed_to_metadata
from tdc.v1 import agents_pb2, agents_pb2_grpc

log = logging.getLogger(__name__)

SessionContext = grpc.aio.ServicerContext[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
RenewContext = grpc.aio.ServicerContext[agents_pb2.RenewRequest, agents_pb2.RenewResponse]

_CODES = {
    End.DEAD: grpc.StatusCode.DEADLINE_EXCEEDED,
    End.FLOOD: grpc.StatusCode.RESOURCE_EXHAUSTED,
    End.FAULT: grpc.StatusCode.INVALID_ARGUMENT,
    End.REPLACED: grpc.StatusCode.ABORTED,
    End.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    End.RENAMED: grpc.StatusCode.UNAVAILABLE,
    End.OTHER_STORE: grpc.StatusCode.UNAVAILABLE,
    End.STOPPING: grpc.StatusCode.UNAVAILABLE,
    End.CUT_OFF: grpc.StatusCode.UNAVAILABLE,
}
_ALL_AT_ONCE = (End.OTHER_STORE, End.STOPPING, End.CUT_OFF)

SPREAD = 5.0
"""Seconds over which agents are asked to spread their return when all streams end."""


RENEWALS_EACH = Rate(burst=6, per_second=6 / 3_600)
"""For one machine; a certificate is renewed once in two thirds of its lifetime, in days."""

RENEWALS_IN_ALL = Rate(burst=200, per_second=20.0)
"""Signatures for all machines: a fleet that was off for long comes back at once."""


class AgentsService(agents_pb2_grpc.AgentsServicer):
    """The service; `lifetime` is that of renewed certificates, seconds."""

    def __init__(
        self,
        sessions: AgentSessions,
        authority: Issuing,
        lifetime: float = MACHINE_LIFETIME,
        clock: Clock = monotonic,
        unsure: Unsure = sure,
    ) -> None:
        """`unsure` says why it is not known which CA signs now."""
        self._unsure = unsure
        self._sessions = sessions
        self._authority = authority
        self._lifetime = lifetime
        # Certificates that are good for minutes only are renewed more often.
        each = Rate(RENEWALS_EACH.burst, max(RENEWALS_EACH.per_second, 6 / lifetime))
        self._renewals = Budget(each, RENEWALS_IN_ALL, clock)

    # A coroutine that reads and writes, not a generator: reading and writing are two tasks.
    async def Session(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[agents_pb2.AgentMessage], context: SessionContext
    ) -> None:
        """Serve the stream to its end."""
        peer = _machine()

        async def read() -> agents_pb2.AgentMessage | None:
            try:
                return await anext(request_iterator, None)
            except grpc.aio.InternalError:  # the connection has just broken
                return None

        async def write(message: agents_pb2.ManagerMessage) -> None:
            with contextlib.suppress(grpc.aio.InternalError):  # reading notices the end
                await context.write(message)

        try:
            ending = await self._sessions.serve(peer, read, write, address(context.peer()))
        except Denied as error:
            told = removed_to_metadata(error.removed)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error), told)
        except Stopping as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error), _come_back())
        if ending.end in _CODES:
            told = removed_to_metadata(ending.removed)
            after = _come_back() if ending.end in _ALL_AT_ONCE else told
            await context.abort(_CODES[ending.end], ending.reason, after)

    async def Renew(  # noqa: N802
        self, request: agents_pb2.RenewRequest, context: RenewContext
    ) -> agents_pb2.RenewResponse:
        """Give the same machine a new certificate in its present name, for its key or a new one.

        Raises NotSure.
        """
        peer = _machine()
        if not self._renewals.take((peer.cluster, peer.machine)):
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{peer} renewed its certificate too often, or too many machines renew at once; "
                "the certificate it has stays good: try again later",
            )
        await require(self._unsure)
        try:
            certificate = self._authority.issue_machine(
                request.csr_pem,
                peer.cluster,
                peer.machine,
                peer.enrolment,
                lifetime=self._lifetime,
            )
        except RequestRefused as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        log.info("%s renewed its certificate", peer)
        return agents_pb2.RenewResponse(
            certificate_pem=certificate.decode(), ca_pem=self._authority.ca_pem.decode()
        )


def _machine() -> MachinePeer:
    peer = caller()
    assert isinstance(peer, MachinePeer), "the table of RPCs lets only machines in here"
    return peer


def _come_back() -> tuple[tuple[str, str], ...]:
    return ((RETRY_AFTER, f"{SPREAD:g}"),)
