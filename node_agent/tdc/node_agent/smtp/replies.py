"""PURE. SMTP replies: bytes in, whole replies out; anything else is a ProtocolFault.

RFC 5321 4.2: three digits, a space or a hyphen, text, CRLF; every line of a reply has the same
code. A reply keeps the bytes that came, because the content filter passes them on to the MTA as
they are. Its text is decoded only when somebody reads it: most replies are a code and nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_LINES = 100
_CRLF = b"\r\n"
# First digit: 1yz is not used in SMTP. Key: whether the second digit may be any.
_FORMS = {
    any_digit: re.compile(
        rb"([2-5][%s][0-9])(?:([ -])[^\x00\r\n]*+)?\r\n" % (b"0-9" if any_digit else b"0-5")
    )
    for any_digit in (False, True)
}
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?=\s|$)")  # RFC 3463 section 2


class ProtocolFault(Exception):
    """The peer sent what SMTP does not allow here; the connection can't be used any more."""


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """What a peer may write: octets in a line, CRLF included; and whether 299 is a code."""

    line: int
    any_second_digit: bool


STRICT = ReplyLimits(512, any_second_digit=False)
"""As RFC 5321 4.2 and 4.5.3.1.5 have it. For the intake: a stranger on another network, whose
reply decides whether a report counts as delivered; a peer that breaks the rules gets no more."""

NEIGHBOUR = ReplyLimits(2048, any_second_digit=True)
"""For the next hop, the MTA's own listener or its neighbour. What it says is meant for the MTA,
which may be less strict than we are: mail that passed before we were installed must still pass."""


class Reply(NamedTuple):
    """One whole reply: its code, and all its lines as they came, each with its CRLF."""

    code: int
    raw: bytes

    @property
    def positive(self) -> bool:
        """2yz: done as asked."""
        return 200 <= self.code <= 299

    @property
    def refused(self) -> bool:
        """4yz or 5yz: not done, for now or for good."""
        return self.code >= 400

    @property
    def permanent(self) -> bool:
        """5yz: don't try this again."""
        return self.code >= 500

    @property
    def lines(self) -> tuple[str, ...]:
        """The text of each line, without code and line end; escaped only where it isn't UTF-8."""
        lines = self.raw.split(_CRLF)[:-1]
        return tuple(line[4:].decode("utf-8", "backslashreplace") for line in lines)

    @property
    def enhanced(self) -> str:
        """The enhanced status code of the first line (RFC 2034), empty if there is none."""
        match = _ENHANCED.match(self.lines[0])
        return match[0] if match else ""

    @property
    def text(self) -> str:
        """The whole reply on one line, as logs and status show it."""
        return f"{self.code} {' '.join(self.lines)}".rstrip()


def reply(line: str) -> Reply:
    """Make a one-line reply of our own: code, enhanced code (RFC 3463), text."""
    return Reply(int(line[:3]), line.encode() + _CRLF)


class ReplyParser:
    """Collects bytes into replies. After a ProtocolFault it must not be fed again.

    The result does not depend on how the bytes were cut into pieces.
    """

    __slots__ = ("_begun", "_form", "_limit", "_rest")

    def __init__(self, limits: ReplyLimits = STRICT) -> None:
        self._form = _FORMS[limits.any_second_digit]
        self._limit = limits.line
        self._rest = b""
        self._begun: list[bytes] = []  # the lines of a reply that has more to come

    @property
    def idle(self) -> bool:
        """True between replies: no byte of a next one has come."""
        return not self._rest and not self._begun

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that `data` completes; raises ProtocolFault."""
        data = self._rest + data if self._rest else data
        replies = []
        start = 0
        while (match := self._form.match(data, start)) is not None:
            line = match[0]
            start += len(line)
            if len(line) > self._limit:
                raise ProtocolFault(f"a reply line is longer than {self._limit} octets")
            if match[2] == b"-" or self._begun:
                line = self._continued(line, match[2] == b"-")
            if line:
                replies.append(Reply(int(match[1]), line))
        self._rest = data[start:]
        if self._rest:
            self._check_rest()
        return replies

    def _continued(self, line: bytes, more: bool) -> bytes:
        """Add a line to the reply begun; return the whole reply, or nothing while `more` is due."""
        self._begun.append(line)
        if line[:3] != self._begun[0][:3]:
            codes = f"{self._begun[0][:3].decode()} and {line[:3].decode()}"
            raise ProtocolFault(f"one reply with the codes {codes}")
        if not more:
            line = b"".join(self._begun)
            self._begun = []
            return line
        if len(self._begun) >= MAX_LINES:
            raise ProtocolFault(f"a reply has more than {MAX_LINES} lines")
        return b""

    def _check_rest(self) -> None:
        line, end, _ = self._rest.partition(b"\n")
        if end:
            raise ProtocolFault(f"{line[:80]!r} is not an SMTP reply")
        if len(line) > self._limit:
            raise ProtocolFault(f"a reply line is longer than {self._limit} octets")
