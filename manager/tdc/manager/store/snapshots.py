"""What a cluster's documents held at one revision: where replay begins once history is trimmed.

History is bounded, by count and by age, and `repair` replays it. So before the oldest record that
a replay needs is trimmed, the documents are copied beside it, each as it is stored. One snapshot of
a cluster is kept, and an older one until the new one is whole: its head is written last.
In: a cluster as stored. Out: a snapshot, or none where the documents are not as commits left them.
Promise: a snapshot that is not whole is never used; none is made of what was changed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged
from tdc.manager.store import by_hand
from tdc.manager.store.beside import disagreements
from tdc.manager.store.documents import Document, Head, read_document
from tdc.manager.store.history import MAX_AGE, MAX_COMMITS, History
from tdc.manager.store.keys import (
    cluster_prefix,
    head_key,
    parse_snapshot_key,
    snapshot_key,
    snapshots_prefix,
)
from tdc.manager.store.record import CommitRecord

EVERY_COMMITS = MAX_COMMITS // 4
"""Commits after which a new snapshot is made."""
EVERY = MAX_AGE / 2
"""Age, in seconds, of the first commit after a snapshot at which a new one is made."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The documents of a cluster at the head's revision, by key; the head is not among them."""

    head: Head
    values: Mapping[str, bytes]


async def keep_if_due(
    etcd: EtcdClient,
    cluster: str,
    newest: int,
    oldest: float,
    fence: Sequence[Unchanged] = (),
) -> bool:
    """Make a snapshot if replay would soon miss what is trimmed; True if one was made.

    `newest` is the revision of the cluster's newest record. Records older than `oldest` (Unix
    seconds) will be trimmed before they are looked at again. Each write compares `fence`. Raises an
    EtcdError.
    """
    found = await newest_snapshot(etcd, cluster)
    base = found.head.revision if found is not None else 0
    if newest <= base:
        return False
    first = await History(etcd).commit_record(cluster, base + 1)
    if isinstance(first, CommitRecord) and first.time >= oldest and newest - base < EVERY_COMMITS:
        return False
    return await keep(etcd, cluster, fence)


async def newest_snapshot(etcd: EtcdClient, cluster: str) -> Snapshot | None:
    """The newest one that is whole; raises an EtcdError."""
    return (await read_snapshots(etcd, cluster))[0]


async def read_snapshots(etcd: EtcdClient, cluster: str) -> tuple[Snapshot | None, tuple[int, ...]]:
    """The newest one that is whole, and the revisions of those that were made and no longer are.

    Raises an EtcdError.
    """
    found: dict[int, dict[str, bytes]] = {}
    for item in (await etcd.range(snapshots_prefix(cluster))).items:
        parsed = parse_snapshot_key(cluster, item.key)
        if parsed is not None:
            revision, key = parsed
            found.setdefault(revision, {})[key] = item.value
    read = {each: _whole(cluster, each, found[each]) for each in sorted(found, reverse=True)}
    newest = next((each for each in read.values() if each is not None), None)
    made = [each for each in read if head_key(cluster) in found[each]]  # the head is written last
    return newest, tuple(each for each in made if read[each] is None)


def _whole(cluster: str, revision: int, values: dict[str, bytes]) -> Snapshot | None:
    documents = _documents(values)
    head = _head_of(cluster, documents)
    if head is None or head.revision != revision:
        return None
    if len(documents) < len(values):
        return None
    values = {key: value for key, value in values.items() if key != head_key(cluster)}
    if by_hand.faults_of(cluster, head, documents, {*head.written, *values}):
        return None
    return Snapshot(head, values)


async def keep(etcd: EtcdClient, cluster: str, fence: Sequence[Unchanged] = ()) -> bool:
    """Make a snapshot; False if the documents, or the head, are not as commits left them.

    Also if what it compares, `fence`, is no longer so.
    """
    stored = {item.key: item.value for item in await _stored(etcd, cluster)}
    head = _head_of(cluster, _documents(stored))
    if head is None or _whole(cluster, head.revision, dict(stored)) is None:
        return False  # it is named in the status, and may be right by the next round
    wrong = await disagreements(etcd, {cluster: head})
    if cluster in wrong and wrong[cluster][1].key == head_key(cluster):
        return False  # nothing but itself says that such a commit was made
    last = head_key(cluster)
    for key in (*sorted(stored.keys() - {last}), last):  # one by one: together they may be too long
        put = Put(snapshot_key(cluster, head.revision, key), stored[key])
        if not (await etcd.txn(fence, [put])).succeeded:
            return False
    below = snapshots_prefix(cluster)
    older = Delete(below, snapshot_key(cluster, head.revision, ""))
    return (await etcd.txn(fence, [older])).succeeded


async def _stored(etcd: EtcdClient, cluster: str) -> tuple[KeyValue, ...]:
    return (await etcd.range(cluster_prefix(cluster))).items


def _documents(values: Mapping[str, bytes]) -> dict[str, Document]:
    """Those that could be read, if only in part."""
    read = {key: read_document(key, value) for key, value in values.items()}
    return {key: each for key, each in read.items() if isinstance(each, Document) and each.whole}


def _head_of(cluster: str, documents: Mapping[str, Document]) -> Head | None:
    found = documents.get(head_key(cluster))
    return found.head if found is not None else None
