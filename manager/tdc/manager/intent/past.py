"""What commits changed, from history, for those who undo them or look back."""

from __future__ import annotations

from tdc.manager.intent.errors import BadRequest, EtcdAway, UnknownRevision, UnreadableFleet
from tdc.manager.levels.changes import Step
from tdc.manager.levels.fleet import Cluster
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.history import History
from tdc.manager.store.record import CommitRecord
from tdc.manager.view.fleet import FleetView


class Past:
    """Reads the history of clusters; raises UnknownRevision, UnreadableFleet, EtcdAway."""

    def __init__(self, view: FleetView, history: History) -> None:
        self._view = view
        self._history = history

    async def commit_to_undo(self, cluster: Cluster, revision: int) -> CommitRecord:
        """The record of a commit that changed settings or topology; raises what it is not."""
        require_history(self._view)
        record = await self._history.commit_record(cluster.name, revision)
        if isinstance(record, Unreadable):
            raise UnreadableFleet(
                f"revision {revision} can't be undone: {record}. Nothing was changed"
            )
        if record is None:
            raise UnknownRevision(
                f"cluster {cluster.name!r} has no commit {revision} in its history; it is at "
                f"revision {cluster.revision}"
            )
        if record.deletes_cluster:
            raise BadRequest(
                f"revision {revision} deleted the cluster, which can't be undone. `tdc export "
                f"--cluster {cluster.name} --revision {revision - 1}` prints what it was, as a "
                "document for `tdc apply`"
            )
        if record.work is not None:
            raise BadRequest(
                f"revision {revision} is work on queues, which can't be undone; it changed no "
                "setting"
            )
        return record

    async def changes_since(
        self, cluster: Cluster, revision: int, done: str = "restored"
    ) -> list[Step]:
        """List the changes of all commits above `revision`, newest first.

        `done` is what can't be done to it where they are not all there, or where the cluster of
        then was deleted since: one that has its name now is another.
        """
        records = await self._records_since(cluster, revision, done)
        for record in records:
            if record.creates_cluster or record.deletes_cluster:
                deleted = record.revision - record.creates_cluster
                raise BadRequest(
                    f"revision {revision} can't be {done}: it is of the cluster {cluster.name!r} "
                    f"that revision {deleted} deleted. Nothing was changed. `tdc export "
                    f"--cluster {cluster.name} --revision {revision}` prints what it was, as a "
                    "document for `tdc apply`"
                )
        return [(record.levels, record.topology) for record in records]

    async def changes_read(self, cluster: Cluster, revision: int) -> list[Step]:
        """List the changes of all commits above `revision`, newest first, to look back."""
        records = await self._records_since(cluster, revision, "shown")
        return [(record.levels, record.topology) for record in records]

    async def _records_since(
        self, cluster: Cluster, revision: int, done: str
    ) -> list[CommitRecord]:
        check_revision(cluster, revision)
        require_history(self._view)
        records = await self._history.records_between(cluster.name, revision, cluster.revision)
        damaged = [record for record in records if isinstance(record, Unreadable)]
        if damaged:
            raise UnreadableFleet(
                f"revision {revision} can't be {done}: {damaged[0]}. Nothing was changed"
            )
        if len(records) != cluster.revision - revision:
            raise UnknownRevision(
                f"history no longer has all commits since revision {revision} of cluster "
                f"{cluster.name!r}, so its settings then are not known. Nothing was changed"
            )
        return [record for record in records if isinstance(record, CommitRecord)]


def check_revision(cluster: Cluster, revision: int) -> None:
    """Raise UnknownRevision unless the cluster has had this revision."""
    if not 1 <= revision <= cluster.revision:
        raise UnknownRevision(
            f"cluster {cluster.name!r} has no revision {revision}: its revisions are 1 to "
            f"{cluster.revision}"
        )


def require_history(view: FleetView) -> None:
    """Raise EtcdAway while etcd is unreachable: the history of commits is read there alone."""
    if view.etcd_away:
        raise EtcdAway(
            "etcd is unreachable, so the history of commits can't be read now, and nothing can be "
            "rolled back; settings and status are shown as last known. Try again when it is back "
            f"(unreachable since {view.etcd_away})"
        )
