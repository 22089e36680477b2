"""PURE. The JSON contract of the audit log (docs/cli.md).

`documents` says what holds for all.
"""

from __future__ import annotations

import msgspec


class AuditRowDocument(msgspec.Struct, frozen=True):
    """One thing that was changed; null where there was, or is, nothing."""

    target: str
    part: str
    before: str | None
    after: str | None


class AuditEntryDocument(msgspec.Struct, frozen=True):
    """One entry; of one that can't be read, all but `number` and `unreadable` is empty."""

    number: int
    time: str | None
    operation: str
    outcome: str
    who: str
    kind: str
    role: str
    means: str
    origin: str
    cluster: str
    what: str
    rows: tuple[AuditRowDocument, ...]
    rows_left_out: int
    comment: str
    revision: int
    request_id: str
    commit: str
    digest: str
    reason: str
    count: int
    note: str
    chain: str
    unreadable: str


class AuditFaultDocument(msgspec.Struct, frozen=True):
    """Something that is not as it was written."""

    number: int
    source: str
    what: str
    meaning: str
    advice: str


class AuditUncomparedDocument(msgspec.Struct, frozen=True):
    """A machine whose agent's word could not be compared."""

    cluster: str
    machine: str
    reason: str


class AuditVerdictDocument(msgspec.Struct, frozen=True):
    """What a check of the log found; `intact` if there is no fault.

    `agreeing` and `uncompared` are of machines, and null without a comparison with agents.
    """

    intact: bool
    entries: int
    first: int
    newest: int
    chain: str
    trimmed: int
    faults: tuple[AuditFaultDocument, ...]
    fault_count: int
    remarks: tuple[str, ...]
    agreeing: int | None
    uncompared: tuple[AuditUncomparedDocument, ...] | None
