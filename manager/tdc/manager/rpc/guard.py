"""Every RPC guarded by its row of `callers`, around each handler.

A service is registered through a `Guard`, which puts its check around each *method handler*
before the server sees it. What is checked is what runs: there is no path text to compare, and no
spelling of a path that reaches a handler without its check. Every method is registered as one that
takes a stream of raw bytes, for gRPC receives the request of any other before it asks us: who
calls, and whether he may, is settled before a message is received, let alone parsed.

In: the services. Out: handlers that run only behind their `Entry` (`entry`).
Promise: no method without a row; what can't be parsed is INVALID_ARGUMENT.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from tdc.manager.intent.permissions import PermissionTableError
from tdc.manager.intent.refused import Refused, unheard
from tdc.manager.rpc.callers import RPCS, Rpc, check_rpcs
from tdc.manager.rpc.entry import (
    Admit,
    Connections,
    Context,
    Door,
    Entry,
    Parse,
    Trusts,
    Unreadable,
    asked,
)
from tdc.manager.rpc.operators import People
from tdc.manager.rpc.requests import NotReceived

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Context], Any]
Take = Callable[[AsyncIterator[bytes], Any], Awaitable[Any]]


class Guard:
    """Registers services on servers, each method guarded by its row; `check` before the start."""

    def __init__(
        self,
        admit: Admit,
        rows: Mapping[str, Rpc] = RPCS,
        connections: Connections | None = None,
        people: People | None = None,
        refused: Refused = unheard,
        trusts: Trusts = lambda peer: True,
    ) -> None:
        self._rows = rows
        self._door = Door(admit, connections, people, refused, trusts)
        self._methods: set[str] = set()

    def on(self, server: grpc.aio.Server, *, by_secret: bool = False) -> grpc.aio.Server:
        """Stand in for `server` where the generated ``add_…Servicer_to_server`` registers.

        With `by_secret` operators show the secret of a session or API token there, else a
        certificate.
        """
        return cast("grpc.aio.Server", _Registrar(self, server, by_secret))

    def check(self) -> None:
        """Raise PermissionTableError unless the services registered and the rows agree."""
        check_rpcs(self._methods, self._rows)

    def stop(self) -> None:
        """Log what the budget of log lines still hides."""
        self._door.lines.tell_left_out()

    def guarded(
        self, service: str, handlers: Mapping[str, Handler], *, by_secret: bool = False
    ) -> dict[str, Handler]:
        """Guard each of `service`'s handlers by its row; raises PermissionTableError."""
        declared = descriptor_pool.Default().FindServiceByName(service)
        missing = sorted({method.name for method in declared.methods} - handlers.keys())
        if missing:
            raise PermissionTableError(f"{service} is registered without {', '.join(missing)}")
        return {
            name: self._guard(f"{service}.{name}", each, by_secret)
            for name, each in handlers.items()
        }

    def _guard(self, method: str, handler: Handler, by_secret: bool) -> Handler:
        self._methods.add(method)
        row = self._rows.get(method)
        if row is None:
            raise PermissionTableError(f"{method} has no row in the table of RPCs")
        return _with_check(
            handler,
            Entry(self._door, method, row.who, row.operation, by_secret=by_secret),
            paced=row.paced,
        )


class _Registrar:
    """Looks like a server to generated code; what it registers is guarded."""

    def __init__(self, guard: Guard, server: grpc.aio.Server, by_secret: bool) -> None:
        self._guard = guard
        self._server = server
        self._by_secret = by_secret

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take nothing: the same handlers come, by name, to add_registered_method_handlers."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Register the guarded handlers of `service`."""
        guarded = self._guard.guarded(service, handlers, by_secret=self._by_secret)
        generic = grpc.method_handlers_generic_handler(service, guarded)
        self._server.add_generic_rpc_handlers((generic,))


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
        parsed = parse(request)
        asked(parsed)
        return parsed

    async def own_pace(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        return _OwnPace(context, parse)

    async def each(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        return entry.each(context, parse)

    return (own_pace if paced else each) if streaming else one


class _OwnPace:
    """The messages of a call, as they come; ten thousand streams wait here, so it is small."""

    __slots__ = ("_context", "_parse")

    def __init__(self, context: Context, parse: Parse) -> None:
        self._context, self._parse = context, parse

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        message = await self._context.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return self._parse(message)


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
