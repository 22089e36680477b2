"""An OSError in plain words: no number, no tuple, none of asyncio's own text."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest
from tdc.shared.edge.os_words import os_reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "x.toml"), "No such file or directory"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "Connection refused"),
        (
            OSError(errno.EADDRINUSE, "error while attempting to bind on address ('::', 25)"),
            "Address already in use",
        ),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 25, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 25)"
            ),
            "Connection refused",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "its name was not found",
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "Temporary failure in name resolution",
        ),
        (TimeoutError(), "no answer in time"),
        (OSError("a library's own words"), "a library's own words"),
        (OSError(), "OSError"),
    ],
)
def test_a_refusal_of_the_system_is_plain(error: OSError, said: str) -> None:
    assert os_reason(error) == said


def test_tls_is_not_read_as_a_number_of_the_system() -> None:
    """An SSLError is an OSError, whose number is OpenSSL's."""
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context().load_verify_locations(cadata="no certificate")
    assert "Operation not permitted" not in os_reason(caught.value)


async def test_what_asyncio_says_of_a_taken_port_is_plain() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="attempting to bind") as caught:
            await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    assert os_reason(caught.value) == "Address already in use"
