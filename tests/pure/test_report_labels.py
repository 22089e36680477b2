"""What a report says of its parts is true of their octets, in each of its forms (RFC 2045 6)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.node_agent.journal.loop import Reporter, is_own_report
from tdc.node_agent.journal.report import draft
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

SETTINGS = replace(ConnectorSettings.defaults(), remote_ip_header="X-Client")
REPORTER = Reporter("mx1", b"k" * 32)
LEVELS = {b"7bit": 0, b"quoted-printable": 0, b"base64": 0, b"8bit": 1, b"binary": 2}
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b"Subject: ", b"Subject : x", b"Message-ID: <a@b>", b": ", b" ",
    b"\xff", "é".encode(), b"=?utf-8?Q?=C3=A9?=", b"From a Mon\r\n", b"junk\r\n", b"x" * 1_000,
    b"\r\n\r\n", b"Content-Transfer-Encoding: 8bit\r\n", b"--=_tdc_",
]  # fmt: skip
CONTENT = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)
PATH = st.sampled_from(["", "a@b.example", '"a b"@c.example', "é@b.example", "x" * 1_500])
CLIENT = st.sampled_from([None, "192.0.2.7", "unknown", "::ffff:192.0.2.7", "fe80::1%x\r\nA: b"])


def _level(octets: bytes) -> int:
    """0 for 7bit, 1 for 8bit, 2 for binary: what the octets need at least."""
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets)
    if bare or any(len(line) > 998 for line in octets.split(b"\r\n")):
        return 2
    return 0 if octets.isascii() else 1


def _said(header: bytes) -> int:
    label = re.search(rb"^Content-Transfer-Encoding: (\S+)", header, re.M)
    return LEVELS[label[1]] if label else 0


@pytest.mark.proves("S20", "B17", "B46")
@given(content=CONTENT, sender=PATH, recipient=PATH, client=CLIENT, smtputf8=st.booleans(),
       encoded=st.booleans(), quoted=st.booleans())  # fmt: skip
@example(content=b"", sender="x" * 1_500, recipient="", client=None, smtputf8=False,
         encoded=False, quoted=False)  # fmt: skip
def test_each_part_has_the_label_that_it_needs_and_the_whole_the_highest(
    content: bytes, sender: str, recipient: str, client: str | None, *,
    smtputf8: bool, encoded: bool, quoted: bool,
) -> None:  # fmt: skip
    envelope = Envelope(sender, (recipient,), smtputf8=smtputf8, client_address=client)
    copy = Copy(1, "0" * 32, "journal@intake.example", envelope, content, 0.0)
    report = draft(copy, SETTINGS, REPORTER).report(encoded=encoded, quoted=quoted)
    raw = report.head + report.content + report.tail
    whole = _level(raw)
    assert report.needs.binary or whole < 2
    assert report.needs.eight_bit or report.needs.binary or raw.isascii()
    boundary = re.search(rb'boundary="([^"]+)"', raw)
    assert boundary
    outer, *parts, _ = raw.split(b"--" + boundary[1])
    labels = []
    for part in parts:
        header, _, body = part[2:].partition(b"\r\n\r\n")
        labels.append(_said(header))
        assert labels[-1] == _level(body[:-2])
    assert _said(outer) == max(labels)


@given(content=CONTENT)
def test_an_own_report_is_known_below_what_a_mailbox_puts_on_top(content: bytes) -> None:
    copy = Copy(1, "0" * 32, "journal@intake.example", Envelope("", ("a@b",)), content, 0.0)
    report = draft(copy, SETTINGS, REPORTER).report()
    raw = b"From x Mon\r\n>From y\r\njunk\r\n" + report.head + report.content + report.tail
    assert is_own_report(raw, REPORTER.loop_key)
    assert not is_own_report(raw, b"z" * 32)
