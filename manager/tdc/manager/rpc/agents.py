"""tdc.v1.Agents: the settings stream and the renewal of certificates, for machines.

The certificate says which machine it is (`guard.caller`); nothing in a request does.
"""

from __future__ import annotations

import contextlib
import logging
from typing import NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message
from tdc.manager.identity.authority import MACHINE_LIFETIME, Authority, RequestRefused
from tdc.manager.push.agents import AgentSessions, Denied, Stopping
from tdc.manager.push.session import End
from tdc.manager.rpc.guard import caller
from tdc.shared.edge.grpc_tls import RETRY_AFTER
from tdc.shared.sync.identity import MachinePeer
from tdc.v1 import agents_pb2, agents_pb2_grpc

log = logging.getLogger(__name__)

SessionContext = grpc.aio.ServicerContext[agents_pb2.AgentMessage, agents_pb2.ManagerMessage]
RenewContext = grpc.aio.ServicerContext[agents_pb2.RenewRequest, agents_pb2.RenewResponse]

_CODES = {
    End.DEAD: grpc.StatusCode.DEADLINE_EXCEEDED,
    End.FAULT: grpc.StatusCode.INVALID_ARGUMENT,
    End.REPLACED: grpc.StatusCode.ABORTED,
    End.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    End.OTHER_STORE: grpc.StatusCode.UNAVAILABLE,
    End.STOPPING: grpc.StatusCode.UNAVAILABLE,
}
_ALL_AT_ONCE = (End.OTHER_STORE, End.STOPPING)

SPREAD = 5.0
"""Seconds over which agents are asked to spread their return when all streams end."""


class AgentsService(agents_pb2_grpc.AgentsServicer):
    """The service; `lifetime` is that of renewed certificates, seconds."""

    def __init__(
        self, sessions: AgentSessions, authority: Authority, lifetime: float = MACHINE_LIFETIME
    ) -> None:
        self._sessions = sessions
        self._authority = authority
        self._lifetime = lifetime

    # A coroutine that reads and writes, not a generator: reading and writing are two tasks.
    async def Session(self, request_iterator: object, context: SessionContext) -> None:  # type: ignore[override]  # noqa: N802
        """Serve the stream to its end."""
        peer = _machine()

        async def read() -> agents_pb2.AgentMessage | None:
            try:
                message = await context.read()
            except grpc.aio.InternalError:  # the connection has just broken
                return None
            return message if isinstance(message, Message) else None

        async def write(message: agents_pb2.ManagerMessage) -> None:
            with contextlib.suppress(grpc.aio.InternalError):  # reading notices the end
                await context.write(message)

        try:
            ending = await self._sessions.serve(peer, read, write, context.peer())
        except Denied as error:
            await _deny(context, peer, str(error))
        except Stopping as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error), _come_back())
        if ending.end in _CODES:
            after = _come_back() if ending.end in _ALL_AT_ONCE else ()
            await context.abort(_CODES[ending.end], ending.reason, after)

    async def Renew(  # noqa: N802
        self, request: agents_pb2.RenewRequest, context: RenewContext
    ) -> agents_pb2.RenewResponse:
        """Give the same machine a new certificate, for a new key if it made one."""
        peer = _machine()
        try:
            self._sessions.admit(peer)
            certificate = self._authority.issue_machine(
                request.csr_pem,
                peer.cluster,
                peer.machine,
                peer.enrolment,
                lifetime=self._lifetime,
            )
        except Denied as error:
            await _deny(context, peer, str(error))
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


async def _deny(context: SessionContext | RenewContext, peer: MachinePeer, reason: str) -> NoReturn:
    log.warning("denied: %s from %s: %s", peer, context.peer(), reason)
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, reason)
