"""PURE. The pace of a session: how long its client may keep a place without passing a message.

What counts is messages, not commands. A client that sends NOOP or RSET, or EHLO and MAIL again and
again, is as idle as one that sends nothing, and costs more. So no command renews anything: only a
message does, whatever the reply to it.

Two clocks run while the session waits for its client, one within transactions and one between them.
They stand still while the client waits for us or for the next hop, and while a message is read,
which has a pace of its own (`body_reader.py`). Where another wants the place, the clock that is
running decides. There are two so that the time in which an MTA rightly keeps a connection for its
next message does not count against that message. Where nobody wants the place, both clocks have a
bound together, and so has the number of commands: a client that never waits moves no clock.
"""

from __future__ import annotations

PATIENCE = 0.25  # seconds between transactions, where another wants the place
PATIENCE_WITHIN = 1.0  # the same within transactions

MAX_COMMANDS = 100  # without a message; Postfix bears as many (smtpd_junk_command_limit)
MAX_WITHIN = 200  # the same for those of a transaction: a 421 there makes an MTA wait for longer
AT_ONCE = 32  # commands in one flight after which other sessions have their turn
WITHIN = frozenset((b"XFORWARD", b"MAIL", b"RCPT", b"DATA"))
RECIPIENT = 0.05  # what RCPT counts: a message has many


class Pace:
    """One session's. Times are moments of the loop's clock, or seconds."""

    __slots__ = ("_began", "_between", "_commands", "_greeted", "_inside", "_within", "turn")

    def __init__(self, now: float) -> None:
        self.turn = now  # when the wait for this command began
        self._began = now  # when the latest wait did; a command may come in pieces
        self._inside = False  # that wait is within a transaction
        self._greeted = False
        self._between = 0.0
        self._within = 0.0
        self._commands = 0.0

    def waits(self, now: float, in_all: float, *, within: bool) -> float:
        """The session begins to wait for its client, `within` a transaction or not.

        Returned is the moment until which it may, if it has `in_all` for each message.
        """
        self._began = now
        self._inside = within
        return now + in_all - self._between - self._within

    def waited(self, now: float) -> None:
        """That wait is over."""
        if self._inside:
            self._within += now - self._began
        else:
            self._between += now - self._began

    def greeted(self) -> None:
        """The client has said EHLO; the first time, its way to us is not held against it."""
        if not self._greeted:
            self._greeted = True
            self._between = 0.0

    def passed(self) -> None:
        """The client has passed a message."""
        self._greeted = True
        self._between = self._within = self._commands = 0.0

    def exhausted(self, verb: bytes) -> bool:
        """Count a command; True if it is one too many without a message."""
        self._commands += RECIPIENT if verb == b"RCPT" else 1.0
        if self._commands <= MAX_COMMANDS:
            return False
        return verb not in WITHIN or self._commands > MAX_WITHIN

    def overdue(self, now: float) -> float:
        """Seconds by which the client, waited for, is too slow where another wants its place."""
        spent = now - self._began
        if self._inside:
            return self._within + spent - PATIENCE_WITHIN
        return self._between + spent - PATIENCE
