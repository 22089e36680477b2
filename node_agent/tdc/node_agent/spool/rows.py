"""PURE. The file's rows: how a copy is written, and whether what was read can be ours."""

from __future__ import annotations

import hashlib
import json
from typing import cast

from tdc.node_agent.spool.values import Copy, DeadLetter
from tdc.shared.mail.envelope import BodyType, Envelope

LATEST = 1e11  # seconds, the year 5138: a later time is damage


def checksum_of(content: bytes, report_id: str, intake: str, envelope: str) -> bytes:
    """SHA-256 of what delivery uses of a row."""
    digest = hashlib.sha256(content)
    digest.update("\0".join(("", report_id, intake, envelope)).encode("utf-8", "surrogatepass"))
    return digest.digest()


def encode_envelope(envelope: Envelope) -> str:
    """The envelope as ASCII JSON; bytes that were not UTF-8 (surrogates) survive."""
    return json.dumps(
        [
            envelope.sender,
            envelope.recipients,
            envelope.smtputf8,
            envelope.body,
            envelope.client_address,
        ]
    )


def decode_envelope(text: str) -> Envelope:
    """The reverse of `encode_envelope`; raises ValueError, TypeError."""
    sender, recipients, smtputf8, body, client_address = json.loads(text)
    return Envelope(sender, tuple(recipients), smtputf8, cast("BodyType", body), client_address)


def copy_row(copy: Copy) -> tuple[str | int | float | bytes, ...]:
    """A new row, in the order of the query `insert_copies`."""
    envelope = encode_envelope(copy.envelope)
    checksum = checksum_of(copy.content, copy.report_id, copy.intake, envelope)
    when = copy.taken_at
    size = len(copy.content)
    return (copy.mid, copy.report_id, copy.intake, envelope, size, when, when, checksum)


def is_same(checksum: object, content: bytes, *facts: object) -> bool:
    """Whether what was read of a row is what its checksum was made of."""
    if not all(isinstance(fact, str) for fact in facts):
        return False
    report_id, intake, envelope = cast("tuple[str, str, str]", facts)
    return checksum == checksum_of(content, report_id, intake, envelope)


def is_possible(taken_at: object, attempts: object) -> bool:
    """Whether these, which no checksum covers, can have been written by us."""
    a_time = isinstance(taken_at, float) and 0 <= taken_at <= LATEST
    return a_time and isinstance(attempts, int) and 0 <= attempts < 2**31


def dead_letter(row: tuple[int, str, str, str, int, float, int, str]) -> DeadLetter:
    """Read a row of the query `list_dead`; never raises."""
    mid, report_id, intake, envelope, size, taken_at, attempts, reason = row
    try:
        facts = decode_envelope(envelope)
    except (ValueError, TypeError):  # a damaged row may say anything
        facts = Envelope("", ())
    return DeadLetter(
        mid, report_id, intake, facts.sender, facts.recipients, size, taken_at, attempts, reason
    )


def storable(text: str) -> str:
    """`text` as SQLite can store it: bytes that were not UTF-8 (surrogates) are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
