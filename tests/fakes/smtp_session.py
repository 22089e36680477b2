"""One connection of the tests' SMTP receiver: commands in, replies out, faults as configured."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tests.fakes.smtp_received import Received

if TYPE_CHECKING:
    from tests.fakes.smtp_sink import SmtpSink

MAX_COMMAND = 4_096


class Session(asyncio.Protocol):
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
        self._transport = cast(asyncio.Transport, transport)
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
        if handler is None or verb.upper() in self._sink.faults.unknown:
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
        reply = faults.refusal(content) or reply
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
        """Reply at a stage, with the fault configured for it; True if the reply is a normal one."""
        faults = self._sink.faults
        if faults.drops(stage):
            self._drop()
            return False
        raw = faults.garbage.get(stage)
        if raw is not None:
            self._out.append(raw.encode("latin-1"))
            return False
        fault = None if asked else faults.reply(stage)
        self._say(fault or normal)
        delay = faults.delays.get(stage, 0.0)
        if delay:
            self._paused = True
            asyncio.get_running_loop().call_later(delay, self._resume)
        return fault is None or fault[0] in "23"

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
        fault = faults.reply("starttls")
        if fault is not None:
            self._say(fault)
        elif context is None or self._tls is not None:
            self._say("503 5.5.1 No TLS here")
        elif faults.drops("starttls"):
            self._drop()
        elif faults.plaintext_after_starttls:
            self._say("220 2.0.0 Ready\r\n250 this is not a TLS record")
        else:
            self._buffer.clear()  # what came before TLS is worth nothing after it
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
        path, parameters = path_of(rest, "FROM:")
        if path is None or self._sender is not None:
            self._say("503 5.5.1 Nested MAIL" if self._sender is not None else "501 5.5.4 Syntax")
            return
        if self._answer("mail", "250 2.1.0 Ok"):
            self._sender, self._parameters = path, parameters

    def _rcpt(self, rest: str) -> None:
        path, _ = path_of(rest, "TO:")
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


_VERBS: dict[str, Callable[[Session, str], None]] = {
    "EHLO": Session._ehlo,
    "HELO": Session._helo_command,
    "STARTTLS": Session._starttls,
    "MAIL": Session._mail,
    "RCPT": Session._rcpt,
    "DATA": Session._data_command,
    "BDAT": Session._bdat,
    "RSET": Session._rset,
    "NOOP": Session._noop,
    "QUIT": Session._quit,
}


# RFC 5321 4.1.2: within a quoted string, blanks and angle brackets are part of the address.
_PATH = re.compile(r'<((?:"(?:\\.|[^"\\])*"|[^">])*)>(.*)', re.DOTALL)


def path_of(rest: str, keyword: str) -> tuple[str | None, tuple[str, ...]]:
    """The path of MAIL or RCPT and its parameters; None for what is no path."""
    if rest[: len(keyword)].upper() != keyword:
        return None, ()
    match = _PATH.fullmatch(rest[len(keyword) :].strip())
    return (match[1], tuple(match[2].split())) if match else (None, ())
