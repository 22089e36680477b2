"""Changes: drafts, what committing one would do, and the commit."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from tdc.manager.intent.drafts import (
    Discard,
    DraftChange,
    DraftRead,
    Keep,
    Remove,
    Restore,
    Share,
    Tidy,
)
from tdc.manager.intent.errors import BadRequest, InvalidPlan, StalePlan
from tdc.manager.intent.monitoring import StatusAsked
from tdc.manager.intent.permissions import may
from tdc.manager.intent.targets import ChangeAsked, EditAsked, LevelAsked, SetAt, UnsetAt
from tdc.manager.levels.changes import SetValues, UnsetValues
from tdc.manager.levels.draft import RowState, Standing
from tdc.manager.levels.plan import Plan
from tdc.manager.web.answers import Cell, Cells, Look, Page, See
from tdc.manager.web.blast import disabled_machines, grouped, sentences
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import failed
from tdc.manager.web.places import Place, place_at
from tdc.manager.web.values import shown_at
from tdc.shared.settings.values import Level


class ChangesAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose draft (empty: one's own), and the revision that was just committed."""

    owner: str = ""
    committed: int = 0


class CommitSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of a commit: the plan that was seen, and why."""

    fingerprint: str
    request_id: str
    comment: str = ""
    owner: str = ""


class DraftSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with one's own draft, and with which row of it."""

    do: str
    level: str = ""
    name: str = ""
    setting: str = ""


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A row of a draft as the page shows it."""

    place: Place
    level: str
    name: str
    setting: str
    was: str
    yours: str
    theirs: str
    state: RowState
    reason: str


async def draft_of(call: Call, cluster: str, owner: str = "") -> DraftRead:
    """Read a draft, the actor's own without `owner`."""
    return await call.to.drafts.read(call.actor, cluster, owner)


def asked_of(draft: DraftRead) -> ChangeAsked:
    """What commits a draft's open rows."""
    cluster = draft.draft.cluster

    def one(edit: SetValues | UnsetValues) -> EditAsked:
        level = LevelAsked(edit.key.level, edit.key.name, cluster)
        if isinstance(edit, SetValues):
            return SetAt(level, edit.settings)
        return UnsetAt(level, edit.names)

    return ChangeAsked(cluster, tuple(map(one, draft.edits)))


def _row(cluster: str, each: Standing) -> DraftRow:
    row = each.row

    return DraftRow(
        place=place_at(cluster, row.key.level, row.key.name),
        level=str(row.key.level),
        name=row.key.name,
        setting=row.setting,
        was=shown_at(row.setting, row.was),
        yours=shown_at(row.setting, row.yours),
        theirs=shown_at(row.setting, each.theirs),
        state=each.state,
        reason=each.reason,
    )


async def drafts(call: Call) -> Page:
    """List the drafts that one may see: one's own, and those that are shared."""
    found = await call.to.drafts.list_drafts(call.actor, "")
    values = {
        "title": "Changes",
        "page_name": "changes",
        "drafts": [
            {
                "cluster": each.draft.cluster,
                "owner": each.draft.owner,
                "mine": each.draft.owner == call.actor.name,
                "count": len(each.rows),
                "conflicts": sum(row.state is RowState.CONFLICT for row in each.rows),
                "changed": each.draft.changed,
                "address": Place(each.draft.cluster).page("changes")
                + ("" if each.draft.owner == call.actor.name else f"?owner={each.draft.owner}"),
            }
            for each in found
            if each.draft.rows
        ],
    }
    return Page("drafts.html", values)


async def changes(call: Call) -> Page:
    """Show a draft and what committing it would do."""
    asked = call.asked(ChangesAsked)
    return await _changes(call, asked.owner, committed=asked.committed)


async def look(call: Call) -> Look:
    """Look at how many machines run the revision that was committed."""
    asked = call.asked(ChangesAsked)

    async def looked() -> Cells:
        return await _applied(call, asked.committed)

    return looked


async def _applied(call: Call, revision: int) -> Cells:
    if not revision:
        return {}
    status = await call.to.monitoring.read_status(call.actor, StatusAsked(call.path["cluster"]))
    rows = status.machines
    there = sum(row.applied_revision >= revision for row in rows)
    away = sum(row.state in ("offline", "stale", "unknown") for row in rows)
    rejected = sum(row.state == "rejected" for row in rows)
    whole = there == len(rows)
    return {
        "applied": Cell(f"{there:,} of {len(rows):,}", "ok" if whole else "warn"),
        "away": Cell(f"{away:,}", "bad" if away else "off"),
        "rejected": Cell(f"{rejected:,}", "bad" if rejected else "off"),
    }


async def _changes(
    call: Call, owner: str, *, committed: int = 0, fault: str = "", status: int = 200
) -> Page:
    cluster = call.path["cluster"]
    draft = await draft_of(call, cluster, owner)
    plan, why_not = await _planned(call, draft)
    rows = [_row(cluster, each) for each in draft.rows]
    cells = await _applied(call, committed)
    values = {
        "title": f"Changes of cluster {cluster}",
        "page_name": "changes",
        "place": Place(cluster),
        "draft": draft.draft,
        "mine": draft.draft.owner == call.actor.name,
        "rows": rows,
        "open": sum(row.state is RowState.OPEN for row in rows),
        "conflicts": [row for row in rows if row.state is RowState.CONFLICT],
        "plan": plan,
        "why_not": why_not,
        "fault": fault,
        "committed": committed,
        "request_id": f"console-{secrets.token_hex(12)}",
        **_of_plan(plan),
        **await _away(call, plan),
    }
    return Page("changes.html", values, status, cells=cells)


def _of_plan(plan: Plan | None) -> dict[str, object]:
    if plan is None:
        return {"says": (), "disabled": (), "grouped": (), "levels": ()}
    return {
        "says": sentences(plan),
        "disabled": [Place(plan.cluster_name, machine=each) for each in disabled_machines(plan)],
        "grouped": grouped(plan),
        "levels": [
            {
                "level": str(each.key),
                "setting": each.setting,
                "before": shown_at(each.setting, each.before),
                "after": shown_at(each.setting, each.after),
                "by_rule": each.by_disable_rule,
            }
            for each in plan.levels
        ],
    }


async def _planned(call: Call, draft: DraftRead) -> tuple[Plan | None, str]:
    """What committing the draft would do, and why that can't be said."""
    if not draft.edits or not may(call.actor, "changes.plan"):
        return None, ""
    try:
        return await call.to.changes.plan(call.actor, asked_of(draft)), ""
    except Exception as error:
        how = failed(error)
        if how is None:
            raise
        return None, how.sentence


async def _away(call: Call, plan: Plan | None) -> dict[str, object]:
    """How many of the machines that change are not connected now, and follow later."""
    if plan is None or not plan.machines:
        return {"away": 0}
    touched = {change.machine for change in plan.machines}
    status = await call.to.monitoring.read_status(
        call.actor, StatusAsked(plan.cluster_name, states=("offline", "stale", "unknown"))
    )
    return {"away": sum(row.name in touched for row in status.machines)}


async def commit(call: Call) -> Page | See:
    """Commit a draft as it was planned and seen."""
    sent, cluster = call.sent(CommitSent), call.path["cluster"]
    draft = await draft_of(call, cluster, sent.owner)
    try:
        if not draft.edits:
            raise BadRequest(
                "there is nothing in the draft to commit: it was committed already, or discarded"
            )
        made = await call.to.changes.commit(
            call.actor,
            asked_of(draft),
            fingerprint=sent.fingerprint,
            comment=sent.comment,
            request_id=sent.request_id,
        )
    except (StalePlan, InvalidPlan, BadRequest) as error:
        how = failed(error)
        assert how is not None
        fault = f"Nothing was committed. {how.sentence[:1].upper()}{how.sentence[1:]}"
        return await _changes(call, sent.owner, fault=fault, status=how.status)
    await call.to.drafts.change(call.actor, made.cluster, sent.owner, Tidy())
    return See(f"{Place(made.cluster).page('changes')}?committed={made.revision}")


async def change_draft(call: Call) -> See:
    """Discard the actor's own draft, take it back, share it, or decide on one row of it."""
    sent, cluster = call.sent(DraftSent), call.path["cluster"]
    await call.to.drafts.change(call.actor, cluster, "", _draft_change(sent, cluster))
    return See(Place(cluster).page("changes"))


def _draft_change(sent: DraftSent, cluster: str) -> DraftChange:
    if sent.do in ("remove", "keep"):
        if sent.level not in (Level.MACHINE, Level.GROUP, Level.CLUSTER):
            raise BadRequest("the form names no level")
        level = LevelAsked(Level(sent.level), sent.name, cluster)
        names: Sequence[str] = (sent.setting,) if sent.setting else ()
        kind = Remove if sent.do == "remove" else Keep
        return kind(level, tuple(names))
    plain: dict[str, DraftChange] = {
        "discard": Discard(),
        "restore": Restore(),
        "share": Share(on=True),
        "unshare": Share(on=False),
    }
    if sent.do not in plain:
        raise BadRequest(f"{sent.do[:20]!r} is nothing that can be done with a draft")
    return plain[sent.do]
