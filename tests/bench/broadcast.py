"""The bare peer of the push benchmark: a grpc.aio server that sends bytes to every stream.

It knows nothing of messages: a stream's first bytes register it, `Broadcast` sends its request to
all and ends once each has answered. Same mutual TLS and options as the manager.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import grpc
import grpc.aio
from tdc.manager.identity.authority import Authority
from tdc.shared.edge import grpc_tls

SERVICE = "bench.Bare"

Context = grpc.aio.ServicerContext[bytes, bytes]


class Bare:
    """The server's two methods."""

    def __init__(self) -> None:
        self._streams: set[Context] = set()
        self._missing = 0
        self._all_answered = asyncio.Event()

    async def session(self, _: object, context: Context) -> None:
        """Keep a stream: its answers count."""
        await context.read()
        self._streams.add(context)
        await context.write(b"registered")
        try:
            while isinstance(await context.read(), bytes):
                self._missing -= 1
                if not self._missing:
                    self._all_answered.set()
        finally:
            self._streams.discard(context)

    async def broadcast(self, payload: bytes, _: Context) -> bytes:
        """Send to all streams; return when each has answered."""
        self._missing = len(self._streams)
        self._all_answered.clear()
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(_send(stream, payload))
        async with asyncio.timeout(30):
            await self._all_answered.wait()
        return b"done"


async def _send(stream: Context, payload: bytes) -> None:
    await stream.write(payload)


async def _main(ca_folder: Path) -> None:
    authority = Authority.load(ca_folder)
    mine = authority.issue_server()
    server = grpc.aio.server(options=list(grpc_tls.server_options()))
    bare = Bare()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Session": grpc.stream_stream_rpc_method_handler(bare.session),
        "Broadcast": grpc.unary_unary_rpc_method_handler(bare.broadcast),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    shown = grpc_tls.ServerMaterial(mine.certificate_pem, mine.key_pem, authority.ca_pem)
    credentials = grpc_tls.server_credentials(lambda: shown)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
