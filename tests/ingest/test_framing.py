"""Cutting the MTA's bytes into commands and bodies: only CRLF and CRLF.CRLF count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.smtp.framing import (
    MAX_COMMAND_LINE,
    BareLineFeed,
    BodyTooLarge,
    Inbound,
    LineTooLong,
    unstuffed,
)

from tests.demo.send import stuffed

# RFC 5321 4.1.1.4: none of these ends a message.
NOT_THE_END = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r\r\n",
    b"\r\n\0.\r\n", b"\r\n.\r", b"\r\n..\r\n",
]  # fmt: skip
PIECES = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\0", b"\r\n.\r\n"]))


@pytest.mark.parametrize("odd", NOT_THE_END)
@pytest.mark.proves("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9")
def test_only_crlf_dot_crlf_ends_a_message(odd: bytes) -> None:
    inbound = Inbound()
    for byte in b"a" + odd + b"b\r\n":
        inbound.feed(bytes([byte]))
        assert inbound.body(1000) is None
    inbound.feed(b".\r\nQUIT\r\n")
    assert inbound.body(1000) == b"a" + odd + b"b\r\n"
    assert inbound.line() == b"QUIT"


def test_a_dot_line_behind_cr_crlf_is_an_end() -> None:
    """The CR in front is content; CRLF.CRLF follows it (number 8 of the list)."""
    inbound = Inbound()
    inbound.feed(b"a\r\r\n.\r\r\nb\r\n.\r\n")
    assert inbound.body(1000) == b"a\r\r\n.\r\r\nb\r\n"


@given(PIECES, st.lists(st.integers(1, 5)))
def test_body_is_what_a_dumb_search_finds(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    # The dumb twin: pretend that the line before the body was there.
    end = (b"\r\n" + stream).find(b"\r\n.\r\n")
    inbound, start, body = Inbound(), 0, None
    for size in [*cuts, len(stream) + 1]:
        if body is None:
            inbound.feed(stream[start : start + size])
            start += size
            body = inbound.body(10_000)
    assert body == (None if end < 0 else stream[:end])
    if body is not None:
        assert bytes(inbound._buffer) == stream[end + 3 : start]


@given(st.binary(), st.booleans())
def test_unstuffed_undoes_what_a_sender_stuffs(content: bytes, lines: bool) -> None:
    content = content.replace(b"a", b"\r\n.") if lines else content
    content += b"" if content.endswith(b"\r\n") else b"\r\n"
    inbound = Inbound()
    inbound.feed(stuffed(content))
    body = inbound.body(10_000)
    assert body is not None
    assert unstuffed(body) == content


def test_a_body_over_the_limit_is_thrown_away_up_to_its_end() -> None:
    inbound = Inbound()
    for _ in range(50):
        inbound.feed(b"x" * 100 + b"\r\n")
        assert inbound.body(1000) is None
        assert len(inbound) < 1200
    inbound.feed(b".\r\nNOOP\r\n")
    with pytest.raises(BodyTooLarge):
        inbound.body(1000)
    assert inbound.line() == b"NOOP"


@pytest.mark.parametrize("piece", range(1, 8))
def test_a_body_that_is_thrown_away_has_no_other_end(piece: int) -> None:
    """A dot amid a line begins none, wherever what came is cut."""
    inbound = Inbound()
    content = b"x" * 50 + b"y.\r\nz" * 7
    for start in range(0, len(content), piece):
        inbound.feed(content[start : start + piece])
        assert inbound.body(10) is None
    inbound.feed(b"\r\n.\r\nNOOP\r\n")
    with pytest.raises(BodyTooLarge):
        inbound.body(10)
    assert inbound.line() == b"NOOP"


@pytest.mark.proves("B56")
def test_a_body_of_exactly_the_limit_is_taken() -> None:
    inbound = Inbound()
    inbound.feed(b"x" * 98 + b"\r\n.\r\n")
    assert inbound.body(100) == b"x" * 98 + b"\r\n"
    inbound.feed(b"x" * 99 + b"\r\n.\r\n")
    with pytest.raises(BodyTooLarge):
        inbound.body(100)


@pytest.mark.proves("B21")
def test_an_endless_command_line_takes_no_memory_and_costs_one_refusal() -> None:
    inbound = Inbound()
    for _ in range(100):
        inbound.feed(b"x" * 1000)
        assert inbound.line() is None
        assert len(inbound) <= MAX_COMMAND_LINE + 1000
    inbound.feed(b"\r\nNOOP\nQUIT\r\n")
    with pytest.raises(LineTooLong):
        inbound.line()
    with pytest.raises(BareLineFeed):
        inbound.line()
    assert inbound.line() == b"QUIT"
