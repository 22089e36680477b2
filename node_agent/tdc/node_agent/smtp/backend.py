"""PURE. The seam of the SMTP server: what it asks of the part that does something with the mail.

The server (`server.py`) speaks SMTP: order of commands, syntax, limits, pipelining, closing. A
backend decides about senders, recipients and content. The content filter is one: it asks the next
hop. A copy listener can be another: it answers by itself, and keeps the message.

**Two phases.** A message changes hands in two steps, and only inside `Backend.body`:

  1. *take*: make everything durable that must not be lost once the client has its 250;
  2. then either *release*, when the message is accepted for certain, or *discard*, when it is
     refused or its fate is unknown.

The client gets a 2yz only after a release. Between the two steps nothing may be sent out that
can't be taken back, and the backend must be able to die: what was taken and not released counts
as never taken, so that the client, which has no reply, keeps the message and sends it again.

**LMTP** (RFC 2033) fits in: its server half differs in the greeting command (LHLO) and in one reply
for each accepted recipient after the content. That is why `Backend.body` returns a sequence: an
SMTP backend returns one reply, an LMTP backend one for each of `envelope.recipients`, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tdc.node_agent.smtp.commands import Mail
from tdc.node_agent.smtp.replies import Reply
from tdc.shared.mail.envelope import Envelope


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command of a transaction that awaits its reply: MAIL, RCPT, or else DATA.

    `line` is what the client sent, without CRLF. `answer` is set where the server has refused the
    command itself; the backend does not see it then.
    """

    line: bytes = b""
    mail: Mail | None = None
    recipient: str | None = None
    answer: Reply | None = None

    @property
    def is_data(self) -> bool:
        """True for DATA."""
        return self.mail is None and self.recipient is None and self.answer is None


class Unavailable(Exception):
    """The backend can't serve this session now; `reply` (a 421) ends it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Backend(Protocol):
    """The mail side of one session. The server never runs two of the coroutines at once.

    Each of them bounds its own waits. A call may outlast the connection: `body` in particular is
    not cancelled when the client leaves, because a message under way must be settled.
    """

    def admit(self, peer: str) -> Reply | None:
        """Decide about a client by its IP address: None to serve it, else the refusal."""
        ...

    async def hello(self, *, extended: bool) -> Sequence[str]:
        """Begin a session (EHLO if `extended`, else HELO): the extensions to offer.

        PIPELINING and XFORWARD are the server's own. Raises Unavailable.
        """
        ...

    async def settle(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes]
    ) -> Sequence[Reply]:
        """Answer the commands of a transaction that the client sent together, one reply for each.

        MAIL comes first in its transaction and DATA last; a transaction may take several calls.
        To MAIL and RCPT the reply is a 2yz or a refusal, to DATA a 354 or a refusal; a 354 only
        if MAIL was accepted. A 421 ends the session. `xforward` is what the client
        reported about its own client, as it came.
        """
        ...

    @property
    def lost(self) -> Reply | None:
        """Set if the backend gave the transaction up by itself; until the next MAIL or reset.

        It is the reply to commands that still belong to that transaction. They must be refused
        for now: a 503 would make the client return the message to its sender.
        """
        ...

    @property
    def body_limit(self) -> int:
        """The largest body that may be held in memory, in bytes with the dots of DATA."""
        ...

    async def body(
        self, envelope: Envelope, body: bytes, gone: Callable[[], bool]
    ) -> Sequence[Reply]:
        """Take the message, then release or discard it, in the order at the head of this file.

        `body` is what DATA carried, without the final dot. `gone` is True once the client has
        left: it can't be answered then, so a message not yet handed on must be discarded.
        The transaction is over afterwards.
        """
        ...

    async def reset(self) -> None:
        """End the transaction, if there is one, on behalf of the client (RSET, EHLO)."""
        ...

    def abandon(self) -> None:
        """End the transaction now, without waiting: the session is over, or the body too large.

        Also called beside a coroutine that is under way, when the server stops and can't wait for
        it: that one must then end soon, accept nothing, and keep nothing that it took since.
        """
        ...

    def failed(self, error: Exception) -> None:
        """Log a fault of our own that ended the session."""
        ...
