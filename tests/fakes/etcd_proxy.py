"""A gRPC proxy in front of a real etcd that loses answers and breaks watches on command."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.stubs.rpc_pb2 import TxnRequest

Context = grpc.aio.ServicerContext[bytes, bytes]
TXN = "/etcdserverpb.KV/Txn"
WATCH = "/etcdserverpb.Watch/Watch"


@dataclass
class EtcdProxy:
    """What the proxy does to the calls that pass.

    `lose_answers`: so many transactions are executed, but the caller gets UNAVAILABLE.
    `lose_requests`: so many are not even executed, and the caller gets the same.
    `end_watches`: so many watches end right after etcd's "created", cleanly; `break_watches`: with
    an error. `before_watch` runs when a watch is asked for, before etcd hears of it.
    Transactions without compares are reads, and are left alone.
    """

    options: EtcdOptions
    lose_answers: int = 0
    lose_requests: int = 0
    end_watches: int = 0
    break_watches: int = 0
    before_watch: Callable[[], Awaitable[None]] | None = None
    after_lost: Callable[[], Awaitable[None]] | None = None
    calls: Counter[str] = field(default_factory=Counter)


@contextlib.asynccontextmanager
async def etcd_proxy(target: str, folder: Path) -> AsyncIterator[EtcdProxy]:
    """Serve on a socket in `folder` what `target` (``unix:PATH``) answers."""
    proxy = EtcdProxy(EtcdOptions((f"unix:{folder}/proxy",), timeout=3.0))
    arguments = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(target, options=arguments) as channel:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Handler(proxy, channel),))
        server.add_insecure_port(proxy.options.endpoints[0])
        await server.start()
        try:
            yield proxy
        finally:
            await server.stop(0)


class _Handler(grpc.GenericRpcHandler):
    """Passes every method on as bytes."""

    def __init__(self, proxy: EtcdProxy, channel: grpc.aio.Channel) -> None:
        self._proxy = proxy
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method
        self._proxy.calls[method] += 1
        if method == WATCH:
            return grpc.stream_stream_rpc_method_handler(self._watch)

        async def unary(request: bytes, context: Context) -> bytes:
            return await self._unary(method, request, context)

        return grpc.unary_unary_rpc_method_handler(unary)

    async def _unary(self, method: str, request: bytes, context: Context) -> bytes:
        proxy = self._proxy
        writes = method == TXN and _writes(request)
        if writes and proxy.lose_requests:
            proxy.lose_requests -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "request lost by the test")
        try:
            passed: Any = self._channel.unary_unary(method)
            answer: bytes = await passed(request)
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")
        if writes and proxy.lose_answers:
            proxy.lose_answers -= 1
            if proxy.after_lost is not None:
                await proxy.after_lost()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "answer lost by the test")
        return answer

    async def _watch(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        proxy = self._proxy
        if proxy.before_watch is not None:
            hook, proxy.before_watch = proxy.before_watch, None
            await hook()
        passed: Any = self._channel.stream_stream(WATCH)
        call = passed(requests)
        try:
            async for message in call:
                yield message
                if proxy.end_watches:
                    proxy.end_watches -= 1
                    return
                if proxy.break_watches:
                    proxy.break_watches -= 1
                    await asyncio.sleep(0.05)  # so that "created" is read before the break
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "broken by the test")
        finally:
            call.cancel()


def _writes(request: bytes) -> bool:
    return bool(TxnRequest.FromString(request).compare)
