"""Looking back: the commits of a cluster, and what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.errors import BadRequest, UnknownRevision, UnreadableFleet
from tdc.manager.intent.past import Past, check_revision, require_history
from tdc.manager.intent.permissions import operation
from tdc.manager.intent.within import require_cluster, within
from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.difference import Difference, difference, renamed
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.undo import cluster_at
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.history import History
from tdc.manager.store.record import CommitRecord
from tdc.manager.view.fleet import FleetView
from tdc.shared.sync.queue_work import OrderedWork

DEFAULT_COMMITS = 50
MOST_COMMITS = 1_000
"""Commits in a list, if the request does not say how many, and at most."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One commit of a cluster's history. `time` is Unix seconds.

    A commit whose record can't be read is a row too: without author, with the reason as comment.
    """

    cluster: str
    revision: int
    author: str
    time: float
    comment: str
    request_id: str
    levels: tuple[LevelChange, ...]
    topology: tuple[TopologyChange, ...]
    machines_changed: int
    work: OrderedWork | None = None


class HistoryOperations:
    """Commits, and clusters as they were. Changes nothing."""

    def __init__(self, view: FleetView, history: History) -> None:
        self._view = view
        self._history = history
        self._past = Past(view, history)

    @operation("changes.list_commits")
    async def list_commits(
        self,
        actor: Actor,
        cluster: str,
        *,
        limit: int,
        before: int,
    ) -> Sequence[HistoryRow]:
        """List history, newest first, of revisions below `before`; 0 means from the newest.

        `limit` 0 means DEFAULT_COMMITS.
        """
        if limit < 0 or before < 0:
            raise BadRequest("limit and before must be 0 or more")
        name = self._whole(actor, cluster).name
        require_history(self._view)
        most = min(limit or DEFAULT_COMMITS, MOST_COMMITS)
        records = await self._history.commits(name, before=before or None, limit=most)
        return [_row(name, record) for record in records]

    @operation("changes.read_commit")
    async def read_commit(
        self,
        actor: Actor,
        cluster: str,
        revision: int,
    ) -> HistoryRow:
        """Read one commit, whole; raises UnknownRevision, UnreadableFleet."""
        found = self._whole(actor, cluster)
        require_history(self._view)
        record = await self._history.commit_record(found.name, revision)
        if record is None:
            raise UnknownRevision(
                f"cluster {found.name!r} has no commit {revision} in its history; it is at "
                f"revision {found.revision}"
            )
        if isinstance(record, Unreadable):
            raise UnreadableFleet(str(record))
        return _row(found.name, record)

    @operation("changes.read_cluster")
    async def read_cluster(self, actor: Actor, cluster: str, revision: int) -> Cluster:
        """Read a cluster whole, as it was at `revision`; 0 for as it is.

        Raises UnknownName, AmbiguousName, UnknownRevision, UnreadableFleet.
        """
        found = self._whole(actor, cluster)
        if found.deleted and not revision:
            found = self._view.find_cluster(found.name)  # which says what became of it
        if revision in (0, found.revision):
            return found
        return cluster_at(found, revision, await self._past.changes_read(found, revision))

    @operation("changes.read_difference")
    async def read_difference(
        self, actor: Actor, cluster: str, first: int, second: int
    ) -> Difference:
        """Compare a cluster at two revisions; 0 for as it is.

        Raises UnknownName, AmbiguousName, UnknownRevision, UnreadableFleet.
        """
        now = self._whole(actor, cluster)
        sides = (first or now.revision, second or now.revision)
        older, newer = min(sides), max(sides)
        check_revision(now, newer)
        steps = await self._past.changes_read(now, older)
        since = steps[: now.revision - newer] if newer < now.revision else []
        names = renamed(topology for _, topology in steps[len(since) :])
        before = cluster_at(now, older, steps)
        after = cluster_at(now, newer, since) if since else now
        if sides == (older, newer):
            return difference(before, after, names)
        return difference(after, before, names.back)

    def _whole(self, actor: Actor, name: str) -> Cluster:
        """Find a cluster that is in reach as a whole, for its history is of all of it."""
        found = within(self._view, actor).find_history(name)
        require_cluster(actor, found.name, "a cluster's history")
        return found


def _row(cluster: str, record: CommitRecord | Unreadable) -> HistoryRow:
    if isinstance(record, Unreadable):
        revision = int(record.key.rsplit("/", 1)[-1])
        return HistoryRow(cluster, revision, "", 0.0, str(record), "", (), (), 0)
    signed = record.signature
    return HistoryRow(
        cluster=cluster,
        revision=record.revision,
        author=signed.author,
        time=record.time,
        comment=signed.comment,
        request_id=signed.request_id,
        levels=record.levels,
        topology=record.topology,
        machines_changed=record.machines_changed,
        work=record.work,
    )
