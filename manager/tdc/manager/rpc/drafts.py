"""tdc.v1.Drafts: what operators gather before they commit it."""

from __future__ import annotations

from tdc.manager.intent.drafts import (
    Add,
    Discard,
    DraftChange,
    DraftOperations,
    DraftRead,
    Keep,
    Remove,
    Restore,
    Share,
    Tidy,
)
from tdc.manager.levels.draft import RowState, Standing
from tdc.manager.messages import edits
from tdc.manager.rpc.entry import Context, actor_of
from tdc.manager.rpc.status_codes import fitting
from tdc.shared.wire.moments import timestamp
from tdc.shared.wire.settings import LEVEL_TO_WIRE, value_to_wire
from tdc.v1 import operators_pb2, operators_pb2_grpc


class DraftsService(operators_pb2_grpc.DraftsServicer):
    """The service; what it raises becomes a status in `guard`."""

    def __init__(self, drafts: DraftOperations) -> None:
        self._drafts = drafts

    async def GetDraft(  # noqa: N802
        self, request: operators_pb2.GetDraftRequest, context: Context
    ) -> operators_pb2.Draft:
        """Read one draft, whole; raises AnswerTooLarge."""
        found = await self._drafts.read(actor_of(context), request.cluster, request.owner)
        return _whole(found)

    async def ListDrafts(  # noqa: N802
        self, request: operators_pb2.ListDraftsRequest, context: Context
    ) -> operators_pb2.ListDraftsResponse:
        """List drafts without their rows."""
        found = await self._drafts.list_drafts(actor_of(context), request.cluster)
        return operators_pb2.ListDraftsResponse(drafts=map(_summary, found))

    async def ChangeDraft(  # noqa: N802
        self, request: operators_pb2.ChangeDraftRequest, context: Context
    ) -> operators_pb2.Draft:
        """Change the caller's own draft; raises AnswerTooLarge."""
        made = await self._drafts.change(
            actor_of(context), request.cluster, request.owner, _change(request)
        )
        return _whole(made)


def _change(request: operators_pb2.ChangeDraftRequest) -> DraftChange | None:
    """The change that a request names; None if it names none that this version knows."""
    match request.WhichOneof("change"):
        case "add":
            return Add(edits.change_asked(request.cluster, request.add.edits))
        case "remove":
            level = edits.level_asked(request.remove.level)
            return Remove(level, tuple(request.remove.settings))
        case "keep":
            return Keep(edits.level_asked(request.keep.level), tuple(request.keep.settings))
        case "share":
            return Share(request.share)
        case "discard":
            return Discard()
        case "restore":
            return Restore()
        case "tidy":
            return Tidy()
    return None


def _whole(found: DraftRead) -> operators_pb2.Draft:
    draft = _summary(found)
    draft.rows.extend(map(_row, found.rows))
    draft.edits.extend(edits.edit_to_wire(edit, found.draft.cluster) for edit in found.edits)
    return fitting(draft, f"the draft of {draft.owner}", "commit what it has in parts")


def _summary(found: DraftRead) -> operators_pb2.Draft:
    draft, aside = found.draft, found.draft.discarded
    return operators_pb2.Draft(
        cluster=draft.cluster,
        owner=draft.owner,
        revision=found.revision,
        shared=draft.shared,
        changed=timestamp(draft.changed) if draft.changed else None,
        row_count=len(found.rows),
        conflict_count=sum(each.state is RowState.CONFLICT for each in found.rows),
        discarded=None if aside is None else timestamp(aside.at),
        discarded_count=0 if aside is None else len(aside.rows),
    )


def _row(found: Standing) -> operators_pb2.DraftRow:
    row = found.row
    return operators_pb2.DraftRow(
        level=LEVEL_TO_WIRE[row.key.level],
        name=row.key.name,
        setting=row.setting,
        was=value_to_wire(row.setting, row.was),
        theirs=value_to_wire(row.setting, found.theirs),
        yours=value_to_wire(row.setting, row.yours),
        state=found.state,
        time=timestamp(row.at),
        reason=found.reason,
    )
