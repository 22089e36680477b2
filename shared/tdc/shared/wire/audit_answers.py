"""A manager's answers about the audit log (tdc.v1) -> the documents of the JSON contract.

Raises as `answers` does.
"""

from __future__ import annotations

from tdc.shared.wire import audit_documents as documents
from tdc.shared.wire.moments import rfc3339_in
from tdc.shared.wire.people_answers import role_word
from tdc.v1 import audit_pb2


def entry(reply: audit_pb2.AuditEntry) -> documents.AuditEntryDocument:
    """One entry."""
    return documents.AuditEntryDocument(
        number=reply.number,
        time=rfc3339_in(reply, "time"),
        operation=reply.operation,
        outcome=reply.outcome,
        who=reply.who,
        kind=reply.kind,
        role=role_word(reply.role),
        means=reply.means,
        origin=reply.origin,
        cluster=reply.cluster,
        what=reply.what,
        rows=tuple(
            documents.AuditRowDocument(
                each.target, each.part, each.before or None, each.after or None
            )
            for each in reply.rows
        ),
        rows_left_out=reply.rows_left_out,
        comment=reply.comment,
        revision=reply.revision,
        request_id=reply.request_id,
        commit=reply.commit,
        digest=reply.digest,
        reason=reply.reason,
        count=reply.count,
        note=reply.note,
        chain=reply.chain,
        unreadable=reply.unreadable,
    )


def verdict(
    reply: audit_pb2.VerifyLogResponse, *, against_agents: bool
) -> documents.AuditVerdictDocument:
    """What a check found."""
    return documents.AuditVerdictDocument(
        intact=not reply.fault_count,
        entries=reply.entries,
        first=reply.first,
        newest=reply.newest.number,
        chain=reply.newest.chain,
        trimmed=reply.trimmed.number,
        faults=tuple(
            documents.AuditFaultDocument(
                each.number, each.source, each.what, each.meaning, each.advice
            )
            for each in reply.faults
        ),
        fault_count=reply.fault_count,
        remarks=tuple(reply.remarks),
        agreeing=reply.agreeing if against_agents else None,
        uncompared=tuple(
            documents.AuditUncomparedDocument(each.cluster, each.machine, each.reason)
            for each in reply.uncompared
        )
        if against_agents
        else None,
    )
