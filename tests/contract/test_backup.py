"""A backup of a store that is in use, and a store made again of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tdc.manager.backup import save as saving
from tdc.manager.backup.contents import OF_THIS_ETCD, Examination
from tdc.manager.backup.form import End, Entry, Origin, entry_line, first_line, last_line
from tdc.manager.backup.restore import NotEmpty, restore
from tdc.manager.backup.save import save
from tdc.manager.backup.verify import entries, verified
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import Compacted, EtcdUnavailable
from tdc.manager.etcd.values import Delete, KeyValue, Operation, Put, Read, TxnResult, Unchanged
from tdc.manager.store import identity, keys
from tdc.manager.store.encoding import pack
from tdc.manager.store.errors import UnreadableStore
from tdc.manager.store.identity import StoreIdentity
from tdc.manager.store.repair import repair

from tests.fakes.etcd import external_etcd
from tests.stage.house import ONE_OF_EACH, House
from tests.stage.stored_clusters import CLUSTER, commit, set_values, stored, west

ORIGIN = Origin(1_795_000_000.0, "0.1.0", 0, "f" * 64, "a test")


@contextlib.asynccontextmanager
async def _empty(folder: Path) -> AsyncIterator[EtcdClient]:
    async with external_etcd(folder) as server, EtcdClient(server.options) as etcd:
        yield etcd


async def _values(etcd: EtcdClient) -> dict[str, bytes]:
    items = (await etcd.range(keys.ROOT)).items
    return {item.key: item.value for item in items if item.key not in OF_THIS_ETCD}


async def _restored(etcd: EtcdClient, path: Path) -> int:
    """With the id that it had."""
    raw = verified(path).contents.store
    assert raw is not None
    known = identity.identity_in(raw)
    assert known is not None
    return await restore(etcd, entries(path), known, raw)


async def test_a_restored_store_is_the_one_that_was_saved(house: House, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    saved = await save(house.etcd, path, ORIGIN)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (saved.contents.faults, saved.size) == ([], path.stat().st_size)
    found = verified(path)
    assert found.origin == replace(ORIGIN, revision=saved.revision)
    assert found.contents == saved.contents
    counted = found.contents.clusters["west"]
    assert (counted.revision, counted.machines, counted.groups, counted.commits) == (6, 1, 2, 6)
    async with _empty(tmp_path / "new") as etcd:
        await etcd.txn([], [Put(keys.PLACE, b"its own")])
        await _restored(etcd, path)
        assert await _values(etcd) == await _values(house.etcd)
        place = await etcd.get(keys.PLACE)
        assert place is not None
        assert place.value == b"its own", "where a store belongs is not restored"
        assert await etcd.get(keys.MAINTENANCE) is None
        assert await repair(etcd, write=False) == ()
        assert await identity.store_id(etcd) == house.view.store_id


async def test_a_store_with_anything_in_it_is_left_alone(house: House, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    await save(house.etcd, path, ORIGIN)
    before = await house.etcd.range(keys.ROOT)
    with pytest.raises(NotEmpty, match=r"not empty: it has \d+ values"):
        await _restored(house.etcd, path)
    after = await house.etcd.range(keys.ROOT)
    assert after.items == before.items


class _Cut(EtcdClient):
    """Is cut off after some transactions, as a process that is killed is."""

    left = 3

    async def txn(
        self,
        compares: list[Unchanged],  # type: ignore[override]
        then: list[Operation],  # type: ignore[override]
        otherwise: tuple[()] = (),  # type: ignore[override]
    ) -> TxnResult:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return await super().txn(compares, then, otherwise)


async def test_no_manager_starts_on_a_restore_that_was_cut_off_and_it_is_done_again(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdc.manager.backup.restore._MOST", 4)
    path, earlier = tmp_path / "backup", tmp_path / "earlier"
    await save(house.etcd, earlier, ORIGIN)
    await house.commit(set_values(CLUSTER, max_message_size=9), "r7")
    await save(house.etcd, path, ORIGIN)
    async with external_etcd(tmp_path / "new") as server, EtcdClient(server.options) as etcd:
        async with _Cut(server.options) as cut:
            with pytest.raises(KeyboardInterrupt):
                await _restored(cut, path)
        assert len(await _values(etcd)) > 1
        for start in (identity.store_id, identity.adopt, identity.check_identity):
            with pytest.raises(UnreadableStore, match="restore of this store was cut off"):
                await start(etcd)
        await _restored(etcd, earlier)  # another file: nothing of the first one stays
        assert keys.commit_key("west", 7) not in await _values(etcd)
        assert await repair(etcd, write=False) == ()


async def test_of_two_restores_at_once_one_is_whole(house: House, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    await save(house.etcd, path, ORIGIN)
    raw = verified(path).contents.store
    assert raw is not None
    async with _empty(tmp_path / "new") as etcd:
        final = [identity.packed(StoreIdentity(name)) for name in ("one", "two")]
        done = await asyncio.gather(
            *(
                restore(etcd, entries(path), StoreIdentity(name), value)
                for name, value in zip(("one", "two"), final, strict=True)
            ),
            return_exceptions=True,
        )
        well = [number for number, each in enumerate(done) if isinstance(each, int)]
        assert len(well) == 1, done
        expected = {**await _values(house.etcd), keys.STORE: final[well[0]]}
        assert await _values(etcd) == expected


async def test_a_backup_is_of_one_moment_while_commits_go_on(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "PAGE", 1)
    cluster = await stored(house.etcd)

    async def commits() -> None:
        nonlocal cluster
        for number in range(1_000):
            edit = set_values(CLUSTER, max_message_size=number + 10)
            await commit(house.etcd, cluster, edit, request_id=f"more-{number}")
            cluster = await stored(house.etcd)

    async with asyncio.TaskGroup() as tasks:
        going_on = tasks.create_task(commits())
        for number in range(3):
            saved = await save(house.etcd, tmp_path / f"backup{number}", ORIGIN)
            assert saved.contents.faults == []
        going_on.cancel()
    assert cluster.revision > 8, "there were commits meanwhile"


class _Forgets(EtcdClient):
    """Compacts its history after the first page, `times` times, or can't be reached."""

    times = 1
    error: type[EtcdUnavailable] | None = None

    async def pages(
        self, prefix: str, *, keys_only: bool = False, limit: int = 1
    ) -> AsyncGenerator[Read]:
        async with contextlib.aclosing(super().pages(prefix, limit=limit)) as pages:
            async for page in pages:
                yield page
                if self.times:
                    self.times -= 1
                    if self.error:
                        raise self.error("away")
                    await self.txn([], [Put("/elsewhere", b"")])
                    await self.compact(page.revision + 1, wait=True)


@pytest.mark.parametrize("error", [None, EtcdUnavailable])
@pytest.mark.proves("F47")
async def test_a_revision_that_is_compacted_meanwhile_makes_it_begin_again(
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[EtcdUnavailable] | None,
) -> None:
    monkeypatch.setattr(saving, "PAGE", 2)
    path = tmp_path / "backup"
    async with _Forgets(house.etcd.options) as etcd:
        etcd.error = error
        await save(etcd, path, ORIGIN)
        assert verified(path).contents.faults == []
        etcd.times = 100
        with pytest.raises(error or Compacted):
            await save(etcd, tmp_path / "other", ORIGIN)
    assert {each.name for each in tmp_path.iterdir()} == {"backup", "etcd"}, "no part is left"


class _WithLease(EtcdClient):
    async def pages(
        self, prefix: str, *, keys_only: bool = False, limit: int = 1
    ) -> AsyncGenerator[Read]:
        yield Read(1, 1, (KeyValue(f"{keys.ROOT}managers/a", b"here", 1, lease=5),))


async def test_what_ends_with_a_manager_that_runs_is_not_in_it(
    house: House, tmp_path: Path
) -> None:
    """Restored, it would stand for a manager that is not there, and nothing would end it."""
    async with _WithLease(house.etcd.options) as etcd:
        assert (await save(etcd, tmp_path / "backup", ORIGIN)).contents.entries == 0


async def test_nothing_is_restored_where_a_manager_runs(house: House, tmp_path: Path) -> None:
    """It would serve what is half written."""
    path = tmp_path / "backup"
    await save(house.etcd, path, ORIGIN)
    async with _empty(tmp_path / "new") as etcd:
        lease = await etcd.grant(60)
        await etcd.txn([], [Put(keys.manager_key("m1"), b"here", lease)])
        with pytest.raises(NotEmpty, match="a manager runs on this store"):
            await _restored(etcd, path)
        await etcd.revoke(lease)
        await _restored(etcd, path)


async def test_a_manager_that_was_put_there_by_hand_is_not_restored(
    house: House, tmp_path: Path
) -> None:
    """Without a lease, which alone would end it."""
    path, made = tmp_path / "backup", {keys.manager_key("m1"), keys.owner_key("maintenance")}
    await house.etcd.txn([], [Put(key, pack({})) for key in made])
    assert (await save(house.etcd, path, ORIGIN)).contents.faults == []
    async with _empty(tmp_path / "new") as etcd:
        await _restored(etcd, path)
        assert not made & (await _values(etcd)).keys()


NOT_IN_THE_HOUSE = (
    *("draft", "snapshot", "people", "user", "session", "API token", "operator"),
    *("audit entry", "audit head", "audit anchor", "cluster name"),
)
HURT = [
    (name, how)
    for name in ONE_OF_EACH
    for how in ("edited", "damaged")
    if name not in ("maintenance", "place", "manager", "owner", "authority", *NOT_IN_THE_HOUSE)
]
HURT += [("head", "set back"), ("cluster", "set back"), ("machines", "deleted")]
HURT += [(name, "deleted") for name in ("store", "head", "commit", "newest commit")]
HURT += [("newest commit", "edited, without its seal"), ("head", "edited, without its seal")]


@pytest.mark.parametrize(("name", "how"), HURT)
async def test_what_was_written_by_hand_is_named(
    house: House, tmp_path: Path, name: str, how: str
) -> None:
    await house.hurt(name, how)
    saved = await save(house.etcd, tmp_path / "backup", ORIGIN)
    assert saved.contents.wrong, "it is named"
    assert verified(tmp_path / "backup").contents.faults == saved.contents.faults
    if name != "head":  # of which history, and the documents, tell as well
        assert any(ONE_OF_EACH[name] in each for each in saved.contents.faults)


@pytest.mark.parametrize("value", [b"\x01no value", pack({"seal": "0" * 32})])
@pytest.mark.parametrize("name", NOT_IN_THE_HOUSE)
async def test_so_is_what_was_written_beside(
    house: House, tmp_path: Path, name: str, value: bytes
) -> None:
    await house.etcd.txn([], [Put(ONE_OF_EACH[name], value)])
    saved = await save(house.etcd, tmp_path / "backup", ORIGIN)
    assert [ONE_OF_EACH[name] in each for each in saved.contents.faults] == [True]


async def test_history_that_was_trimmed_is_no_fault(house: House, tmp_path: Path) -> None:
    await house.etcd.txn([], [Delete(keys.commit_key("west", each)) for each in (1, 2)])
    saved = await save(house.etcd, tmp_path / "backup", ORIGIN)
    assert saved.contents.faults == []


async def test_a_large_backup_is_read_in_little_memory(tmp_path: Path) -> None:
    path, count = tmp_path / "backup", 40
    _write(path, count, b"\0" * 1_000_000)
    assert path.stat().st_size > 50_000_000
    tracemalloc.start()
    try:
        found = verified(path)
        assert sum(1 for _ in entries(path)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.contents.wrong == count
    assert peak < 20_000_000


def _write(path: Path, count: int, value: bytes) -> None:
    lines = [first_line(ORIGIN)]
    lines += [entry_line(Entry(f"{keys.ROOT}x/{number:03}", value)) for number in range(count)]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    path.write_bytes(b"".join(lines) + last_line(End(count, digest)))


async def test_a_long_history_is_saved_and_restored(tmp_path: Path) -> None:
    async with _empty(tmp_path / "one") as one, _empty(tmp_path / "two") as two:
        await identity.store_id(one)
        await west(one)
        for number in range(300):
            cluster = await stored(one)
            edit = set_values(CLUSTER, max_message_size=number + 1)
            await commit(one, cluster, edit, request_id=f"r{number}")
        await save(one, tmp_path / "backup", ORIGIN)
        count = await _restored(two, tmp_path / "backup")
        assert count == len(await _values(one)) > 600
        assert await _values(one) == await _values(two)


def test_an_examination_of_nothing_finds_nothing() -> None:
    assert Examination().finish().wrong == 0


async def test_a_store_that_another_restore_made_meanwhile_is_left_alone(
    house: House, tmp_path: Path
) -> None:
    """It was empty when this one looked, and is whole when it begins."""
    path = tmp_path / "backup"
    await save(house.etcd, path, ORIGIN)
    final = identity.packed(StoreIdentity("first"))
    async with external_etcd(tmp_path / "new") as server, EtcdClient(server.options) as etcd:

        class _Late(EtcdClient):
            async def range(self, *arguments: Any, **others: Any) -> Any:
                read = await super().range(*arguments, **others)
                await restore(etcd, entries(path), StoreIdentity("first"), final)
                return read

        async with _Late(server.options) as late:
            with pytest.raises(NotEmpty):
                await restore(late, entries(path), StoreIdentity("second"), b"second")
        expected = {**await _values(house.etcd), keys.STORE: final}
        assert await _values(etcd) == expected
