"""tdc.v1.Audit: the audit log, read and verified."""

from __future__ import annotations

from tdc.manager.intent.audit import AuditFilter, AuditOperations, AuditVerified
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
from tdc.shared.sync.audit import AuditHead, content_text
from tdc.shared.sync.audit_entry import AuditEntry, AuditFault, UnreadableEntry
from tdc.shared.wire.audit import head_to_wire
from tdc.shared.wire.moments import timestamp, unix_seconds
from tdc.v1 import agents_pb2, audit_pb2, audit_pb2_grpc


class AuditService(audit_pb2_grpc.AuditServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, audit: AuditOperations) -> None:
        self._audit = audit

    async def ListEntries(  # noqa: N802
        self, request: audit_pb2.ListEntriesRequest, context: Context
    ) -> audit_pb2.ListEntriesResponse:
        """List a page of entries; raises BadMessage, AnswerTooLarge."""
        wanted = AuditFilter(
            request.who,
            request.operation,
            request.cluster,
            request.outcome,
            unix_seconds(request.since) if request.HasField("since") else None,
            unix_seconds(request.until) if request.HasField("until") else None,
        )
        page = await self._audit.list_entries(
            actor_of(context),
            wanted,
            limit=request.limit,
            cursor=request.cursor,
            oldest_first=request.oldest_first,
        )
        content = request.with_content
        response = audit_pb2.ListEntriesResponse(
            entries=[_entry(row, with_content=content) for row in page.rows], next=page.next
        )
        return fitting(response, "the page of the audit log", "ask for fewer entries")

    async def GetEntry(  # noqa: N802
        self, request: audit_pb2.GetEntryRequest, context: Context
    ) -> audit_pb2.AuditEntry:
        """Read one entry."""
        row = await self._audit.read_entry(actor_of(context), request.number)
        return _entry(row, with_content=True)

    async def VerifyLog(  # noqa: N802
        self, request: audit_pb2.VerifyLogRequest, context: Context
    ) -> audit_pb2.VerifyLogResponse:
        """Check the log."""
        found = await self._audit.verify(actor_of(context), against_agents=request.against_agents)
        return fitting(_verified(found), "the verdict", "verify without the agents")


def _entry(row: AuditEntry | UnreadableEntry, *, with_content: bool) -> audit_pb2.AuditEntry:
    if isinstance(row, UnreadableEntry):
        return audit_pb2.AuditEntry(number=row.number, unreadable=row.reason)
    event, by = row.event, row.event.by
    return audit_pb2.AuditEntry(
        number=row.number,
        time=timestamp(row.time),
        operation=event.operation,
        outcome=event.outcome,
        who=by.name,
        kind=by.kind,
        role=by.role,
        means=by.means,
        origin=by.origin,
        cluster=event.cluster,
        what=event.what,
        rows=[
            audit_pb2.AuditRow(
                target=each.target, part=each.part, before=each.before, after=each.after
            )
            for each in event.rows
        ],
        rows_left_out=event.rows_left_out,
        comment=event.comment,
        revision=event.revision,
        request_id=event.request_id,
        commit=event.commit,
        digest=event.digest,
        reason=event.reason,
        count=event.count,
        note=row.note,
        chain=row.chain,
        content=content_text(row.plain()) if with_content else "",
    )


def _verified(found: AuditVerified) -> audit_pb2.VerifyLogResponse:
    verdict = found.verdict
    return audit_pb2.VerifyLogResponse(
        entries=verdict.entries,
        first=verdict.first,
        newest=_head(verdict.newest),
        trimmed=_head(verdict.trimmed),
        faults=[_fault(each) for each in (*verdict.faults, *found.contradictions)],
        fault_count=verdict.fault_count + len(found.contradictions),
        agreeing=found.agreeing,
        uncompared=[
            audit_pb2.AuditUncompared(
                cluster=each.cluster, machine=each.machine, reason=each.reason
            )
            for each in found.uncompared
        ],
        remarks=verdict.remarks,
    )


def _fault(fault: AuditFault) -> audit_pb2.AuditFault:
    return audit_pb2.AuditFault(
        number=fault.number,
        source=fault.source,
        what=fault.what,
        meaning=fault.meaning,
        advice=fault.advice,
    )


def _head(head: AuditHead) -> agents_pb2.AuditHead | None:
    return head_to_wire(head) if head else None
