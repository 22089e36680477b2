"""What machines and clusters are called, and which is which whatever it is called.

In: what is known of clusters and enrolments. Out: names of now.
Promise: a certificate, a token or a name of before leads to what it was given for, or to nothing.
"""

from __future__ import annotations

from dataclasses import replace

from tdc.manager.levels.fleet import Cluster, RemovedMachine, new_cluster
from tdc.manager.levels.identities import free_place, name_removed, removed_from, removed_last
from tdc.manager.store.errors import ClusterExists
from tdc.manager.view import names
from tdc.manager.view.enrolments import KnownEnrolments
from tdc.manager.view.last_known import KnownClusters
from tdc.manager.view.names import MachineKey
from tdc.shared.sync.identity import MachinePeer


class NamedFleet:
    """The part of a view that knows names."""

    def __init__(self, clusters: KnownClusters, enrolments: KnownEnrolments) -> None:
        self._clusters = clusters
        self._enrolments = enrolments

    def new_cluster(self, name: str) -> Cluster:
        """Make a cluster as it would be created; raises FleetError for a name it can't have.

        Where one of its name was deleted, its history goes on: so nothing of then is good for what
        comes now.
        """
        gone = self._clusters.deleted.get(name)
        revision = gone.revision + 1 if gone is not None else 1
        made = new_cluster(name, self._clusters.clusters, revision=revision)
        if gone is not None:
            return replace(made, place=gone.place)
        there = self._clusters.clusters.get(name)  # it is refused, or is what the request has made
        place = there.place if there is not None else free_place(name, self._clusters.places())
        return replace(made, place=place)

    def recognised(self, peer: MachinePeer) -> MachinePeer:
        """The same machine by its present name: its certificate may have one of before.

        Of one that was removed, the name that it had then. What is not known stays as it is.
        """
        found = self._enrolments.machine_of(peer.enrolment)
        if found is None:
            return peer
        home = self._clusters.at(found[0])
        cluster = home.name if home is not None else found[0]
        gone = removed_from(home, *found[1:]) if home is not None else ""
        called = name_removed(gone) or peer.machine
        cluster, machine = self.present(*found) or (cluster, called)
        return replace(peer, cluster=cluster, machine=machine)

    def removed(self, peer: MachinePeer) -> RemovedMachine | None:
        """How the machine was removed that has this enrolment, whatever has its name now.

        None if it was not, or if that was long ago. Where its enrolment is not known, it is the
        last one that had its name, as long as no other has that.
        """
        found = self._enrolments.machine_of(peer.enrolment)
        if found is not None:
            home = self._clusters.at(found[0])
            key = removed_from(home, *found[1:]) if home is not None else ""
            return home.removed[key] if home is not None and key else None
        deleted = self._clusters.deleted.get(peer.cluster)
        home = self._clusters.clusters.get(peer.cluster) or deleted
        if home is None or self._clusters.machine(peer.cluster, peer.machine) is not None:
            return None
        return removed_last(home, peer.machine)

    def present(self, place: str, slot: str, born: int) -> MachineKey | None:
        """What the machine is called now that was created at `born` and has this slot, if it is
        there, and its cluster, which has `place` in its keys."""
        home = self._clusters.at(place)
        machine = self._clusters.called(home.name, slot) if home is not None else None
        if home is None or machine is None or machine.born != born:
            return None
        return home.name, machine.name

    def place(self, cluster: str) -> str:
        """The name that the keys of a cluster have."""
        return self._clusters.place(cluster)

    def called(self, place: str) -> str:
        """What the cluster is called that has `place` in its keys."""
        home = self._clusters.at(place)
        return home.name if home is not None else place

    def cluster_at(self, place: str) -> Cluster | None:
        """The cluster that has `place` in its keys, also one that was deleted."""
        return self._clusters.at(place)

    def ever_called(self, name: str) -> list[str]:
        """What the clusters are called now that are, or were, called so."""
        there = name in self._clusters.clusters or name in self._clusters.deleted
        had = names.once_called(self._clusters.clusters, name)
        return [*([name] if there else []), *(each.name for each in had)]

    def may_be_called(self, cluster: Cluster, name: str) -> None:
        """Raise FleetError, ClusterExists if a cluster can't get this name."""
        others = self._clusters.clusters.keys() - {cluster.name}
        new_cluster(name, others)
        if name in others:
            raise ClusterExists(f"cluster {name!r} already exists")
        if name in self._clusters.deleted:
            raise ClusterExists(
                f"a cluster {name!r} was deleted, and its history has that name: choose another"
            )

    def key_of(self, place: str, slot: str) -> MachineKey:
        """What is called so now that has this slot, and its cluster, which has `place` in its keys.

        Where there is none, as these are.
        """
        home = self._clusters.at(place)
        machine = self._clusters.called(home.name, slot) if home is not None else None
        name = machine.name if machine is not None else slot
        return home.name if home is not None else place, name
