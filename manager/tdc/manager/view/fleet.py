"""The fleet as this manager sees it: clusters, what is in force on machines, who is enrolled.

In: what the store hands on under its prefixes. Out: clusters and settings in force, and a call to
each listener with the machines on which something has changed.
Promise: a change is taken as a whole and without an await, so nobody sees half of it; a machine
costs work only if its inputs may have changed; while etcd is unreachable the last known fleet is
served and `problems` says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import FollowOptions
from tdc.manager.levels.fleet import Cluster, Group, Machine
from tdc.manager.levels.identities import renames, slot_of
from tdc.manager.levels.suspensions import MachineSuspension, Suspensions
from tdc.manager.store import keys
from tdc.manager.store.beside import disagreements, head_in, without_documents
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.joins import Withdrawal
from tdc.manager.view import names
from tdc.manager.view.audit import KnownAudit
from tdc.manager.view.effective import Resolved, SharedResolves
from tdc.manager.view.enrolments import KnownEnrolments
from tdc.manager.view.following import Following, How, Values
from tdc.manager.view.last_known import ClusterChange, KnownClusters
from tdc.manager.view.listeners import Listened
from tdc.manager.view.named import NamedFleet
from tdc.manager.view.names import MachineKey, UnknownName
from tdc.manager.view.people import KnownPeople
from tdc.manager.view.problems import problems
from tdc.manager.view.suspensions import KnownSuspensions
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.known import KNOWN_HERE
from tdc.shared.settings.values import Value
from tdc.shared.sync.audit import AuditHead
from tdc.shared.sync.suspension import NOT_SUSPENDED, Suspension
from tdc.v1 import agents_pb2

log = logging.getLogger(__name__)


class NotReady(Exception):
    """The fleet could not be read from etcd in time."""


class FleetView(NamedFleet, Listened):
    """One manager's view. `run` keeps it; reads are plain calls that never wait."""

    def __init__(
        self,
        etcd: EtcdClient,
        store_id: str,
        notes: Callable[[], tuple[str, ...]] = tuple,
        options: FollowOptions | None = None,
        clock: Clock = wall,
    ) -> None:
        """`store_id` is the id that the store has now; `notes` are problems of the store itself,
        in sentences; `clock` gives Unix seconds, for people to read.
        """
        Listened.__init__(self)
        NamedFleet.__init__(self, KnownClusters(), KnownEnrolments())
        self._etcd = etcd
        self._notes = notes
        self._following = Following(etcd, store_id, options, clock)
        self._suspensions = KnownSuspensions()
        self.people = KnownPeople()
        """Users, and by what they prove who they are."""
        self._audit = KnownAudit()
        self._resolves = SharedResolves()
        self._in_force: dict[MachineKey, Resolved] = {}

    # -- reading -------------------------------------------------------------------------------

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """All clusters, by name."""
        return MappingProxyType(self._clusters.clusters)

    @property
    def deleted(self) -> Mapping[str, Cluster]:
        """Clusters that were deleted and not created again, by name: without groups."""
        return MappingProxyType(self._clusters.deleted)

    def find_cluster(self, name: str) -> Cluster:
        """Find a cluster, without a name the only one; raises UnknownName, AmbiguousName."""
        if (gone := self._clusters.deleted.get(name)) is not None:
            raise UnknownName(names.was_deleted(gone))
        return names.find_cluster(self._clusters.clusters, name)

    def find_history(self, name: str) -> Cluster:
        """Find a cluster, also one that was deleted or had that name; raises UnknownName, …"""
        gone = self._clusters.deleted.get(name)
        return gone or names.find_history(self._clusters.clusters, name)

    def find_group(self, name: str, cluster: str = "") -> tuple[Cluster, Group]:
        """Find a group and its cluster; raises UnknownName, AmbiguousName."""
        return names.find_group(self._clusters.clusters, name, cluster)

    def find_machine(self, name: str, cluster: str = "") -> tuple[Cluster, Machine]:
        """Find a machine and its cluster; raises UnknownName, AmbiguousName."""
        try:
            return names.find_machine(self._clusters.clusters, name, cluster)
        except UnknownName:
            homes = [cluster] if cluster else list(self._clusters.clusters)
            for home in homes:
                if (same := self._clusters.called(home, name)) is not None:
                    raise UnknownName(names.is_called(name, same, home)) from None
            raise

    def content_hash(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> str | None:
        """Hash of what is in force on a machine; None where that is not known.

        It is over the settings that both ends know: `known` are those of the machine's agent. None
        too if that lacks one that has a value other than the default.
        """
        found = self._fitting(cluster, machine, known)
        return found.content_hash if found is not None and not found.lacks else None

    def lacking(self, cluster: str, machine: str, known: frozenset[str]) -> tuple[str, ...]:
        """Name what is in force on a machine, by no default, and is not known to its agent."""
        found = self._fitting(cluster, machine, known)
        return found.lacks if found is not None else ()

    def revision(self, cluster: str) -> int:
        """The cluster's revision in this view; 0 if there is no such cluster."""
        found = self._clusters.clusters.get(cluster)
        return found.revision if found is not None else 0

    def wanted(
        self, cluster: str, machine: str, known: frozenset[str] = KNOWN_HERE
    ) -> agents_pb2.Wanted | None:
        """What a machine should run; None where `content_hash` is None.

        The message is shared by all machines with equal settings: never change it.
        """
        found = self._fitting(cluster, machine, known)
        if found is None or found.lacks:
            return None
        return found.wanted(
            cluster, self.revision(cluster), self.store_id, self._clusters.chain(cluster)
        )

    def in_force(self, cluster: str, machine: str) -> Mapping[str, Value | None] | None:
        """Every setting in force on a machine; None where that is not known."""
        found = self._in_force.get((cluster, machine))
        return found.values if found is not None else None

    def _fitting(self, cluster: str, machine: str, known: frozenset[str]) -> Resolved | None:
        found = self._in_force.get((cluster, machine))
        return found.fitted(known) if found is not None else None

    def chain(self, cluster: str) -> str:
        """The history's chain value at the cluster's revision; empty where there is none."""
        return self._clusters.chain(cluster)

    @property
    def audit_head(self) -> AuditHead:
        """The audit log's newest entry, as last known."""
        return self._audit.head

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Id of the machine's valid enrolment; None if it has none, or is gone.

        Where its own values can't be read, a machine that is not to be seen may still be there: it
        keeps its identity, and is offered nothing.
        """
        unreadable = self._clusters.unreadable_in(cluster)
        if (cluster, machine) not in self._in_force and not (
            unreadable and self._clusters.may_have(cluster, machine)
        ):
            return None
        known = self._clusters.machine(cluster, machine)
        return self._enrolments.find(
            (self.place(cluster), slot_of(known) if known is not None else machine),
            sealed=self._clusters.all_sealed(cluster),
            born=known.born if known is not None else None,
        )

    def withdrawn(self, cluster: str, machine: str) -> Withdrawal | None:
        """Who withdrew a machine's certificates; None where nobody did since it enrolled."""
        known = self._clusters.machine(cluster, machine)
        slot = slot_of(known) if known is not None else machine
        return self._enrolments.withdrawn(
            (self.place(cluster), slot), known.born if known else None
        )

    def suspensions(self, cluster: str) -> Suspensions:
        """What operators want suspended in a cluster, as stored."""
        return self._suspensions.of(self.place(cluster))

    def suspension_record(self, cluster: str, machine: str) -> MachineSuspension | None:
        """What is stored of a machine's suspension; None if it never had one, or is gone.

        It is of this machine, not of one that had its name before.
        """
        there = self.suspensions(cluster)
        if not there.machines:  # in nearly all clusters; that costs no more than this
            return None
        known = self._clusters.machine(cluster, machine)
        return there.of(known) if known is not None else None

    def suspended(self, cluster: str, now: float) -> Mapping[str, Suspension]:
        """What operators want suspended on machines of a cluster at `now` (Unix seconds)."""
        there = {
            machine.name: self.suspension(cluster, machine.name)
            for slot in self.suspensions(cluster).machines
            if (machine := self._clusters.called(cluster, slot)) is not None
        }
        return {name: left for name, each in there.items() if (left := each.at(now))}

    def suspension(self, cluster: str, machine: str) -> Suspension:
        """What operators want suspended on a machine, as stored: its end may have come."""
        found = self.suspension_record(cluster, machine)
        return found.suspension if found is not None else NOT_SUSPENDED

    def is_unreadable(self, cluster: str) -> bool:
        """Whether a stored value of the cluster can't be read."""
        return bool(self._clusters.unreadable_in(cluster))

    def outdated(self, cluster: str) -> frozenset[str]:
        """Machines on which a value that can't be read is used as last known."""
        return self._clusters.outdated(cluster)

    @property
    def store_id(self) -> str:
        """Identity of the store that revisions count in."""
        return self._following.store_id

    @property
    def etcd_away(self) -> str:
        """Since when and why etcd can't be followed; empty while it can."""
        return self._following.away

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the store as this manager sees it; empty if nothing is."""
        unreadable = self._clusters.unreadable()
        enrolments = (
            *self._enrolments.damaged, *self._enrolments.unsealed(self._clusters.sealed_at)
        )  # fmt: skip
        trouble = self._following.id_trouble
        notes = (*self._notes(), trouble) if trouble else self._notes()
        beside = (*enrolments, *self._suspensions.damaged, *self.people.damaged)
        return problems(notes, self.etcd_away, unreadable, beside)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        await self._following.run(
            {
                keys.CLUSTERS: self._take_clusters,
                keys.ENROLMENTS: self._take_enrolments,
                keys.SUSPENSIONS: self._take_suspensions,
                keys.PEOPLE: self._take_people,
                keys.AUDIT_HEAD: self._audit.take,
            },
            {keys.CLUSTERS: self._look_beside},
        )

    async def ready(self, timeout: float) -> None:
        """Return once everything has been read; raises NotReady after `timeout` seconds."""
        prefixes = frozenset({keys.CLUSTERS, keys.ENROLMENTS, keys.SUSPENSIONS, keys.PEOPLE})
        if not await self._following.all_read(prefixes, timeout):
            why = self.etcd_away or "it did not answer"
            raise NotReady(f"the fleet could not be read from etcd within {timeout:g} s: {why}")

    async def at_least(self, cluster: str, revision: int, timeout: float) -> bool:
        """Wait until the view has a cluster's revision; False if not within `timeout` seconds."""

        def has_it() -> bool:
            known = self._clusters.clusters.get(cluster) or self._clusters.deleted.get(cluster)
            return known is not None and known.revision >= revision

        return await self._following.until(has_it, timeout)

    async def has_suspensions(self, cluster: str, number: int, timeout: float) -> bool:
        """Wait until the view has a change of suspensions; False if not within `timeout`."""
        return await self._following.until(
            lambda: self.suspensions(cluster).number >= number, timeout
        )

    async def knows(self, holds: Callable[[KnownPeople], bool], timeout: float) -> bool:
        """Wait until the view has a change of people; False if not within `timeout` seconds."""
        return await self._following.until(lambda: holds(self.people), timeout)

    async def _look_beside(self, values: Mapping[str, bytes]) -> None:
        """Read whether the heads agree with their histories, which are not followed."""
        known = {key: name for name in values if (key := keys.parse_document_key(name)) is not None}
        found = {
            key.cluster: head
            for key, name in known.items()
            if key.part is keys.Part.HEAD and (head := head_in(name, values[name])) is not None
        }
        lost = await without_documents(self._etcd, {key.cluster for key in known})
        self._clusters.judge(await disagreements(self._etcd, found), lost)

    def _take_clusters(self, values: Values, how: How) -> None:
        before: set[Unreadable] = set(self._clusters.unreadable())
        changes = self._clusters.take(
            values, all_of_it=how is not How.SOME, replaced=how is How.REPLACED
        )
        for trouble in self._clusters.unreadable():
            if trouble not in before:
                log.error("%s; its last known value is used", trouble)
        changed = frozenset(each for change in changes for each in self._resolve(change))
        renamed = {pair for change in changes for pair in _renamed(change)}
        if renamed:
            for told in self._rename_listeners:
                told(dict(renamed))
        self._notify(changed)
        if how is How.REPLACED:
            for listener in self._replaced_listeners:
                listener()

    def _take_enrolments(self, values: Values, how: How) -> None:
        before = set(self._enrolments.damaged)
        changed = self._enrolments.take(
            values, all_of_it=how is not How.SOME, replaced=how is How.REPLACED
        )
        for sentence in self._enrolments.damaged:
            if sentence not in before:
                log.error("%s", sentence)
        self._notify_enrolled(frozenset(self.key_of(*each) for each in changed))

    def _take_suspensions(self, values: Values, how: How) -> None:
        before = set(self._suspensions.damaged)
        changed = self._suspensions.take(
            values, all_of_it=how is not How.SOME, replaced=how is How.REPLACED
        )
        for sentence in self._suspensions.damaged:
            if sentence not in before:
                log.error("%s", sentence)
        if changed:
            now = frozenset(self.key_of(*each) for each in changed)
            for listener in self._listeners:
                listener(now)

    def _take_people(self, values: Values, how: How) -> None:
        before = set(self.people.damaged)
        self.people.take(values, all_of_it=how is not How.SOME, replaced=how is How.REPLACED)
        for sentence in self.people.damaged:
            if sentence not in before:
                log.error("%s", sentence)
        for listener in self._people_listeners:
            listener()

    def _resolve(self, change: ClusterChange) -> list[MachineKey]:
        """Resolve what may have changed; return the machines on which something did."""
        changed: list[MachineKey] = []
        was, now = change.before, change.after
        moves = was is not None and now is not None and was.name != now.name
        for name in change.machines:
            left = (was.name if was is not None else change.place, name)
            key = (now.name if now is not None else left[0], name)
            before = self._in_force.pop(left, None)
            after = None
            if now is not None and name in now.machines:
                after = self._in_force[key] = self._resolves.in_force(now, name)
            if moves or (before and before.content_hash) != (after and after.content_hash):
                changed += {left, key}
        return changed


def _renamed(change: ClusterChange) -> Iterator[tuple[MachineKey, MachineKey]]:
    if change.before is None or change.after is None:
        return
    was, now = change.before.name, change.after.name
    others = dict(renames(change.before, change.after, change.machines))
    if was != now:
        others = {name: others.get(name, name) for name in change.before.machines}
    yield from (((was, name), (now, to)) for name, to in others.items())
