"""By what a message is found in other logs; what a sender writes is never the MTA's number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.journal.trace import message_ids
from tdc.node_agent.smtp.commands import queue_id
from tdc.shared.mail.envelope import Envelope

BY_US = Envelope("a@b.example", ("c@d.example",), mta="mx1.corp.example")
POSTFIX = (
    b"Received: from out.example (out.example [203.0.113.5])\r\n"
    b"\tby mx1.corp.example (Postfix) with ESMTPS id 4F1C2A\r\n"
    b"\tfor <c@d.example>; Thu, 26 Nov 2026 09:15:02 +0000 (UTC)\r\n"
)
EXIM = (
    b"Received: from out.example ([203.0.113.5] helo=out.example)\r\n"
    b"\tby MX1.corp.example with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n"
    b"\t(Exim 4.96)\r\n\t(envelope-from <a@b.example>)\r\n\tid 1tFabc-00001D-2a\r\n"
    b"\tfor c@d.example;\r\n\tThu, 26 Nov 2026 09:15:02 +0000\r\n"
)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Message-ID: <1@b.example>\r\n", "<1@b.example>"),
        (b"From: x\r\nmessage-id:<1@b.example>\r\n", "<1@b.example>"),
        (b"Message-Id \t: <1@b.example> \r\nSubject: y\r\n", "<1@b.example>"),
        (b"Message-ID:\r\n <1@b.example>\r\nSubject: y\r\n", "<1@b.example>"),
        (b"Message-ID: <1@\r\n\tb.example>\r\n", "<1@b.example>"),
        (b"Message-ID-Hash: XYZ\r\nMessage-ID: <1@b.example>\r\n", "<1@b.example>"),
        (b"X-Message-ID: <no@b.example>\r\n", ""),
        (b"Subject: y\r\n\r\nMessage-ID: <no@b.example>\r\n", ""),
        (b"Message-ID: <\xc3\xbc@b.example>\r\n", "<ü@b.example>"),
        (b"Message-ID: " + b"x" * 5_000 + b"\r\n", "x" * 498),
        (b"", ""),
    ],
)
def test_the_message_id(header: bytes, found: str) -> None:
    assert message_ids(header + b"\r\nbody", BY_US).message_id == found


@pytest.mark.parametrize(
    "empty", [b"\r\n", b"\n", b"From: x\n\n", b"From: x\r\n\n", b"From: x\n\r\n"]
)
def test_an_empty_line_of_any_kind_ends_the_header(empty: bytes) -> None:
    body = empty + b"Message-ID: <of-the-body@b.example>\r\n\r\nx"
    assert message_ids(body, BY_US).message_id == ""


@pytest.mark.parametrize(("header", "found"), [(POSTFIX, "4F1C2A"), (EXIM, "1tFabc-00001D-2a")])
def test_the_queue_id_is_that_of_the_topmost_received(header: bytes, found: str) -> None:
    other = b"Received: from x by mx1.corp.example id OTHER; now\r\n"
    assert message_ids(header + other + b"\r\n", BY_US).queue_id == found
    assert message_ids(b"X-Above: y\r\n" + header + b"\r\n", BY_US).queue_id == found


def test_what_stands_in_a_comment_is_no_clause() -> None:
    """A client's name for itself is one, and the client chooses it."""
    header = POSTFIX.replace(b"(out.example [", b"(x by mx9.example (a (b) c) id FAKE [")
    assert message_ids(header + b"\r\n", BY_US).queue_id == "4F1C2A"


@pytest.mark.parametrize(
    "header",
    [
        b"Received: from x by mail.other.example (Postfix) id FAKE; now\r\n" + POSTFIX,
        b"Received: from x by mx1.corp.example id FAKE by mx1.corp.example id 4F1; now\r\n",
        b"Received: from x by mx1.corp.example with SMTP; now id FAKE\r\n",
        b"Received: from x by mx1.corp.example by mail.other.example id FAKE; now\r\n",
        b'Received: from x by mx1.corp.example for "a ) id FAKE b"@c; now\r\n',
        b"Received: from x by mx1.corp.example id FA\x1bKE; now\r\n",
        b"Received: from x by mx1.corp.example id " + b"F" * 65 + b"; now\r\n",
        b"Subject: none\r\n",
    ],
)
def test_a_number_that_may_not_be_the_mtas_is_none(header: bytes) -> None:
    assert message_ids(header + b"\r\n", BY_US).queue_id == ""


def test_without_the_mtas_name_nothing_is_certain() -> None:
    assert message_ids(POSTFIX + b"\r\n", Envelope("", ("c@d.example",))).queue_id == ""


def test_what_xforward_says_comes_first() -> None:
    envelope = Envelope("", ("c@d.example",), queue_id="4ABC", mta="mx1.corp.example")
    assert message_ids(POSTFIX + b"\r\n", envelope).queue_id == "4ABC"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"4F1C2A", "4F1C2A"),
        (b"4gXh5k1234z9Yz", "4gXh5k1234z9Yz"),
        (b"[UNAVAILABLE]", None),
        (b"+1B[31m", None),
        (b"x" * 65, None),
    ],
)
def test_a_queue_id_from_xforward(value: bytes, found: str | None) -> None:
    assert queue_id({"IDENT": value}) == found
    assert queue_id({}) is None


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_no_bytes_raise(head: bytes, tail: bytes) -> None:
    ids = message_ids(head + b"\nMessage-ID:" + tail + b"\nReceived:" + head, BY_US)
    assert len(ids.message_id) <= 500
    assert len(ids.queue_id) <= 64
