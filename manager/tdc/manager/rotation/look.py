"""Where everybody stands in a rotation, as seen from one manager's folder: the store, and managers.

In: the store, and a certificate of a manager, made for the occasion by the CA in the folder. Out:
`Standing`. Nothing is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.authorities import Authorities
from tdc.manager.peers.peer import Peer
from tdc.manager.rotation.standing import (
    CertificateStands,
    MachineStands,
    ManagerStands,
    Standing,
)
from tdc.manager.store.announced import Announced, read_announced
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.identity import store_id
from tdc.manager.store.keys import MANAGERS, parse_manager_key
from tdc.manager.view.fleet import FleetView
from tdc.manager.view.seen import Moment, Seen
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.edge.tasks import running

READY = 30.0
"""Seconds in which the store must be read."""

ASKING = "tdc-manager ca"
"""By what id managers are asked."""


async def managers_in(etcd: EtcdClient) -> tuple[Announced, ...]:
    """The managers that are announced, by name; raises an EtcdError."""
    found = []
    for item in (await etcd.range(MANAGERS)).items:
        manager = parse_manager_key(item.key)
        with contextlib.suppress(Damaged):
            if manager is not None:
                found.append(read_announced(manager, item.value))
    return tuple(sorted(found, key=lambda each: (each.name, each.id)))


async def standing_of(etcd: EtcdClient, authorities: Authorities) -> Standing:
    """Where everybody stands; raises NotReady, an EtcdError, a StoreError."""
    managers = await managers_in(etcd)
    view = FleetView(etcd, await store_id(etcd))
    async with running(view.run(), name="view"):
        await view.ready(READY)
        seen, silent = await _seen(managers, authorities)
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
            for each in view.people.certificates.values()
            if each.withdrawn is None
        )
    rows = tuple(ManagerStands(each.name, each.ca, silent.get(each.id, "")) for each in managers)
    return Standing(rows, machines, certificates)


def _machine(view: FleetView, cluster: str, name: str, seen: Mapping[str, Seen]) -> MachineStands:
    found = seen.get(view.enrolment(cluster, name) or "")
    if found is None:
        return MachineStands(cluster, name)
    report = found.status
    issuer, trusted = (report.ca_issuer, report.ca_trusted) if report is not None else ("", ())
    return MachineStands(cluster, name, found.agent_version, issuer, trusted, found.connected)


async def _seen(
    managers: tuple[Announced, ...], authorities: Authorities
) -> tuple[dict[str, Seen], dict[str, str]]:
    """What managers saw of machines, by enrolment; and by id those that do not answer, and why."""
    issued = authorities.signing.issue_manager(ASKING)
    own = (authorities.ca_pem, issued.certificate_pem, issued.key_pem)
    peers = [
        Peer(each, client_channel(each.address, *own), lambda: Moment(monotonic(), wall()))
        for each in managers
    ]
    try:
        await asyncio.gather(*(peer.pull(lambda keys: None) for peer in peers))
    finally:
        for peer in peers:
            await peer.close()
    found: dict[str, Seen] = {}
    for seen in (seen for peer in peers for seen in peer.seen.values() if seen.enrolment):
        known = found.get(seen.enrolment)
        if known is None or seen.rank > known.rank:
            found[seen.enrolment] = seen
    return found, {peer.announced.id: peer.silent for peer in peers if peer.silent}
