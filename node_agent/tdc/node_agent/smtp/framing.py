"""PURE. Bytes from the MTA -> command lines and message bodies.

Only CRLF ends a command line and only CRLF.CRLF ends a message (RFC 5321 2.3.8 and 4.1.1.4): a
bare LF or CR, or a dot after it, is content like any other. This is what keeps a message from
being cut in two (SMTP smuggling). A body is kept and handed on as the exact bytes that came.
"""

from __future__ import annotations

MAX_COMMAND_LINE = 4096  # RFC 5321 4.5.3.1.4 asks for 512, extensions add to it (DSN: 600 more)

_END = b"\r\n.\r\n"
_FINAL_DOT = b".\r\n"


class LineTooLong(Exception):
    """A command line longer than MAX_COMMAND_LINE; it has been thrown away."""


class BareLineFeed(Exception):
    """A command line that ends in LF without CR; it has been thrown away."""


class BodyTooLarge(Exception):
    """A message body over the limit; it has been thrown away up to its end."""


class Inbound:
    """What has come from the MTA and is not yet used.

    `feed` adds bytes; `line` and `body` take from the front and return None until enough is
    there. The result does not depend on how the bytes were cut into pieces.
    """

    __slots__ = ("_buffer", "_discarding", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of what is being looked for starts before this offset
        self._discarding = False

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """Add bytes as they came."""
        self._buffer += data

    def line(self) -> bytes | None:
        """The next command line without its CRLF; None until it has come whole.

        Raises LineTooLong, BareLineFeed: the line is gone, the next one can be asked for.
        """
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) > MAX_COMMAND_LINE:
                self._discarding = True
                self._take(len(buffer))
            return None
        line = bytes(buffer[: end + 1])
        self._take(end + 1)
        if self._discarding or len(line) > MAX_COMMAND_LINE:
            self._discarding = False
            raise LineTooLong
        if not line.endswith(b"\r\n"):
            raise BareLineFeed
        return line[:-2]

    def body(self, limit: int) -> bytes | None:
        """The body as DATA carries it, without the final dot; None until it is whole.

        What is returned ends in CRLF or is empty; what was received for it is the same bytes
        and ``.CRLF``. Raises BodyTooLarge at its end if it has more than `limit` bytes.
        """
        buffer = self._buffer
        if self._searched == 0 and not self._discarding and buffer.startswith(_FINAL_DOT):
            self._take(len(_FINAL_DOT))
            return b""
        end = buffer.find(_END, self._searched)
        if end < 0:
            self._searched = max(0, len(buffer) - len(_END) + 1)
            # The first bytes may still become the dot of an empty body.
            if len(buffer) < len(_FINAL_DOT):
                self._searched = 0
            if self._discarding or len(buffer) > limit + len(_END):
                self._discarding = True
                self._take(self._searched)
            return None
        too_large = self._discarding or end + 2 > limit
        body = b"" if too_large else bytes(memoryview(buffer)[: end + 2])
        self._take(end + len(_END))
        self._discarding = False
        if too_large:
            raise BodyTooLarge
        return body

    def clear(self) -> None:
        """Throw away what is there."""
        self._take(len(self._buffer))
        self._discarding = False

    def _take(self, count: int) -> None:
        # A new buffer gives the memory of a large message back at once.
        if count >= len(self._buffer):
            self._buffer = bytearray()
        else:
            del self._buffer[:count]
        self._searched = 0


def unstuffed(body: bytes) -> bytes:
    """The content: `body` without the dots added for DATA (RFC 5321 4.5.2).

    The same object is returned where there is nothing to remove.
    """
    if body.startswith(b"."):
        body = body[1:]
    return body.replace(b"\r\n.", b"\r\n")
