"""What is read of the MTA's commands: the copy's envelope, and what XFORWARD says of a client."""

from __future__ import annotations

import pytest
from tdc.node_agent.smtp.commands import BadCommand, parse_mail, parse_recipient, parse_xforward


@pytest.mark.parametrize(
    ("path", "mailbox"),
    [
        (b"<@relay.example:a@b.example>", "a@b.example"),
        (b"<@one.example,@two.example:a@b.example>", "a@b.example"),
        (b'<@relay.example:"@x:y"@b.example>', '"@x:y"@b.example'),
        (b"<a@b.example>", "a@b.example"),
    ],
)
def test_a_source_route_is_no_part_of_the_mailbox(path: bytes, mailbox: str) -> None:
    """RFC 5321 F.2: it is to be ignored. In a report it would name another recipient."""
    assert parse_recipient(b"RCPT TO:" + path) == mailbox
    assert parse_mail(b"MAIL FROM:" + path).sender == mailbox


def test_xforward_is_read_whole_or_refused() -> None:
    line = b"XFORWARD NAME=mail.example addr=192.0.2.7 IDENT=4F1"
    assert parse_xforward(line) == {"NAME": b"mail.example", "ADDR": b"192.0.2.7", "IDENT": b"4F1"}
    for word in (b"NAME", b"NAME=", b"COLOUR=red", b"NAME=a\x1b[2J", b"NAME=\x7f", b"NAME=\xe9"):
        with pytest.raises(BadCommand, match=r"501 5\.5\.4 Bad XFORWARD attribute"):
            parse_xforward(line + b" " + word)
    with pytest.raises(BadCommand, match="needs an attribute"):
        parse_xforward(b"XFORWARD")
