"""PURE. The file's rows: how a copy is written, and whether what was read can be ours."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, cast

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
    try:
        sender, recipients, smtputf8, body, client_address = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return Envelope(sender, tuple(recipients), smtputf8, cast("BodyType", body), client_address)


def copy_row(copy: Copy) -> tuple[str | int | float | bytes, ...]:
    """A new row, in the order of the query `insert_copies`."""
    envelope = encode_envelope(copy.envelope)
    checksum = checksum_of(copy.content, copy.report_id, copy.intake, envelope)
    when = copy.taken_at
    size = len(copy.content)
    return (copy.mid, copy.report_id, copy.intake, envelope, size, when, when, checksum, copy.dated)


def move_check(checksum: object, intake: object) -> bytes | None:
    """What shows that a copy was moved to `intake` by us; None for what can't be a row of ours."""
    if not isinstance(checksum, bytes) or not isinstance(intake, str):
        return None
    return hashlib.sha256(checksum + intake.encode("utf-8", "surrogatepass")).digest()


class CopyRow(NamedTuple):
    """A row as the query `read_copy` gives it; damage may have put anything into it."""

    report_id: object
    intake: object
    envelope: object
    size: object
    taken_at: object
    attempts: object
    checksum: object
    dated: object
    retried_at: object
    taken_for: object
    move_check: object
    content: object
    is_large: object

    def is_same(self, content: bytes) -> bool:
        """Whether the row and `content` are what the checksums were made of."""
        moved = self.taken_for is not None
        if moved and self.move_check != move_check(self.checksum, self.intake):
            return False
        facts = (self.report_id, self.taken_for if moved else self.intake, self.envelope)
        if len(content) != self.size or not all(isinstance(fact, str) for fact in facts):
            return False
        return self.checksum == checksum_of(content, *cast("tuple[str, str, str]", facts))

    def is_possible(self) -> bool:
        """Whether what no checksum covers can have been written by us."""
        times = [self.taken_at, *(t for t in (self.dated, self.retried_at) if t is not None)]
        counted = isinstance(self.attempts, int) and 0 <= self.attempts < 2**31
        return counted and all(isinstance(time, float) and 0 <= time <= LATEST for time in times)

    def copy(self, mid: int, content: bytes) -> Copy:
        """The copy, of a row that is the same and possible."""
        facts = cast("Any", self)
        return Copy(
            mid,
            facts.report_id,
            facts.intake,
            decode_envelope(facts.envelope),
            content,
            facts.taken_at,
            facts.attempts,
            facts.taken_at if facts.dated is None else facts.dated,
            facts.retried_at,
        )


def dead_letter(row: tuple[int, str, str, str, int, float, float, int, str]) -> DeadLetter:
    """Read a row of the query `list_dead`; never raises."""
    mid, report_id, intake, envelope, size, taken_at, dead_at, attempts, reason = row
    try:
        facts = decode_envelope(envelope)
    except (ValueError, TypeError):  # a damaged row may say anything
        facts = Envelope("", ())
    return DeadLetter(
        mid=mid,
        report_id=report_id,
        intake=intake,
        sender=facts.sender,
        recipients=facts.recipients,
        size=_whole(size),
        taken_at=_time(taken_at),
        dead_at=_time(dead_at),
        attempts=_whole(attempts),
        reason=reason,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**62 else 0


def _time(value: object) -> float:
    return value if isinstance(value, float) and 0 <= value <= LATEST else 0.0


def readable(value: object) -> str:
    """What a damaged row has in the place of a text, as a text that can be shown."""
    return storable(value if isinstance(value, str) else repr(value))


def storable(text: str) -> str:
    """`text` as SQLite can store it: bytes that were not UTF-8 (surrogates) are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
