"""A consumer of what `follow` yields, for tests to look at and to wait for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import FollowOptions, News, NewValues, Snapshot, follow
from tdc.shared.edge.tasks import running

QUICK = FollowOptions(silence=1.5, compare_every=600, pause=0.3)


@dataclass
class Follower:
    """A consumer: keeps all news, and the values as they stand after them."""

    news: list[News] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, etcd: EtcdClient, prefix: str, options: FollowOptions) -> None:
        async with contextlib.aclosing(follow(etcd, prefix, options)) as stream:
            async for item in stream:
                async with self.changed:
                    self._take(item)
                    self.changed.notify_all()

    def _take(self, item: News) -> None:
        self.news.append(item)
        match item:
            case Snapshot():
                self.values = dict(item.values)
            case NewValues():
                for key, value in item.values.items():
                    if value is None:
                        self.values.pop(key, None)
                    else:
                        self.values[key] = value

    def of(self, kind: type[News]) -> list[News]:
        return [item for item in self.news if isinstance(item, kind)]

    async def until(self, condition: object, timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout), self.changed:
            await self.changed.wait_for(condition)  # type: ignore[arg-type]  # any predicate

    async def has(self, key: str, value: bytes | None, timeout: float = 10.0) -> None:
        await self.until(lambda: self.values.get(key) == value, timeout)


@contextlib.asynccontextmanager
async def following(
    etcd: EtcdClient, prefix: str = "/tdc/t/", options: FollowOptions = QUICK
) -> AsyncIterator[Follower]:
    follower = Follower()
    async with running(follower.run(etcd, prefix, options), name="follower"):
        await follower.until(lambda: bool(follower.news))
        yield follower
