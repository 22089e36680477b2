"""Every RPC guarded by its row of `callers`, and every error as a status.

A service is registered through a `Guard`, which puts its check around each *method handler*
before the server sees it. What is checked is what runs: there is no path text to compare, and no
spelling of a path that reaches a handler without its check. Every method is registered as one that
takes a stream of raw bytes, for gRPC receives the request of any other before it asks us: who
calls, and whether he may, is settled before a message is received, let alone parsed.

In: the services, and who is calling by the certificate. Out: calls, or PERMISSION_DENIED.
Promise: a refused call is logged, within a budget; what can't be parsed is INVALID_ARGUMENT; an
unforeseen error is logged and answered with INTERNAL.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from tdc.manager.identity.peer import Denied, NotIdentified, peer_of
from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.intent.actor import Actor, Role, Scope
from tdc.manager.intent.permissions import PermissionTableError
from tdc.manager.rpc.caller_log import CallerLog
from tdc.manager.rpc.callers import RPCS, Rpc, Who, check_rpcs
from tdc.manager.rpc.requests import NotReceived, Turns
from tdc.manager.rpc.status_codes import Status, status_of
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED
from tdc.shared.edge.grpc_words import address
from tdc.shared.sync.identity import MachinePeer, ManagerPeer, Operator, Peer
from tdc.shared.wire.errors import BadMessage
from tdc.shared.wire.removed import removed_to_metadata

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Context], Any]
Parse = Callable[[bytes], Any]
Take = Callable[[AsyncIterator[bytes], Any], Awaitable[Any]]
Admit = Callable[[MachinePeer], None]
"""Raises Denied unless a machine's certificate is of its valid enrolment."""


class Connections:
    """Hears what calls say about the connections that they come on; this one heeds nothing.

    `connection` is gRPC's text for the other end.
    """

    def identified(self, connection: str, peer: Peer) -> None:
        """Note that `peer` was let in on it."""

    def denied(self, connection: str) -> None:
        """Note that its certificate is of a machine that was removed or enrolled again."""


_caller: ContextVar[Peer] = ContextVar("caller")


def caller() -> Peer:
    """Who makes the call that runs now; LookupError outside a guarded call."""
    return _caller.get()


def asked_by() -> str:
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
    """The operator who makes the call that runs now, for `intent`; LookupError for a machine.

    Every operator's certificate is an administrator until there are users with roles.
    """
    peer = caller()
    if not isinstance(peer, Operator):
        raise LookupError("the call that runs now is not an operator's")
    return Actor(peer.name, Role.ADMINISTRATOR, Scope.INSTALLATION, address(context.peer()))


class Unreadable(BadMessage):
    """The bytes of a request are not the message that its RPC takes."""


class Guard:
    """Registers services on servers, each method guarded by its row; `check` before the start."""

    def __init__(
        self,
        admit: Admit,
        rows: Mapping[str, Rpc] = RPCS,
        connections: Connections | None = None,
    ) -> None:
        self._rows = rows
        self._door = Door(admit, connections)
        self._methods: set[str] = set()

    def on(self, server: grpc.aio.Server) -> grpc.aio.Server:
        """Stand in for `server` where the generated ``add_…Servicer_to_server`` registers."""
        return cast("grpc.aio.Server", _Registrar(self, server))

    def check(self) -> None:
        """Raise PermissionTableError unless the services registered and the rows agree."""
        check_rpcs(self._methods, self._rows)

    def stop(self) -> None:
        """Log what the budget of log lines still hides."""
        self._door.lines.tell_left_out()

    def guarded(self, service: str, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """Guard each of `service`'s handlers by its row; raises PermissionTableError."""
        declared = descriptor_pool.Default().FindServiceByName(service)
        missing = sorted({method.name for method in declared.methods} - handlers.keys())
        if missing:
            raise PermissionTableError(f"{service} is registered without {', '.join(missing)}")
        return {name: self._guard(f"{service}.{name}", each) for name, each in handlers.items()}

    def _guard(self, method: str, handler: Handler) -> Handler:
        self._methods.add(method)
        row = self._rows.get(method)
        if row is None:
            raise PermissionTableError(f"{method} has no row in the table of RPCs")
        return _with_check(handler, Entry(self._door, method, row.who), paced=row.paced)


class _Registrar:
    """Looks like a server to generated code; what it registers is guarded."""

    def __init__(self, guard: Guard, server: grpc.aio.Server) -> None:
        self._guard = guard
        self._server = server

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take nothing: the same handlers come, by name, to add_registered_method_handlers."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Register the guarded handlers of `service`."""
        guarded = self._guard.guarded(service, handlers)
        generic = grpc.method_handlers_generic_handler(service, guarded)
        self._server.add_generic_rpc_handlers((generic,))


CALLS_EACH = Rate(burst=60, per_second=1.0)
"""Calls of one machine, which opens a stream and renews a certificate now and then."""

CALLS_IN_ALL = Rate(burst=20_000, per_second=2_000.0)
"""Calls of all machines: a whole fleet may come back at once."""


MOST_METADATA = 16 * 1024
"""Bytes of a call's metadata; our own clients send a few hundred."""


class Door:
    """What all entries share: who is admitted, how often, and the lines about the others."""

    def __init__(self, admit: Admit, connections: Connections | None = None) -> None:
        self.admit = admit
        self.connections = connections or Connections()
        self.turns = Turns()
        self.lines = CallerLog(log)
        self.machines = Budget(CALLS_EACH, CALLS_IN_ALL)


_PROVEN: Mapping[Who, type[Operator | MachinePeer | ManagerPeer]] = {
    Who.OPERATOR: Operator,
    Who.MACHINE: MachinePeer,
    Who.MANAGER: ManagerPeer,
}
"""What the certificate must show of who calls; of the others none is needed."""


class Entry:
    """One method's check: `admitted` around the call, whatever its kind."""

    def __init__(self, door: Door, method: str, who: Who) -> None:
        self._door = door
        self._method = method
        self._who = who

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
        except Exception as error:
            await self._fail(context, error)

    async def receive(self, context: Context) -> bytes | None:
        """Return the next message of an admitted call, None after the last; raises NotReceived."""
        known = self._who in _PROVEN
        identity = caller() if known else _identity(context)
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
        wanted = _PROVEN[self._who]
        try:
            peer = peer_of(context)
        except NotIdentified as error:
            await self._refuse(context, str(error))
        if not isinstance(peer, wanted):
            await self._refuse(context, f"this is {peer}")
        if isinstance(peer, MachinePeer):
            await self._admit(context, peer)
        self._door.connections.identified(context.peer(), peer)
        return peer

    async def _admit(self, context: Context, peer: MachinePeer) -> None:
        try:
            self._door.admit(peer)
        except Denied as error:
            caller = context.peer()
            where = address(caller)
            self._door.lines.warning(caller, "denied: %s from %s: %s", peer, where, error)
            self._door.connections.denied(caller)
            told = removed_to_metadata(error.removed)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error), told)
        if not self._door.machines.take((peer.cluster, peer.machine)):
            why = f"{peer} calls too often, or too many machines call at once; try again later"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)

    async def _refuse(self, context: Context, why: str) -> NoReturn:
        peer, needed = context.peer(), self._who.value
        where = address(peer)
        self._door.lines.warning(
            peer, "refused: %s from %s, which needs %s: %s", self._method, where, needed, why
        )
        sentence = f"{self._method} needs {needed}; {why}"
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, sentence)

    async def _fail(self, context: Context, error: Exception) -> NoReturn:
        known = status_of(error)
        if known is None:
            log.error("%s failed", self._method, exc_info=error)
            known = Status(grpc.StatusCode.INTERNAL, "the manager failed at this call; see its log")
        code, sentence = known.code, _fitting(known.details)
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


def _with_check(handler: Any, entry: Entry, *, paced: bool) -> Handler:
    behaviours = {
        (False, False): handler.unary_unary,
        (False, True): handler.unary_stream,
        (True, False): handler.stream_unary,
        (True, True): handler.stream_stream,
    }
    behaviour = behaviours[handler.request_streaming, handler.response_streaming]
    wrap = _generator if inspect.isasyncgenfunction(behaviour) else _coroutine
    parse = functools.partial(_parse, handler.request_deserializer)
    if handler.response_streaming:
        make: Callable[..., Handler] = grpc.stream_stream_rpc_method_handler
    else:
        make = grpc.stream_unary_rpc_method_handler
    return make(
        wrap(behaviour, entry, _taking(entry, parse, handler.request_streaming, paced)),
        request_deserializer=None,  # raw bytes: they are parsed behind the check
        response_serializer=handler.response_serializer,
    )


def _taking(entry: Entry, parse: Parse, streaming: bool, paced: bool) -> Take:
    """How a method takes what is asked: one request, or a stream of them."""

    async def one(messages: AsyncIterator[bytes], context: Context) -> Any:
        request = await entry.receive(context)
        if request is None:
            raise NotReceived("the call ended without a request")
        return parse(request)

    async def own_pace(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        return (parse(each) async for each in messages)

    async def each(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        return entry.each(context, parse)

    return (own_pace if paced else each) if streaming else one


def _coroutine(behaviour: Behaviour, entry: Entry, take: Take) -> Behaviour:
    async def call(messages: AsyncIterator[bytes], context: Context) -> Any:
        async with entry.admitted(context):
            result = behaviour(await take(messages, context), context)
            return await result if inspect.isawaitable(result) else result

    return call


def _generator(behaviour: Behaviour, entry: Entry, take: Take) -> Behaviour:
    async def call(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        async with (
            entry.admitted(context),
            contextlib.aclosing(behaviour(await take(messages, context), context)) as responses,
        ):
            async for response in responses:
                yield response

    return call


def _parse(from_bytes: Parse, request: bytes) -> Any:
    try:
        return from_bytes(request)
    except DecodeError:
        raise Unreadable(
            f"the request can't be read: its {len(request)} bytes are no message of this RPC"
        ) from None


def _fitting(sentence: str) -> str:
    """Cut a sentence that quotes a huge value: details travel as metadata, 8 KiB at most.

    What is not printable ASCII is percent-encoded there, up to twelve bytes a character.
    """
    most = 5_000 if sentence.isascii() and sentence.isprintable() else 500
    return sentence if len(sentence) <= most else sentence[:most] + " …"
