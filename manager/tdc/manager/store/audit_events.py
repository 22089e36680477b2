"""PURE. What is written down of each kind of change: one function for each store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.draft import Draft
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.suspensions import Suspensions
from tdc.manager.people.reach import Reach
from tdc.manager.people.user import User
from tdc.manager.store.keys import commit_key
from tdc.manager.store.record import CommitRecord
from tdc.shared.settings.canonical import plain
from tdc.shared.sync.audit_entry import AuditEvent, AuditRow, By, bounded
from tdc.shared.sync.queue_work import MoveCopies, OrderedWork, kind_of
from tdc.shared.sync.suspension import Suspended, Suspension

_NAMED = 10
"""Machines named in a sentence; the others are counted."""


def commit_event(record: CommitRecord, after: Cluster, *, creates: bool) -> AuditEvent:
    """What is written down of a commit: its first changes, and the record that has them all.

    The cluster is named as it is called after it; the record is where its keys are.
    """
    signature = record.signature
    by = signature.by or By(signature.author)
    rows, left_out = bounded(_rows(record))
    return AuditEvent(
        operation=_operation(record, creates=creates),
        by=by,
        what=_what(record, after.name),
        cluster=after.name,
        rows=rows,
        rows_left_out=left_out,
        comment=signature.comment,
        revision=record.revision,
        request_id=signature.request_id,
        commit=commit_key(after.home, record.revision),
        digest=record.chain,
    )


def draft_event(before: Draft, after: Draft, by: By) -> AuditEvent:
    """What is written down of a change of a draft: what it held and holds, each by its digest."""
    row = AuditRow(f"draft of {after.owner}", "rows", _digest(before), _digest(after))
    what = f"draft of {after.owner}: {len(before.rows)} changes before, {len(after.rows)} after"
    if before.shared != after.shared:
        what += "; now shared" if after.shared else "; no longer shared"
    return AuditEvent("drafts.change", by, what, after.cluster, rows=(row,))


OF_SUSPENSIONS = ("suspensions.suspend", "suspensions.resume")
"""Operations that write a cluster's suspensions."""


def suspension_event(
    cluster: str, before: Suspensions, after: Suspensions, by: By, request_id: str
) -> AuditEvent:
    """What is written down where work on machines was suspended or resumed."""
    changed = [
        name for name, each in sorted(after.machines.items()) if before.machines.get(name) != each
    ]
    rows = tuple(
        row
        for name in changed
        for row in _suspension_rows(
            name,
            before.machines[name].suspension if name in before.machines else Suspension(0),
            after.machines[name].suspension,
        )
    )
    suspends = any(row.after for row in rows)
    what = f"{'suspended' if suspends else 'resumed'} work on {named(changed)}"
    operation = OF_SUSPENSIONS[0 if suspends else 1]
    return AuditEvent(operation, by, what, cluster, rows=rows, request_id=request_id)


def token_event(token_hash: str, cluster: str, machine: str, expires: float, by: By) -> AuditEvent:
    """What is written down of a join token: whom it lets in, and the hash that it is stored by."""
    row = AuditRow(f"join token {token_hash[:12]}", "expires", "", f"{expires:.0f}")
    what = f"made a join token for machine {machine}"
    return AuditEvent("tokens.create", by, what, cluster, rows=(row,))


def enrolment_event(
    token_hash: str, cluster: str, machine: str, before: str, after: str, origin: str
) -> AuditEvent:
    """What is written down where a machine enrolled: its enrolment before is denied from then on.

    `before` and `after` are ids of enrolments.
    """
    by = By(machine, kind="machine", means=f"join token {token_hash[:12]}", origin=origin)
    row = AuditRow(f"machine {machine}", "enrolment", before, after)
    return AuditEvent("enrolment.enrol", by, f"machine {machine} enrolled", cluster, rows=(row,))


def withdrawal_event(cluster: str, machine: str, before: str, reason: str, by: By) -> AuditEvent:
    """What is written down where a machine's certificate was withdrawn; `before`: its enrolment."""
    row = AuditRow(f"machine {machine}", "enrolment", before, "withdrawn")
    what = f"withdrew the certificate of machine {machine}"
    return AuditEvent("tokens.withdraw", by, what, cluster, rows=(row,), comment=reason)


def named(names: Iterable[str]) -> str:
    """Names for a sentence; those beyond the first few are counted."""
    every = list(names)
    more = len(every) - _NAMED
    shown = ", ".join(every[:_NAMED]) or "no machine"
    return f"{shown} and {more} more" if more > 0 else shown


def _operation(record: CommitRecord, *, creates: bool) -> str:
    if creates:
        return "changes.create_cluster"
    if record.work is not None:
        return "queue.do"
    if record.renames_cluster:
        return "changes.rename_cluster"
    return "changes.delete_cluster" if record.deletes_cluster else "changes.commit"


def _what(record: CommitRecord, cluster: str) -> str:
    if record.work is not None:
        return _work_sentence(record.work)
    levels = {change.key for change in record.levels}
    parts = [f"revision {record.revision} of cluster {cluster}"]
    if record.levels:
        at = _counted(len(levels), "level", "levels")
        parts.append(f"{_counted(len(record.levels), 'setting', 'settings')} at {at}")
    if record.topology:
        edits = _counted(len(record.topology), "edit", "edits")
        parts.append(f"{edits} of clusters, groups and machines")
    parts.append(f"{_counted(record.machines_changed, 'machine', 'machines')} changed")
    return ", ".join(parts)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _work_sentence(work: OrderedWork) -> str:
    names = named(each.machine for each in work.machines)
    to = f" to {work.work.to_intake}" if isinstance(work.work, MoveCopies) else ""
    return f"{kind_of(work.work)} of {work.copies} copies{to} on {names}"


def _rows(record: CommitRecord) -> Iterator[AuditRow]:
    yield from map(_topology_row, record.topology)
    yield from map(_level_row, record.levels)


def _level_row(change: LevelChange) -> AuditRow:
    target = f"{change.key.level} {change.key.name}"
    return AuditRow(target, change.setting, _value(change.before), _value(change.after))


def _topology_row(change: TopologyChange) -> AuditRow:
    target = f"{change.level} {change.name}"
    here = f"{change.level} {change.name}" + (f" in {change.group}" if change.group else "")
    if change.removed:
        return AuditRow(target, "removed", here, "")
    if change.before is None:
        return AuditRow(target, "created", "", here)
    place = change.before
    was = f"{change.level} {place.name}" + (f" in {place.group}" if place.group else "")
    return AuditRow(target, "renamed or moved", was, here)


def _value(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))  # type: ignore[arg-type]


def _suspension_rows(name: str, before: Suspension, after: Suspension) -> Iterator[AuditRow]:
    for part, was, now in (
        ("copying", before.copying, after.copying),
        ("delivery", before.delivery, after.delivery),
    ):
        if was != now:
            yield AuditRow(f"machine {name}", part, _part(was), _part(now))


def _part(part: Suspended | None) -> str:
    return part.sentence if part is not None else ""


def _digest(draft: Draft) -> str:
    if not draft.rows:
        return ""
    rows = [
        [str(row.key.level), row.key.name, row.setting, plain(row.was), plain(row.yours)]
        for row in draft.rows
    ]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def user_rows(
    before: User | None, after: User, of_now: Callable[[Reach], Reach]
) -> tuple[AuditRow, ...]:
    """What of a user is another now; of a secret only whether there is one.

    `of_now` gives a reach by the names of now.
    """
    was, now = _user_facts(before, of_now), _user_facts(after, of_now)
    return tuple(
        AuditRow(f"user {after.name}", part, was.get(part, ""), now.get(part, ""))
        for part in _PARTS
        if was.get(part, "") != now.get(part, "")
    )


_PARTS = ("role", "reach", "password", "one-time codes", "identity", "role by groups")


def _user_facts(user: User | None, of_now: Callable[[Reach], Reach]) -> dict[str, str]:
    if user is None or user.deleted:
        return {}
    return {
        "role": str(user.role),
        "reach": str(of_now(user.reach)),
        "password": "set" if user.password else "",
        "one-time codes": "set" if user.second_factor else "",
        "identity": f"{who.subject} of {who.issuer}" if (who := user.identity) is not None else "",
        "role by groups": "yes" if user.mapped else "",
    }
