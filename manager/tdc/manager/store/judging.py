"""PURE. Which commit records are as their commits wrote them, by what stands around them.

In: stored records, newest first, and the head. Out: the records, and in the place of each that was
edited, damaged or deleted by hand what is wrong with it.
Promise: what the seal of another value contradicts is not believed: each value that is sealed says
from which commit on all were, and the chain says what a record without a seal must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tdc.manager.etcd.values import KeyValue
from tdc.manager.store.by_hand import LOST_SEAL
from tdc.manager.store.documents import Head, Unreadable, edited
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import commit_key, parse_commit_key
from tdc.manager.store.record import CommitRecord, fits_chain, read_record
from tdc.manager.store.seal import Edited

Row = CommitRecord | Unreadable

_GONE = "what this commit changed is known no more; the settings that it left are as they were"
_NOT_CERTAIN = "what this commit changed is not certain; the settings that it left are as they were"


def judged(cluster: str, items: Iterable[KeyValue], head: Head | None) -> list[Row]:
    """Read the records, newest first; `head` is the cluster's, if its seal fits."""
    rows = [_read(item) for item in items]
    rows = demanding_seals(cluster, rows, sealed_from(rows, head))
    wrong = {**_unchained(rows, head), **_contradicting(rows)}
    return [_edited(cluster, each, wrong) for each in rows]


def sealed_from(rows: Iterable[Row], head: Head | None) -> int:
    """The first commit that is known to have sealed what it wrote, as all after it; 0 if none."""
    known = [each.sealed for each in rows if isinstance(each, CommitRecord) and each.sealed]
    if head is not None and head.sealed:
        known.append(head.sealed)
    return min(known, default=0)


def with_gaps(cluster: str, rows: Iterable[Row], newest: int = 0) -> tuple[Row, ...]:
    """The rows, newest first, with one that says so for each that was deleted between them.

    `newest` is the newest commit there must be; 0 if that is not known.
    """
    found: list[Row] = []
    above = newest + 1 if newest else None
    for row in rows:
        revision = revision_of(row)
        for missing in range((above or revision + 1) - 1, revision, -1):
            found.append(gone(cluster, missing))
        found.append(row)
        above = revision
    if newest and not found:
        found.append(gone(cluster, newest))
    return tuple(found)


def gone(cluster: str, revision: int) -> Unreadable:
    """The record of a commit that is not there."""
    return Unreadable(commit_key(cluster, revision), None, _GONE, "was deleted by hand")


def not_as_made(cluster: str, revision: int, why: str) -> Unreadable:
    """The record of a commit that was edited: by what that is known."""
    return edited(commit_key(cluster, revision), why, _NOT_CERTAIN)


def revision_of(row: Row) -> int:
    """The revision of a row of history."""
    if isinstance(row, CommitRecord):
        return row.revision
    return parse_commit_key(row.key) or 0


def _read(item: KeyValue) -> Row:
    try:
        record = read_record(item.key, item.value)
        if record.revision != parse_commit_key(item.key):
            raise Damaged(f"it is the record of revision {record.revision}")
        return record
    except Edited as error:
        return edited(item.key, str(error), _NOT_CERTAIN)
    except Damaged as error:
        return Unreadable(item.key, None, str(error))


def demanding_seals(cluster: str, rows: Iterable[Row], first: int) -> list[Row]:
    """The rows, with each record from commit `first` on (0: none) named that has no seal."""
    return [
        not_as_made(cluster, row.revision, LOST_SEAL)
        if isinstance(row, CommitRecord) and not row.sealed and 0 < first <= row.revision
        else row
        for row in rows
    ]


def _unchained(rows: Sequence[Row], head: Head | None) -> dict[int, str]:
    """The records that have lost their chain value, or have another than the head says."""
    wrong: dict[int, str] = {}
    records = [row for row in rows if isinstance(row, CommitRecord)]
    first = min((each.revision for each in records if each.chain), default=0)
    for record in records:
        if not record.chain and 0 < first < record.revision:
            wrong[record.revision] = "it has lost its chain value"
        if head is not None and record.revision == head.revision and record.chain != head.chain:
            wrong[record.revision] = "its chain value is not that of the head"
    return wrong


def _contradicting(rows: Sequence[Row]) -> dict[int, str]:
    """The records that the chain says are not as they were made, where no seal says that they are.

    The chain value of a record is made of that of the one before. Where they do not fit, it is the
    one without a seal that was edited; where neither has one, and the older has no chain value
    either, it may be each of them.
    """
    wrong: dict[int, str] = {}
    why = "its chain value does not fit what it holds"
    other = "the chain value of the commit after it does not fit it"
    for at, record in enumerate(rows):
        older = rows[at + 1] if at + 1 < len(rows) else None
        if isinstance(record, Unreadable) or isinstance(older, Unreadable):
            continue
        before = older.chain if older is not None else ""
        follows = record.revision == (older.revision if older is not None else 0) + 1
        if not follows or (record.sealed and (older is None or older.sealed)):
            continue
        if fits_chain(record, before):
            continue
        if not record.sealed:
            wrong[record.revision] = why
        if older is not None and not older.sealed and (record.sealed or not before):
            wrong[older.revision] = other
    return wrong


def _edited(cluster: str, row: Row, wrong: dict[int, str]) -> Row:
    if isinstance(row, CommitRecord) and row.revision in wrong:
        return not_as_made(cluster, row.revision, wrong[row.revision])
    return row
