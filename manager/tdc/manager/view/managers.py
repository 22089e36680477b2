"""The managers of this store, as they announce themselves in etcd.

In: what the store has under `managers/`. Out: who is there, and a call when that changes.
Promise: while etcd is unreachable the last known ones are kept: nobody can announce himself then.
Since when that is, and why, is noted: the others ask for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import Away, FollowOptions, Snapshot, follow
from tdc.manager.store.announced import Announced, read_announced
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.keys import MANAGERS, parse_manager_key
from tdc.manager.view.etcd_link import EtcdLink
from tdc.manager.view.seen import Moment
from tdc.shared.edge.clock import Clock, monotonic, wall

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """How another manager does: machines connected there, seconds by which its clock is ahead.

    `problem` says what is wrong with it, as that it has no etcd; empty if nothing is.
    """

    machines: int
    clock_ahead: float
    problem: str = ""


class KnownManagers:
    """Who manages this store; `run` follows that until cancelled."""

    def __init__(
        self,
        etcd: EtcdClient,
        options: FollowOptions | None = None,
        *,
        wall: Clock = wall,
        steady: Clock = monotonic,
    ) -> None:
        """`wall` is Unix time, `steady` never goes back."""
        self._etcd = etcd
        self._options = options
        self._wall = wall
        self._steady = steady
        self.link = EtcdLink(self._now(), "it has not answered yet")
        """This manager's link to etcd."""
        self._known: dict[str, Announced] = {}
        self._listeners: list[Callable[[], None]] = []
        self._read = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where they are (host:port), the longest there first."""
        ranked = sorted(self._known.values(), key=lambda each: (each.started, each.id))
        return tuple(dict.fromkeys(each.address for each in ranked))

    @property
    def all(self) -> Mapping[str, Announced]:
        """All managers that are announced, by id; this one too."""
        return MappingProxyType(self._known)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change; it must not block."""
        self._listeners.append(listener)

    async def read(self, timeout: float) -> bool:
        """Wait until they have been read once; False if not within `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self._read.wait()
        return False

    async def run(self) -> None:
        """Follow the store until cancelled."""
        async with contextlib.aclosing(follow(self._etcd, MANAGERS, self._options)) as all_news:
            async for news in all_news:
                if isinstance(news, Away):
                    self.link = EtcdLink(self._now(), news.reason)
                    continue
                if isinstance(news, Snapshot):
                    self._known = {}
                    self._reached()
                for key, value in news.values.items():
                    self._take(key, value)
                self._read.set()
                for listener in self._listeners:
                    listener()

    def _now(self) -> Moment:
        return Moment(self._steady(), self._wall())

    def _reached(self) -> None:
        if self.link.problem:
            self.link = EtcdLink(self._now())

    def _take(self, key: str, value: bytes | None) -> None:
        manager = parse_manager_key(key)
        if manager is None:
            return
        self._known.pop(manager, None)
        if value is None:
            return
        try:
            self._known[manager] = read_announced(manager, value)
        except Damaged as error:
            log.error("what manager %s says of itself can't be read: %s", manager, error)
