"""Replies of the next hop: whole ones only, and nothing that is none."""

from __future__ import annotations

import pytest
from tdc.node_agent.smtp.replies import NEIGHBOUR, STRICT, ProtocolFault, ReplyParser, reply

STREAM = b"250-first\r\n250 last\r\n354\r\n421 4.3.2 bye\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_replies_do_not_depend_on_how_they_arrive(size: int) -> None:
    reader = ReplyParser(NEIGHBOUR)
    found = []
    for start in range(0, len(STREAM), size):
        found += reader.feed(STREAM[start : start + size])
    assert [answer.code for answer in found] == [250, 354, 421]
    assert b"".join(answer.raw for answer in found) == STREAM
    assert reader.idle


@pytest.mark.parametrize(
    "bad",
    [
        b"OK\r\n", b"250 ok\n", b"25 ok\r\n", b"150 ok\r\n", b"650 ok\r\n", b"250ok\r\n",
        b"250-a\r\n550 b\r\n", b"250 a\rb\r\n", b"250 a\0\r\n", b"250 " + b"x" * 3000,
        b"250-x\r\n" * 200,
    ],
)  # fmt: skip
def test_what_is_no_reply_is_refused(bad: bytes) -> None:
    with pytest.raises(ProtocolFault):
        ReplyParser(NEIGHBOUR).feed(bad)


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("250 2.0.0 Ok", (True, False, False)),
        ("299 odd", (True, False, False)),
        ("354 Go", (False, False, False)),
        ("450 4.2.0 later", (False, True, False)),
        ("550 5.1.1 no", (False, True, True)),
    ],
)
def test_what_a_code_says(line: str, facts: tuple[bool, bool, bool]) -> None:
    answer = reply(line)
    assert (answer.positive, answer.refused, answer.permanent) == facts


def test_a_neighbour_may_write_longer_lines_and_any_code() -> None:
    """What it says is for the MTA; the intake, a stranger, gets no such room."""
    odd = b"250 " + b"x" * 1_000 + b"\r\n" + b"299 odd\r\n"
    assert [answer.raw for answer in ReplyParser(NEIGHBOUR).feed(odd)] == odd.splitlines(True)
    for line in odd.splitlines(True):
        with pytest.raises(ProtocolFault):
            ReplyParser(STRICT).feed(line)
