"""An SMTP receiver for tests, demo and benchmarks, written apart from the product's own code.

In process: `async with SmtpSink(folder=...) as sink: sink.port, sink.messages, sink.faults`.
As a program: `python -m tests.fakes.smtp_sink --listen 127.0.0.1:0 --folder DIR --port-file F`.

Each message becomes NNNNNN.json (envelope and TLS facts) and NNNNNN.eml (the bytes as received,
DATA un-stuffed, BDAT as is). The .eml appears last: where it is, its .json is too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.fakes.smtp_faults import FaultFile, Faults
from tests.fakes.smtp_received import Counts, Received
from tests.fakes.smtp_session import Session

KEYWORDS = (
    "PIPELINING",
    "SIZE 209715200",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "BINARYMIME",
    "ENHANCEDSTATUSCODES",
)


class SmtpSink:
    """The receiver. `certificate` is (chain file, key file): with it STARTTLS is offered."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        folder: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        require_tls: bool = False,
        count_only: bool = False,
        without: tuple[str, ...] = (),
        faults: Faults | None = None,
        fault_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host, self.port = host, port
        self.folder, self.certificate, self.require_tls = folder, certificate, require_tls
        self.count_only = count_only
        self.keywords = tuple(word for word in KEYWORDS if word.split()[0] not in without)
        self.messages: list[Received] = []
        self.counts = Counts()
        self.clock = clock
        self._faults = faults or Faults()
        self._fault_file = FaultFile(fault_file) if fault_file else None
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._arrived = asyncio.Event()
        self._next_number = 1
        self._contexts: dict[tuple[tuple[str, str], str | None], ssl.SSLContext] = {}

    @property
    def bytes_of_messages_seen_without_tls(self) -> int:
        """Octets of message content that came in plain text."""
        return self.counts.bytes_of_messages_seen_without_tls

    @property
    def faults(self) -> Faults:
        """The faults in force; assign to change them at run time."""
        if self._fault_file and (read := self._fault_file.changed()) is not None:
            self._faults = read
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults

    async def __aenter__(self) -> SmtpSink:
        """Start listening; `port` is the real port from here on."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._next_number = 1 + max((int(f.stem) for f in self.folder.glob("*.eml")), default=0)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Session(self), self.host, self.port, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and drop every connection."""
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await self._server.wait_closed()

    def drop_connections(self) -> None:
        """Abort every open connection."""
        for session in list(self._sessions):
            session.abort()

    async def wait_for(self, count: int, *, timeout: float = 10.0) -> None:
        """Wait until `count` messages have come in all; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while self.counts.messages < count:
                self._arrived.clear()
                await self._arrived.wait()

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the context for STARTTLS under the faults in force, None without certificate."""
        faults = self._faults
        certificate = self.certificate
        if faults.certificate is not None:
            certificate = (Path(faults.certificate[0]), Path(faults.certificate[1]))
        if certificate is None:
            return None
        key = ((str(certificate[0]), str(certificate[1])), faults.tls_maximum)
        if key not in self._contexts:
            self._contexts[key] = _server_context(certificate, faults.tls_maximum)
        return self._contexts[key]

    def opened(self, session: Session) -> int:
        """Count a connection; return its number."""
        self._sessions.add(session)
        counts = self.counts
        counts.connections += 1
        counts.open_connections += 1
        counts.most_connections = max(counts.most_connections, counts.open_connections)
        return counts.connections

    def closed(self, session: Session) -> None:
        """Forget a connection."""
        if session in self._sessions:
            self._sessions.discard(session)
            self.counts.open_connections -= 1

    def store(self, session: Session, content: bytes, via: str) -> int:
        """Keep a message; return its number."""
        number, self._next_number = self._next_number, self._next_number + 1
        self.counts.bytes += len(content)
        if not self.count_only:
            received = session.received(number, content, via)
            self.messages.append(received)
            if self.folder is not None:
                _write(self.folder, received)
        self.counts.messages += 1
        self._arrived.set()
        return number


def _write(folder: Path, received: Received) -> None:
    name = f"{received.number:06d}"
    texts = ((".json", json.dumps(received.facts(), indent=1).encode()), (".eml", received.content))
    for suffix, content in texts:
        temporary = folder / f".{name}{suffix}"
        temporary.write_bytes(content)
        temporary.rename(folder / f"{name}{suffix}")


def _server_context(certificate: tuple[Path, Path], maximum: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What OpenSSL would refuse to show, or to speak, is for the client to refuse.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(*certificate)
    if maximum == "1.1":
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    elif maximum == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


# The program


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SMTP receiver for demo, tests and benchmarks")
    parser.add_argument("--listen", default="127.0.0.1:0", help="address:port; port 0: any")
    parser.add_argument("--folder", type=Path, help="where messages are stored")
    parser.add_argument("--port-file", type=Path, help="written with the port when listening")
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"))
    parser.add_argument("--require-tls", action="store_true")
    parser.add_argument("--count-only", action="store_true", help="count, store nothing")
    parser.add_argument("--without", action="append", default=[], metavar="KEYWORD")
    parser.add_argument("--faults", type=Path, help="JSON file, re-read when it changes")
    parser.add_argument("--stats", type=Path, help="JSON file of counts, renewed once a second")
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace) -> None:
    host, _, port = options.listen.rpartition(":")
    sink = SmtpSink(
        host=host.strip("[]"),
        port=int(port),
        folder=None if options.count_only else options.folder,
        certificate=tuple(options.tls) if options.tls else None,
        require_tls=options.require_tls,
        count_only=options.count_only or options.folder is None,
        without=tuple(options.without),
        fault_file=options.faults,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sink:
        if options.port_file:
            _replace(options.port_file, f"{sink.port}\n")
        print(f"listening on {sink.host}:{sink.port}", flush=True)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
            sink.messages.clear()  # they are on disk
            if options.stats:
                _replace(options.stats, json.dumps(asdict(sink.counts)))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)


if __name__ == "__main__":
    asyncio.run(_serve(_arguments(sys.argv[1:])))
