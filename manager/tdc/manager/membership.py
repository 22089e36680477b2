"""This manager among the others: who it is, that it is there, who they are, what it does for all.

Out: an id that lasts (a file in the data folder), a key in etcd that ends with this manager, the
others as they announce themselves, and ownership of what one alone must do.
Promise: of two managers with one id, as where a folder was copied, one keeps it. The other never
writes over what that one announced: it ends with IdTaken, to begin again with an id of its own.
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
from tdc.manager.etcd.values import KeyValue, Put, Unchanged
from tdc.manager.identity.own import OwnCertificates
from tdc.manager.options import Options
from tdc.manager.peers.peers import Peers
from tdc.manager.store.announced import Announced, Damaged, pack_announced, read_announced
from tdc.manager.store.keys import manager_key
from tdc.manager.store.lease import KEPT_EVERY, TTL, HeldLease
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
    return fresh_id(folder)


def fresh_id(folder: Path) -> str:
    """Give the manager in this data folder another id. Raises NotWritten."""
    made = uuid.uuid4().hex
    durable_file.write(folder / ID_FILE, f"{made}\n".encode())
    return made


class IdTaken(Exception):
    """Another manager, which runs, has this manager's id: its folder, or this one, is a copy."""

    def __init__(self, other: Announced) -> None:
        super().__init__(
            f"manager {other.name} ({other.address}), which runs, has this manager's id: one of "
            "the two folders is a copy of the other"
        )


@dataclass(slots=True)
class Membership:
    """One manager's place among the managers of its store; see `joined`."""

    own: Announced
    known: KnownManagers
    peers: Peers
    lease: HeldLease
    maintenance: Ownership
    steady: Clock
    changed: Callable[[], object] = lambda: None
    """What is called when `own` is another: what is announced is to follow."""

    def announce(self, **changes: object) -> None:
        """Say something else of this manager from now on."""
        self.own = replace(self.own, **changes)  # type: ignore[arg-type]  # names of its fields
        self.changed()

    def owners(self) -> Mapping[str, str]:
        """Work -> id of the manager that does it."""
        return {MAINTENANCE: self.maintenance.owner}

    def trouble(self) -> str:
        """Why it has no etcd; empty while it has."""
        return self.known.link.words(self.steady())

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
    known, lease = KnownManagers(etcd, wall=wall, steady=steady), HeldLease(etcd)
    holder = Holder(announced.id, announced.instance)
    return Membership(
        own=announced,
        known=known,
        peers=Peers(manager, known, dial, wall, steady),
        lease=lease,
        maintenance=Ownership(etcd, MAINTENANCE, lease, holder),
        steady=steady,
    )


async def unclaimed(member: Membership, address: str) -> None:
    """Return once no other manager that runs has our id; raises IdTaken if one keeps it.

    What is announced at `address`, where this manager serves, was itself before it was killed. So
    was what ends within the time of a lease.
    """
    changed = asyncio.Event()
    member.known.on_change(changed.set)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_OUTLIVED):
            while (found := member.known.all.get(member.own.id)) and found.address != address:
                log.info("manager %s (%s) is announced with this id", found.name, found.address)
                await changed.wait()
                changed.clear()
    if found is not None and found.address != address:
        raise IdTaken(found)


@contextlib.asynccontextmanager
async def announced(member: Membership, etcd: EtcdClient) -> AsyncIterator[None]:
    """Be announced while the body runs, and do what one alone must do if it falls to us.

    Raises IdTaken, within an ExceptionGroup.
    """
    announcement = _Announcement(member, etcd)
    member.lease.on_lease(announcement.put)
    member.known.on_change(announcement.look)
    member.changed = announcement.look
    async with (
        running(announcement.put_again(), name="announcement"),
        member.lease.held(),
        running(member.maintenance.run(), name="owner of maintenance"),
    ):
        yield


class _Announcement:
    """This manager's key in etcd: put with each lease, and again where it is gone."""

    def __init__(self, member: Membership, etcd: EtcdClient) -> None:
        self._member = member
        self._etcd = etcd
        self._missing = asyncio.Event()
        self._was_put = False

    def look(self) -> None:
        """Somebody may have deleted or edited it by hand, or a copy of this folder runs."""
        if self._member.known.all.get(self._member.own.id) != self._member.own:
            self._missing.set()

    async def put(self, lease: int) -> None:
        """Put it, unless another manager that may run has put its own; raises an EtcdError."""
        key = manager_key(self._member.own.id)
        item = await self._etcd.get(key)
        if self._of_another(item) is not None:
            self._missing.set()
            return
        there = Unchanged(key, 0 if item is None else item.mod_revision)
        put = Put(key, pack_announced(self._member.own), lease)
        if (await self._etcd.txn([there], [put])).succeeded:
            self._was_put = True
        else:
            self._missing.set()

    async def put_again(self) -> None:
        """Put it where it is gone, until cancelled; raises IdTaken."""
        while True:
            await self._missing.wait()
            await asyncio.sleep(_AGAIN)
            self._missing.clear()
            try:
                await self._put_again()
            except EtcdError as error:
                log.warning("this manager could not announce itself again: %s", error)

    async def _put_again(self) -> None:
        key = manager_key(self._member.own.id)
        other = self._of_another(await self._etcd.get(key))
        if other is not None:
            await asyncio.sleep(_OUTLIVED)  # it may be of a run of ours that was killed
            if self._of_another(await self._etcd.get(key)) == other:
                raise IdTaken(other)
        own, lease = self._member.own, self._member.lease.id
        if self._member.known.all.get(own.id) != own and lease:
            await self.put(lease)

    def _of_another(self, item: KeyValue | None) -> Announced | None:
        """What another manager announced by our id; None where that is ours, or nobody's."""
        if item is None:
            return None
        try:
            found = read_announced(self._member.own.id, item.value)
        except Damaged:
            return None
        before = not self._was_put and found.address == self._member.own.address
        return None if found.instance == self._member.own.instance or before else found


_AGAIN = 1.0
"""Seconds before a key that is gone is put again: the watch may only be late."""
_OUTLIVED = TTL + KEPT_EVERY
"""Seconds after which what is still announced is of a manager that runs: its lease is kept."""
