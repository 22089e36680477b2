"""Whether a head and the history beside it agree: its own record is there, and none after it.

In: a head, and what is stored at its revision and the next. Out: what is wrong, with the key of the
value that is: the head, or the record.
Promise: a head whose seal fits outweighs a record that does not agree; one without a seal is worth
what its record says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, prefix_end
from tdc.manager.store import by_hand
from tdc.manager.store.documents import REPAIR, Document, Head, Unreadable, edited, read_document
from tdc.manager.store.judging import Row, gone, judged, not_as_made, revision_of
from tdc.manager.store.keys import (
    COMMITS,
    cluster_of_commit,
    commit_key,
    commits_prefix,
    head_key,
    parse_commit_key,
    snapshot_key,
)
from tdc.manager.store.record import CommitRecord, fits_chain

_AT_ONCE = 30  # clusters read in one transaction of etcd's 128 operations
_TRIES = 8  # while commits move the head


@dataclass(frozen=True, slots=True)
class Beside:
    """The record of a head's revision, the one after it, and the head of a snapshot of it."""

    record: Row | None
    after: Row | None
    snapshot: Head | None

    @property
    def sealed(self) -> bool:
        """Whether any of it is, so that the head must be."""
        rows = [each.sealed for each in (self.record, self.after) if isinstance(each, CommitRecord)]
        return any(rows) or (self.snapshot is not None and self.snapshot.sealed > 0)


def keys_beside(cluster: str, revision: int) -> tuple[str, str, str]:
    """The keys of what `beside` reads of a head at this revision."""
    records = commit_key(cluster, revision + 1), commit_key(cluster, revision)
    return *records, snapshot_key(cluster, revision, head_key(cluster))


def beside(cluster: str, revision: int, head: Head | None, items: Mapping[str, KeyValue]) -> Beside:
    """What is stored beside `head` at a revision; `items` has what there is of `keys_beside`."""
    *records, snapshot = keys_beside(cluster, revision)
    known = head if head is not None and head.sealed else None
    rows = judged(cluster, [items[key] for key in records if key in items], known)
    found = {revision_of(each): each for each in rows}
    kept = head_in(head_key(cluster), items[snapshot].value) if snapshot in items else None
    return Beside(found.get(revision), found.get(revision + 1), kept)


def head_in(key: str, raw: bytes) -> Head | None:
    """The head that a value is; None if it can't be read."""
    read = read_document(key, raw)
    return read.head if isinstance(read, Document) else None


def disagreement(cluster: str, head: Head, found: Beside) -> Unreadable | None:
    """What is wrong with the head, or with what is beside it; None if they agree."""
    key = head_key(cluster)
    if not head.sealed and found.sealed:
        return edited(key, by_hand.LOST_SEAL, REPAIR)
    if found.after is not None:
        return _came_after(cluster, head, found.after)
    if _same_commit(found.snapshot, head):
        return None
    if found.record is None and head.sealed:
        return gone(cluster, head.revision)
    if found.record is None:
        return edited(key, f"history has no commit {head.revision}", REPAIR)
    if isinstance(found.record, Unreadable):
        return found.record
    record = found.record
    if (record.chain, record.signature.request_id) == (head.chain, head.request_id):
        return None
    if head.sealed:
        return not_as_made(cluster, head.revision, "it is not what the head says")
    return edited(key, f"it is not what commit {head.revision} says", REPAIR)


def _came_after(cluster: str, head: Head, after: Row) -> Unreadable:
    if isinstance(after, Unreadable):
        return after
    if fits_chain(after, head.chain):
        return by_hand.set_back(head_key(cluster), head.revision, after.revision)
    return not_as_made(cluster, after.revision, "it does not follow what the head says")


def _same_commit(snapshot: Head | None, head: Head) -> bool:
    return snapshot is not None and (
        (snapshot.revision, snapshot.chain, snapshot.request_id, snapshot.sealed)
        == (head.revision, head.chain, head.request_id, head.sealed)
    )


async def disagreements(
    etcd: EtcdClient, heads: Mapping[str, Head]
) -> dict[str, tuple[Head, Unreadable]]:
    """By cluster, each head that does not agree with its history, as it is now stored.

    `heads` are those that were read before; raises an EtcdError.
    """
    wrong: dict[str, tuple[Head, Unreadable]] = {}
    for _ in range(_TRIES):
        moved: dict[str, Head] = {}
        for names in _some_at_once(heads):
            revisions = {name: heads[name].revision for name in names}
            keys = [key for name in names for key in _keys(name, revisions[name])]
            items = await etcd.get_many(keys)
            for name, stored in _heads_in(names, items).items():
                if stored.revision != revisions[name]:
                    moved[name] = stored
                    continue
                found = beside(name, stored.revision, stored, items)
                fault = disagreement(name, stored, found)
                if fault is not None:
                    wrong[name] = (stored, fault)
        if not moved:
            break
        heads = moved
    return wrong


async def without_documents(etcd: EtcdClient, known: Collection[str]) -> dict[str, Unreadable]:
    """By cluster, each that has a history and is not `known` by any document; raises an EtcdError.

    Of each history only the newest key is read.
    """
    lost: dict[str, Unreadable] = {}
    end = prefix_end(COMMITS)
    while newest := (await etcd.newest(COMMITS, end, 1)).items:
        key = newest[0].key
        name = cluster_of_commit(key)
        end = commits_prefix(name) if name is not None else key
        if name is None or name in known or await etcd.get(head_key(name)) is not None:
            continue  # the last was created meanwhile
        lost[name] = by_hand.deleted(head_key(name), parse_commit_key(key) or 0)
    return lost


def _keys(cluster: str, revision: int) -> tuple[str, ...]:
    return head_key(cluster), *keys_beside(cluster, revision)


def _heads_in(names: Iterable[str], items: Mapping[str, KeyValue]) -> dict[str, Head]:
    """The heads that can be read; of others the watch tells."""
    stored = {name: items[key] for name in names if (key := head_key(name)) in items}
    read = {name: head_in(item.key, item.value) for name, item in stored.items()}
    return {name: head for name, head in read.items() if head is not None}


def _some_at_once(heads: Mapping[str, Head]) -> Iterable[list[str]]:
    names = list(heads)
    return (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE))
