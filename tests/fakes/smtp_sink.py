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
import hashlib
import json
import signal
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.fakes.smtp_faults import FaultFile, Faults

KEYWORDS = (
    "PIPELINING",
    "SIZE 209715200",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "BINARYMIME",
    "ENHANCEDSTATUSCODES",
)
MAX_COMMAND = 4_096


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in. `via` is DATA or BDAT; `content` is empty in count-only mode."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    mail_parameters: tuple[str, ...]
    helo: str
    tls_version: str | None
    tls_cipher: str | None
    received_at: float
    size: int
    sha256: str
    connection: int
    via: str
    content: bytes = field(repr=False, default=b"")

    def facts(self) -> dict[str, Any]:
        """Return what stands in the JSON file."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "content"
        }


@dataclass(slots=True)
class Counts:
    """What the sink has seen since its start."""

    connections: int = 0
    tls_connections: int = 0
    open_connections: int = 0
    most_connections: int = 0
    messages: int = 0
    bytes: int = 0
    mail_commands: int = 0
    mail_commands_without_tls: int = 0
    bytes_of_messages_seen_without_tls: int = 0
    quits: int = 0


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
        self._sessions: set[_Session] = set()
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
            lambda: _Session(self), self.host, self.port, backlog=512
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

    def opened(self, session: _Session) -> int:
        """Count a connection; return its number."""
        self._sessions.add(session)
        counts = self.counts
        counts.connections += 1
        counts.open_connections += 1
        counts.most_connections = max(counts.most_connections, counts.open_connections)
        return counts.connections

    def closed(self, session: _Session) -> None:
        """Forget a connection."""
        if session in self._sessions:
            self._sessions.discard(session)
            self.counts.open_connections -= 1

    def store(self, session: _Session, content: bytes, via: str) -> int:
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
    context.load_cert_chain(*certificate)
    if maximum == "1.1":  # OpenSSL 3 speaks it only at security level 0
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    elif maximum == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Session(asyncio.Protocol):
    """One connection: commands in, replies out, gathered into one write for each read."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._paused = False  # a slow reply or a TLS handshake is under way
        self._closing = False
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._helo = ""
        self._messages = 0
        self._data: bytearray | None = None  # DATA content under way, begun with a CRLF
        self._bdat_left = 0
        self._bdat_last = False
        self._bdat_content = bytearray()
        self._in_bdat = False
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._parameters: tuple[str, ...] = ()
        self._recipients: list[str] = []
        self._bdat_content = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.connection = self._sink.opened(self)
        self._answer("banner", "220 sink.example ESMTP")
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        if self._handshake is not None and not self._handshake.done():
            self._handshake.cancel()
        self._sink.closed(self)

    def abort(self) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._sink.closed(self)

    def received(self, number: int, content: bytes, via: str) -> Received:
        tls = self._tls
        return Received(
            number=number,
            sender=self._sender or "",
            recipients=tuple(self._recipients),
            mail_parameters=self._parameters,
            helo=self._helo,
            tls_version=tls.version() if tls else None,
            tls_cipher=(tls.cipher() or ("",))[0] if tls else None,
            received_at=self._sink.clock(),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            connection=self.connection,
            via=via,
            content=content,
        )

    # Bytes in

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while self._buffer and not self._paused and not self._closing:
            if self._data is not None:
                if not self._take_data():
                    break
            elif self._in_bdat:
                if not self._take_bdat():
                    break
            elif not self._take_command():
                break
        self._flush()

    def _take_command(self) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > MAX_COMMAND:
                self._say("500 5.5.2 Line too long")
                self._closing = True
            return False
        line = bytes(self._buffer[: end + 1]).rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        del self._buffer[: end + 1]
        verb, _, rest = line.partition(" ")
        handler = _VERBS.get(verb.upper())
        if handler is None:
            self._say("500 5.5.2 Unknown command")
        else:
            handler(self, rest.strip())
        return True

    def _take_data(self) -> bool:
        data = self._data
        assert data is not None
        start = max(0, len(data) - 4)
        data += self._buffer
        self._count_plain(len(self._buffer))
        self._buffer.clear()
        if self._sink.faults.drops("before-dot"):
            self._drop()
            return False
        end = data.find(b"\r\n.\r\n", start)
        if end < 0:
            return False
        self._buffer += memoryview(data)[end + 5 :]
        content = bytes(memoryview(data)[: end + 2])
        self._data = None
        if b"\r\n." in content:  # RFC 5321 4.5.2: the first dot of a line is not content
            content = content.replace(b"\r\n.", b"\r\n")
        self._finish(content[2:], "DATA", "dot")
        return True

    def _take_bdat(self) -> bool:
        chunk = min(self._bdat_left, len(self._buffer))
        self._bdat_content += memoryview(self._buffer)[:chunk]
        del self._buffer[:chunk]
        self._bdat_left -= chunk
        self._count_plain(chunk)
        if self._sink.faults.drops("before-dot"):
            self._drop()
            return False
        if self._bdat_left:
            return False
        self._end_bdat()
        return True

    def _end_bdat(self) -> None:
        self._in_bdat = False
        if not self._recipients:  # RFC 3030 section 2: the octets are read and thrown away
            self._bdat_content = bytearray()
            self._say("503 5.5.1 No valid recipients")
        elif self._bdat_last:
            content = bytes(self._bdat_content)
            self._finish(content, "BDAT", "bdat")
        else:
            self._answer("bdat", "250 2.0.0 Chunk taken")

    def _count_plain(self, octets: int) -> None:
        if self._tls is None:
            self._sink.counts.bytes_of_messages_seen_without_tls += octets

    def _finish(self, content: bytes, via: str, stage: str) -> None:
        faults = self._sink.faults
        reply = faults.reply(stage) or (faults.reply("dot") if stage == "bdat" else None)
        if reply is None or reply.startswith("2"):
            number = self._sink.store(self, content, via)
            self._messages += 1
            if faults.drops("after-dot"):
                self._drop()
                return
            self._answer(stage, reply or f"250 2.0.0 Taken as {number:06d}", asked=True)
        else:
            self._answer(stage, reply, asked=True)
        self._reset()
        if faults.close_after and self._messages >= faults.close_after:
            self._closing = True

    # Replies out

    def _answer(self, stage: str, normal: str, *, asked: bool = False) -> bool:
        """Reply at a stage, as the faults will have it; True if the reply is a normal one."""
        faults = self._sink.faults
        if faults.drops(stage):
            self._drop()
            return False
        raw = faults.garbage.get(stage)
        if raw is not None:
            self._out.append(raw.encode("latin-1"))
            return False
        told = None if asked else faults.reply(stage)
        self._say(told or normal)
        delay = faults.delays.get(stage, 0.0)
        if delay:
            self._paused = True
            asyncio.get_running_loop().call_later(delay, self._resume)
        return told is None or told[0] in "23"

    def _resume(self) -> None:
        self._paused = False
        if not self._closing:
            self._flush()
            self._work()

    def _say(self, reply: str) -> None:
        self._out.append(reply.encode("utf-8", "surrogateescape") + b"\r\n")

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or self._paused:
            return
        if self._out:
            transport.write(b"".join(self._out))
            self._out.clear()
        if self._closing:
            transport.close()

    def _drop(self) -> None:
        self._closing = True
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()

    # Commands

    def _ehlo(self, name: str) -> None:
        self._helo = name
        self._reset()
        words = list(self._sink.keywords)
        faults = self._sink.faults
        if self._tls is None and faults.offer_starttls and self._sink.tls_context() is not None:
            words.append("STARTTLS")
        lines = ["sink.example", *words, *faults.extra_keywords]
        text = "\r\n".join(f"250-{line}" for line in lines[:-1])
        self._answer("ehlo", f"{text}\r\n250 {lines[-1]}")

    def _helo_command(self, name: str) -> None:
        self._helo = name
        self._reset()
        self._answer("ehlo", "250 sink.example")

    def _starttls(self, _: str) -> None:
        faults = self._sink.faults
        context = self._sink.tls_context()
        told = faults.reply("starttls")
        if told is not None:
            self._say(told)
        elif context is None or self._tls is not None:
            self._say("503 5.5.1 No TLS here")
        elif faults.drops("starttls"):
            self._drop()
        elif faults.plaintext_after_starttls:
            self._say("220 2.0.0 Ready\r\n250 this is not a TLS record")
        else:
            self._buffer.clear()  # what came before TLS is worth nothing behind it
            self._out.append(b"220 2.0.0 Ready\r\n" + faults.inject_after_starttls.encode())
            self._flush()
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._handshake = loop.create_task(self._upgrade(context))

    async def _upgrade(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        try:
            transport = await loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=10
            )
        except (OSError, ssl.SSLError):
            self.abort()
            return
        if transport is None:
            return
        self._transport = transport
        self._tls = transport.get_extra_info("ssl_object")
        self._sink.counts.tls_connections += 1
        self._helo = ""
        self._reset()
        self._paused = False
        self._work()

    def _mail(self, rest: str) -> None:
        counts = self._sink.counts
        counts.mail_commands += 1
        if self._tls is None:
            counts.mail_commands_without_tls += 1
            if self._sink.require_tls:
                self._say("530 5.7.0 Must issue a STARTTLS command first")
                return
        faults = self._sink.faults
        if faults.too_many_after and self._messages >= faults.too_many_after:
            self._say("421 4.7.0 Too many messages on this connection")
            self._closing = True
            return
        path, parameters = _path(rest, "FROM:")
        if path is None or self._sender is not None:
            self._say("503 5.5.1 Nested MAIL" if self._sender is not None else "501 5.5.4 Syntax")
            return
        if self._answer("mail", "250 2.1.0 Ok"):
            self._sender, self._parameters = path, parameters

    def _rcpt(self, rest: str) -> None:
        path, _ = _path(rest, "TO:")
        if self._sender is None or not path:
            self._say("503 5.5.1 Need MAIL" if self._sender is None else "501 5.5.4 Syntax")
        elif self._answer("rcpt", "250 2.1.5 Ok"):
            self._recipients.append(path)

    def _data_command(self, _: str) -> None:
        if not self._recipients:
            self._say("503 5.5.1 Need RCPT")
        elif self._answer("data", "354 Go on"):
            self._data = bytearray(b"\r\n")

    def _bdat(self, rest: str) -> None:
        size, _, last = rest.partition(" ")
        if not size.isdigit() or last.upper() not in ("", "LAST"):
            self._say("501 5.5.4 Syntax")
            self._closing = True  # where the next command begins can't be known
            return
        self._bdat_left, self._bdat_last, self._in_bdat = int(size), bool(last), True
        if self._bdat_left == 0:
            self._end_bdat()

    def _rset(self, _: str) -> None:
        self._reset()
        self._say("250 2.0.0 Ok")

    def _noop(self, _: str) -> None:
        self._say("250 2.0.0 Ok")

    def _quit(self, _: str) -> None:
        self._sink.counts.quits += 1
        self._say("221 2.0.0 Bye")
        self._closing = True


_VERBS: dict[str, Callable[[_Session, str], None]] = {
    "EHLO": _Session._ehlo,
    "HELO": _Session._helo_command,
    "STARTTLS": _Session._starttls,
    "MAIL": _Session._mail,
    "RCPT": _Session._rcpt,
    "DATA": _Session._data_command,
    "BDAT": _Session._bdat,
    "RSET": _Session._rset,
    "NOOP": _Session._noop,
    "QUIT": _Session._quit,
}


def _path(rest: str, keyword: str) -> tuple[str | None, tuple[str, ...]]:
    if rest[: len(keyword)].upper() != keyword:
        return None, ()
    path, closed, parameters = rest[len(keyword) :].strip().partition(">")
    if not closed or not path.startswith("<"):
        return None, ()
    return path[1:], tuple(parameters.split())


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
