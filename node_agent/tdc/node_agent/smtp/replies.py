"""PURE. SMTP replies: bytes in, whole replies out; what is not a reply is a ProtocolFault.

RFC 5321 4.2: three digits, a space or a hyphen, text, CRLF; every line of a reply has the same
code. The bounds are stricter than courtesy asks: a peer that breaks them gets no more of us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE = 512  # RFC 5321 4.5.3.1.5, CRLF included
MAX_LINES = 100
_CRLF = b"\r\n"
# RFC 5321 4.2: first digit 2 to 5, second 0 to 5. 1yz is not used in SMTP.
_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])([^\x00\r\n]*))?")
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?=\s|$)")  # RFC 3463 section 2


class ProtocolFault(Exception):
    """The peer sent what SMTP does not allow here; the connection is worth nothing now."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply. `lines` are its texts without code and line end, escaped nowhere."""

    code: int
    lines: tuple[str, ...]

    @property
    def positive(self) -> bool:
        """2yz: done as asked."""
        return 200 <= self.code <= 299

    @property
    def transient(self) -> bool:
        """4yz: try again later."""
        return 400 <= self.code <= 499

    @property
    def permanent(self) -> bool:
        """5yz: don't try this again."""
        return self.code >= 500

    @property
    def enhanced(self) -> str:
        """The enhanced status code of the first line (RFC 2034), empty if there is none."""
        match = _ENHANCED.match(self.lines[0])
        return match[0] if match else ""

    @property
    def text(self) -> str:
        """The whole reply on one line, as logs and status show it."""
        return f"{self.code} {' '.join(self.lines)}".rstrip()


class ReplyParser:
    """Collects bytes into replies. After a ProtocolFault it must not be fed again."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = 0
        self._lines: list[str] = []

    @property
    def idle(self) -> bool:
        """True between replies: no byte of a next one has come."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that `data` completes; raises ProtocolFault."""
        *lines, self._rest = (self._rest + data if self._rest else data).split(_CRLF)
        replies = []
        for line in lines:
            reply = self._take(line)
            if reply is not None:
                replies.append(reply)
        if len(self._rest) > MAX_LINE:
            raise ProtocolFault(f"a reply line is longer than {MAX_LINE} octets")
        return replies

    def _take(self, line: bytes) -> Reply | None:
        if len(line) + len(_CRLF) > MAX_LINE:
            raise ProtocolFault(f"a reply line is longer than {MAX_LINE} octets")
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolFault(f"{line[:80]!r} is not an SMTP reply")
        code = int(match[1])
        if self._lines and code != self._code:
            raise ProtocolFault(f"one reply with the codes {self._code} and {code}")
        self._code = code
        self._lines.append((match[3] or b"").decode("utf-8", "backslashreplace"))
        if match[2] == b"-":
            if len(self._lines) >= MAX_LINES:
                raise ProtocolFault(f"a reply has more than {MAX_LINES} lines")
            return None
        reply = Reply(code, tuple(self._lines))
        self._lines = []
        return reply
