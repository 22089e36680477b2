"""What the system refused, in words for people: the one home for the text of an OSError.

Python's own text names numbers and tuples (`[Errno 111] Connect call failed ('127.0.0.1', 25)`),
and asyncio puts its own where the system's would be.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl

_NUMBERS = re.compile(r"\[Errno (\d+)\]")


def os_reason(error: OSError) -> str:
    """Why the system refused: `Connection refused`, `No such file or directory`."""
    if isinstance(error, socket.gaierror):
        return "its name was not found" if error.errno == socket.EAI_NONAME else _own_text(error)
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's
        return (error.reason or _own_text(error)).lower().replace("_", " ")
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionResetError):  # asyncio's own, without a number
        return os.strerror(errno.ECONNRESET)
    if found := _NUMBERS.findall(str(error)):  # of several attempts, of which each failed
        return ", ".join(dict.fromkeys(os.strerror(int(number)) for number in found))
    return _own_text(error)


def _own_text(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
