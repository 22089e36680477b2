"""A manager's answers about drafts (tdc.v1) -> the documents of the JSON contract.

Raises as `answers` does.
"""

from __future__ import annotations

from tdc.shared.wire import draft_documents as documents
from tdc.shared.wire.answers import one_value
from tdc.shared.wire.moments import rfc3339_in
from tdc.shared.wire.settings import level_from_wire
from tdc.v1 import operators_pb2


def summary(reply: operators_pb2.Draft) -> documents.DraftSummaryDocument:
    """A draft in a list."""
    return documents.DraftSummaryDocument(
        cluster=reply.cluster,
        owner=reply.owner,
        shared=reply.shared,
        changed=rfc3339_in(reply, "changed"),
        rows=reply.row_count,
        conflicts=reply.conflict_count,
        discarded=rfc3339_in(reply, "discarded"),
        discarded_rows=reply.discarded_count,
    )


def draft(reply: operators_pb2.Draft) -> documents.DraftDocument:
    """A draft, whole."""
    return documents.DraftDocument(
        cluster=reply.cluster,
        owner=reply.owner,
        revision=reply.revision,
        shared=reply.shared,
        changed=rfc3339_in(reply, "changed"),
        rows=tuple(map(_row, reply.rows)),
        discarded=rfc3339_in(reply, "discarded"),
        discarded_rows=reply.discarded_count,
    )


def _row(row: operators_pb2.DraftRow) -> documents.DraftRowDocument:
    return documents.DraftRowDocument(
        level=level_from_wire(row.level),
        name=row.name,
        setting=row.setting,
        was=one_value(row.was, row.setting),
        theirs=one_value(row.theirs, row.setting),
        yours=one_value(row.yours, row.setting),
        state=row.state,
        reason=row.reason,
        time=rfc3339_in(row, "time"),
    )
