"""Puts right what was deleted, set back, edited or damaged by hand, from history.

In: a store. Out: what was found and what became of it, in sentences.
Promise: nothing is written but what the commits in history left there, and only while it is still
as it was read; what history can't say is named and left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged
from tdc.manager.store import by_hand
from tdc.manager.store.documents import (
    REPAIR,
    Document,
    Head,
    Unreadable,
    edited,
    pack_head,
    read_document,
)
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.errors import DoubtedStore
from tdc.manager.store.history import CommitRecord, History
from tdc.manager.store.identity import find_identity
from tdc.manager.store.keys import CLUSTERS, COMMITS, STORE, cluster_prefix, commit_key, head_key
from tdc.manager.store.replay import HistoryBroken, replayed
from tdc.manager.store.seal import same_content
from tdc.manager.store.snapshots import newest_snapshot


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about one fault; `right` is True if it is put right, or would be."""

    text: str
    right: bool


async def repair(etcd: EtcdClient, *, write: bool) -> tuple[Finding, ...]:
    """Find what commits did not leave so, in every cluster, and put it right if `write`.

    Raises UnreadableStore, or an EtcdError.
    """
    found: list[Finding] = []
    try:
        if await find_identity(etcd) is None:
            text = f"{STORE} is missing; `tdc-manager adopt` gives the store a new id"
            found.append(Finding(text, right=False))
    except DoubtedStore as error:
        found.append(Finding(str(error), right=False))
    for name in await _clusters(etcd):
        found.extend(await _repair_cluster(etcd, name, write=write))
    return tuple(found)


async def _clusters(etcd: EtcdClient) -> list[str]:
    keys = [
        item.key.removeprefix(prefix)
        for prefix in (CLUSTERS, COMMITS)
        for item in (await etcd.range(prefix, keys_only=True)).items
    ]
    return sorted({unquote(key.partition("/")[0]) for key in keys})


async def _repair_cluster(etcd: EtcdClient, name: str, *, write: bool) -> list[Finding]:
    items = {item.key: item for item in (await etcd.range(cluster_prefix(name))).items}
    stored = _documents(items)
    base = await newest_snapshot(etcd, name)
    records = await _records_after(etcd, name, base.head.revision if base is not None else 0)
    try:
        head, values = replayed(name, reversed(records), base)
        _check_reach(name, head, stored)
    except HistoryBroken as error:
        newest = next((each for each in records if isinstance(each, CommitRecord)), None)
        return await _repair_head(etcd, name, stored, items, newest, str(error), write=write)
    values[head_key(name)] = pack_head(name, head)
    faults = _differences(name, head, stored, items, values)
    return [await _put(etcd, items, each.key, str(each), values, write=write) for each in faults]


def _check_reach(name: str, head: Head, stored: dict[str, Document]) -> None:
    """Raise HistoryBroken if the newest records are missing: the documents are newer than all."""
    found = stored.get(head_key(name))
    known = found.head if found is not None else None
    newest = max((each.revision for each in stored.values() if each.whole), default=0)
    if (known.revision if known is not None else newest) > head.revision:
        raise HistoryBroken(
            f"history of cluster {name!r} has no commit {head.revision + 1}: its record was "
            "deleted by hand"
        )


def _differences(
    name: str,
    head: Head,
    stored: dict[str, Document],
    items: dict[str, KeyValue],
    values: dict[str, bytes],
) -> list[Unreadable]:
    """What of a cluster is not as its history says, and how that came about."""
    known = {each.key: each for each in by_hand.faults_of(name, head, stored, head.written)}
    known |= {each.key: each for each in _head_fault(name, stored, head)}
    faults = []
    for key in sorted({*values, *stored}):
        if key not in items:
            faults.append(known.get(key) or by_hand.deleted(key, head.revision))
        elif key not in values:
            faults.append(edited(key, "no commit wrote it", REPAIR))
        elif not _as_in(items[key].value, values[key]):
            read = [each for each in stored[key].unreadable if each.entry is None]
            other = edited(key, "it holds what no commit wrote", REPAIR)
            faults.append(known.get(key) or next(iter(read), other))
    return faults


def _as_in(found: bytes, right: bytes) -> bool:
    try:
        return same_content(found, right)
    except Damaged:
        return False


async def _records_after(
    etcd: EtcdClient, name: str, revision: int
) -> tuple[CommitRecord | Unreadable, ...]:
    records = await History(etcd).commits(name, limit=2**31)
    known = commit_key(name, revision)
    return tuple(each for each in records if _record_key(name, each) > known)


def _record_key(name: str, record: CommitRecord | Unreadable) -> str:
    return record.key if isinstance(record, Unreadable) else commit_key(name, record.revision)


async def _repair_head(
    etcd: EtcdClient,
    name: str,
    stored: dict[str, Document],
    items: dict[str, KeyValue],
    newest: CommitRecord | None,
    why: str,
    *,
    write: bool,
) -> list[Finding]:
    """Without all of history: the head follows from the newest record and the documents."""
    found = stored.get(head_key(name))
    known = found.head if found is not None else None
    if known is not None and (newest is None or known.revision >= newest.revision):
        faults = by_hand.faults_of(name, known, stored, known.written)
        lost = f"{why}; restore a backup"
        return [Finding(f"{each}. Not put right: {lost}", right=False) for each in faults]
    if newest is None:
        return [Finding(f"cluster {name!r} has neither head nor history: {why}", right=False)]
    written = {key: each.revision for key, each in stored.items() if each.revision}
    written.pop(head_key(name), None)
    head = Head(newest.revision, newest.signature.request_id, newest.chain, written, newest.sealed)
    return [
        await _put(
            etcd, items, fault.key, str(fault), {fault.key: pack_head(name, head)}, write=write
        )
        for fault in _head_fault(name, stored, head)
    ]


def _documents(items: dict[str, KeyValue]) -> dict[str, Document]:
    read = {key: read_document(key, item.value) for key, item in items.items()}
    return {key: each for key, each in read.items() if isinstance(each, Document)}


def _head_fault(name: str, stored: dict[str, Document], head: Head) -> list[Unreadable]:
    key, found = head_key(name), stored.get(head_key(name))
    if found is None:
        return [by_hand.deleted(key, head.revision)]
    if found.head is None:
        return [each for each in found.unreadable if each.entry is None]
    if found.head.revision < head.revision:
        return [by_hand.set_back(key, found.head.revision, head.revision)]
    return []


async def _put(
    etcd: EtcdClient,
    items: dict[str, KeyValue],
    key: str,
    fault: str,
    values: dict[str, bytes],
    *,
    write: bool,
) -> Finding:
    """Write the value that is right; what is not to be there is deleted."""
    if not write:
        return Finding(f"{fault}. It would be put right", right=True)
    expected = items[key].mod_revision if key in items else 0
    right = Put(key, values[key]) if key in values else Delete(key)
    result = await etcd.txn([Unchanged(key, expected)], [right])
    if not result.succeeded:
        return Finding(f"{fault}. It changed meanwhile: try again", right=False)
    return Finding(f"{fault}. Put right", right=True)
