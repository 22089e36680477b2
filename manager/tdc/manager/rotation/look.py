"""Where everybody stands in a rotation, as seen from one manager's folder: the store, and managers.

In: the store, and all managers. Out: `Standing`. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.peers.peer import Peer
from tdc.manager.rotation.managers import Managers
from tdc.manager.rotation.standing import (
    CertificateStands,
    MachineStands,
    Standing,
)
from tdc.manager.store.identity import store_id
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.seen import Seen
from tdc.shared.edge.tasks import running

READY = 30.0
"""Seconds in which the store must be read."""


async def standing_of(etcd: EtcdClient, managers: Managers) -> Standing:
    """Where everybody stands; raises NotReady, an EtcdError, a StoreError."""
    rows = await managers.stand()
    view = FleetView(etcd, await store_id(etcd))
    async with running(view.run(), name="view"):
        await view.ready(READY)
        seen = await _seen(managers.peers)
        machines = tuple(
            _machine(view, cluster, name, seen)
            for cluster in sorted(view.clusters)
            for name in sorted(view.clusters[cluster].machines)
            if view.enrolment(cluster, name) is not None
        )
        certificates = tuple(
            CertificateStands(
                each.name, each.fingerprint, each.issuer, each.first or 0.0, each.ends or 0.0
            )
            for each in view.people.certificates_now
            if each.withdrawn is None
        )
    return Standing(rows, machines, certificates)


def _machine(view: FleetView, cluster: str, name: str, seen: Mapping[str, Seen]) -> MachineStands:
    found = seen.get(view.enrolment(cluster, name) or "")
    if found is None:
        return MachineStands(cluster, name)
    report = found.status
    issuer, trusted = (report.ca_issuer, report.ca_trusted) if report is not None else ("", ())
    return MachineStands(cluster, name, found.agent_version, issuer, trusted, found.connected)


async def _seen(peers: Sequence[Peer]) -> dict[str, Seen]:
    """What managers saw of machines, by enrolment."""
    await asyncio.gather(*(peer.pull(lambda keys: None) for peer in peers))
    found: dict[str, Seen] = {}
    for seen in (seen for peer in peers for seen in peer.seen.values() if seen.enrolment):
        known = found.get(seen.enrolment)
        if known is None or seen.rank > known.rank:
            found[seen.enrolment] = seen
    return found
