"""Every read that is more than a look at the view: explanations and history.

In: names. Out: frozen values.
Promise: what is in force is answered from the view alone, also while etcd is away; who set it
and why is told where history can be read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tdc.manager.etcd.errors import EtcdError
from tdc.manager.intent.errors import BadRequest, UnknownRevision, UnreadableFleet
from tdc.manager.intent.targets import level_of
from tdc.manager.levels.fleet import Cluster, LevelKey, Machine, StoredSettings
from tdc.manager.levels.resolve import ChainStep, explain
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.history import CommitRecord, History, Signature
from tdc.manager.view.fleet import FleetView
from tdc.shared.settings.schema import SCHEMA, setting

log = logging.getLogger(__name__)

DEFAULT_COMMITS = 50
MOST_COMMITS = 1_000


@dataclass(frozen=True, slots=True)
class Explained:
    """The chain behind settings of one machine, and the commits that set what is in it."""

    cluster: Cluster
    machine: Machine
    chains: Mapping[str, tuple[ChainStep, ...]]
    commits: Mapping[int, CommitRecord]


class Reads:
    """What operators can look at. Changes nothing."""

    def __init__(self, view: FleetView, history: History) -> None:
        self._view = view
        self._history = history

    def level(self, key: LevelKey, cluster: str) -> tuple[Cluster, LevelKey, StoredSettings]:
        """Return what one level stores; raises UnknownName, AmbiguousName."""
        found, full_key = level_of(self._view, key, cluster)
        return found, full_key, found.stored_at(full_key)

    async def explain(self, machine: str, cluster: str, name: str) -> Explained:
        """Explain one setting of a machine, or all; raises UnknownName, SettingError."""
        found, known = self._view.find_machine(machine, cluster)
        wanted = [setting(name).name] if name else list(SCHEMA)
        chains = {each: explain(found, known.name, each) for each in wanted}
        revisions = {step.revision for chain in chains.values() for step in chain if step.revision}
        return Explained(found, known, chains, await self._records(found.name, revisions))

    async def commits(
        self, cluster: str, limit: int, before: int
    ) -> tuple[Cluster, list[CommitRecord]]:
        """Return history, newest first, of revisions below `before` (0: from the newest)."""
        if limit < 0 or before < 0:
            raise BadRequest("limit and before are numbers of 0 or more")
        found = self._view.cluster(cluster)
        records = await self._history.commits(
            found.name,
            before=before or None,
            limit=min(limit or DEFAULT_COMMITS, MOST_COMMITS),
        )
        return found, [_shown(record) for record in records]

    async def commit(self, cluster: str, revision: int) -> tuple[Cluster, CommitRecord]:
        """Return one commit, whole; raises UnknownRevision, UnreadableFleet."""
        found = self._view.cluster(cluster)
        record = await self._history.commit_record(found.name, revision)
        if record is None:
            raise UnknownRevision(
                f"cluster {found.name!r} has no commit {revision} in its history; it is at "
                f"revision {found.revision}"
            )
        if isinstance(record, Unreadable):
            raise UnreadableFleet(str(record))
        return found, record

    async def _records(self, cluster: str, revisions: Iterable[int]) -> dict[int, CommitRecord]:
        """Return what history still has of these commits; none while etcd is away."""
        records: dict[int, CommitRecord] = {}
        if self._view.etcd_away:
            return records
        try:
            for revision in sorted(revisions):
                record = await self._history.commit_record(cluster, revision)
                if isinstance(record, CommitRecord):
                    records[revision] = record
        except EtcdError as error:
            log.warning("explained without authors: %s", error)
        return records


def _shown(record: CommitRecord | Unreadable) -> CommitRecord:
    """Return what a listing shows of a commit; an unreadable one is a line of its own."""
    if isinstance(record, CommitRecord):
        return record
    return CommitRecord(
        revision=int(record.key.rsplit("/", 1)[-1]),
        signature=Signature(author="", comment=str(record), request_id=""),
        time=0.0,
        levels=(),
        topology=(),
        machines_changed=0,
    )
