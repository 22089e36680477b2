"""Real-looking and odd messages, for the demo and for the system tests.

Each is an envelope and exact bytes with CRLF lines. Nothing here uses the product's code.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

HOME = "corp.example"
"""The organisation's domain; mail to other domains is not incoming, so no copy is due."""


@dataclass(frozen=True)
class Message:
    """One message to send: what MAIL and RCPT say, and the content."""

    name: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: tuple[str, ...] = ()

    @property
    def incoming(self) -> tuple[str, ...]:
        """The recipients a copy is due for."""
        return tuple(who for who in self.recipients if who.lower().endswith("@" + HOME))


def _crlf(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


def _mail(
    subject: str, body: str, *, number: int, extra: str = "", charset: str = "utf-8"
) -> bytes:
    return _crlf(
        f"Received: from mail.partner.example ([192.0.2.{number}]) by mx id {number:04d};\n"
        f"\tMon, 23 Nov 2026 09:{number:02d}:00 +0000\n"
        f"From: Alice Sender <alice@partner.example>\n"
        f"To: Bob Reader <bob@{HOME}>\n"
        f"Subject: {subject}\n"
        f"Date: Mon, 23 Nov 2026 09:{number:02d}:00 +0000\n"
        f"Message-ID: <demo-{number}@partner.example>\n"
        f"{extra}\n{body}",
        charset,
    )


def _multipart(number: int, attachment: bytes) -> bytes:
    encoded = base64.encodebytes(attachment).decode()
    return _mail(
        "Invoice with attachment",
        "--inner\nContent-Type: text/plain; charset=utf-8\n\nPlease find the invoice.\n"
        "--inner\nContent-Type: application/pdf; name=invoice.pdf\n"
        f"Content-Transfer-Encoding: base64\n\n{encoded}--inner--\n",
        number=number,
        extra="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=inner\n",
    )


def _noise(size: int) -> bytes:
    blocks = (hashlib.sha256(str(block).encode()).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def demo_messages() -> tuple[Message, ...]:
    """Return 34 messages; one of them is about 5 MB."""
    bob, carol = f"bob@{HOME}", f"carol@{HOME}"
    alice = "alice@partner.example"
    eight = "BODY=8BITMIME"
    ascii_body = "Dear Bob,\n\nthe figures are attached.\n\nAlice\n"
    messages = [
        Message(f"plain-{n}", alice, (bob,), _mail(f"Plain message {n}", ascii_body * n, number=n))
        for n in range(1, 9)
    ]
    messages += [
        Message("null-sender", "", (bob,), _mail("Undelivered mail", "It bounced.\n", number=10)),
        Message(
            "several-recipients",
            alice,
            (bob, carol, f"dave@{HOME}"),
            _mail("To three", ascii_body, number=11),
        ),
        Message(
            "fifty-recipients",
            alice,
            tuple(f"user{n}@{HOME}" for n in range(50)),
            _mail("To fifty", ascii_body, number=12),
        ),
        Message(
            "eight-bit",
            alice,
            (bob,),
            _mail(
                "Grüße",
                "Schöne Grüße aus Köln: €\n",
                number=13,
                extra="MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                "Content-Transfer-Encoding: 8bit\n",
            ),
            (eight,),
        ),
        Message(
            "latin-1",
            alice,
            (bob,),
            _mail("latin", "caf\xe9 \xa4\n", number=14, charset="latin-1"),
            (eight,),
        ),
        Message(
            "smtputf8",
            "jürgen@partner.example",
            (f"bücher@{HOME}", bob),
            _mail("Größe 測試", "Inhalt: 測試\n", number=15),
            (eight, "SMTPUTF8"),
        ),
        Message(
            "no-message-id",
            alice,
            (bob,),
            _crlf(f"From: alice@partner.example\nTo: {bob}\nSubject: no id\n\nHello\n"),
        ),
        Message(
            "no-subject",
            alice,
            (bob,),
            _crlf(
                "From: alice@partner.example\nMessage-ID: <nosubject@partner.example>\n\nHello\n"
            ),
        ),
        Message(
            "encoded-subject",
            alice,
            (bob,),
            _mail("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?B?IHp1c2FtbWVu?=", ascii_body, number=16),
        ),
        Message(
            "folded-headers",
            alice,
            (bob,),
            _mail("a subject\n that goes on\n\tand on", ascii_body, number=17),
        ),
        Message(
            "long-line",
            alice,
            (bob,),
            _mail("Long line", "x" * 5_000 + "\nshort\n", number=18),
            (eight,),
        ),
        Message("line-of-998", alice, (bob,), _mail("998", "y" * 998 + "\n", number=19)),
        Message(
            "dot-lines",
            alice,
            (bob,),
            _mail("Dots", ".\n..\n...\n.dot first\nlast.\n.\n", number=20),
        ),
        Message("empty-body", alice, (bob,), _mail("Empty body", "", number=21)),
        Message("headers-only", alice, (bob,), b"Subject: only headers\r\n"),
        Message("body-only", alice, (bob,), b"\r\nno header at all\r\n"),
        Message("blank-lines-first", alice, (bob,), b"\r\n\r\n\r\nSubject: not a header\r\n"),
        Message(
            "trailing-blank-lines", alice, (bob,), _mail("Trailing", "text\n\n\n\n", number=22)
        ),
        Message(
            "tabs-and-blanks", alice, (bob,), _mail("Blanks", "a \t\n \n\t\n  b  \n", number=23)
        ),
        Message(
            "html",
            alice,
            (bob,),
            _mail(
                "HTML",
                "<html><body><script>alert(1)</script></body></html>\n",
                number=24,
                extra="MIME-Version: 1.0\nContent-Type: text/html\n",
            ),
        ),
        Message("attachment", alice, (bob, carol), _multipart(25, _noise(60_000))),
        Message("five-megabytes", alice, (bob,), _multipart(26, _noise(3_800_000))),
        Message(
            "looks-like-a-report",
            alice,
            (bob,),
            _mail("Inner boundary", "--=_tdc\n--inner--\n\n--\nX-MS-Journal-Report:\n", number=27),
        ),
        Message(
            "quoted-local-part",
            '"john smith"@partner.example',
            (bob,),
            _mail("Quoted", ascii_body, number=28),
        ),
        Message(
            "mixed-domains",
            alice,
            (bob, "eve@elsewhere.example"),
            _mail("One of ours, one not", ascii_body, number=29),
        ),
        Message(
            "not-incoming",
            f"bob@{HOME}",
            ("eve@elsewhere.example",),
            _mail("Outgoing", ascii_body, number=30),
        ),
    ]
    return tuple(messages)
