"""The server's half of an SMTP session (RFC 5321), over any `Backend`.

The session is always in one `State` (`session_state.py`). MAIL, RCPT and DATA are not answered as
they come: they gather in `_pending` and are settled together once the client waits for us, so
that what it pipelined (RFC 2920) reaches the backend in one piece. State follows the commands as
they come and is corrected by the replies: MAIL opens a transaction at once, its refusal ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tdc.node_agent.smtp import commands, own_replies
from tdc.node_agent.smtp.backend import Backend, PendingCommand, Unavailable
from tdc.node_agent.smtp.body_reader import BodyReader
from tdc.node_agent.smtp.commands import (
    BadCommand,
    Mail,
    client_address,
    parse_mail,
    parse_recipient,
    parse_xforward,
    queue_id,
)
from tdc.node_agent.smtp.connection import PeerExpelled, PeerGone, PeerSilent, ServerConnection
from tdc.node_agent.smtp.framing import BareLineFeed, BodyTooLarge, LineTooLong
from tdc.node_agent.smtp.in_hand import BytesInHand
from tdc.node_agent.smtp.pace import AT_ONCE, PATIENCE_WITHIN, Pace
from tdc.node_agent.smtp.replies import Reply, reply
from tdc.node_agent.smtp.server_options import IDLE, MAX_ERRORS, SITS, ServerOptions
from tdc.node_agent.smtp.session_state import State, out_of_order
from tdc.shared.mail.envelope import Envelope


class ServerSession:
    """One session. `run` serves it; `stop` and `abort` may be called meanwhile."""

    __slots__ = (
        "_asked", "_backend", "_body", "_client", "_connection", "_errors", "_loop", "_mail",
        "_options", "_pace", "_pending", "_recipients", "_state", "_stop_wanted", "_xforward",
        "ending",
    )  # fmt: skip

    def __init__(
        self,
        connection: ServerConnection,
        backend: Backend,
        options: ServerOptions,
        in_hand: BytesInHand,
    ) -> None:
        self._connection = connection
        self._backend = backend
        self._options = options
        self._body = BodyReader(self, connection, options, in_hand)
        self._loop = asyncio.get_running_loop()
        self._client = ""  # the name it gave
        self._state = State.CONNECTED
        self._pace = Pace(self._loop.time())
        self._stop_wanted = False
        self.ending = False
        self._errors = 0
        self._pending: list[PendingCommand] = []
        self._mail: Mail | None = None  # once accepted
        self._recipients: list[str] = []  # accepted ones
        self._asked = 0  # recipients accepted or pending
        self._xforward: dict[str, bytes] = {}  # for the next message

    # Called by the listener

    async def run(self) -> None:
        """Serve until the session ends."""
        try:
            refusal = self._backend.admit(self._connection.peer)
            if refusal is None:
                self._connection.say(reply(f"220 {self._options.hostname} ESMTP"))
                await self._serve()
            else:
                self._connection.say(refusal)
        except PeerGone:
            pass
        except PeerExpelled:
            self._connection.say(own_replies.EXPELLED)
        except PeerSilent:
            stopping = self._stop_wanted and self._state is not State.CONTENT
            self._connection.say(own_replies.STOPPING if stopping else own_replies.TIMED_OUT)
        except Exception as error:  # a fault of ours must not end as a silent hang
            self._backend.failed(error)
            self._connection.say(own_replies.FAILED)
        finally:
            self._backend.abandon()
            self._connection.close()

    def stop(self) -> None:
        """End it: after its transaction, or once its client is silent for IDLE, SITS within one."""
        self._stop_wanted = True
        if self._state is not State.CONTENT:
            self._connection.wake()

    def abort(self) -> None:
        """End the session now."""
        self._backend.abandon()
        self._connection.abort()

    def expel(self) -> None:
        """End the session for another; its client is idle or slow."""
        self.ending = True
        self._connection.expel()

    @property
    def past_dot(self) -> bool:
        """Whether a whole message is with the backend, and not answered yet."""
        return self._body.whole

    def overdue(self, now: float) -> float:
        """Seconds by which the client keeps us waiting longer than it may where others want in."""
        if self.ending or not self._connection.waiting:
            return 0.0
        if self._state is State.CONTENT:
            return self._body.lag(now) - PATIENCE_WITHIN
        return self._pace.overdue(now)

    @property
    def _in_transaction(self) -> bool:
        within = self._state in (State.TRANSACTION, State.CONTENT)
        return within or bool(self._xforward)  # which its client begins it with

    # Commands

    async def _serve(self) -> None:
        served = 0
        while self._state is not State.CLOSING:
            line = self._next_line()
            if line is not None:
                if line:
                    await self._command(line)
                served += 1
                if served % AT_ONCE == 0:  # what one client pipelines must not hold others up
                    await asyncio.sleep(0)
            elif self._pending:
                await self._settled()
                self._connection.flush()
                # The rest of a pipelined group may have come while the backend was asked, and
                # nothing would follow it to wake us: look before waiting.
            else:
                await self._client_sends()
                continue
            self._pace.turn = self._loop.time()
        await self._settled()

    async def _client_sends(self) -> None:
        """Wait for the client, with all that was answered on its way to it."""
        connection, options, pace = self._connection, self._options, self._pace
        connection.flush()
        within = self._in_transaction
        stopping = SITS if within else IDLE
        allowed = stopping if self._stop_wanted else options.command_timeout
        latest = pace.waits(self._loop.time(), options.message_timeout, within=within)
        await connection.more(allowed, until=min(latest, pace.turn + allowed))
        pace.waited(self._loop.time())

    def _next_line(self) -> bytes | None:
        """The next command line; None if it has not come, empty if it was refused here."""
        try:
            line = self._connection.inbound.line()
        except LineTooLong:
            self._refuse(own_replies.LINE_TOO_LONG)
            return b""
        except BareLineFeed:
            self._refuse(own_replies.BARE_LINE_FEED)
            return b""
        if line == b"":
            self._refuse(own_replies.EMPTY_COMMAND)
        return line

    async def _command(self, line: bytes) -> None:
        verb = line.split(b" ", 1)[0].upper()
        if self._pace.exhausted(verb):
            if await self._settled():
                self._close_with(own_replies.NO_MESSAGE)
        elif (serve := _GATHERED.get(verb)) is not None:
            await serve(self, line)
        elif (serve := _ALONE.get(verb)) is not None:
            if await self._settled():
                await serve(self, line)
        elif verb in commands.OTHER_VERBS:
            self._refuse(own_replies.NOT_IMPLEMENTED)
        elif verb == b"BDAT" or line.startswith(commands.OTHER_PROTOCOLS):
            # What follows is content, not commands (RFC 3030; a cross-protocol attack).
            if await self._settled():
                self._close_with(own_replies.CUT_OFF)
        else:
            self._refuse(own_replies.UNKNOWN_COMMAND)

    async def _ehlo(self, line: bytes) -> None:
        await self._hello(line, extended=True)

    async def _helo(self, line: bytes) -> None:
        await self._hello(line, extended=False)

    async def _hello(self, line: bytes, *, extended: bool) -> None:
        if not line[5:].strip():
            self._refuse(reply(f"501 5.5.4 Syntax: {'EHLO' if extended else 'HELO'} hostname"))
            return
        self._client = line[5:].strip().decode("ascii", "replace")
        await self._backend.reset()
        try:
            offered = await self._backend.hello(extended=extended)
        except Unavailable as unavailable:
            self._close_with(unavailable.reply)
            return
        lines = [self._options.hostname]
        if extended:
            lines += ["PIPELINING", *offered, commands.XFORWARD_OFFER]
        text = "".join(f"250-{word}\r\n" for word in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self._connection.say(Reply(250, text.encode("ascii")))
        self._pace.greeted()
        self._end_transaction(State.READY)

    async def _mail_from(self, line: bytes) -> None:
        if self._out_of_order(b"MAIL"):
            return
        try:
            self._pending.append(PendingCommand(line, mail=parse_mail(line)))
        except BadCommand as bad:
            self._refuse(reply(str(bad)))
            return
        self._state = State.TRANSACTION

    async def _rcpt_to(self, line: bytes) -> None:
        if self._out_of_order(b"RCPT"):
            return
        try:
            command = PendingCommand(line, recipient=parse_recipient(line))
        except BadCommand as bad:
            self._refuse(reply(str(bad)))
            return
        if self._asked >= self._options.max_recipients:
            self._refuse(own_replies.TOO_MANY_RECIPIENTS)
            return
        self._pending.append(command)
        self._asked += 1

    async def _data(self, line: bytes) -> None:
        if len(line) > 4 and line[4:].strip():
            self._refuse(reply("501 5.5.4 Syntax: DATA"))
            return
        if self._out_of_order(b"DATA"):
            return
        self._pending.append(PendingCommand(line))
        await self._settled()
        if self._state is State.CONTENT:
            self._connection.flush()
            await self._content()

    async def _rset(self, line: bytes) -> None:
        await self._backend.reset()
        connected = self._state is State.CONNECTED
        self._end_transaction(State.CONNECTED if connected else State.READY)
        self._connection.say(own_replies.OK)

    async def _noop(self, line: bytes) -> None:
        self._connection.say(own_replies.OK)

    async def _vrfy(self, line: bytes) -> None:
        self._connection.say(own_replies.WHO_KNOWS)

    async def _quit(self, line: bytes) -> None:
        self._close_with(own_replies.BYE)

    async def _xforward_command(self, line: bytes) -> None:
        if self._out_of_order(b"XFORWARD"):
            return
        try:
            self._xforward.update(parse_xforward(line))
        except BadCommand as bad:
            self._refuse(reply(str(bad)))
            return
        self._connection.say(own_replies.OK)

    # The transaction

    async def _settled(self) -> bool:
        """Settle what is pending; False if the session is over, as it is after a 421."""
        if self._pending:
            self._connection.flush()  # what is answered must not wait for the backend
            pending, self._pending = self._pending, []
            asked = [command for command in pending if command.answer is None]
            replies = iter(await self._backend.settle(asked, self._xforward))
            answers = [command.answer or self._apply(command, next(replies)) for command in pending]
            lost = self._backend.lost is not None
            if lost or self._mail is None:
                self._end_transaction(State.LOST if lost else State.READY)
            for answer in answers:
                self._connection.say(answer)
                if answer.code == 421:
                    self._state = State.CLOSING
                    break
        return self._state is not State.CLOSING

    def _apply(self, command: PendingCommand, answer: Reply) -> Reply:
        if command.is_data:
            if answer.code == 354:
                if self._mail is None:  # what follows would be read as commands
                    raise ValueError("the backend answered DATA with 354 outside a transaction")
                self._state = State.CONTENT
        elif answer.refused:
            self._asked -= command.recipient is not None
        elif command.recipient is not None:
            self._recipients.append(command.recipient)
        else:
            self._mail = command.mail
        return answer

    async def _content(self) -> None:
        connection = self._connection
        try:
            # The body has no name here: the backend is to let go of it before it returns.
            answers: Sequence[Reply] = await self._backend.body(
                self._envelope(),
                await self._body.read(self._backend.body_limit),
                lambda: connection.gone,
            )
            self._pace.passed()
        except BodyTooLarge:
            self._backend.abandon()
            answers = (own_replies.TOO_LARGE,)
        finally:
            self._body.done()
        self._end_transaction(State.LOST if self._backend.lost else State.READY)
        for answer in answers:
            connection.say(answer)
            if answer.code == 421:
                self._state = State.CLOSING
        if self._stop_wanted and self._state is not State.CLOSING:
            self._close_with(own_replies.STOPPING)

    def _envelope(self) -> Envelope:
        mail = self._mail
        assert mail is not None
        return Envelope(
            mail.sender,
            tuple(self._recipients),
            mail.smtputf8,
            mail.body,
            client_address(self._xforward),
            queue_id(self._xforward),
            self._client,
        )

    def _end_transaction(self, state: State) -> None:
        self._state = state
        self._mail = None
        self._recipients = []
        self._asked = 0
        if self._xforward:
            self._xforward = {}

    # Replies of our own

    def _out_of_order(self, verb: bytes) -> bool:
        """Refuse a command that the state does not allow."""
        refusal = out_of_order(verb, self._state, self._backend.lost)
        if refusal is None:
            return False
        self._refuse(refusal)
        return True

    def _refuse(self, answer: Reply) -> None:
        """Refuse a command without asking the backend; after those that await their reply."""
        self._errors += answer.permanent
        if self._errors > MAX_ERRORS:
            answer = own_replies.TOO_MANY_ERRORS
            self._state = State.CLOSING
        if self._pending:
            self._pending.append(PendingCommand(answer=answer))
        else:
            self._connection.say(answer)

    def _close_with(self, answer: Reply) -> None:
        self._connection.say(answer)
        self._state = State.CLOSING


_Serve = Callable[[ServerSession, bytes], Awaitable[None]]
_GATHERED: dict[bytes, _Serve] = {
    b"MAIL": ServerSession._mail_from,
    b"RCPT": ServerSession._rcpt_to,
    b"DATA": ServerSession._data,
}
_ALONE: dict[bytes, _Serve] = {
    b"EHLO": ServerSession._ehlo,
    b"HELO": ServerSession._helo,
    b"RSET": ServerSession._rset,
    b"NOOP": ServerSession._noop,
    b"QUIT": ServerSession._quit,
    b"VRFY": ServerSession._vrfy,
    b"XFORWARD": ServerSession._xforward_command,
}
"""What is pending is settled before one of these; if that ends the session, it is not served."""
