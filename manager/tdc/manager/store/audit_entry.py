"""PURE. An entry of the audit log, its head and its anchor as stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tdc.manager.store.encoding import Damaged, count_of, list_of, moment_of, text_of
from tdc.manager.store.keys import audit_key
from tdc.manager.store.seal import Edited, is_sealed, pack_sealed, unpack_sealed
from tdc.shared.sync.audit import CHAIN_DIGITS, NO_ENTRY, AuditHead
from tdc.shared.sync.audit_entry import AuditEntry, AuditEvent, AuditRow, By, plain_entry


def pack_entry(entry: AuditEntry) -> bytes:
    """The bytes of an entry."""
    return pack_sealed(audit_key(entry.number), plain_entry(entry))


def read_entry(key: str, raw: bytes) -> AuditEntry:
    """Read the entry at `key`; raises Damaged, Edited if its seal is gone or does not fit."""
    document = unpack_sealed(key, raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    event = AuditEvent(
        operation=text_of(document, "operation"),
        by=By(
            text_of(document, "who"),
            text_of(document, "kind"),
            _text(document, "role"),
            _text(document, "means"),
            _text(document, "origin"),
        ),
        what=_text(document, "what"),
        cluster=_text(document, "cluster"),
        rows=tuple(map(_row_from, list_of(document, "rows"))) if "rows" in document else (),
        rows_left_out=_count(document, "rows_left_out"),
        comment=_text(document, "comment"),
        revision=_count(document, "revision"),
        request_id=_text(document, "request_id"),
        commit=_text(document, "commit"),
        digest=_text(document, "digest"),
        outcome=text_of(document, "outcome"),
        reason=_text(document, "reason"),
        count=count_of(document, "count") if "count" in document else 1,
    )
    number, time = count_of(document, "number"), moment_of(document, "time")
    return AuditEntry(number, time, event, _text(document, "note"), _chain(document))


def pack_mark(key: str, head: AuditHead) -> bytes:
    """The bytes of a number and its chain value: the log's head, or its anchor."""
    return pack_sealed(key, {"number": head.number, "chain": head.chain})


def read_mark(key: str, raw: bytes) -> AuditHead:
    """Read such a pair at `key`; raises Damaged, Edited if its seal is gone or does not fit."""
    document = unpack_sealed(key, raw)
    if not is_sealed(document):
        raise Edited("it has lost its seal")
    return AuditHead(count_of(document, "number"), _chain(document))


def head_of(document: Mapping[str, object]) -> AuditHead:
    """The head that a document of another kind carries as `audit`; raises Damaged."""
    if "audit" not in document:
        return NO_ENTRY
    found = document["audit"]
    if not isinstance(found, dict):
        raise Damaged("audit is not an object")
    fields = cast("Mapping[str, object]", found)
    return AuditHead(count_of(fields, "number"), _chain(fields))


def plain_head(head: AuditHead) -> dict[str, object]:
    """A head as a JSON object."""
    return {"number": head.number, "chain": head.chain}


def _row_from(item: object) -> AuditRow:
    if not isinstance(item, dict):
        raise Damaged("an item of a list in it is not an object")
    fields = cast("Mapping[str, object]", item)
    return AuditRow(
        text_of(fields, "target"),
        _text(fields, "part"),
        _text(fields, "before"),
        _text(fields, "after"),
    )


def _text(document: Mapping[str, object], name: str) -> str:
    return text_of(document, name) if name in document else ""


def _count(document: Mapping[str, object], name: str) -> int:
    return count_of(document, name) if name in document else 0


def _chain(document: Mapping[str, object]) -> str:
    value = text_of(document, "chain")
    if len(value) != CHAIN_DIGITS or not set(value) <= set("0123456789abcdef"):
        raise Damaged("chain is not a chain value")
    return value
