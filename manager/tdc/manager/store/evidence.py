"""PURE. What must be there of a cluster whose history does not say it whole.

In: the records that are left, the head and the snapshot that can be trusted, the documents, and the
machines that are enrolled. Out: what all these name and the documents do not have, each with why.
Promise: nothing is named that is there; what nothing speaks of can't be missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tdc.manager.levels.changes import LevelChange, TopologyChange
from tdc.manager.levels.identities import name_removed
from tdc.manager.store import by_hand
from tdc.manager.store.documents import Document, Head, Unreadable
from tdc.manager.store.keys import cluster_key, group_key, machine_key
from tdc.manager.store.rewrite import touched
from tdc.shared.settings.values import Level


@dataclass(slots=True)
class Evidence:
    """What must be there: documents with at least a revision, entries with who says so."""

    cluster: str
    documents: dict[str, int] = field(default_factory=dict)
    entries: dict[tuple[str, str], str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)  # names of enrolments, not of machines

    def of_head(self, head: Head) -> None:
        """Take what a head lists."""
        for key, revision in head.written.items():
            self._document(key, revision)

    def of_commit(
        self,
        revision: int,
        levels: Iterable[LevelChange],
        topology: Iterable[TopologyChange],
    ) -> None:
        """Take what a commit wrote; what it touched was there, or it made it. Oldest first."""
        topology = tuple(topology)
        changed = touched(levels, topology, None)
        for key in changed.keys(self.cluster):
            self._document(key, revision)
        for level, names in ((Level.GROUP, changed.groups), (Level.MACHINE, changed.machines)):
            for name in names:
                self._entry(level, name, f"commit {revision} has it")
        for change in topology:
            if change.level is Level.MACHINE and not change.removed:
                self._entry(Level.GROUP, change.group, f"machine {change.name!r} is in it")
        for change in topology:
            self._gone(change)

    def _gone(self, change: TopologyChange) -> None:
        """Forget what a commit removed, or gave another name."""
        gone = {change.name} if change.removed else change.names - {change.name}
        key_of = group_key if change.level is Level.GROUP else machine_key
        for name in gone:
            self.entries.pop((key_of(self.cluster, name), name), None)

    def of_documents(self, stored: Mapping[str, Document]) -> None:
        """Take the groups that machines are in; and every cluster has its own level."""
        self._document(cluster_key(self.cluster), 1)
        for document in stored.values():
            for machine in document.machines.values():
                self._entry(Level.GROUP, machine.group, f"machine {machine.name!r} is in it")
            self.removed |= {name_removed(key) for key in document.removed}
            self.slots |= {each.slot for each in document.machines.values() if each.slot}
            self.slots |= {each.slot for each in document.removed.values() if each.slot}

    def of_enrolments(self, machines: Iterable[str]) -> None:
        """Take the machines that have an enrolment; after the documents."""
        for name in machines:
            if name in self.removed or name in self.slots:
                continue  # an enrolment stays where it is, whatever its machine is called
            self._entry(Level.MACHINE, name, "it is enrolled")

    def _document(self, key: str, revision: int) -> None:
        self.documents[key] = max(revision, self.documents.get(key, 0))

    def _entry(self, level: Level, name: str, why: str) -> None:
        key_of = group_key if level is Level.GROUP else machine_key
        self.entries.setdefault((key_of(self.cluster, name), name), why)

    def missed(self, stored: Mapping[str, Document]) -> list[Unreadable]:
        """What the documents do not have of it, by key."""
        found = [*self._missed_documents(stored), *self._missed_entries(stored)]
        return sorted(found, key=lambda each: (each.key, each.entry or ""))

    def _missed_documents(self, stored: Mapping[str, Document]) -> Iterable[Unreadable]:
        for key, revision in self.documents.items():
            document = stored.get(key)
            if document is None:
                yield by_hand.deleted(key, revision)
            elif document.whole and document.revision < revision and document.revision:
                yield by_hand.set_back(key, document.revision, revision)

    def _missed_entries(self, stored: Mapping[str, Document]) -> Iterable[Unreadable]:
        for (key, name), why in self.entries.items():
            document = stored.get(key)
            if document is None and key not in self.documents:
                yield Unreadable(key, name, f"{why}, but no document has it", "is missing")
            elif document is not None and document.whole and not _has(document, name):
                yield Unreadable(key, name, f"{why}, but the document does not", "is missing")


def _has(document: Document, name: str) -> bool:
    return name in document.groups or name in document.machines or name in document.kept
