"""One address opens connections without end: the others get through, and descriptors are kept.

The manager has 1,024 descriptors, as many systems give a program, and none more to raise them to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform
from statistics import median

import pytest
from tdc.manager.rpc.crowding import bounds_for
from tdc.shared.edge.clock import monotonic

from tests.stage.programs import BIN, Program
from tests.surroundings import need_descriptors

DESCRIPTORS = 1_024
SOON = 2.0
"""Seconds that an honest program takes at most, in the median. Where the machine is so busy that it
takes long by itself, four times what it took before the flood."""

Open = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass
class Small:
    """A manager with few descriptors."""

    program: Program
    folder: Path
    took: list[float] = field(default_factory=list)

    @property
    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.program.pid}/fd").iterdir())

    async def run(self, program: str, *words: str, text: str = "") -> str:
        """Run `tdc` or `tdc-agent`; return what it printed. It must succeed."""
        began = monotonic()
        process = await asyncio.create_subprocess_exec(
            *(str(BIN / program), *words),
            env={
                "PATH": "/usr/bin:/bin",
                "TDC_CONFIG": str(self.folder / "manager/operator/operator.toml"),
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        printed, _ = await process.communicate(text.encode())
        assert process.returncode == 0, printed.decode()
        self.took.append(monotonic() - began)
        return printed.decode()

    async def enrol(self) -> None:
        """Enrol mx1 again with a new token."""
        token = json.loads(await self.run("tdc", "machine", "token", "mx1", "-o", "json"))["token"]
        config = self.folder / "agent.toml"
        config.write_text(
            f'state_folder = "{self.folder}/state"\n'
            f'[manager]\naddresses = ["127.0.0.1:{self.program.ports["main"]}"]\n'
            '[ingest]\nlisten = "127.0.0.1:0"\nnext_hop = "127.0.0.1:25"\n'
        )
        where = ("--manager", f"127.0.0.1:{self.program.ports['enrol']}", "--token-file", "-")
        await self.run("tdc-agent", "enrol", "--config", str(config), *where, text=token)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Small]:
    data, ports = tmp_path / "manager", tmp_path / "ports.json"
    init = ("init", "--folder", str(data), "--listen-port", "0", "--enrol-port", "0")
    subprocess.run([str(BIN / "tdc-manager"), *init], check=True, capture_output=True)
    program = Program(
        [
            *("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", str(BIN / "tdc-manager"), "run"),
            *("--folder", str(data), "--ports-file", str(ports)),
        ],
        log=tmp_path / "manager.log",
        ports_file=ports,
    )
    await program.start()
    try:
        manager = Small(program, tmp_path)
        await manager.run("tdc", "cluster", "create", "c1")
        await manager.run("tdc", "machine", "create", "mx1", "--group", "Main_Group", "--yes")
        yield manager
    finally:
        await program.stop()


FLOOD = "127.0.0.9"
"""Whose connections they all are; the honest ones come from 127.0.0.1."""


async def _silent(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and say nothing."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(FLOOD, 0))


async def _half_open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin a handshake and say nothing more."""
    reader, writer = await _silent(port)
    hello = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="tdc-manager").do_handshake()
    writer.write(hello.read())
    return reader, writer


async def _idle(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Finish the handshake, begin HTTP/2, and never call."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, local_addr=(FLOOD, 0)
    )
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
    return reader, writer


@contextlib.asynccontextmanager
async def holding(
    ports: tuple[int, ...], count: int, open_one: Open, *, each: float
) -> AsyncIterator[None]:
    """Hold `count` connections to each port from one address; one that is cut is opened again.

    A connection is opened every `each` seconds or so once all were opened.
    """

    async def hold(port: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await open_one(port)
                opened.add(writer)
                await reader.read()
                opened.discard(writer)
                writer.transport.abort()
            await asyncio.sleep(each * count * uniform(0.5, 1.5))

    opened: set[asyncio.StreamWriter] = set()
    tasks = [asyncio.create_task(hold(port)) for port in ports for _ in range(count)]
    try:
        async with asyncio.timeout(20):
            while len(opened) < 100:
                await asyncio.sleep(0.05)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in opened:
            writer.transport.abort()


@pytest.mark.slow
@pytest.mark.proves("S15")
@pytest.mark.parametrize(
    ("open_one", "where", "count", "each"),
    [
        pytest.param(_silent, ("main", "enrol"), 1_500, 0.01, id="silent"),
        pytest.param(_half_open, ("main", "enrol"), 500, 0.02, id="half-open handshakes"),
        pytest.param(_idle, ("enrol",), 300, 0.02, id="idle after the handshake"),
    ],
)
async def test_honest_calls_succeed_soon_while_one_address_holds_every_connection_it_can(
    small: Small, open_one: Open, where: tuple[str, ...], count: int, each: float
) -> None:
    need_descriptors(2 * count + 500)
    bounds = bounds_for(DESCRIPTORS)
    ports = tuple(small.program.ports[name] for name in where)
    async with holding(ports, count, open_one, each=each):
        await asyncio.sleep(1.0)
        calm, small.took = median(small.took), []
        for _ in range(3):
            await small.run("tdc", "status")
            await small.enrol()
            assert small.descriptors < bounds.main + bounds.enrol + 64
    assert median(small.took) < max(SOON, 4 * calm)
    log = small.program.log.read_text()
    assert "is crowded, and on these nobody called" in log
    assert log.count("\n") < 100
    assert "Traceback" not in log
