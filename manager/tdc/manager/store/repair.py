"""Puts right what was deleted, set back, edited or damaged by hand, from history.

In: a store. Out: what was found and what became of it, in sentences.
Promise: nothing is written but what the commits in history left there, and only while it is still
as it was read; what history can't say is named and left alone, but for a draft that nobody can use.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, KeyValue, Put, Unchanged, prefix_end
from tdc.manager.store import by_hand
from tdc.manager.store.claims import claims_put_right
from tdc.manager.store.documents import (
    REPAIR,
    Document,
    Head,
    Unreadable,
    edited,
    pack_head,
    read_document,
)
from tdc.manager.store.encoding import Damaged, is_text
from tdc.manager.store.errors import DoubtedStore
from tdc.manager.store.evidence import Evidence
from tdc.manager.store.history import History
from tdc.manager.store.identity import check_identity
from tdc.manager.store.judging import Row, demanding_seals, revision_of, sealed_from
from tdc.manager.store.keys import (
    CLUSTERS,
    COMMITS,
    DRAFTS,
    ENROLMENTS,
    SNAPSHOTS,
    SUSPENSIONS,
    cluster_prefix,
    head_key,
    parse_enrolment_key,
    snapshot_key,
)
from tdc.manager.store.others import others, put_right
from tdc.manager.store.record import CommitRecord
from tdc.manager.store.replay import HistoryBroken, called_by, replayed
from tdc.manager.store.seal import same_content
from tdc.manager.store.snapshots import Snapshot, keep, read_snapshots

_UNLIKE = "it holds what no commit wrote"
_CONTRADICTION = (
    "it may as well be history, or the snapshot, that was edited. Compare with what you know, and "
    "commit what it should be"
)


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
        await check_identity(etcd)
    except DoubtedStore as error:
        found.append(Finding(str(error), right=False))
    clusters = await _clusters(etcd)
    for name in clusters:
        found.extend(await _repair_cluster(etcd, name, write=write))
    found += [Finding(*each) for each in await claims_put_right(etcd, clusters, write=write)]
    async for other in others(etcd, SUSPENSIONS, DRAFTS):
        found.append(Finding(*await put_right(etcd, other, write=write)))
    return tuple(found)


async def _clusters(etcd: EtcdClient) -> list[str]:
    keys = [
        item.key.removeprefix(prefix)
        for prefix in (CLUSTERS, COMMITS, SNAPSHOTS, ENROLMENTS)
        for item in (await etcd.range(prefix, keys_only=True)).items
    ]
    return sorted({name for key in keys if is_text(name := unquote(key.partition("/")[0]))})


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a cluster; `records` are those after `base`, newest first."""

    name: str
    items: dict[str, KeyValue]
    documents: dict[str, Document]
    base: Snapshot | None
    spoilt: tuple[int, ...]
    records: tuple[Row, ...]
    sealed: int
    """The first commit that is known to have sealed what it wrote; 0 if none is."""

    @property
    def head(self) -> Head | None:
        """The head, if it can be read, and has a seal where it must have one."""
        found = self.documents.get(head_key(self.name))
        head = found.head if found is not None else None
        return None if head is not None and self.sealed and not head.sealed else head

    @property
    def beside(self) -> dict[str, Document]:
        """The documents without the head."""
        return {key: each for key, each in self.documents.items() if key != head_key(self.name)}


async def _read(etcd: EtcdClient, name: str) -> _Stored:
    items = {item.key: item for item in (await etcd.range(cluster_prefix(name))).items}
    documents = _documents(items)
    base, spoilt = await read_snapshots(etcd, name)
    rows = await History(etcd).commits(name, limit=2**31)
    seals = [each.revision for each in documents.values() if each.sealed and each.revision]
    first = min([*seals, *filter(None, [sealed_from(rows, None)])], default=0)
    if base is not None and not base.head.sealed and 0 < first <= base.head.revision:
        spoilt, base = (base.head.revision, *spoilt), None
    after = base.head.revision if base is not None else 0
    rows = tuple(each for each in rows if revision_of(each) > after)
    return _Stored(
        name, items, documents, base, spoilt, tuple(demanding_seals(name, rows, first)), first
    )


async def _repair_cluster(etcd: EtcdClient, name: str, *, write: bool) -> list[Finding]:
    found = await _read(etcd, name)
    try:
        head, values = replayed(name, reversed(found.records), found.base)
        _check_reach(found, head)
    except HistoryBroken as error:
        return await _repair_partly(etcd, found, str(error), write=write)
    values[head_key(name)] = pack_head(name, head)
    findings = [await _drop_snapshot(etcd, name, each, write=write) for each in found.spoilt]
    for fault in _differences(found, head, values):
        if _contradicts(found, fault, values):
            text = f"{fault}. Not put right: {_CONTRADICTION}"
            findings.append(Finding(text, right=False))
        else:
            findings.append(
                await _put(etcd, found.items, fault.key, str(fault), values, write=write)
            )
    return findings


def _check_reach(found: _Stored, head: Head) -> None:
    """Raise HistoryBroken if history is not that of the documents: they outweigh it.

    Its newest records may be missing, or the newest be another than a head says whose seal fits.
    """
    if not head.revision:
        raise HistoryBroken("its records were deleted by hand")
    # One that must have a seal and has none proves nothing.
    known = [each for each in found.beside.values() if each.sealed or not found.sealed]
    newest = max((each.revision for each in known if each.whole), default=0)
    if (found.head.revision if found.head is not None else newest) > head.revision:
        raise HistoryBroken(
            f"history of cluster {found.name!r} has no commit {head.revision + 1}: its record was "
            "deleted by hand"
        )
    stored = found.head if found.head is not None and found.head.sealed else head
    same = (stored.chain, stored.request_id) == (head.chain, head.request_id)
    if stored.revision == head.revision and not same:
        raise HistoryBroken(
            f"the record of commit {head.revision} of cluster {found.name!r} is not what the head "
            "says, whose seal fits"
        )


def _differences(found: _Stored, head: Head, values: dict[str, bytes]) -> list[Unreadable]:
    """What of a cluster is not as its history says, and how that came about."""
    wrong = by_hand.faults_beside(head, found.beside, head.written)
    known = {each.key: each for each in (*wrong, *_head_fault(found, head.revision))}
    faults = []
    for key in sorted({*values, *found.documents}):
        if key not in found.items:
            faults.append(known.get(key) or by_hand.deleted(key, head.revision))
        elif key not in values:
            faults.append(edited(key, "no commit wrote it", REPAIR))
        elif not _as_in(found.items[key].value, values[key]):
            read = [each for each in found.documents[key].unreadable if each.entry is None]
            other = edited(key, _UNLIKE, REPAIR)
            faults.append(known.get(key) or next(iter(read), other))
    return faults


def _contradicts(found: _Stored, fault: Unreadable, values: dict[str, bytes]) -> bool:
    """Whether it may as well be history that was edited.

    The document has a seal that fits, or what it should be is from a snapshot that has none.
    """
    document = found.documents.get(fault.key)
    if document is None or not fault.reason.startswith(_UNLIKE):
        return False
    kept = found.base.values.get(fault.key) if found.base is not None else None
    from_snapshot = kept is not None and kept == values.get(fault.key)
    return document.sealed or (from_snapshot and not _is_sealed(fault.key, kept or b""))


def _is_sealed(key: str, raw: bytes) -> bool:
    read = read_document(key, raw)
    return isinstance(read, Document) and read.sealed


def _as_in(found: bytes, right: bytes) -> bool:
    try:
        return same_content(found, right)
    except Damaged:
        return False


async def _repair_partly(
    etcd: EtcdClient, found: _Stored, why: str, *, write: bool
) -> list[Finding]:
    """Without all of history: what is lost is named; a head is made of what is left."""
    enrolled = await _enrolled(etcd, found.name)
    if not found.records and found.head is None:
        text = f"cluster {found.name!r} has neither head nor history: {why}"
        return [Finding(f"{text}; restore a backup", right=False)]
    evidence = Evidence(found.name)
    for record in reversed(found.records):
        if isinstance(record, CommitRecord):
            evidence.of_commit(record.revision, record.levels, record.topology)
    if found.base is not None:
        evidence.of_head(found.base.head)
    evidence.of_documents(found.documents)
    evidence.of_enrolments(enrolled)
    newest = found.records[0] if found.records else None
    fault = _doubt_of_head(found, newest)
    findings = []
    head = found.head if fault is None else _made_head(found, evidence)
    if fault is not None:
        findings.append(await _head_again(etcd, found, head, fault, write=write))
    lost = _lost(found, evidence, head)
    findings += [Finding(f"{each}. Not put right: {why}; restore a backup", False) for each in lost]
    findings += [Finding(f"{_spoilt(found.name, each)}. Not used", False) for each in found.spoilt]
    return findings + await _bad_history(etcd, found, why, findings, write=write)


async def _enrolled(etcd: EtcdClient, cluster: str) -> list[str]:
    items = (await etcd.range(ENROLMENTS, keys_only=True)).items
    parsed = [parse_enrolment_key(item.key) for item in items]
    return sorted(each[1] for each in parsed if each and each[0] == cluster and is_text(each[1]))


def _doubt_of_head(found: _Stored, newest: Row | None) -> Unreadable | None:
    """What is wrong with the head, as far as documents and the newest record tell."""
    revision = 0
    if newest is not None:
        revision = revision_of(newest)
    doubts = list(_head_fault(found, revision))
    if found.head is not None:
        fault = by_hand.fault_of_head(found.name, found.head, found.beside.values())
        doubts += [fault] if fault is not None else []
    return doubts[0] if doubts else None


def _lost(found: _Stored, evidence: Evidence, head: Head | None) -> list[Unreadable]:
    """What is not there, or not what commits left, of all documents but the head."""
    key = head_key(found.name)
    if head is not None:
        evidence.of_head(head)
    wrong = {(each.key, each.entry): each for each in evidence.missed(found.documents)}
    if head is not None:
        faults = by_hand.faults_beside(head, found.beside, head.written)
        wrong |= {(each.key, each.entry): each for each in faults}
    for document in found.documents.values():
        wrong |= {(each.key, each.entry): each for each in document.unreadable}
    return [wrong[each] for each in sorted(wrong, key=str) if each[0] != key]


def _made_head(found: _Stored, evidence: Evidence) -> Head | None:
    """The head, by the newest record; what it lists, by all that is left. None without a record."""
    newest = found.records[0] if found.records else None
    stored = {key: each.revision for key, each in found.documents.items() if each.whole}
    stored.pop(head_key(found.name), None)
    if not isinstance(newest, CommitRecord) or newest.revision < max(stored.values(), default=0):
        return None
    written = {key: each for key, each in stored.items() if each}
    for key, revision in evidence.documents.items():
        written[key] = max(revision, written.get(key, 0))
    request_id = newest.signature.request_id
    called, former = called_by(found.name, reversed(found.records), found.base)
    return Head(
        newest.revision, request_id, newest.chain, written, newest.sealed, newest.deletes_cluster,
        called, former,
    )  # fmt: skip


async def _head_again(
    etcd: EtcdClient, found: _Stored, head: Head | None, fault: Unreadable, *, write: bool
) -> Finding:
    if head is None:
        text = "the newest commit's record is missing, or was edited; restore a backup"
        return Finding(f"{fault}. Not put right: {text}", right=False)
    values = {fault.key: pack_head(found.name, head)}
    done = await _put(etcd, found.items, fault.key, str(fault), values, write=write)
    if not done.right:
        return done
    made = "It was made again" if write else "It would be made again"
    return Finding(
        f"{fault}. {made}, from commit {head.revision} and what else is left. Not known is "
        f"whether a document was lost that no commit from {_known_from(found.records)} on has "
        "written: nothing would name it. Compare `tdc machine list` with the machines that you "
        "have; if one is missing, restore a backup",
        right=False,
    )


def _known_from(records: tuple[Row, ...]) -> int:
    """The first of the commits, to the newest, that history has whole."""
    known = 0
    for record in records:
        if isinstance(record, Unreadable):
            break
        known = record.revision
    return known


async def _bad_history(
    etcd: EtcdClient, found: _Stored, why: str, others: list[Finding], *, write: bool
) -> list[Finding]:
    """Name what is wrong with history, each once, and let it begin behind that from now on."""
    bad = [str(each) for each in found.records if isinstance(each, Unreadable)] or [why]
    left = [each for each in bad if not any(each in other.text for other in others)]
    then = "There is no going back across it. "
    if not others and write and await keep(etcd, found.name):
        then += "A snapshot of the documents was made, from which repair begins from now on"
    elif others:
        then += "Once the rest is right, repair makes a snapshot to begin from: run it again"
    elif write:
        then += "No snapshot could be made: nothing vouches for the head. Restore a backup"
    else:
        then += "A snapshot of the documents would be made, for repair to begin from"
    return [Finding(f"{each}. {then}", right=False) for each in left]


async def _drop_snapshot(etcd: EtcdClient, name: str, revision: int, *, write: bool) -> Finding:
    """Remove a snapshot that is no use, where history is whole without it."""
    if not write:
        return Finding(f"{_spoilt(name, revision)}. It would be removed", right=True)
    first = snapshot_key(name, revision, cluster_prefix(name))
    await etcd.txn([], [Delete(first, prefix_end(first))])
    return Finding(f"{_spoilt(name, revision)}. Removed: history is whole without it", right=True)


def _spoilt(name: str, revision: int) -> str:
    key = snapshot_key(name, revision, cluster_prefix(name))
    return f"the snapshot {key} is not as it was made: somebody edited or deleted part of it"


def _head_fault(found: _Stored, revision: int) -> list[Unreadable]:
    """What is wrong with the head where history goes up to `revision`."""
    key, document = head_key(found.name), found.documents.get(head_key(found.name))
    if document is None:
        return [by_hand.deleted(key, revision)]
    if document.head is None:
        return [each for each in document.unreadable if each.entry is None]
    if found.head is None:
        return [edited(key, by_hand.LOST_SEAL, REPAIR)]
    if document.head.revision < revision:
        return [by_hand.set_back(key, document.head.revision, revision)]
    return []


def _documents(items: dict[str, KeyValue]) -> dict[str, Document]:
    read = {key: read_document(key, item.value) for key, item in items.items()}
    return {key: each for key, each in read.items() if isinstance(each, Document)}


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
