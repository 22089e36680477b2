"""What is sent where the intake can't take the octets as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.prepare import Means, prepare, sent_as
from tdc.node_agent.journal import report
from tdc.node_agent.journal.headers import HeaderFacts, read_headers
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.smtp.dialogue import Extension, Offers, Outgoing
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

ALL = Offers(eight_bit=True, smtputf8=True, chunking=True, binary=True)
REPORTER = Reporter("mx1", bytes(32))


@pytest.mark.parametrize(
    ("content", "offers", "encoded"),
    [
        ("Subject: é\r\n\r\n", ALL, False),
        ("Subject: é\r\n\r\n", replace(ALL, smtputf8=False), True),
        ("Subject: é\r\n\r\n", replace(ALL, eight_bit=False), True),
        ("Subject: e\r\n\r\né", replace(ALL, smtputf8=False), False),
        ("Subject: e\r\n\r\n\n", replace(ALL, binary=False), True),
        ("Subject: e\r\n\r\n", Offers(), False),
        ("Subject: =?utf-8?B?w6k=?=\r\n\r\n", Offers(), False),  # our text is quoted
    ],
)
def test_what_an_intake_does_not_offer_makes_the_original_go_as_base64(
    content: str, offers: Offers, encoded: bool
) -> None:
    """docs/journal-report.md, "What the intake must offer": no copy is lost by it."""
    envelope = Envelope("a@b.example", ("c@d.example",), smtputf8=True)
    copy = Copy(1, "0" * 32, "copies@intake.example", envelope, content.encode(), 0.0)
    sent = prepare(copy, ConnectorSettings.defaults(), REPORTER, offers)
    assert isinstance(sent, Outgoing)
    assert (b"X-TDC-Original-Encoded: base64" in sent.parts[0]) == encoded
    assert not sent.smtputf8 or offers.smtputf8
    assert sent.body == "7BIT" or offers.eight_bit
    assert offers.eight_bit or b"".join(sent.parts).isascii()


@pytest.mark.parametrize(
    ("settings", "sender"),
    [({}, ""), ({"report_envelope_sender": "tdc@corp.example"}, "tdc@corp.example")],
)
def test_a_report_goes_to_its_intake_from_the_null_sender_unless_one_is_set(
    settings: dict[str, str], sender: str
) -> None:
    """Else a report that can't be delivered would make another message, and that one more."""
    copy = Copy(1, "0" * 32, "copies@intake.example", Envelope("a@b.example", ("c@d.example",)),
                b"Subject: x\r\n\r\n", 0.0)  # fmt: skip
    in_force = replace(ConnectorSettings.defaults(), **settings)  # type: ignore[arg-type]
    sent = prepare(copy, in_force, REPORTER, ALL)
    assert isinstance(sent, Outgoing)
    assert (sent.sender, sent.recipient) == (sender, "copies@intake.example")


@pytest.mark.parametrize(
    ("offers", "quoted"), [(ALL, False), (replace(ALL, eight_bit=False), True), (Offers(), True)]
)
def test_an_ascii_original_goes_as_it_is_where_only_our_text_is_not_ascii(
    offers: Offers, quoted: bool
) -> None:
    """An encoded subject is decoded in our text; that is no reason to encode the original."""
    content = b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody\r\n"
    envelope = Envelope("a@b.example", ("c@d.example",))
    copy = Copy(1, "0" * 32, "copies@intake.example", envelope, content, 0.0)
    sent = prepare(copy, ConnectorSettings.defaults(), REPORTER, offers)
    assert isinstance(sent, Outgoing)
    assert b"Content-Type: message/rfc822\r\n\r\n" in sent.parts[0]
    assert sent.parts[1] is content
    assert (b"quoted-printable" in sent.parts[0]) == quoted == b"".join(sent.parts).isascii()
    assert sent.body == ("7BIT" if quoted else "8BITMIME")


@pytest.mark.parametrize("content", [b"", b"Subject: x\r\n\r\nbody\r\n"], ids=["nothing", "short"])
@pytest.mark.proves("B56")
def test_it_is_the_wrapped_size_that_must_fit_the_intake(content: bytes) -> None:
    envelope = Envelope("a@b.example", ("c@d.example",))
    copy = Copy(1, "0" * 32, "copies@intake.example", envelope, content, 0.0)
    settings = ConnectorSettings.defaults()
    free = prepare(copy, settings, REPORTER, ALL)
    assert isinstance(free, Outgoing)
    assert free.size == sum(map(len, free.parts)) > len(content)
    assert isinstance(prepare(copy, settings, REPORTER, replace(ALL, size=free.size)), Outgoing)
    assert not isinstance(
        prepare(copy, settings, REPORTER, replace(ALL, size=free.size - 1)), Outgoing
    )


@pytest.mark.parametrize("offers", [ALL, Offers()], ids=["plain", "encoded"])
def test_a_copy_is_read_once_whatever_form_its_report_takes(
    offers: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bytes] = []

    def counting(content: bytes) -> HeaderFacts:
        reads.append(content)
        return read_headers(content)

    monkeypatch.setattr(report, "read_headers", counting)
    envelope = Envelope("a@b.example", ("c@d.example",))
    copy = Copy(1, "0" * 32, "copies@intake.example", envelope, "\r\né".encode(), 0.0)
    prepare(copy, ConnectorSettings.defaults(), REPORTER, offers)
    assert len(reads) == 1


SOME_OFFERS = st.builds(
    Offers,
    size=st.sampled_from([None, 0, 10**9]),
    eight_bit=st.booleans(),
    smtputf8=st.booleans(),
    chunking=st.booleans(),
    binary=st.booleans(),
)
CONTENTS = ("Subject: e\r\n\r\n", "Subject: é\r\n\r\né", "Subject: e\r\n\r\n\n")


@given(
    SOME_OFFERS, st.frozensets(st.sampled_from(Extension)), st.booleans(), st.sampled_from(CONTENTS)
)
def test_what_a_host_refused_is_not_used_again_and_no_copy_is_stuck_by_it(
    offers: Offers, refused: frozenset[Extension], encoded: bool, content: str
) -> None:
    envelope = Envelope("a@b.example", ("c@d.example",), smtputf8=True)
    copy = Copy(1, "0" * 32, "copies@intake.example", envelope, content.encode(), 0.0)
    means = Means("mx1.example:25", refused, encoded)
    sent = prepare(copy, ConnectorSettings.defaults(), REPORTER, offers, means)
    assert isinstance(sent, Outgoing)
    assert not sent.uses(offers) & refused
    assert sent.encoded == (b"X-TDC-Original-Encoded: base64" in sent.parts[0])
    assert sent.encoded or not encoded
    assert sent_as(sent, offers) == (sent.uses(offers), sent.encoded, sent.size, offers.size)
    if sent.body == "BINARYMIME":
        assert not sent.by_data
