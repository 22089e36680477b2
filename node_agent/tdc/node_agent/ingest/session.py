"""One SMTP session with the MTA: commands and their replies pass through to the next hop.

Order of one message, which is what the promises rest on:
  1. the whole body is here; 2. the copies become durable (a large body is sent on before, without
  its final dot); 3. only then the final dot goes to the next hop; 4. on its 2yz the copies are
  released and the MTA gets that reply; on anything else they are discarded.
So at whatever moment we die, the MTA has no 250 unless the next hop said 250 and the copies
are durable; and the original is the next hop's or still the MTA's, never ours.

No Received field is added: the original must leave as it came. A mail loop through us is a
loop through the MTA, which adds and counts its own on re-injection (RFC 5321 6.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.take import Taker
from tdc.node_agent.ingest.transaction import Transaction
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.commands import BadCommand, parse_xforward
from tdc.node_agent.smtp.connection import PeerGone, PeerSilent, ServerConnection
from tdc.node_agent.smtp.framing import BareLineFeed, BodyTooLarge, LineTooLong
from tdc.node_agent.smtp.replies import Reply, reply

MAX_ERRORS = 20  # refusals of our own in one session
MAX_JUNK = 1_000  # NOOP, RSET, VRFY ... without a message between

GREETING = "220 {} ESMTP"
TIMED_OUT = reply("421 4.4.2 Timeout")
CLOSING = reply("421 4.3.2 The filter is stopping, try again")
TOO_MANY_CONNECTIONS = reply("421 4.3.2 Too many connections, try again")
NOT_TRUSTED = reply("554 5.7.1 This is a content filter for the local mail server only")
TOO_MANY_ERRORS = reply("421 4.7.0 Too many errors")
BYE = reply("221 2.0.0 Bye")
TOO_LARGE = reply("552 5.3.4 Message too large")
OK = reply("250 2.0.0 Ok")
OFFERED = ("8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
XFORWARD_OFFER = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
OTHER_PROTOCOLS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"\x16\x03")


class FilterSession:
    """A session. `sessions` returns how many are under way."""

    def __init__(
        self,
        connection: ServerConnection,
        options: FilterOptions,
        pool: NextHopPool,
        taker: Taker,
        counters: Counters,
        log: TdcLog,
        sessions: Callable[[], int],
    ) -> None:
        self.stopping = False
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._pool = pool
        self._log = log
        self._sessions = sessions
        self._greeted = False
        self._closing = False
        self._errors = 0
        self._junk = 0
        self._transaction = Transaction(
            options, pool, taker, counters, log, lambda: connection.gone
        )
        self._verbs: dict[bytes, Callable[[bytes], Awaitable[None]]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"QUIT": self._quit,
            b"VRFY": self._vrfy,
            b"XFORWARD": self._xforward,
        }

    def stop(self) -> None:
        """End the session, after the transaction under way if there is one."""
        self.stopping = True
        if not self._transaction.open:
            self._connection.wake()

    def abort(self) -> None:
        """End the session now."""
        self._transaction.abandon()
        self._connection.abort()

    async def run(self) -> None:
        """Serve until the connection ends."""
        try:
            if self._admitted():
                await self._serve()
        except PeerGone:
            pass
        except PeerSilent:
            self._say(TIMED_OUT)
        except Exception as error:  # a fault of ours must not end as a silent hang
            self._log.error(f"The content filter failed on a session: {error!r}")
            self._say(reply("421 4.3.0 Internal error"))
        finally:
            self._transaction.abandon()
            self._connection.close()

    def _admitted(self) -> bool:
        if not self._options.trusts(self._connection.peer):
            self._say(NOT_TRUSTED)
        elif self._sessions() > self._options.max_connections:
            self._say(TOO_MANY_CONNECTIONS)
        else:
            self._say(reply(GREETING.format(self._options.hostname)))
            return True
        return False

    async def _serve(self) -> None:
        deadline = self._loop.time() + self._options.command_timeout
        while not self._closing:
            line = self._next_line()
            if line is not None:
                if line:
                    await self._command(line)
                deadline = self._loop.time() + self._options.command_timeout
                continue
            if not await self._settle():
                return
            self._connection.flush()
            if self.stopping and not self._transaction.open:
                self._say(CLOSING)
                return
            await self._connection.more(self._options.command_timeout, until=deadline)
        await self._settle()

    def _next_line(self) -> bytes | None:
        """Return the next command line, None if there is none; refused ones are empty."""
        try:
            line = self._connection.inbound.line()
        except LineTooLong:
            self._refuse("500 5.5.2 Line too long")
            return b""
        except BareLineFeed:
            self._refuse("500 5.5.2 A command ends in CR LF")
            return b""
        if line == b"":
            self._refuse("500 5.5.2 Empty command")
        return line

    async def _command(self, line: bytes) -> None:
        verb = line.split(b" ", 1)[0].upper()
        serve = self._verbs.get(verb)
        if serve is not None:
            await serve(line)
        elif verb in (b"STARTTLS", b"AUTH", b"EXPN", b"HELP", b"TURN", b"ETRN", b"XCLIENT"):
            self._refuse("502 5.5.1 Command not implemented")
        elif verb == b"BDAT" or line.startswith(OTHER_PROTOCOLS):
            # What follows is content, not commands (RFC 3030; a cross-protocol attack).
            await self._settle()
            self._say(reply("502 5.5.1 Command not implemented, closing"))
            self._closing = True
        else:
            self._refuse("500 5.5.2 Command not recognized")

    async def _ehlo(self, line: bytes) -> None:
        await self._settle()
        if not line[5:].strip():
            self._refuse("501 5.5.4 Syntax: EHLO hostname")
            return
        await self._transaction.reset()
        try:
            offered = await self._pool.capabilities()
        except NextHopUnavailable as unavailable:
            self._log.warning(f"The next hop takes no mail: {unavailable}")
            self._say(reply("421 4.4.1 The next hop takes no connection, try again"))
            self._closing = True
            return
        lines = [
            self._options.hostname,
            "PIPELINING",
            *(word for word in OFFERED if word in offered),
        ]
        if "SIZE" in offered:
            lines.append(f"SIZE {self._transaction.size_limit(offered)}")
        lines.append(XFORWARD_OFFER)
        text = "".join(f"250-{word}\r\n" for word in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self._transaction.announced = {word for word in OFFERED if word in offered}
        self._say(Reply(250, text.encode("ascii")))
        self._greeted = True

    async def _helo(self, line: bytes) -> None:
        await self._settle()
        if not line[5:].strip():
            self._refuse("501 5.5.4 Syntax: HELO hostname")
            return
        await self._transaction.reset()
        self._transaction.announced = set()
        self._say(Reply(250, f"250 {self._options.hostname}\r\n".encode()))
        self._greeted = True

    async def _mail(self, line: bytes) -> None:
        if not self._greeted:
            self._refuse("503 5.5.1 Send EHLO first")
            return
        try:
            self._transaction.mail(line)
        except BadCommand as bad:
            self._refuse(str(bad))
        self._junk = 0

    async def _rcpt(self, line: bytes) -> None:
        try:
            self._transaction.recipient(line)
        except BadCommand as bad:
            self._refuse(str(bad))

    async def _data(self, line: bytes) -> None:
        if len(line) > 4 and line[4:].strip():
            self._refuse("501 5.5.4 Syntax: DATA")
            return
        try:
            self._transaction.data(line)
        except BadCommand as bad:
            self._refuse(str(bad))
            return
        await self._settle()
        if self._transaction.in_data and not self._closing:
            self._connection.flush()
            await self._message()

    async def _message(self) -> None:
        limit = self._transaction.body_limit
        latest = self._loop.time() + self._options.message_timeout
        try:
            while (body := self._connection.inbound.body(limit)) is None:
                await self._connection.more(self._options.block_timeout, until=latest)
        except BodyTooLarge:
            self._transaction.abandon()
            self._say(TOO_LARGE)
            return
        answer = await self._transaction.finish(body)
        self._say(answer)
        self._closing = answer.code == 421

    async def _rset(self, line: bytes) -> None:
        await self._settle()
        await self._transaction.reset()
        self._idle_command(OK)

    async def _noop(self, line: bytes) -> None:
        await self._settle()
        self._idle_command(OK)

    async def _vrfy(self, line: bytes) -> None:
        await self._settle()
        self._idle_command(reply("252 2.1.5 Send a message to find out"))

    async def _quit(self, line: bytes) -> None:
        await self._settle()
        self._say(BYE)
        self._closing = True

    async def _xforward(self, line: bytes) -> None:
        await self._settle()
        if self._transaction.open:
            self._refuse("503 5.5.1 XFORWARD within a transaction")
            return
        try:
            self._transaction.xforward.update(parse_xforward(line))
        except BadCommand as bad:
            self._refuse(str(bad))
            return
        self._idle_command(OK)

    # Replies

    def _say(self, answer: Reply) -> None:
        self._connection.say(answer)

    def _idle_command(self, answer: Reply) -> None:
        self._junk += 1
        if self._junk > MAX_JUNK:
            answer = TOO_MANY_ERRORS
            self._closing = True
        self._say(answer)

    def _refuse(self, line: str) -> None:
        """Refuse a command without asking the next hop."""
        answer = reply(line)
        self._errors += answer.code >= 500
        if self._errors > MAX_ERRORS:
            answer = TOO_MANY_ERRORS
            self._closing = True
        if self._transaction.pending:
            self._transaction.answer_in_turn(answer)
        else:
            self._say(answer)

    async def _settle(self) -> bool:
        """Send what is pending to the next hop and take up its replies.

        Return whether the session goes on: it ends with a 421 of the next hop.
        """
        if self._transaction.pending:
            self._connection.flush()  # what is settled must not wait for the next hop
            for answer in await self._transaction.settle():
                self._say(answer)
                if answer.code == 421:
                    self._closing = True
                    break
        return not self._closing
