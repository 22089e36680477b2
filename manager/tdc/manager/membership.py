"""This manager among the others: who it is, that it is there, who they are, what it does for all.

Out: an id that lasts (a file in the data folder), a key in etcd that ends with this manager, the
others as they announce themselves, and ownership of what one alone must do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import grpc.aio
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.etcd.values import Put
from tdc.manager.identity.own import OwnCertificates
from tdc.manager.options import Options
from tdc.manager.peers.peers import Peers
from tdc.manager.store.announced import Announced, pack_announced
from tdc.manager.store.keys import manager_key
from tdc.manager.store.lease import HeldLease
from tdc.manager.store.ownership import Holder, Ownership
from tdc.manager.view.managers import KnownManagers
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import Clock, wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.edge.tasks import running

log = logging.getLogger(__name__)

ID_FILE = "manager-id"
"""In the data folder: the id of this manager, the same at every start."""

MAINTENANCE = "maintenance"
"""The work of the one manager that trims history and compacts etcd."""

DISTRIBUTION = "threat-defense-connector"

_ID = re.compile(r"[0-9a-f]{32}")


def own_id(folder: Path) -> str:
    """The id of the manager in this data folder; made if there is none. Raises NotWritten."""
    path = folder / ID_FILE
    with contextlib.suppress(durable_file.NotReadable):
        found = durable_file.read(path).decode("ascii", "replace").strip()
        if _ID.fullmatch(found):
            return found
    made = uuid.uuid4().hex
    durable_file.write(path, f"{made}\n".encode())
    return made


@dataclass(slots=True)
class Membership:
    """One manager's place among the managers of its store; see `joined`."""

    own: Announced
    known: KnownManagers
    peers: Peers
    lease: HeldLease
    maintenance: Ownership
    changed: Callable[[], object] = lambda: None
    """What is called when `own` is another: what is announced is to follow."""

    def announce(self, **changes: object) -> None:
        """Say something else of this manager from now on."""
        self.own = replace(self.own, **changes)  # type: ignore[arg-type]  # names of its fields
        self.changed()

    def owners(self) -> Mapping[str, str]:
        """Work -> id of the manager that does it."""
        return {MAINTENANCE: self.maintenance.owner}

    def problems(self) -> tuple[str, ...]:
        """What is wrong with its place among the others, in sentences."""
        if not self.lease.trouble or self.lease.id:
            return ()
        return (
            f"this manager can't announce itself to the others: {self.lease.trouble}. What they "
            "show lacks the machines that are connected here",
        )


def membership(
    etcd: EtcdClient, options: Options, own: OwnCertificates, steady: Clock
) -> Membership:
    """Make the parts; none does anything yet. `steady` never goes back.

    The others are called by certificates of `own`.
    """
    manager = own.manager

    def dial(address: str) -> grpc.aio.Channel:
        issued = own.client
        return client_channel(address, own.ca_pem, issued.certificate_pem, issued.key_pem)

    announced = Announced(
        id=manager,
        name=options.name or options.advertised_host,
        address="",
        version=version(DISTRIBUTION),
        instance=uuid.uuid4().hex,
        started=wall(),
        certificate_ends=0.0,
    )
    known, lease = KnownManagers(etcd), HeldLease(etcd)
    holder = Holder(announced.id, announced.instance)
    return Membership(
        own=announced,
        known=known,
        peers=Peers(manager, known, dial, wall, steady),
        lease=lease,
        maintenance=Ownership(etcd, MAINTENANCE, lease, holder),
    )


@contextlib.asynccontextmanager
async def announced(member: Membership, etcd: EtcdClient) -> AsyncIterator[None]:
    """Be announced while the body runs, and do what one alone must do if it falls to us."""
    missing = asyncio.Event()

    async def put(lease: int) -> None:
        own = member.own
        await etcd.txn([], [Put(manager_key(own.id), pack_announced(own), lease)])

    def look() -> None:
        """Somebody may have deleted it by hand, or a copy of this folder be another manager."""
        if member.known.all.get(member.own.id) != member.own:
            missing.set()

    async def put_again() -> None:
        while True:
            await missing.wait()
            await asyncio.sleep(_AGAIN)
            missing.clear()
            own = member.own
            found = member.known.all.get(own.id)
            if found is not None and _is_copy(own, found):
                log.error(
                    "manager %s at %s has this manager's id: its folder was copied. Stop it, and "
                    "remove %s from its folder before it is started again",
                    found.name, found.address, ID_FILE,
                )  # fmt: skip
            lease = member.lease.id
            if found != own and lease:
                try:
                    await put(lease)
                except EtcdError as error:
                    log.warning("this manager could not announce itself again: %s", error)

    member.changed = look
    member.lease.on_lease(put)
    member.known.on_change(look)
    async with (
        running(put_again(), name="announcement"),
        member.lease.held(),
        running(member.maintenance.run(), name="owner of maintenance"),
    ):
        yield


def _is_copy(own: Announced, found: Announced) -> bool:
    """Whether another manager has our id; one of before, at our address, was ourselves."""
    return found.instance != own.instance and found.address != own.address


_AGAIN = 1.0
"""Seconds before a key that is gone is put again: the watch may only be late."""
