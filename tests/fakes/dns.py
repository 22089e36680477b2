"""A DNS server on loopback, UDP and TCP, for tests and the demo.

In process: `async with DnsServer({"intake.example": {"MX": [[10, "mx1.intake.example"]]}}) as dns`.
As a program: `python -m tests.fakes.dns --zone FILE --port-file F`; FILE is such a dict in JSON,
re-read when it changes.

A zone is name -> {type -> values}: `MX` [[preference, host], ...] (`[[0, "."]]` is a null MX),
`A`/`AAAA` [address, ...], `CNAME` target, `TXT` [text, ...]; `"fault"`: "servfail", "timeout",
"refused", "truncated" (UDP only; TCP answers), "wrong id" (the number is not the question's) or
"pointer loop" (a compressed name that points to itself) for every question about the name. A name
that is not in the zone is NXDOMAIN; a type that a name lacks is an empty answer. `forge` is sent
over UDP before each true answer; without `tcp` a connection is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from dnslib import AAAA, CNAME, MX, QTYPE, RCODE, RR, TXT, A, DNSError, DNSRecord

Zone = dict[str, dict[str, Any]]


class DnsServer:
    """The server; change `zone` at any time. `questions` counts (name, type)."""

    def __init__(
        self,
        zone: Zone | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ttl: int = 30,
        file: Path | None = None,
        tcp: bool = True,
        forge: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.zone: Zone = zone or {}
        self.host, self.port, self.ttl = host, port, ttl
        self.forge = forge
        self._takes_tcp = tcp
        self.questions: Counter[tuple[str, str]] = Counter()
        self._file = file
        self._seen = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def __aenter__(self) -> DnsServer:
        """Start on one port for UDP and TCP."""
        loop = asyncio.get_running_loop()
        for _ in range(20):  # a port that is free for TCP may be taken for UDP
            tcp = await asyncio.start_server(self._serve_tcp, self.host, self.port)
            port = tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Udp(self), local_addr=(self.host, port)
                )
            except OSError:
                tcp.close()
                if self.port:
                    raise
                continue
            self._tcp, self.port = tcp, port
            if not self._takes_tcp:
                tcp.close()
            return self
        raise OSError("no port free for both UDP and TCP")

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        assert self._udp is not None
        assert self._tcp is not None
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    @property
    def nameserver(self) -> str:
        """host:port, as an agent's options take it."""
        return f"{self.host}:{self.port}"

    def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        """Return the reply to a query, None to stay silent."""
        try:
            query = DNSRecord.parse(wire)
        except DNSError:
            return None
        self._reread()
        name = str(query.q.qname).rstrip(".").lower()
        kind = str(QTYPE[query.q.qtype])
        self.questions[name, kind] += 1
        reply = query.reply()
        entry = self.zone.get(name)
        fault = (entry or {}).get("fault")
        if fault == "timeout":
            return None
        if fault in ("servfail", "refused"):
            reply.header.rcode = getattr(RCODE, fault.upper())
        elif fault == "truncated" and udp:
            reply.header.tc = 1
        elif entry is None:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            self._fill(reply, name, entry, kind)
        return _spoilt(bytes(reply.pack()), fault)

    def _fill(self, reply: DNSRecord, name: str, entry: dict[str, Any], kind: str) -> None:
        for _ in range(9):
            target = entry.get("CNAME")
            if target is None:
                break
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=self.ttl))
            name = target.rstrip(".").lower()
            entry = self.zone.get(name, {})
        for value in entry.get(kind, ()):
            data = MX(value[1], value[0]) if kind == "MX" else _SIMPLE[kind](value)
            reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=data, ttl=self.ttl))

    def _reread(self) -> None:
        if self._file is None:
            return
        changed = self._file.stat().st_mtime_ns
        if changed != self._seen:
            self._seen = changed
            read = json.loads(self._file.read_text())
            self.zone = {name.rstrip(".").lower(): entry for name, entry in read.items()}

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                while True:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    reply = self.answer(await reader.readexactly(length), udp=False)
                    if reply is None:
                        return
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (EOFError, OSError, TimeoutError, asyncio.CancelledError):
            return
        finally:
            writer.close()


def _spoilt(reply: bytes, fault: str | None) -> bytes:
    if fault == "wrong id":
        return bytes([reply[0] ^ 1]) + reply[1:]
    if fault == "pointer loop":  # one answer more, whose owner is at its own place
        answers = int.from_bytes(reply[6:8], "big") + 1
        head = reply[:6] + answers.to_bytes(2, "big") + reply[8:]
        return head + (0xC000 | len(head)).to_bytes(2, "big") + bytes(10)
    return reply


_SIMPLE = {"A": A, "AAAA": AAAA, "TXT": TXT}


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._server.forge is not None and self._transport is not None:
            self._transport.sendto(self._server.forge(data), addr)
        reply = self._server.answer(data, udp=True)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


async def _serve(options: argparse.Namespace) -> None:
    host, _, port = options.listen.rpartition(":")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with DnsServer(host=host.strip("[]"), port=int(port), file=options.zone) as server:
        if options.port_file:
            temporary = options.port_file.with_name(f".{options.port_file.name}.new")
            temporary.write_text(f"{server.port}\n")
            temporary.rename(options.port_file)
        print(f"listening on {server.nameserver}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="DNS server for demo and tests")
    parser.add_argument("--zone", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--port-file", type=Path)
    asyncio.run(_serve(parser.parse_args(sys.argv[1:])))
