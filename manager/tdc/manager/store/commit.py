"""One plan, one transaction; a lost answer is settled by request id, never applied twice.

Each attempt reads, at one etcd revision, the head, the documents that the plan touches and the
request id, and writes them on condition that none of them changed since. Sending such a
transaction again is safe: of several copies at most one can succeed. The client below never sends
one twice by itself, so an attempt ends in one of four ways:

- succeeded: done;
- a compare failed: something was written in between. The next read says what: our own earlier
  copy (done), another commit (LostRace), or a write that is not a commit (try again);
- refused, or certainly not sent: the error as it is, nothing was changed;
- the answer was lost: read again, for as long as `settle_within` allows. After that the caller
  hears that it is not known, and may send the same request id again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdAnswerLost, EtcdError, EtcdRefused, Reason
from tdc.manager.etcd.values import Delete, KeyValue, Operation, Put, Unchanged, prefix_end
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.plan import Plan
from tdc.manager.store import by_hand
from tdc.manager.store.audit import Audited, AuditLog
from tdc.manager.store.audit_events import commit_event
from tdc.manager.store.beside import Beside, beside, disagreement, head_in, keys_beside
from tdc.manager.store.claims import claim, claim_keys
from tdc.manager.store.documents import (
    REPAIR,
    Document,
    Head,
    Unreadable,
    edited,
    pack_head,
    read_document,
)
from tdc.manager.store.encoding import MAX_TRANSACTION, Damaged, TooLong
from tdc.manager.store.errors import (
    ClusterExists,
    CommitTooLarge,
    CommitUnsettled,
    LostRace,
    NothingToCommit,
    UnknownCluster,
    UnreadableTouched,
)
from tdc.manager.store.history import MAX_COMMITS, MadeRequest, pack_request, read_request
from tdc.manager.store.keys import commit_key, drafts_prefix, head_key, request_key
from tdc.manager.store.record import CommitRecord, Signature, chained, pack_record, topology_of
from tdc.manager.store.rewrite import Touched, Untouchable, rewritten, touched
from tdc.manager.store.seal import Edited
from tdc.shared.edge.clock import monotonic
from tdc.shared.settings.values import Level
from tdc.shared.sync.audit import AuditHead
from tdc.shared.sync.queue_work import OrderedWork

_UPGRADE = "Upgrade this manager, or let `tdc-manager repair` put it right from history"
_UNSURE = "No commit is made on it; `tdc-manager repair` says what follows"
_RACES = 8  # attempts against writes that are no commits (the head did not move)


@dataclass(frozen=True, slots=True)
class Committed:
    """The revision that a request id made; `already` is True if an earlier call made it."""

    revision: int
    already: bool


@dataclass(frozen=True, slots=True)
class _Change:
    """What a commit is to do: bring a cluster from revision `base` (0: not there yet) to `after`.

    `fingerprint` is the plan's, or the work's; empty where a cluster is created. `creates`: the
    base is no cluster, or one that was deleted.
    """

    base: int
    after: Cluster
    record: CommitRecord
    fingerprint: str = ""
    creates: bool = False

    @property
    def names(self) -> bool:
        """Whether it gives the cluster its name."""
        return any(
            each.level is Level.CLUSTER and not each.removed for each in self.record.topology
        )

    @property
    def touched(self) -> Touched:
        return touched(self.record.levels, self.record.topology, self.after)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored: `made` is the revision that our request id made, None if it made none.

    `items` are the head and the documents; `beside` is what history has of the base, and of the
    revision that is to be made; `claims` are what has the cluster's new name.
    """

    made: int | None
    items: dict[str, KeyValue]
    beside: Beside
    claims: dict[str, KeyValue] = field(default_factory=dict)

    def guard(self, change: _Change) -> tuple[Unchanged, ...]:
        """The compare that every commit of the cluster makes: of its head."""
        key = head_key(change.after.home)
        return (Unchanged(key, self.items[key].mod_revision if key in self.items else 0),)

    @property
    def base_made(self) -> bool:
        """Whether history has the commit of the base."""
        return self.beside.record is not None

    @property
    def next_made(self) -> bool:
        """Whether history has a commit of the revision that is to be made."""
        return self.beside.after is not None


class CommitStore:
    """Writes commits. Any number of managers may do so at the same time."""

    def __init__(
        self, etcd: EtcdClient, audit: AuditLog | None = None, *, settle_within: float = 15.0
    ) -> None:
        """`settle_within`: seconds to find out what became of a transaction without an answer."""
        self._etcd = etcd
        self._audit = audit or AuditLog(etcd)
        self._settle_within = settle_within

    async def commit(self, plan: Plan, signature: Signature, time: float) -> Committed:
        """Make the plan's commit, once per request id whatever happens to the answers.

        `time` is Unix seconds by the manager's clock. Raises LostRace, UnknownCluster,
        UnreadableTouched, CommitTooLarge, RequestIdReused, EtcdRefused, EtcdUnavailable (nothing
        was changed) and CommitUnsettled (not known; asking again with the same request id is safe).
        """
        if not plan.levels and not plan.topology:
            raise NothingToCommit("the plan changes nothing; there is nothing to commit")
        record = CommitRecord(
            revision=plan.after.revision,
            signature=signature,
            time=time,
            levels=tuple(plan.levels),
            topology=tuple(plan.topology),
            machines_changed=len({change.machine for change in plan.machines}),
        )
        base = plan.after.revision - 1
        return await self._apply(_Change(base, plan.after, record, plan.fingerprint))

    async def create_cluster(
        self, cluster: Cluster, signature: Signature, time: float
    ) -> Committed:
        """Store a new cluster as its first revision, with what it holds (its first group).

        Where one of its name was deleted, its revision is the next after that.

        Raises ClusterExists, and as `commit` does.
        """
        record = CommitRecord(
            revision=cluster.revision,
            signature=signature,
            time=time,
            levels=(),
            topology=topology_of(cluster),
            machines_changed=len(cluster.machines),
        )
        return await self._apply(_Change(cluster.revision - 1, cluster, record, creates=True))

    async def record_work(
        self,
        cluster: Cluster,
        work: OrderedWork,
        fingerprint: str,
        signature: Signature,
        time: float,
    ) -> Committed:
        """Record work on queues as a revision that changes no level; raises as `commit` does.

        `fingerprint` is what the request id stands for.
        """
        after = replace(cluster, revision=cluster.revision + 1)
        record = CommitRecord(after.revision, signature, time, (), (), 0, work)
        return await self._apply(_Change(cluster.revision, after, record, fingerprint))

    async def _apply(self, change: _Change) -> Committed:
        """Read, check and write until it is settled."""
        sent, races, give_up = False, 0, monotonic() + self._settle_within
        backoff = Backoff(longest=2.0)
        while True:
            try:
                found = await self._find(change)
                if found.made is not None:
                    return Committed(found.made, already=not sent)
                if await self._audit.append(partial(_written, change, found), found.guard(change)):
                    return Committed(change.after.revision, already=False)
                races += 1  # written in between: the next read says what
                if races >= _RACES:
                    raise LostRace("the stored cluster keeps changing; nothing was changed")
            except EtcdError as error:
                sent = sent or isinstance(error, EtcdAnswerLost)
                if not sent:
                    raise _plainer(error) from error
                if monotonic() > give_up:
                    raise CommitUnsettled(
                        f"lost contact with etcd while committing revision {change.after.revision} "
                        f"of cluster {change.after.name!r} ({error}); the commit may or may not "
                        "have been made. Send the same request again: it is never applied twice"
                    ) from error
            await backoff.wait()

    async def _find(self, change: _Change) -> _Found:
        """Read what the change compares and writes, at one etcd revision."""
        name = change.after.home
        around = keys_beside(name, change.base)
        asked, key = request_key(name, change.record.signature.request_id), head_key(name)
        claimed = claim_keys(change.after) if change.names else ()
        keys = (asked, *around, key, *change.touched.keys(name), *claimed)
        items = await self._etcd.get_many(keys)
        claims = {each: items.pop(each) for each in claimed if each in items}
        head = head_in(key, items[key].value) if key in items else None
        found = beside(name, change.base, head, items)
        request = items.pop(asked, None)
        made = _made(request, change.fingerprint) if request else _last_made(change, items)
        beside_it = {k: item for k, item in items.items() if k not in around}
        return _Found(made, beside_it, found, claims)


def _last_made(change: _Change, items: Mapping[str, KeyValue]) -> int | None:
    """The revision that the request id made, by the head: its own key may have been deleted."""
    key = head_key(change.after.home)
    head = _document(items[key]).head if key in items else None
    same = head is not None and head.request_id == change.record.signature.request_id
    return head.revision if head is not None and same else None


def _made(request: KeyValue, fingerprint: str) -> int:
    try:
        made = read_request(request.key, request.value)
    except Damaged as error:
        what = "was edited by hand" if isinstance(error, Edited) else "can't be read"
        raise UnreadableTouched(
            f"{request.key} {what}: {error}; so what this request id made is not certain, and "
            "nothing was changed now; look at `tdc commit history`, then send what is still to be "
            "done with a new request id"
        ) from None
    return made.revision_of(fingerprint)


def _written(change: _Change, found: _Found, audit: AuditHead) -> Audited:
    try:
        return _transaction(change, found, audit)
    except TooLong as error:
        raise CommitTooLarge(
            f"{error}; nothing was changed; split the commit into several, or let settings be "
            "inherited from a group"
        ) from None


def _transaction(change: _Change, found: _Found, audit: AuditHead) -> Audited:
    """Compares and writes of the change on what was found, where the audit log's head is `audit`.

    Raises what refuses it.
    """
    name, revision = change.after.home, change.after.revision
    documents = {key: _document(item) for key, item in found.items.items()}
    head = _base_head(change, found, documents.pop(head_key(name), None))
    _check_by_hand(change, head, documents)
    try:
        values = rewritten(documents, change.after, change.touched)
    except Untouchable as error:
        raise UnreadableTouched(
            f"{error}. {_UPGRADE}; the commit touches it, so nothing was changed"
        ) from None
    request_id = change.record.signature.request_id
    sealed = head.sealed or revision
    record = chained(replace(change.record, sealed=sealed, audit=audit), head.chain)
    written = {**head.written, **dict.fromkeys(values, revision)}
    values[head_key(name)] = pack_head(
        name,
        Head(
            revision, request_id, record.chain, written, sealed, change.after.deleted,
            change.after.name if change.after.place else "", change.after.former,
            change.after.born,
        ),
    )  # fmt: skip
    values[commit_key(name, revision)] = pack_record(name, record)
    made = MadeRequest(revision, change.record.time, change.fingerprint)
    asked = request_key(name, request_id)
    values[asked] = pack_request(asked, made)
    size = sum(len(key) + len(value) for key, value in values.items())
    if size > MAX_TRANSACTION:
        raise CommitTooLarge(
            f"the commit needs {size} bytes in one transaction, more than the limit of "
            f"{MAX_TRANSACTION}; nothing was changed; split it into several commits"
        )
    compares = [
        Unchanged(key, found.items[key].mod_revision if key in found.items else 0) for key in values
    ]
    writes: list[Operation] = [Put(key, value) for key, value in values.items()]
    if revision > MAX_COMMITS:
        writes.append(Delete(commit_key(name, 0), commit_key(name, revision - MAX_COMMITS + 1)))
    if change.after.deleted:  # another cluster of the name has nothing to do with them
        drafts = drafts_prefix(name)
        writes.append(Delete(drafts, prefix_end(drafts)))
    if change.names:
        claimed = claim(change.after, found.claims)
        compares, writes = [*compares, *claimed[0]], [*writes, *claimed[1]]
    return Audited(compares, writes, commit_event(record, change.after, creates=change.creates))


def _document(item: KeyValue) -> Document:
    document = read_document(item.key, item.value)
    if isinstance(document, Unreadable):  # not with keys that we made ourselves
        raise UnreadableTouched(str(document))
    return document


def _check_by_hand(change: _Change, head: Head, documents: Mapping[str, Document]) -> None:
    """Raise UnreadableTouched if a document that is touched is not as its commits left it."""
    name = change.after.home
    faults = by_hand.faults_of(name, head, documents, change.touched.keys(name))
    read = [trouble for each in documents.values() for trouble in each.unreadable]
    for fault in (*faults, *(trouble for trouble in read if trouble.edited)):
        raise UnreadableTouched(f"{fault}. The commit touches it, so nothing was changed")


def _base_head(change: _Change, found: _Found, document: Document | None) -> Head:
    """The head that the change is made on; raises what refuses a base that is not stored."""
    name = change.after.home
    if document is not None and document.head is None:
        trouble = document.unreadable[0]
        then = "" if trouble.edited else f". {_UPGRADE}"
        raise UnreadableTouched(f"{trouble}{then}; nothing was changed")
    head = document.head if document is not None and document.head is not None else Head(0, "")
    stored = head.revision
    newest = change.base + found.next_made
    if document is None and (found.base_made or found.next_made):
        raise UnreadableTouched(f"{by_hand.deleted(head_key(name), newest)}. Nothing was changed")
    if stored < change.base and found.base_made:
        raise UnreadableTouched(
            f"{by_hand.set_back(head_key(name), stored, newest)}. Nothing was changed"
        )
    if head.revision and not head.sealed and found.beside.sealed:
        fault = edited(head_key(name), by_hand.LOST_SEAL, REPAIR)
        raise UnreadableTouched(f"{fault}. Nothing was changed")
    if stored == change.base:
        wrong = disagreement(name, head, found.beside) if stored else None
        if wrong is not None:
            raise UnreadableTouched(f"{wrong}. {_UNSURE}; nothing was changed")
        return head
    if change.creates and stored and not head.deleted:
        raise ClusterExists(f"cluster {name!r} already exists, at revision {stored}")
    if stored == 0:
        raise UnknownCluster(f"cluster {name!r} does not exist in the store")
    if head.deleted and not change.creates:
        raise UnknownCluster(f"cluster {name!r} was deleted by revision {stored}")
    raise LostRace(
        f"another commit came first: cluster {name!r} is at revision {stored}, the plan was made "
        f"on {change.base}; nothing was changed; make a new plan"
    )


def _plainer(error: EtcdError) -> Exception:
    """What the caller should see of an error after which nothing was changed."""
    if isinstance(error, EtcdRefused) and error.reason is Reason.TOO_LARGE:
        return CommitTooLarge(f"{error}; nothing was changed; split it into several commits")
    return error
