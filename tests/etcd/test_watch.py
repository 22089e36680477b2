"""Following a prefix on real etcds: what goes wrong is healed, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.follow import Away, NewValues, Snapshot
from tdc.manager.etcd.values import Delete, Put, WatchMessage

from tests.fakes.etcd import external_etcd
from tests.fakes.follower import QUICK, Follower, following
from tests.stage.etcds import Server, serving, shared_by_module

pytestmark = shared_by_module


async def test_a_snapshot_comes_first_and_then_every_change(etcd: EtcdClient) -> None:
    await etcd.txn([], [Put("/tdc/t/old", b"1"), Put("/tdc/other", b"1")])
    async with following(etcd) as follower:
        assert follower.values == {"/tdc/t/old": b"1"}
        await etcd.txn([], [Put("/tdc/t/new", b"2")])
        await etcd.txn([], [Delete("/tdc/t/old")])
        await follower.has("/tdc/t/old", None)
    assert follower.values == {"/tdc/t/new": b"2"}
    assert [type(item) for item in follower.news] == [Snapshot, NewValues, NewValues]


async def test_a_transaction_arrives_whole(etcd: EtcdClient) -> None:
    """Defect 5: events one by one would show half of a transaction."""
    async with following(etcd) as follower:
        keys = [f"/tdc/t/{number}" for number in range(100)]
        await etcd.txn([], [Put(key, b"1") for key in keys])
        await etcd.txn([], [Put(keys[0], b"2"), Delete(keys[1])])
        await follower.has(keys[1], None)
        await follower.has(keys[0], b"2")
    first, second = [item for item in follower.news if isinstance(item, NewValues)]
    assert set(first.values) == set(keys)
    assert dict(second.values) == {keys[0]: b"2", keys[1]: None}
    assert second.revision == first.revision + 1


async def test_history_of_many_megabytes_is_caught_up_with_in_order(etcd: EtcdClient) -> None:
    """Defect 4: revisions that come together are more than one message of 4 MiB may hold."""
    revisions = [
        (await etcd.txn([], [Put(f"/tdc/t/{part}", bytes(400_000)) for part in range(3)])).revision
        for _ in range(8)
    ]
    seen: list[int] = []
    fragments = 0
    stream = etcd.watch("/tdc/t/", revisions[0], deadline=5)
    async with contextlib.aclosing(stream) as messages:
        async for message in messages:
            fragments += message.more
            seen.extend(event.mod_revision for event in message.events)
            if len(seen) == 24:
                break
    assert seen == sorted(revisions * 3)
    assert fragments > 0


async def test_a_frozen_server_is_noticed_and_missed_changes_follow(
    server: Server, etcd: EtcdClient
) -> None:
    """Defect 3: a watch on a frozen etcd stayed silent for ever."""
    async with following(etcd) as follower:
        server.pause()
        try:
            await follower.until(lambda: bool(follower.of(Away)), timeout=5)
        finally:
            server.resume()
        await etcd.txn([], [Put("/tdc/t/after", b"1")])
        await follower.has("/tdc/t/after", b"1")


async def test_a_restart_of_etcd_loses_no_change(server: Server, etcd: EtcdClient) -> None:
    async with following(etcd) as follower:
        await etcd.txn([], [Put("/tdc/t/before", b"1")])
        await follower.has("/tdc/t/before", b"1")
        await server.restart()
        async with EtcdClient(server.options) as other:
            await other.txn([], [Put("/tdc/t/while", b"1"), Delete("/tdc/t/before")])
        await follower.has("/tdc/t/while", b"1")
        await follower.has("/tdc/t/before", None)
    assert follower.of(Away)
    assert not any(item.went_back for item in follower.news if isinstance(item, Snapshot))


@pytest.mark.proves("F47")
async def test_compaction_while_away_is_healed_by_reading_anew(
    server: Server, etcd: EtcdClient
) -> None:
    """Defect 6: after "compacted" no watcher was left, and later puts were not delivered."""
    await etcd.txn([], [Put("/tdc/t/gone", b"1")])
    first = (await etcd.txn([], [Put("/tdc/t/kept", b"1")])).revision
    async with following(etcd) as follower:
        server.pause()
        await follower.until(lambda: bool(follower.of(Away)), timeout=5)
        server.resume()
        async with EtcdClient(server.options) as other:
            await other.txn([], [Delete("/tdc/t/gone")])
            last = (await other.txn([], [Put("/tdc/t/kept", b"2")])).revision
            await other.compact(last)
        assert last > first + 1
        await follower.has("/tdc/t/gone", None)
        await follower.has("/tdc/t/kept", b"2")
        await etcd.txn([], [Put("/tdc/t/later", b"1")])
        await follower.has("/tdc/t/later", b"1")


class Tampering(EtcdClient):
    """A client whose watch hands on what `tamper` makes of each message."""

    def __init__(
        self, options: EtcdOptions, tamper: Callable[[WatchMessage], Awaitable[WatchMessage]]
    ) -> None:
        super().__init__(options)
        self._tamper = tamper

    async def watch(
        self, prefix: str, start_revision: int, *, deadline: float
    ) -> AsyncGenerator[WatchMessage, None]:
        watched = super().watch(prefix, start_revision, deadline=deadline)
        async with contextlib.aclosing(watched) as messages:
            async for message in messages:
                yield await self._tamper(message)


@pytest.mark.proves("F48")
async def test_an_event_that_never_came_is_healed_by_comparing(small_etcd: EtcdClient) -> None:
    """The watch is blind to one key; the comparison with etcd's keys finds it."""

    async def blind(message: WatchMessage) -> WatchMessage:
        events = tuple(event for event in message.events if not event.key.endswith("unseen"))
        return replace(message, events=events)

    options = replace(QUICK, compare_every=0.3)
    async with (
        Tampering(small_etcd.options, blind) as etcd,
        following(etcd, options=options) as follower,
    ):
        await small_etcd.txn([], [Put("/tdc/t/unseen", b"1")])
        await follower.has("/tdc/t/unseen", b"1")
        snapshots = [item for item in follower.news if isinstance(item, Snapshot)]
    assert not follower.of(Away)
    assert "periodic check" in snapshots[-1].why


async def _busy(etcd: EtcdClient, follower: Follower) -> None:
    for number in range(20):
        await etcd.txn([], [Put("/tdc/t/busy", b"%d" % number)])
        await asyncio.sleep(0.02)
    await follower.has("/tdc/t/busy", b"19")


async def test_the_comparison_is_silent_when_nothing_was_missed(small_etcd: EtcdClient) -> None:
    async with following(small_etcd, options=replace(QUICK, compare_every=0.0)) as follower:
        await _busy(small_etcd, follower)
        await asyncio.sleep(QUICK.silence / 3 + 0.1)  # until a sign of life, and its comparison
    assert len(follower.of(NewValues)) == 20
    assert len(follower.of(Snapshot)) == 1


async def test_events_that_are_still_on_their_way_are_not_taken_for_lost(
    small_etcd: EtcdClient,
) -> None:
    """On a slow stream and a busy store every comparison finds some; but never the same twice."""

    async def late(message: WatchMessage) -> WatchMessage:
        await asyncio.sleep(0.05)
        return message

    async with (
        Tampering(small_etcd.options, late) as etcd,
        following(etcd, options=replace(QUICK, compare_every=0.0)) as follower,
    ):
        await _busy(small_etcd, follower)
    assert len(follower.of(NewValues)) == 20
    assert len(follower.of(Snapshot)) == 1


@pytest.mark.proves("F49")
async def test_a_restored_backup_is_told(tmp_path: Path) -> None:
    """The store goes back: an etcd with other data takes the place of the one followed."""
    async with external_etcd(tmp_path / "one") as etcd, EtcdClient(etcd.options) as client:
        for number in range(5):
            await client.txn([], [Put("/tdc/t/a", b"%d" % number)])
        async with following(client) as follower:
            await etcd.stop()
            (tmp_path / "one" / "data").rename(tmp_path / "one" / "lost")
            await etcd.start()
            async with EtcdClient(etcd.options) as other:
                await other.txn([], [Put("/tdc/t/a", b"old")])
            await follower.has("/tdc/t/a", b"old")
        last = [item for item in follower.news if isinstance(item, Snapshot)][-1]
    assert last.went_back


async def test_a_refused_watch_is_an_absence_and_not_silence(tmp_path: Path) -> None:
    """Defect 2: a watch without permission returned normally and stayed silent."""
    async with (
        serving("login", tmp_path / "etcd") as server,
        EtcdClient(server.options) as client,
        following(client, "/forbidden/") as follower,
    ):
        away = follower.of(Away)[0]
    assert isinstance(away, Away)
    assert "permission" in away.reason


async def test_a_watch_outlives_its_login_token(tmp_path: Path) -> None:
    """Tokens last a second here; the watch goes on, and writes get a new token by themselves."""
    async with (
        serving("login", tmp_path / "etcd") as server,
        EtcdClient(server.options) as client,
        following(client) as follower,
    ):
        await asyncio.sleep(3)  # etcd looks for expired tokens once a second
        await client.txn([], [Put("/tdc/t/a", b"1")])
        await follower.has("/tdc/t/a", b"1")
    assert not follower.of(Away)
