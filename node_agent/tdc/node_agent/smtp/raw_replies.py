"""PURE. Replies of the next hop: bytes -> whole replies, kept as the bytes that came.

The MTA is given these bytes, so what can't be a reply is refused here (RFC 5321 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_REPLY_LINE = 2048  # RFC 5321 4.5.3.1.5 asks for 512; some peers write more
MAX_REPLY_LINES = 100


class BadReply(Exception):
    """Bytes that are no reply; the text says why. The connection can't be used any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, and all its lines with their CRLF."""

    code: int
    raw: bytes

    @property
    def accepted(self) -> bool:
        """Say whether the command is done (2yz)."""
        return 200 <= self.code < 300

    @property
    def refused(self) -> bool:
        """Say whether the command failed, for now (4yz) or for good (5yz)."""
        return self.code >= 400

    def text(self) -> str:
        """Return the first line, for a log or an error."""
        return self.raw.partition(b"\r\n")[0].decode("utf-8", "replace")


def reply(line: str) -> Reply:
    """Make a one-line reply of our own: code, enhanced code, text (RFC 3463)."""
    return Reply(int(line[:3]), line.encode("ascii") + b"\r\n")


class ReplyReader:
    """Collects replies. The result does not depend on how the bytes were cut into pieces."""

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that `data` completes; raises BadReply."""
        data = self._buffer + data if self._buffer else data
        replies = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start : end + 1]
            start = end + 1
            code = _code(line)
            self._lines.append(line)
            if self._lines[0][:3] != line[:3]:
                raise BadReply("a reply whose lines have different codes")
            if line[3:4] == b"-":
                if len(self._lines) >= MAX_REPLY_LINES:
                    raise BadReply(f"a reply of more than {MAX_REPLY_LINES} lines")
                continue
            replies.append(Reply(code, b"".join(self._lines)))
            self._lines.clear()
        self._buffer = data[start:]
        if len(self._buffer) > MAX_REPLY_LINE:
            raise BadReply(f"a reply line of more than {MAX_REPLY_LINE} bytes")
        return replies

    @property
    def partial(self) -> bool:
        """Say whether the begin of a reply is waiting for its rest."""
        return bool(self._buffer or self._lines)


def _code(line: bytes) -> int:
    """Return the code of a reply line (RFC 5321 4.2: 2yz to 5yz); raises BadReply."""
    if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
        raise BadReply("a reply line with a bare CR or LF or a NUL")
    if len(line) > MAX_REPLY_LINE:
        raise BadReply(f"a reply line of more than {MAX_REPLY_LINE} bytes")
    if not (line[:3].isdigit() and b"2" <= line[:1] <= b"5" and line[3:4] in (b" ", b"-", b"\r")):
        raise BadReply("a reply without a code from 200 to 599")
    return int(line[:3])
