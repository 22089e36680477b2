"""Changes by the API: plan, then commit under the plan's fingerprint; a level's settings; history.

The fingerprint of a plan is its ETag, and a commit sends it back in If-Match: what is committed is
what was seen. Idempotency-Key is the request id, by which a commit that is sent twice is made once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from tdc.manager.intent.settings import StoredLevel
from tdc.manager.intent.targets import ChangeAsked, EditAsked, LevelAsked, SetAt, UnsetAt
from tdc.manager.levels.plan import Plan
from tdc.manager.messages import settings as settings_messages
from tdc.manager.messages import wire
from tdc.manager.web.answers import Document
from tdc.manager.web.api.edits import EditDocument, change_asked
from tdc.manager.web.api.fleet import A_PAGE, MOST
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import Refused
from tdc.shared.settings.canonical import Plain, canonical_bytes
from tdc.shared.settings.check import checked
from tdc.shared.settings.values import Level
from tdc.shared.wire import answers, settings_answers
from tdc.shared.wire.documents import CommitDocument, PlanDocument
from tdc.shared.wire.settings_documents import LevelDocument

IF_MATCH, IDEMPOTENCY_KEY = "if-match", "idempotency-key"


class PlanAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Edits of a cluster, applied in order."""

    edits: tuple[EditDocument, ...]


class CommitAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Edits that were planned, and a comment for the history."""

    edits: tuple[EditDocument, ...]
    comment: str = ""


class Committed(msgspec.Struct, frozen=True):
    """The end of a change; `committed` is false if it changed nothing."""

    cluster: str
    revision: int
    committed: bool


class Patched(msgspec.Struct, frozen=True):
    """A level after a change of its settings, or as a dry run has it, with the plan."""

    level: LevelDocument
    plan: PlanDocument
    committed: bool


class LevelPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A merge patch (RFC 7396) of a level's settings: null lets one follow the level above."""

    settings: dict[str, Plain]


class LevelAskedFor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cluster, needed where the name is in several."""

    cluster: str = ""


class PatchAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run` commits nothing. `fingerprint` is the plan's that a dry run answered: needed where
    machines stop copying, or the disable rule acts.
    """

    cluster: str = ""
    dry_run: bool = False
    fingerprint: str = ""
    comment: str = ""


class CommitsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commits of revisions below the cursor, newest first."""

    cursor: int = 0
    limit: int = A_PAGE


class CommitList(msgspec.Struct, frozen=True):
    """A page of history; `next` is the cursor of the next page, empty after the last."""

    items: tuple[CommitDocument, ...]
    next: str


def _tag(text: str) -> str:
    return f'"{text}"'


def _given_tag(call: Call) -> str:
    """The one strong tag in If-Match; raises Refused."""
    text = call.headers[IF_MATCH].strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"' or "," in text:
        raise Refused(422, "wrong-request", 'If-Match must be one ETag in quotation marks: "…"')
    return text[1:-1]


def plan_document(plan: Plan) -> PlanDocument:
    """A plan as the JSON contract has it."""
    return answers.plan(wire.plan_to_wire(plan))


async def make_plan(call: Call) -> Document:
    """Plan what a commit would do; its ETag is the fingerprint."""
    asked = change_asked(call.path["cluster"], call.sent(PlanAsked).edits)
    plan = await call.to.changes.plan(call.actor, asked)
    return Document(plan_document(plan), headers={"etag": _tag(plan.fingerprint)})


async def make_commit(call: Call) -> Document:
    """Commit what was planned."""
    sent = call.sent(CommitAsked)
    made = await call.to.changes.commit(
        call.actor,
        change_asked(call.path["cluster"], sent.edits),
        fingerprint=_given_tag(call),
        comment=sent.comment,
        request_id=call.headers[IDEMPOTENCY_KEY],
    )
    where = f"/api/v1/clusters/{made.cluster}/commits/{made.revision}"
    value = Committed(made.cluster, made.revision, made.committed)
    return Document(value, 201 if made.committed else 200, {"location": where})


async def list_commits(call: Call) -> Document:
    """List a cluster's history, newest first."""
    asked = call.asked(CommitsAsked)
    if not 1 <= asked.limit <= MOST or asked.cursor < 0:
        raise Refused(422, "wrong-request", f"limit must be 1 to {MOST}, cursor 0 or more")
    rows = await call.to.history.list_commits(
        call.actor, call.path["cluster"], limit=asked.limit, before=asked.cursor
    )
    items = tuple(answers.commit(wire.commit_to_wire(row, whole=False)) for row in rows)
    more = len(items) == asked.limit and items[-1].revision > 1
    return Document(CommitList(items, str(items[-1].revision) if more else ""))


async def read_commit(call: Call) -> Document:
    """Read one commit, with what it changed."""
    number = call.path["revision"]
    if not number.isdigit() or len(number) > 12:
        raise Refused(404, "unknown", "A revision is a number.")
    row = await call.to.history.read_commit(call.actor, call.path["cluster"], int(number))
    return Document(answers.whole_commit(wire.commit_to_wire(row, whole=True)))


def _level(call: Call, cluster: str) -> LevelAsked:
    try:
        level = Level(call.path["level"])
    except ValueError:
        level = Level.DEFAULT
    if level is Level.DEFAULT:
        raise Refused(404, "unknown", "A level is machine, group or cluster.")
    return LevelAsked(level, call.path["name"], "" if level is Level.CLUSTER else cluster)


def _document(found: StoredLevel) -> LevelDocument:
    return settings_answers.level(settings_messages.level_to_wire(found))


def _level_tag(found: StoredLevel) -> str:
    """The tag of what a level stores: other settings, another tag."""
    where = f"{found.cluster}/{found.key}/".encode()
    return hashlib.sha256(where + canonical_bytes(found.stored.settings)).hexdigest()[:32]


async def read_level(call: Call) -> Document:
    """Read what is present at a level; its ETag is of what it stores."""
    asked = _level(call, call.asked(LevelAskedFor).cluster)
    found = await call.to.settings.read_level(call.actor, asked)
    return Document(_document(found), headers={"etag": _tag(_level_tag(found))})


async def patch_level(call: Call) -> Document:
    """Change a level's settings, or say what a change would do (`dry_run`)."""
    asked, patch = call.asked(PatchAsked), call.sent(LevelPatch).settings
    found = await call.to.settings.read_level(call.actor, _level(call, asked.cluster))
    if _given_tag(call) != _level_tag(found):
        raise Refused(
            412,
            "level-changed",
            f"{found.key} stores other settings than those of this ETag: nothing was changed. "
            "Read it again",
        )
    change = ChangeAsked(found.cluster, _edits(found, patch))
    plan = await call.to.changes.plan(call.actor, change)
    if asked.dry_run:
        after = await call.to.settings.read_level(call.actor, _level(call, asked.cluster))
        return _patched(after, plan, committed=False)
    reaches_far = plan.stop_copying or any(each.by_disable_rule for each in plan.levels)
    if reaches_far and asked.fingerprint != plan.fingerprint:
        raise Refused(
            412,
            "plan-changed",
            f"this stops copying on {len(plan.stop_copying)} machines, and changes "
            f"{len(plan.levels)} levels: look at the plan (dry_run=true), and send its fingerprint",
        )
    made = await call.to.changes.commit(
        call.actor,
        change,
        fingerprint=plan.fingerprint,
        comment=asked.comment,
        request_id=call.headers[IDEMPOTENCY_KEY],
    )
    after = await call.to.settings.read_level(call.actor, _level(call, asked.cluster))
    return _patched(after, plan, committed=made.committed)


def _edits(found: StoredLevel, patch: Mapping[str, Plain]) -> tuple[EditAsked, ...]:
    at = LevelAsked(found.key.level, found.key.name, found.cluster)
    edits: list[EditAsked] = []
    wanted = {name: value for name, value in patch.items() if value is not None}
    if wanted:
        edits.append(SetAt(at, checked(wanted)))
    gone = tuple(name for name, value in patch.items() if value is None)
    if gone:
        edits.append(UnsetAt(at, gone))
    return tuple(edits)


def _patched(after: StoredLevel, plan: Plan, *, committed: bool) -> Document:
    value = Patched(_document(after), plan_document(plan), committed)
    return Document(value, headers={"etag": _tag(_level_tag(after))})
