"""Reads a journal report as a strict archive would, with a MIME parser that was not written here.

The parser is fast-mail-parser (Rust); the rules on top are those seen in readers of the
envelope journaling format: the header present and empty, exactly two parts, the text first and
not in base64, fields in order and none unknown, the original as message/rfc822.
"""

from __future__ import annotations

from dataclasses import dataclass

import fast_mail_parser

_ORIGINAL_TYPES = ("message/rfc822", "message/global", "application/octet-stream")


class NotAReport(ValueError):
    """The message is no journal report that a strict reader accepts; says why."""


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What a journal report says. `sender` is ``<>`` for the null sender.

    `headers` are the outer ones, by lower-case name, the first value of each.
    """

    sender: str
    subject: str
    message_id: str
    recipients: tuple[str, ...]
    original: bytes
    original_type: str
    headers: dict[str, str]


def read_report(raw: bytes) -> ReadReport:
    """Read a report as it came over SMTP; raises NotAReport."""
    try:
        mail = fast_mail_parser.parse_email(raw)
    except fast_mail_parser.ParseError as error:
        raise NotAReport(f"it is no MIME message: {error}") from error
    headers = {name.lower(): values[0] for name, values in mail.headers.items()}
    if headers.get("x-ms-journal-report") != "" or b"\r\nX-MS-Journal-Report:" not in raw:
        raise NotAReport("no empty X-MS-Journal-Report header")
    if not headers.get("content-type", "").startswith("multipart/mixed;"):
        raise NotAReport(f"its type is {headers.get('content-type')}")
    if len(mail.text_plain) != 1 or mail.text_html or len(mail.attachments) != 1:
        raise NotAReport("its parts are not one text and one attached original")
    (original,) = mail.attachments
    if original.mimetype not in _ORIGINAL_TYPES:
        raise NotAReport(f"its second part is {original.mimetype}")
    text_header = raw.split(b"\r\n\r\n", 2)[1].lower()
    if b"text/plain" not in text_header or b"base64" in text_header:
        raise NotAReport("its first part is not plain text, or it is in base64")
    fields = _fields(mail.text_plain[0])
    if [name for name, _ in fields[:3]] != ["sender", "subject", "message-id"]:
        raise NotAReport(f"its first fields are {[name for name, _ in fields[:3]]}")
    if {name for name, _ in fields[3:]} != {"recipient"}:
        raise NotAReport(f"its other fields are {[name for name, _ in fields[3:]]}")
    return ReadReport(
        sender=fields[0][1],
        subject=fields[1][1],
        message_id=fields[2][1],
        recipients=tuple(value for _, value in fields[3:]),
        original=bytes(original.content),
        original_type=original.mimetype,
        headers=headers,
    )


def _fields(text: str) -> list[tuple[str, str]]:
    """Read `Name: value` lines; CRLF ends each, nothing is folded."""
    if not text.endswith("\r\n"):
        raise NotAReport("the text part does not end with a line end")
    fields = []
    for line in text.removesuffix("\r\n").split("\r\n"):
        name, colon, value = line.partition(": ")
        if not colon or line[0].isspace() or "\n" in line or "\r" in line:
            raise NotAReport(f"the text part has the line {line!r}")
        fields.append((name.lower(), value))
    return fields
