"""How the view is kept: each prefix followed without end, and what is known of etcd meanwhile.

In: what the store hands on under a prefix. Out: values, handed to that prefix's taker; since when
etcd is unreachable; a wake-up after each change.
Promise: the store's id is read again before a new snapshot is taken, so revisions of another store
never go out under the old id; an id that is deleted or set back by hand is named, and not believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from enum import Enum

from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdError
from tdc.manager.etcd.follow import Away, FollowOptions, News, NewValues, Snapshot, follow
from tdc.manager.store.errors import DoubtedStore
from tdc.manager.store.identity import StoreIdentity, find_identity, first_identity
from tdc.manager.store.keys import STORE
from tdc.shared.edge.clock import Clock

log = logging.getLogger(__name__)

_KEPT_ID = (
    "the id that was known is used until this manager ends. `tdc-manager adopt` gives the store a "
    "new one"
)

Values = Mapping[str, bytes | None]
"""Values by key; None for a deleted key."""


class How(Enum):
    """What values are: some that changed, all there are, or all of a store that was replaced."""

    SOME = "some"
    ALL = "all"
    REPLACED = "replaced"


Taker = Callable[[Values, How], None]
Look = Callable[[Mapping[str, bytes]], Awaitable[None]]
"""Reads what more must be known of all there is under a prefix; may raise an EtcdError."""


class Following:
    """Follows one store; `clock` gives Unix seconds, for people to read."""

    def __init__(
        self, etcd: EtcdClient, first_id: str, options: FollowOptions | None, clock: Clock
    ) -> None:
        self._etcd = etcd
        self._options = options
        self._clock = clock
        self._away: dict[str, tuple[float, str]] = {}  # by prefix: since when, and why
        self._read: set[str] = set()
        self._moved = asyncio.Event()
        self._identity = StoreIdentity(first_id)
        self._ids: dict[str, str] = {}  # by prefix: the store that its values are from
        self.id_trouble = ""
        """What is wrong with the stored id, in a sentence; empty if nothing is."""

    @property
    def store_id(self) -> str:
        """Identity of the store that the values are from."""
        return self._identity.id

    @property
    def away(self) -> str:
        """Since when and why etcd can't be followed; empty while it can."""
        if not self._away:
            return ""
        began, why = min(self._away.values())
        return f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M:%SZ}: {why}"

    async def run(self, takers: Mapping[str, Taker], looks: Mapping[str, Look]) -> None:
        """Follow each prefix until cancelled, and hand what it holds to its taker.

        Before all of it is handed on, it is shown to the one of `looks`, if it has one.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_id(), name="view: store id")
            for prefix, take in takers.items():
                follows = self._follow(prefix, take, looks.get(prefix))
                tasks.create_task(follows, name=f"view: {prefix}")

    async def all_read(self, prefixes: frozenset[str], timeout: float) -> bool:
        """Wait until each prefix has been read; False if not within `timeout` seconds."""
        return await self.until(lambda: prefixes <= self._read, timeout)

    async def until(self, holds: Callable[[], bool], timeout: float) -> bool:
        """Wait until `holds`, asked after each change; False if not within `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not holds():
                    await self._moved.wait()
                return True
        return False

    async def _follow(self, prefix: str, take: Taker, look: Look | None) -> None:
        async with contextlib.aclosing(follow(self._etcd, prefix, self._options)) as all_news:
            async for news in all_news:
                if isinstance(news, Snapshot):
                    await self._check_store(went_back=news.went_back)
                    if look is not None:
                        await _looked(look, news.values)
                self._take(prefix, news, take)
                self._wake()

    async def _follow_id(self) -> None:
        async with contextlib.aclosing(follow(self._etcd, STORE, self._options)) as all_news:
            async for news in all_news:
                if not isinstance(news, Away):
                    await self._check_store(went_back=isinstance(news, Snapshot) and news.went_back)

    async def _check_store(self, *, went_back: bool) -> None:
        """Read the store's id again: etcd may have been put on other data meanwhile.

        Ends with UnreadableStore where this manager must not write.
        """
        backoff = Backoff(longest=3.0)
        while True:
            try:
                read = first_identity if went_back else find_identity
                found = await read(self._etcd)
            except DoubtedStore as error:
                self._note_trouble(f"{error}. Until then the id that was known is used")
                return
            except EtcdError as error:
                log.warning("the store's id can't be read: %s", error)
                await backoff.wait()
                continue
            self._judge_identity(found)
            return

    def _judge_identity(self, found: StoreIdentity | None) -> None:
        trouble = ""
        if found is None:
            trouble = f"{STORE} was deleted by hand: {_KEPT_ID}"
        elif found.id in self._identity.former:
            trouble = f"{STORE} was set back by hand to an id that the store had before: {_KEPT_ID}"
        else:
            if found.id != self.store_id:
                log.error("the store has another id than before: %s, not %s", found, self.store_id)
            self._identity = found
        self._note_trouble(trouble)

    def _note_trouble(self, trouble: str) -> None:
        if trouble and trouble != self.id_trouble:
            log.error("%s", trouble)
        self.id_trouble = trouble

    def _take(self, prefix: str, news: News, take: Taker) -> None:
        if isinstance(news, Away):
            if news.reason not in {why for _, why in self._away.values()}:  # of another prefix
                log.warning("etcd is unreachable: %s", news.reason)
            self._away[prefix] = (self._clock(), news.reason)
            return
        if isinstance(news, Snapshot):
            self._note_snapshot(prefix, news)
        take(news.values, self._how(prefix, news))
        self._read.add(prefix)

    def _how(self, prefix: str, news: Snapshot | NewValues) -> How:
        if not isinstance(news, Snapshot):
            return How.SOME
        before, self._ids[prefix] = self._ids.get(prefix, self.store_id), self.store_id
        return How.REPLACED if news.went_back or before != self.store_id else How.ALL

    def _note_snapshot(self, prefix: str, news: Snapshot) -> None:
        if self._away.pop(prefix, None) is not None and not self._away:
            log.warning("etcd is reachable again; all of it was read again")
        if news.went_back:
            log.error(
                "etcd went back to an older state than was read before. An older backup was "
                "probably restored. Agents refuse lower revisions of the same store"
            )

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


async def _looked(look: Look, values: Mapping[str, bytes]) -> None:
    backoff = Backoff(longest=3.0)
    while True:
        try:
            await look(values)
        except EtcdError as error:
            log.warning("history can't be read: %s", error)
            await backoff.wait()
        else:
            return
