"""PURE. What is in a backup, and what of it is not as managers wrote it.

In: stored values, in the order of their keys. Out: how much there is of what, and a sentence for
each value whose seal does not fit, each commit that the chain does not vouch for, and each document
that is not the one its cluster's head lists.
Promise: memory grows with the largest cluster, not with history.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tdc.manager.backup.form import Entry
from tdc.manager.store import by_hand
from tdc.manager.store.documents import Document, Head, Unreadable, read_document
from tdc.manager.store.encoding import SCHEMA, Damaged, NewerSchema, unpack_any
from tdc.manager.store.keys import (
    AUTHORITY,
    CLUSTERS,
    COMMITS,
    DRAFTS,
    ENROLMENTS,
    JOIN_TOKENS,
    MAINTENANCE,
    MANAGERS,
    OWNERS,
    PLACE,
    SNAPSHOTS,
    STORE,
    SUSPENSIONS,
    cluster_of_commit,
    cluster_prefix,
    commit_key,
    head_key,
    parse_enrolment_key,
    snapshotted,
)
from tdc.manager.store.record import CommitRecord, fits_chain, read_record
from tdc.manager.store.seal import unpack_sealed

MOST_FAULTS = 100
"""Faults that are named; the others are counted."""

OF_THIS_ETCD = (PLACE, MAINTENANCE, AUTHORITY)
"""What speaks of the etcd that it is in, or of the CAs that managers' folders had then: saved with
the rest, and never restored."""

OF_MANAGERS = (MANAGERS, OWNERS)
"""Prefixes of what speaks of managers that run. It has a lease and is not saved; what is there
without one, put by hand, is never restored: nothing would end it."""


@dataclass(slots=True)
class ClusterContents:
    """How much there is of a cluster; `newest` is the time of its newest commit, Unix seconds.

    `called` is its name where that is not the one in its keys.
    """

    called: str = ""
    revision: int = 0
    deleted: bool = False
    groups: int = 0
    machines: int = 0
    commits: int = 0
    newest: float = 0.0


@dataclass(slots=True)
class Contents:
    """What a backup holds. `faults` are at most MOST_FAULTS sentences; `wrong` counts them all.

    `newer`: a value is of a newer schema, so a newer manager wrote this store. `store` is the value
    of the store's id, as it is.
    """

    store: bytes | None = None
    store_id: str = ""
    entries: int = 0
    clusters: dict[str, ClusterContents] = field(default_factory=dict)
    enrolments: int = 0
    join_tokens: int = 0
    drafts: int = 0
    suspensions: int = 0
    faults: list[str] = field(default_factory=list)
    wrong: int = 0
    newer: bool = False

    def is_wrong(self, sentence: object) -> None:
        """Take a fault."""
        self.wrong += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(str(sentence))


@dataclass(slots=True)
class _Cluster:
    """What is remembered of a cluster while its values pass."""

    documents: dict[str, Document] = field(default_factory=dict)
    documented: bool = False
    head: Head | None = None
    last: CommitRecord | None = None
    revision: int = 0
    snapshots: set[int] = field(default_factory=set)


class Examination:
    """Examines one store: `take` each value in order of the keys, then `finish`."""

    def __init__(self) -> None:
        self._found = Contents()
        self._clusters: dict[str, _Cluster] = {}
        self._open: str | None = None

    def take(self, entry: Entry) -> None:
        """Take a value."""
        self._found.entries += 1
        key = entry.key
        if key.startswith(CLUSTERS):
            self._document(key, entry.value)
            return
        self._close()
        if key.startswith(COMMITS) and (name := cluster_of_commit(key)) is not None:
            self._commit(name, key, entry.value)
        else:
            self._other(key, entry.value)

    def finish(self) -> Contents:
        """What was found in all."""
        self._close()
        for name, cluster in self._clusters.items():
            fault = _head_fault(name, cluster)
            if fault is not None:
                self._found.is_wrong(fault)
        if not self._found.store_id and self._clusters:
            self._found.is_wrong(f"{STORE} is missing: the store has clusters and no id")
        return self._found

    # -- the documents of clusters -----------------------------------------------------------------

    def _document(self, key: str, raw: bytes) -> None:
        read = read_document(key, raw)
        if isinstance(read, Unreadable):
            self._found.is_wrong(read)
            return
        self._newer(raw)
        name = read.key.cluster
        if name != self._open:
            self._close()
            self._open = name
        for each in read.unreadable:
            self._found.is_wrong(each)
        counted = self._found.clusters.setdefault(name, ClusterContents())
        counted.groups += len(read.groups)
        counted.machines += len(read.machines)
        if read.head is not None:
            counted.revision, counted.deleted = read.head.revision, read.head.deleted
            counted.called = read.head.called
        self._of(name).documents[key] = replace(
            read, groups={}, machines={}, kept={}, removed={}, unreadable=()
        )

    def _close(self) -> None:
        """Judge the documents of the cluster whose last one came, and forget them."""
        if self._open is None:
            return
        name, self._open = self._open, None
        cluster = self._of(name)
        documents, cluster.documents, cluster.documented = cluster.documents, {}, True
        head = documents.get(head_key(name))
        if head is None:
            self._found.is_wrong(by_hand.deleted(head_key(name), 0))
            return
        if head.head is None:
            return  # it is named as what can't be read
        cluster.head = head.head
        keys = {*head.head.written, *documents} - {head_key(name)}
        for fault in by_hand.faults_of(name, head.head, documents, sorted(keys)):
            self._found.is_wrong(fault)

    # -- history -----------------------------------------------------------------------------------

    def _commit(self, name: str, key: str, raw: bytes) -> None:
        cluster = self._of(name)
        counted = self._found.clusters.setdefault(name, ClusterContents())
        counted.commits += 1
        self._newer(raw)
        revision = int(key.rpartition("/")[2])
        if cluster.revision and revision != cluster.revision + 1:
            gone = commit_key(name, cluster.revision + 1)
            self._found.is_wrong(f"{gone} is missing: it was deleted by hand")
        before, cluster.revision, cluster.last = cluster.last, revision, None
        try:
            record = read_record(key, raw)
        except Damaged as error:
            self._found.is_wrong(Unreadable(key, None, str(error)))
            return
        fault = _record_fault(record, revision, before)
        if fault:
            self._found.is_wrong(f"{key} was edited by hand: {fault}")
        counted.newest = record.time
        cluster.last = replace(record, levels=(), topology=(), work=None)

    # -- all else ----------------------------------------------------------------------------------

    def _other(self, key: str, raw: bytes) -> None:
        self._count(key)
        if key in OF_THIS_ETCD or key.startswith(OF_MANAGERS):
            return  # not all have a seal, and none is restored
        sealed_for, document = key, dict[str, object]()
        if key.startswith(SNAPSHOTS) and (parsed := snapshotted(key)) is not None:
            name, revision, sealed_for = parsed
            if sealed_for == head_key(name):
                self._of(name).snapshots.add(revision)
        try:
            document = unpack_sealed(sealed_for, raw)
        except NewerSchema as error:
            self._found.newer = True
            self._found.is_wrong(Unreadable(key, None, str(error)))
        except Damaged as error:
            self._found.is_wrong(Unreadable(key, None, str(error)))
        if key == STORE:
            self._found.store = raw
            self._found.store_id = str(document.get("id", ""))

    def _count(self, key: str) -> None:
        found = self._found
        found.drafts += key.startswith(DRAFTS)
        found.suspensions += key.startswith(SUSPENSIONS)
        found.join_tokens += key.startswith(JOIN_TOKENS)
        found.enrolments += key.startswith(ENROLMENTS) and parse_enrolment_key(key) is not None

    def _newer(self, raw: bytes) -> None:
        """Notice a schema of which this version knows nothing; what else is wrong is named."""
        try:
            schema = unpack_any(raw).get("schema")
        except Damaged:
            return
        self._found.newer |= isinstance(schema, int) and schema > SCHEMA

    def _of(self, name: str) -> _Cluster:
        return self._clusters.setdefault(name, _Cluster())


def _record_fault(record: CommitRecord, revision: int, before: CommitRecord | None) -> str:
    """Why a record is not the one that followed `before`; or ""."""
    if record.revision != revision:
        return f"it is the record of revision {record.revision}"
    if before is None:
        return ""
    if before.sealed and not record.sealed:
        return by_hand.LOST_SEAL
    if before.chain and not record.chain:
        return "it has lost its chain value"
    if not fits_chain(record, before.chain):
        return f"its chain value does not follow commit {before.revision}"
    return ""


def _head_fault(name: str, cluster: _Cluster) -> str | None:
    """What is wrong with a head, as far as history tells; None if they agree."""
    head, last = cluster.head, cluster.last
    if head is None:
        return None if cluster.documented or not cluster.revision else _no_documents(name)
    if cluster.revision > head.revision:
        return f"{head_key(name)} was set back: it is of commit {head.revision}, not the newest"
    if head.revision in cluster.snapshots:
        return None  # it stands in for the record
    if cluster.revision < head.revision:
        return f"{commit_key(name, head.revision)} is missing: the head is of that commit"
    if last is None:
        return None  # it is named as what can't be read
    if (last.chain, last.signature.request_id) != (head.chain, head.request_id):
        return f"{commit_key(name, head.revision)} is not the commit that the head is of"
    return None


def _no_documents(name: str) -> str:
    return f"{cluster_prefix(name)} is empty, and the cluster has a history"
