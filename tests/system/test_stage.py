"""What the stage promises to the tests that stand on it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import grpc.aio
from tdc.shared.edge.tasks import running

from tests.stage.programs import Program


async def test_programs_start_while_this_process_uses_grpc(tmp_path: Path) -> None:
    """A child that is forked among gRPC's threads crashes now and then; ours are not forked."""
    ports = tmp_path / "ports"
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def talk() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/no/such")
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await call(b"", timeout=5)

    async with running(talk(), name="calls"):
        for _ in range(30):
            program = Program(
                ["/bin/sh", "-c", f"echo '{{}}' > {ports}; exec sleep 60"],
                log=tmp_path / "log",
                ports_file=ports,
            )
            await program.start()  # raises ProgramFailed where it ended before it was ready
            await program.kill()
    await server.stop(None)
