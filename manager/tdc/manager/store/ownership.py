"""What one manager alone must do: it owns a key, which ends with its lease.

Any number of managers wait for the same work. The first to put the key has it; when the key goes,
with the lease of a manager that was killed or at once with one that stops, the next one takes it.
A manager may be frozen and not know that it lost what it owned. So the key *fences*: what the owner
writes compares `fence`, and fails once another has the key.
In: etcd, this manager's lease. Out: whether it is the owner now, and what its writes compare.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.etcd.follow import Away, FollowOptions, follow
from tdc.manager.etcd.values import Put, Unchanged
from tdc.manager.store.encoding import Damaged, pack, text_of, unpack
from tdc.manager.store.keys import owner_key
from tdc.manager.store.lease import HeldLease

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who would own: the id of a manager and of its present run."""

    manager: str
    instance: str


class Ownership:
    """One work that one manager does; `run` beside it for as long as this manager would do it."""

    def __init__(
        self,
        etcd: EtcdClient,
        work: str,
        lease: HeldLease,
        holder: Holder,
        options: FollowOptions | None = None,
    ) -> None:
        self._etcd = etcd
        self._work = work
        self._key = owner_key(work)
        self._lease = lease
        self._holder = holder
        self._options = options
        self._written = 0  # etcd's revision of our key; 0 while it is not ours
        self._with = 0  # the lease that it was put with
        self._looked = asyncio.Event()
        self._gained = asyncio.Event()
        self.owner = ""
        """Id of the manager that has the key, as last seen; empty if none has."""

    @property
    def fence(self) -> Unchanged | None:
        """What a write of the owner compares; None while this manager is not the owner."""
        ours = self._written and self._with and self._with == self._lease.id
        return Unchanged(self._key, self._written) if ours else None

    @property
    def unowned(self) -> bool:
        """Whether nobody can own it: etcd is full and grants no lease to do so."""
        return self._lease.full and not self.owner

    async def gained(self) -> None:
        """Wait until this manager becomes the owner; at once if it did since the last call."""
        await self._gained.wait()
        self._gained.clear()

    async def run(self) -> None:
        """Take the key when nobody has it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._following(), name=f"owner of {self._work}: follow")
            group.create_task(self._looking(), name=f"owner of {self._work}")

    async def _following(self) -> None:
        async with contextlib.aclosing(follow(self._etcd, self._key, self._options)) as all_news:
            async for news in all_news:
                if not isinstance(news, Away):
                    self._looked.set()

    async def _looking(self) -> None:
        """Look when the key changes, and now and then while this manager would take it."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.fence else _LOOK_EVERY):
                    await self._looked.wait()
            self._looked.clear()
            try:
                await self._look()
            except EtcdError as error:
                log.debug("who does %s is not known: %s", self._work, error)

    async def _look(self) -> None:
        item = await self._etcd.get(self._key)
        if item is None:
            self._written, self.owner = 0, ""
            await self._take()
            return
        try:
            document = unpack(item.value)
            there = Holder(text_of(document, "manager"), text_of(document, "instance"))
        except Damaged:
            there = Holder("", "")
        self.owner = there.manager
        if there == self._holder:
            self._written = item.mod_revision
        else:
            self._written = 0

    async def _take(self) -> None:
        lease = self._lease.id
        if not lease:
            return
        value = pack({"manager": self._holder.manager, "instance": self._holder.instance})
        put, self._with = Put(self._key, value, lease), lease
        result = await self._etcd.txn([Unchanged(self._key, 0)], [put])
        if result.succeeded:
            self._written, self.owner = result.revision, self._holder.manager
            self._gained.set()
            log.info("this manager does %s from now on", self._work)
