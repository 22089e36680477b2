"""PURE. The SMTP client's half of a conversation, without sockets.

Bytes of the peer go in by `feed`, which returns events; what to send comes out by `output`.
The heart is a queue of expectations: every command sent puts the reply it waits for after the
others, and every reply is matched with the oldest expectation. So pipelining (RFC 2920) is not
a special case, a next transaction may follow an unanswered one, and a reply that nobody
waits for is a fault and never a success (a stray 250 must not confirm the next message).

    banner -> EHLO -> STARTTLS -> (TLS) -> EHLO -> transactions ... -> QUIT
    transaction: `announce` sends MAIL RCPT (and DATA, where BDAT is not used) in one
                 flight; when the intake is `Ready` for it, `content` sends BDAT or the content

The content goes only when no reply is due, so a reply too many is noticed before it could be
taken for the one that counts. The next transaction may be announced right after the
content (RFC 2920 3.1), which makes one flight each way for a message. QUIT never follows a
message whose reply is due: its 221 could be taken for that reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import ProtocolFault, Reply, ReplyParser
from tdc.shared.mail.envelope import BodyType

_DOT = b".\r\n"


class Stage(StrEnum):
    """What a reply answers, or where trouble struck; in the order of a session."""

    DNS = "DNS"
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    TLS = "TLS"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"  # within the content, its end not sent
    DOT = "end of data"  # all sent; the reply decides
    RSET = "RSET"
    QUIT = "QUIT"


class Extension(StrEnum):
    """What a report can be sent without, where an intake offers it and then refuses it."""

    SIZE = "SIZE"  # the parameter; the limit that it states still holds
    CHUNKING = "CHUNKING"
    EIGHT_BIT = "8BITMIME"
    SMTPUTF8 = "SMTPUTF8"


@dataclass(frozen=True, slots=True)
class Offers:
    """What the intake's EHLO reply offers.

    `size` is its limit in octets: 0 for none stated, None where SIZE is not offered.
    """

    pipelining: bool = False
    starttls: bool = False
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    chunking: bool = False
    binary: bool = False

    def without(self, refused: Iterable[Extension]) -> Offers:
        """These offers as if some of them had not been made."""
        chunking = self.chunking and Extension.CHUNKING not in refused
        eight_bit = self.eight_bit and Extension.EIGHT_BIT not in refused
        return replace(
            self,
            eight_bit=eight_bit,
            smtputf8=self.smtputf8 and Extension.SMTPUTF8 not in refused,
            chunking=chunking,
            binary=self.binary and chunking and eight_bit,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """One report to send: envelope, MAIL parameters and content in parts.

    `size` is the octets of all parts. For an intake that offers SIZE or CHUNKING and then refuses
    it, `declare_size` False leaves SIZE out, and `by_data` True sends by DATA. `encoded`: the
    original is in base64.
    """

    sender: str
    recipient: str
    parts: tuple[bytes, ...]
    size: int
    body: BodyType = "7BIT"
    smtputf8: bool = False
    declare_size: bool = True
    by_data: bool = False
    encoded: bool = False

    def uses(self, offers: Offers) -> frozenset[Extension]:
        """The extensions that its commands use."""
        used = {
            Extension.SIZE: offers.size is not None and self.declare_size,
            Extension.CHUNKING: offers.chunking and not self.by_data,
            Extension.EIGHT_BIT: self.body != "7BIT",
            Extension.SMTPUTF8: self.smtputf8,
        }
        return frozenset(extension for extension, is_used in used.items() if is_used)


class Answered(NamedTuple):
    """The reply to a command outside a transaction."""

    stage: Stage
    reply: Reply


class Finished(NamedTuple):
    """A transaction ended: at DOT with a 2yz it succeeded, else `stage` refused it."""

    transaction: Outgoing
    stage: Stage
    reply: Reply

    @property
    def succeeded(self) -> bool:
        """True if the intake has taken the message over."""
        return self.stage is Stage.DOT and self.reply.positive


class Ready(NamedTuple):
    """The intake takes the envelope and waits for the content."""

    transaction: Outgoing


Event = Answered | Ready | Finished


class _Sending:
    """A transaction under way."""

    __slots__ = ("all_sent", "failure", "transaction")

    def __init__(self, transaction: Outgoing) -> None:
        self.transaction = transaction
        self.failure: tuple[Stage, Reply] | None = None
        self.all_sent = False


class Dialogue:
    """One conversation. Make it when the connection is up; it waits for the banner first."""

    def __init__(self, helo_name: str) -> None:
        self._helo_name = helo_name
        self._parser = ReplyParser()
        self._expected: deque[tuple[Stage, _Sending | None]] = deque([(Stage.BANNER, None)])
        self._out: list[bytes] = []
        self._must_reset = False
        self._over: Reply | None = None
        self._fault: str | None = None
        self._ready: _Sending | None = None
        self.offers = Offers()
        self.replies = 0  # that came whole

    # What to send

    def ehlo(self) -> None:
        """Introduce ourselves (RFC 5321 4.1.1.1)."""
        self._command(f"EHLO {self._helo_name}", Stage.EHLO)

    def starttls(self) -> None:
        """Ask for TLS (RFC 3207)."""
        self._command("STARTTLS", Stage.STARTTLS)

    def tls_started(self) -> None:
        """Forget what came in plain text (RFC 3207 4.2), and start over with EHLO.

        Call it before the TLS handshake; raises ProtocolFault if bytes came after the 220:
        they would be read as if they had come through TLS.
        """
        if self._fault is not None or not self._parser.idle or self._expected:
            raise ProtocolFault("sent plain text after its reply to STARTTLS")
        self.offers = Offers()
        self.ehlo()

    def announce(self, transaction: Outgoing) -> None:
        """Begin a transaction; only while `takes_another`."""
        sending = _Sending(transaction)
        if self._must_reset:  # RFC 3030 section 3: after a failed BDAT nothing else is defined
            self._must_reset = False
            self._command("RSET", Stage.RSET)
        self._command(self._mail(transaction), Stage.MAIL, sending)
        if self.offers.pipelining:
            self._command(f"RCPT TO:<{transaction.recipient}>", Stage.RCPT, sending)
            if not self._by_bdat(transaction):
                self._command("DATA", Stage.DATA, sending)

    def content(self, transaction: Outgoing) -> bool:
        """Send the content of the transaction that was `Ready`; False if a fault forbids it."""
        sending, self._ready = self._ready, None
        if self._expected or not self._parser.idle:
            self._fault = self._fault or "a reply came before it was due"
        if self._fault is not None or sending is None or sending.transaction is not transaction:
            return False
        if self._by_bdat(transaction):
            self._out.append(b"BDAT %d LAST\r\n" % transaction.size)
            self._out += transaction.parts
        else:
            self._out += dot_stuffed(transaction.parts)
            self._out.append(_DOT)
        sending.all_sent = True
        self._expected.append((Stage.DOT, sending))
        return True

    def quit(self) -> None:
        """Say goodbye; only while no reply is due."""
        if not self._expected:
            self._command("QUIT", Stage.QUIT)

    def output(self) -> list[bytes]:
        """Hand over what is to be sent now, in order."""
        out, self._out = self._out, []
        return out

    @property
    def has_output(self) -> bool:
        """True if `output` would return something."""
        return bool(self._out)

    # What came

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes of the peer; after a `fault` they are ignored."""
        events: list[Event] = []
        try:
            for reply in self._parser.feed(data) if self._fault is None else ():
                event = self._match(reply)
                if event is not None:
                    events.append(event)
        except ProtocolFault as fault:
            self._fault = str(fault)
        return events

    @property
    def fault(self) -> str | None:
        """What the peer sent that is not SMTP; the connection is then worth nothing."""
        return self._fault

    @property
    def takes_another(self) -> bool:
        """True if a transaction may be announced: none is under way, or all of it is sent."""
        if self._ready is not None:
            return False
        if not self._expected:
            return True
        stage, sending = self._expected[-1]
        return self.offers.pipelining and stage is Stage.DOT and bool(sending and sending.all_sent)

    @property
    def over(self) -> Reply | None:
        """The 421 by which the intake ends the session (RFC 5321 3.8), None if it has not."""
        return self._over

    @property
    def waiting_for(self) -> Stage | None:
        """What the oldest missing reply answers; None if all have come."""
        return self._expected[0][0] if self._expected else None

    def may_be_taken(self, transaction: Outgoing) -> bool:
        """True for an unfinished transaction that the intake may have: its end was sent."""
        return any(
            sending is not None and sending.transaction is transaction and sending.all_sent
            for _, sending in self._expected
        )

    # How

    def _command(self, line: str, stage: Stage, sending: _Sending | None = None) -> None:
        self._out.append(f"{line}\r\n".encode())
        self._expected.append((stage, sending))

    def _by_bdat(self, transaction: Outgoing) -> bool:
        return self.offers.chunking and not transaction.by_data

    def _mail(self, transaction: Outgoing) -> str:
        words = [f"MAIL FROM:<{transaction.sender}>"]
        if self.offers.size is not None and transaction.declare_size:
            words.append(f"SIZE={transaction.size}")  # RFC 1870 section 6
        if transaction.body != "7BIT":
            words.append(f"BODY={transaction.body}")  # RFC 6152, RFC 3030
        if transaction.smtputf8:
            words.append("SMTPUTF8")  # RFC 6531 3.4
        return " ".join(words)

    def _match(self, reply: Reply) -> Event | None:
        self.replies += 1
        if reply.code == 421:
            self._over = reply
        if not self._expected:
            if reply.code == 421:  # sent between two commands; no answer to any
                return None
            raise ProtocolFault(f"a reply to nothing: {reply.text[:80]}")
        stage, sending = self._expected[0]
        if (reply.code // 100 == 3) != (stage is Stage.DATA and reply.code < 400):
            raise ProtocolFault(f"{reply.code} in reply to {stage}")
        self._expected.popleft()
        if sending is not None:
            return self._advance(stage, sending, reply)
        if stage is Stage.RSET:
            return None
        if stage is Stage.EHLO and reply.positive:
            self.offers = _read_offers(reply)
        return Answered(stage, reply)

    def _advance(self, stage: Stage, sending: _Sending, reply: Reply) -> Event | None:
        go_on = stage is Stage.DATA and reply.code < 400
        if sending.failure is None and reply.code >= 400:
            sending.failure = (stage, reply)
        if self._expected and self._expected[0][1] is sending:
            return None  # more replies of this transaction are due
        if sending.failure is not None and go_on:
            # RFC 2920 3.1: a 354 without a valid recipient is answered by an empty message
            self._out.append(_DOT)
            self._expected.appendleft((Stage.DOT, sending))
            return None
        if sending.failure is not None or stage is Stage.DOT:
            return self._finish(sending, reply)
        return self._go_on(stage, sending)

    def _go_on(self, stage: Stage, sending: _Sending) -> Event | None:
        transaction = sending.transaction
        if stage is Stage.MAIL:
            self._command(f"RCPT TO:<{transaction.recipient}>", Stage.RCPT, sending)
        elif stage is Stage.RCPT and not self._by_bdat(transaction):
            self._command("DATA", Stage.DATA, sending)
        else:
            self._ready = sending
            return Ready(transaction)
        return None

    def _finish(self, sending: _Sending, reply: Reply) -> Finished:
        if sending.failure is None:
            return Finished(sending.transaction, Stage.DOT, reply)
        self._must_reset = True
        stage, refusal = sending.failure
        return Finished(sending.transaction, stage, refusal)


def dot_stuffed(parts: Iterable[bytes]) -> list[bytes]:
    """Add a dot to each line that begins with a dot (RFC 5321 4.5.2).

    A line begins after CRLF and nowhere else: a bare LF begins no line, so the content is what it
    was once the receiver has removed the dots. Ends with CRLF, which is added if missing.
    """
    before = b"\r\n"  # the last two octets in front of a part
    stuffed: list[bytes] = []
    for part in filter(None, parts):
        # A line may begin on the border of two parts. It is looked at by itself, so that a large
        # part without such lines is not copied, and one with them only once.
        border = (before + part[:2]).find(b"\r\n.")
        before = (before + part[-2:])[-2:]
        rest = part
        if border >= 0:
            stuffed += (part[:border], b".")
            rest = part[border:]
        stuffed.append(rest.replace(b"\r\n.", b"\r\n..") if b"\r\n." in rest else rest)
    if before != b"\r\n":
        stuffed.append(b"\r\n")
    return stuffed


def _read_offers(hello: Reply) -> Offers:
    extensions = Extensions.from_reply(hello)
    return Offers(
        pipelining="PIPELINING" in extensions,
        starttls="STARTTLS" in extensions,
        size=extensions.size,
        eight_bit="8BITMIME" in extensions,
        smtputf8="SMTPUTF8" in extensions,
        chunking="CHUNKING" in extensions,
        binary="BINARYMIME" in extensions,
    )
