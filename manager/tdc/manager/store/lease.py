"""The lease of a running manager: what it puts in etcd with it ends with the manager.

A manager that is killed is gone TTL seconds later, one that stops at once. Keeping a lease alive
writes nothing. A store that is full grants no lease, but one that is there is kept: so a manager
that runs keeps what it has, and one that starts then has nothing, and says so.
In: etcd. Out: the lease's id, for as long as it is surely there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError, EtcdRefused, Reason
from tdc.shared.edge.clock import Clock, monotonic
from tdc.shared.edge.tasks import running

log = logging.getLogger(__name__)

TTL = 6
"""Seconds after which a manager that says nothing more is gone. etcd, while it has no leader for a
moment, gives every lease its time again."""
KEPT_EVERY = 2.0
"""Seconds between two signs of life."""
REVOKED_WITHIN = 2.0
"""Seconds that etcd is given to end the lease of a manager that stops."""

Attach = Callable[[int], Awaitable[None]]
"""Puts what is to end with the lease of this id; may raise an EtcdError."""


class HeldLease:
    """The lease of one manager; `held` keeps one for as long as its body runs."""

    def __init__(self, etcd: EtcdClient, clock: Clock = monotonic, ttl: int = TTL) -> None:
        """`clock` never goes back; `ttl` is in seconds."""
        self._etcd = etcd
        self._clock = clock
        self._ttl = ttl
        self._id = 0
        self._until = 0.0
        self._attach: list[Attach] = []
        self.trouble = ""
        """Why there is none, in a sentence; empty while there is one, and before the first."""
        self.full = False
        """Whether etcd grants none because its database is full."""

    @property
    def id(self) -> int:
        """The lease's id; 0 without one that is surely there."""
        return self._id if self._clock() < self._until else 0

    def on_lease(self, attach: Attach) -> None:
        """Call `attach` with each lease that is granted; before `held`."""
        self._attach.append(attach)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have a lease while the body runs, and end it then, with all that was put with it."""
        try:
            async with running(self._run(), name="lease"):
                yield
        finally:
            self._until, lease = 0.0, self._id
            if lease:
                await self._revoke(lease)

    async def _revoke(self, lease: int) -> None:
        try:
            async with asyncio.timeout(REVOKED_WITHIN):
                await self._etcd.revoke(lease)
        except (EtcdError, TimeoutError) as error:
            log.warning("this manager's lease ends by itself in %d s: %s", self._ttl, error)

    async def _run(self) -> None:
        backoff = Backoff(longest=KEPT_EVERY)
        while True:
            try:
                await self._grant()
                backoff.reset()
                await self._keep()
            except EtcdError as error:
                self._note(error)
            await backoff.wait()

    async def _grant(self) -> None:
        asked = self._clock()
        lease = await self._etcd.grant(self._ttl)
        self._id, self._until = lease, asked + self._ttl
        for attach in self._attach:
            await attach(lease)
        if self.trouble:
            log.warning("this manager is announced to the others again")
        self.trouble, self.full = "", False

    async def _keep(self) -> None:
        """Keep the lease until it is over; an etcd that is away for a while does not end it."""
        while True:
            await asyncio.sleep(KEPT_EVERY)
            asked = self._clock()
            try:
                if not await self._etcd.keep_alive(self._id, timeout=KEPT_EVERY):
                    return
            except EtcdError as error:
                self._note(error)
                continue
            self._until = asked + self._ttl
            self.trouble = ""

    def _note(self, error: EtcdError) -> None:
        if not self.trouble:
            log.warning("this manager can't keep itself announced: %s", error)
        self.trouble = str(error)
        self.full = isinstance(error, EtcdRefused) and error.reason is Reason.NO_SPACE
