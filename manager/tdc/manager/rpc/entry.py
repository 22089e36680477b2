"""One RPC's entry: who calls it, whether he may, and every error as a status.

In: a call, and who makes it: by the certificate at the main port, by a session or API token at the
operator port. Out: the call admitted, or PERMISSION_DENIED, UNAUTHENTICATED.
Promise: a refused call is logged, within a budget; an unforeseen error is logged and answered with
INTERNAL; a call whose work was cancelled under it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
import grpc.aio
from tdc.manager.identity.peer import Denied, NotIdentified, peer_of
from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import NotKnown
from tdc.manager.intent.refused import Refused, of_caller, of_failure, unheard
from tdc.manager.rpc.caller_log import CallerLog
from tdc.manager.rpc.callers import Who
from tdc.manager.rpc.operators import Nobody, People, secret_in
from tdc.manager.rpc.requests import NotReceived, Turns
from tdc.manager.rpc.status_codes import Status, status_of
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED
from tdc.shared.edge.grpc_words import address
from tdc.shared.sync.identity import MachinePeer, ManagerPeer, Operator, Peer
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.removed import removed_to_metadata

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Parse = Callable[[bytes], Any]
Trusts = Callable[[Peer], bool]
"""Whether the CA that a peer's certificate is by is trusted still."""
Admit = Callable[[MachinePeer, str], MachinePeer]
"""The machine at an address, by its name now; raises Denied unless its enrolment is valid."""


class Connections:
    """Hears what calls say about the connections that they come on; this one heeds nothing.

    `connection` is gRPC's text for the other end.
    """

    def identified(self, connection: str, peer: Peer) -> None:
        """Note that `peer` was let in on it."""

    def denied(self, connection: str) -> None:
        """Note that its certificate is of a machine that was removed or enrolled again."""


_caller: ContextVar[Peer] = ContextVar("caller")
_actor: ContextVar[Actor] = ContextVar("actor")
_request: ContextVar[Any] = ContextVar("request", default=None)


def asked(request: Any) -> None:
    """Note the message of the call that runs now, for what is written down of it."""
    _request.set(request)


def caller() -> Peer:
    """Who makes the call that runs now; LookupError outside a guarded call."""
    return _caller.get()


def on_behalf_of() -> str:
    """For whom what runs now is done, in a word: of writes, which are counted by it."""
    match _caller.get(None):
        case Operator():
            return "operators"
        case MachinePeer():
            return "agents"
        case ManagerPeer():
            return "managers"
    return "manager"


def actor_of(context: Context) -> Actor:
    """The operator who makes the call that runs now, for `intent`; LookupError for a machine."""
    del context  # whom it is of was found out before
    return _actor.get()


class Unreadable(BadMessage):
    """The bytes of a request are not the message that its RPC takes."""


CALLS_EACH = Rate(burst=60, per_second=1.0)
"""Calls of one machine, which opens a stream and renews a certificate now and then."""

CALLS_IN_ALL = Rate(burst=20_000, per_second=2_000.0)
"""Calls of all machines: a whole fleet may come back at once."""


MOST_METADATA = 16 * 1024
"""Bytes of a call's metadata; our own clients send a few hundred."""


_OF_BEFORE = (
    "the certificate of {} is by a CA that was replaced, and is not accepted any more: a machine "
    "enrols with a new join token, an operator gets a new folder (tdc-manager operator)"
)


class Door:
    """What all entries share: who is admitted, how often, and the lines about the others."""

    def __init__(
        self,
        admit: Admit,
        connections: Connections | None = None,
        people: People | None = None,
        refused: Refused = unheard,
        trusts: Trusts = lambda peer: True,
    ) -> None:
        self.admit = admit
        self.trusts = trusts
        self.people = people or Nobody()
        self.refused = refused
        self.connections = connections or Connections()
        self.turns = Turns()
        self.lines = CallerLog(log)
        self.machines = Budget(CALLS_EACH, CALLS_IN_ALL)


_PROVEN: Mapping[Who, type[Operator | MachinePeer | ManagerPeer]] = {
    Who.OPERATOR: Operator,
    Who.MACHINE: MachinePeer,
    Who.MANAGER: ManagerPeer,
}
"""What must be shown of who calls; of the others nothing."""


class Entry:
    """One method's check: `admitted` around the call, whatever its kind."""

    def __init__(
        self, door: Door, method: str, who: Who, operation: str = "", *, by_secret: bool = False
    ) -> None:
        self._door = door
        self._method = method
        self._who = who
        self._operation = operation or method
        self._by_secret = by_secret

    @contextlib.asynccontextmanager
    async def admitted(self, context: Context) -> AsyncIterator[None]:
        """Run the body if the caller may call; turn what it raises into the status of the call."""
        await self._bound_metadata(context)
        try:
            if self._who in _PROVEN:
                _caller.set(await self._identify(context))
            yield
        except (grpc.aio.AbortError, grpc.aio.InternalError, GeneratorExit):
            raise  # InternalError: the caller has gone, and gRPC knows what to do about that
        except asyncio.CancelledError as error:
            # Not ours: a call to etcd that ended under its caller, say. gRPC would send no status
            # at all for it, and the caller would wait for ever.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._fail(context, error)
        except Exception as error:
            await self._fail(context, error)

    async def receive(self, context: Context) -> bytes | None:
        """Return the next message of an admitted call, None after the last; raises NotReceived."""
        identity = caller() if self._who in _PROVEN else _identity(context)
        return await self._door.turns.receive(context, identity)

    async def each(self, context: Context, parse: Parse) -> AsyncIterator[Any]:
        """Yield the messages of an admitted call, each in its turn and in time."""
        while (message := await self.receive(context)) is not None:
            yield parse(message)

    async def _bound_metadata(self, context: Context) -> None:
        """Refuse what gRPC lets through: it bounds each HTTP/2 frame of metadata, not their sum."""
        size = sum(len(key) + len(value) for key, value in context.invocation_metadata() or ())
        if size > MOST_METADATA:
            why = f"the call has {size} bytes of metadata, and may have {MOST_METADATA}"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)

    async def _identify(self, context: Context) -> Peer:
        if self._by_secret:
            return await self._identify_by_secret(context)
        wanted = _PROVEN[self._who]
        try:
            peer = peer_of(context)
        except NotIdentified as error:
            await self._refuse(context, str(error))
        if not isinstance(peer, wanted):
            await self._refuse(context, f"this is {peer}")
        if not self._door.trusts(peer):  # it was when the connection was made
            await self._deny(context, peer, Denied(_OF_BEFORE.format(peer)))
        if isinstance(peer, MachinePeer):
            peer = await self._admit(context, peer)
        elif isinstance(peer, Operator):
            await self._let_in(context, peer)
        self._door.connections.identified(context.peer(), peer)
        return peer

    async def _identify_by_secret(self, context: Context) -> Peer:
        """Whose session or API token a call carries; ends the call where it is nobody's."""
        peer = context.peer()
        try:
            actor = self._door.people.by_secret(secret_in(context), address(peer))
        except NotKnown as error:
            where = address(peer)
            self._door.lines.warning(peer, "refused: %s from %s: %s", self._method, where, error)
            self._door.refused(of_caller(self._operation, None, where, str(error)))
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        _actor.set(actor)
        operator = Operator(actor.name)
        self._door.connections.identified(peer, operator)
        return operator

    async def _let_in(self, context: Context, operator: Operator) -> None:
        try:
            _actor.set(self._door.people.by_certificate(operator, address(context.peer())))
        except Denied as error:
            await self._deny(context, operator, error)

    async def _deny(self, context: Context, peer: Peer, error: Denied) -> NoReturn:
        caller = context.peer()
        where = address(caller)
        self._door.lines.warning(caller, "denied: %s from %s: %s", peer, where, error)
        self._door.connections.denied(caller)
        self._door.refused(of_caller(self._operation, peer, where, str(error)))
        told = removed_to_metadata(error.removed)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error), told)

    async def _admit(self, context: Context, peer: MachinePeer) -> MachinePeer:
        try:
            peer = self._door.admit(peer, address(context.peer()))
        except Denied as error:
            await self._deny(context, peer, error)
        if not self._door.machines.take((peer.cluster, peer.machine)):
            why = f"{peer} calls too often, or too many machines call at once; try again later"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        return peer

    async def _refuse(self, context: Context, why: str) -> NoReturn:
        peer, needed = context.peer(), self._who.value
        where = address(peer)
        self._door.lines.warning(
            peer, "refused: %s from %s, which needs %s: %s", self._method, where, needed, why
        )
        sentence = f"{self._method} needs {needed}; {why}"
        self._door.refused(of_caller(self._operation, _identity(context), where, sentence))
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, sentence)

    async def _fail(self, context: Context, error: BaseException) -> NoReturn:
        known = status_of(error) if isinstance(error, Exception) else None
        if known is None:
            log.error("%s failed", self._method, exc_info=error)
            known = Status(grpc.StatusCode.INTERNAL, "the manager failed at this call; see its log")
        code, sentence = known.code, _fitting(known.details)
        if self._who is Who.OPERATOR and isinstance(error, Exception):
            event = of_failure(self._operation, actor_of(context), error, _request.get())
            if event is not None:
                self._door.refused(event)
        by = _caller.get("an unknown caller")
        if isinstance(error, Unreadable | NotReceived):
            peer, method = context.peer(), self._method
            line = "%s by %s at %s: %s"
            self._door.lines.warning(peer, line, method, by, address(peer), sentence)
        else:
            log.info("%s by %s: %s: %r", self._method, by, code.name, sentence)
        await context.abort(code, sentence, ((NOTHING_CHANGED, "1"),) if known.unchanged else ())


def _identity(context: Context) -> Peer | None:
    """Whose certificate the connection shows, though his call may be one for anyone."""
    try:
        return peer_of(context)
    except NotIdentified:
        return None


def _fitting(sentence: str) -> str:
    """Cut a sentence that quotes a huge value: details travel as metadata, 8 KiB at most.

    What is not printable ASCII is percent-encoded there, up to twelve bytes a character.
    """
    most = 5_000 if sentence.isascii() and sentence.isprintable() else 500
    return sentence if len(sentence) <= most else sentence[:most] + " …"
