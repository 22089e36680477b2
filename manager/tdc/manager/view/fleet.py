"""The fleet as this manager sees it: clusters, what is in force on machines, who is enrolled.

In: what the store hands on under its prefixes. Out: clusters and effective settings, and a call
to each listener with the machines on which something has changed.
Promise: a change is taken as a whole and without an await, so nobody sees half of it; a machine
costs work only if its inputs may have changed; while etcd is away the last known fleet is served
and `problems` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.etcd.follow import Away, FollowOptions, News, Snapshot, follow
from tdc.manager.levels.fleet import Cluster, Group, Machine
from tdc.manager.levels.resolve import resolve
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.identity import store_id
from tdc.manager.store.joins import read_enrolment
from tdc.manager.store.keys import CLUSTERS, ENROLMENTS, parse_enrolment_key
from tdc.manager.view import names
from tdc.manager.view.effective import InForce, SharedResolves
from tdc.manager.view.last_known import ClusterChange, KnownClusters
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.settings.values import Effective
from tdc.v1 import agents_pb2

log = logging.getLogger(__name__)

Member = tuple[str, str]
"""Cluster and machine, by name."""

Listener = Callable[[frozenset[Member]], None]
"""Called with the machines whose content hash, enrolment or existence changed. Must not block."""


class NotReady(Exception):
    """The fleet could not be read from etcd in time."""


class FleetView:
    """One manager's view. `run` keeps it; reads are plain calls that never wait."""

    def __init__(
        self,
        etcd: EtcdClient,
        store_id: str,
        notes: tuple[str, ...] = (),
        options: FollowOptions | None = None,
        clock: Clock = wall,
    ) -> None:
        """`store_id` is the id that the store has now; `notes` are problems of the store itself,
        in sentences; `clock` gives Unix seconds, for people to read.
        """
        self._etcd = etcd
        self._options = options
        self._clock = clock
        self._known = KnownClusters()
        self._resolves = SharedResolves()
        self._in_force: dict[Member, InForce] = {}
        self._enrolments: dict[Member, str] = {}
        self._strange_enrolments: dict[str, str] = {}
        self._away: dict[str, tuple[float, str]] = {}  # by prefix: since when, and why
        self._read: set[str] = set()
        self._listeners: list[Listener] = []
        self._moved = asyncio.Event()
        self.store_id = store_id
        self._notes = notes

    # -- reading -------------------------------------------------------------------------------

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """All clusters, by name."""
        return MappingProxyType(self._known.clusters)

    def cluster(self, name: str) -> Cluster:
        """Return a cluster, without a name the only one; raises UnknownName, AmbiguousName."""
        return names.find_cluster(self._known.clusters, name)

    find_cluster = cluster

    def find_group(self, name: str, cluster: str = "") -> tuple[Cluster, Group]:
        """Return a group and its cluster; raises UnknownName, AmbiguousName."""
        return names.find_group(self._known.clusters, name, cluster)

    def find_machine(self, name: str, cluster: str = "") -> tuple[Cluster, Machine]:
        """Return a machine and its cluster; raises UnknownName, AmbiguousName."""
        return names.find_machine(self._known.clusters, name, cluster)

    def effective(self, cluster: str, machine: str) -> Effective:
        """Return what is in force on a machine, with origins; raises UnknownName."""
        found, _ = self.find_machine(machine, cluster)
        return resolve(found, machine)

    def content_hash(self, cluster: str, machine: str) -> str | None:
        """Return the hash of what is in force on a machine; None where that is not known."""
        known = self._in_force.get((cluster, machine))
        return known.content_hash if known is not None else None

    def revision(self, cluster: str) -> int:
        """Return the cluster's revision in this view; 0 if there is no such cluster."""
        found = self._known.clusters.get(cluster)
        return found.revision if found is not None else 0

    def wanted(self, cluster: str, machine: str) -> agents_pb2.Wanted | None:
        """Return what a machine should run; None for a machine whose settings are not known.

        The message is shared by all machines with equal settings: never change it.
        """
        known = self._in_force.get((cluster, machine))
        if known is None:
            return None
        return known.wanted(cluster, self.revision(cluster), self.store_id)

    def enrolment(self, cluster: str, machine: str) -> str | None:
        """Return the id of the machine's valid enrolment; None if it has none, or is gone.

        Where values of its cluster can't be read, a machine that is not to be seen may still be
        there: it keeps its identity, and is offered nothing.
        """
        if (cluster, machine) not in self._in_force and not self.unreadable(cluster):
            return None
        return self._enrolments.get((cluster, machine))

    def outdated(self, cluster: str) -> frozenset[str]:
        """Return the machines on which a value that can't be read is used as last known."""
        return self._known.outdated(cluster)

    def unreadable(self, cluster: str) -> tuple[Unreadable, ...]:
        """Return what can't be read of a cluster; empty if all of it can."""
        return self._known.unreadable_in(cluster)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the store as this manager sees it, in sentences; empty if nothing."""
        away = [f"etcd is away {self.etcd_away}; shown is what was last known"] * bool(self._away)
        settings = [
            f"{trouble}; what was last known of it is used, and it can't be committed to"
            for trouble in self._known.unreadable()
        ]
        return tuple(
            dict.fromkeys([*self._notes, *away, *settings, *self._strange_enrolments.values()])
        )

    @property
    def etcd_away(self) -> str:
        """Since when and why etcd can't be followed; empty while it can."""
        if not self._away:
            return ""
        began, why = min(self._away.values())
        return f"since {datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M:%SZ}: {why}"

    # -- keeping -------------------------------------------------------------------------------

    def on_change(self, listener: Listener) -> None:
        """Call `listener` after each change, at once and in the order of registration."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(CLUSTERS, self._take_clusters), name="view: clusters")
            tasks.create_task(
                self._follow(ENROLMENTS, self._take_enrolments), name="view: enrolments"
            )

    async def ready(self, timeout: float) -> None:
        """Return once everything has been read; raises NotReady after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not {CLUSTERS, ENROLMENTS} <= self._read:
                    await self._moved.wait()
        except TimeoutError:
            why = self.etcd_away or "it did not answer"
            raise NotReady(
                f"the fleet could not be read from etcd within {timeout:g} s: {why}"
            ) from None

    async def at_least(self, cluster: str, revision: int, timeout: float) -> bool:
        """Wait until the view has a cluster's revision; False if not within `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._has(cluster, revision):
                    await self._moved.wait()
                return True
        return False

    def _has(self, cluster: str, revision: int) -> bool:
        return cluster in self._known.clusters and self.revision(cluster) >= revision

    async def _follow(
        self,
        prefix: str,
        take: Callable[[Mapping[str, bytes | None], bool], frozenset[Member]],
    ) -> None:
        async with contextlib.aclosing(follow(self._etcd, prefix, self._options)) as all_news:
            async for news in all_news:
                if isinstance(news, Snapshot):
                    await self._look_which_store()
                self._take(prefix, news, take)

    async def _look_which_store(self) -> None:
        """Read the store's id anew: etcd may have been put on other data meanwhile.

        Revisions of another store can't be compared with those that agents run, so it must not
        go out under the old id. Ends with UnreadableStore where this manager must not write.
        """
        backoff = Backoff(longest=3.0)
        while True:
            try:
                found = await store_id(self._etcd)
            except EtcdError as error:
                log.warning("the store's id can't be read: %s", error)
                await backoff.wait()
                continue
            if found != self.store_id:
                log.error("etcd holds another store than before: %s, not %s", found, self.store_id)
                self.store_id = found
            return

    def _take(
        self,
        prefix: str,
        news: News,
        take: Callable[[Mapping[str, bytes | None], bool], frozenset[Member]],
    ) -> None:
        if isinstance(news, Away):
            log.warning("etcd is away: %s", news.reason)
            self._away[prefix] = (self._clock(), news.reason)
            self._wake()
            return
        if isinstance(news, Snapshot):
            self._note_snapshot(prefix, news)
        changed = take(news.values, isinstance(news, Snapshot))
        self._read.add(prefix)
        self._wake()
        if changed:
            for listener in self._listeners:
                listener(changed)

    def _note_snapshot(self, prefix: str, news: Snapshot) -> None:
        if self._away.pop(prefix, None) is not None:
            log.warning("etcd is back: %s was read anew", prefix)
        if news.went_back:
            log.error(
                "etcd went back behind what was read before: was an older backup restored? "
                "Agents refuse lower revisions of the same store"
            )

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _take_clusters(
        self, values: Mapping[str, bytes | None], all_of_it: bool
    ) -> frozenset[Member]:
        before = set(self._known.unreadable())
        changes = self._known.take(values, all_of_it=all_of_it)
        for trouble in self._known.unreadable():
            if trouble not in before:
                log.error("%s; what was last known of it is used", trouble)
        return frozenset(member for change in changes for member in self._resolved(change))

    def _resolved(self, change: ClusterChange) -> list[Member]:
        """Resolve what may have changed; return the machines on which something did."""
        changed: list[Member] = []
        for name in change.machines:
            member = (change.name, name)
            before = self._in_force.pop(member, None)
            after = None
            if change.after is not None and name in change.after.machines:
                after = self._in_force[member] = self._resolves.in_force(change.after, name)
            if (before and before.content_hash) != (after and after.content_hash):
                changed.append(member)
        return changed

    def _take_enrolments(
        self, values: Mapping[str, bytes | None], all_of_it: bool
    ) -> frozenset[Member]:
        before = dict(self._enrolments)
        if all_of_it:
            self._enrolments.clear()
            self._strange_enrolments.clear()
        for key, raw in values.items():
            self._take_enrolment(key, raw)
        members = before.keys() | self._enrolments.keys()
        return frozenset(
            member for member in members if before.get(member) != self._enrolments.get(member)
        )

    def _take_enrolment(self, key: str, raw: bytes | None) -> None:
        member = parse_enrolment_key(key)
        self._strange_enrolments.pop(key, None)
        if member is None:
            return
        # An enrolment that can't be read admits nobody: deny by default (DESIGN section 6).
        self._enrolments.pop(member, None)
        if raw is None:
            return
        try:
            self._enrolments[member] = read_enrolment(raw).id
        except Damaged as error:
            cluster, machine = member
            self._strange_enrolments[key] = (
                f"the enrolment of machine {machine!r} of cluster {cluster!r} can't be read: "
                f"{error}; it must enrol anew with a new join token"
            )
            log.error("%s", self._strange_enrolments[key])
