"""Values that lost their seals, and heads that history contradicts: neither is believed."""

from __future__ import annotations

import json

import pytest
from tdc.manager.etcd.values import Delete, Put, prefix_end
from tdc.manager.store import keys, snapshots
from tdc.manager.store.documents import Unreadable
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.errors import UnreadableTouched
from tdc.manager.store.history import History
from tdc.manager.store.repair import repair

from tests.stage.house import MACHINE, ONE_OF_EACH, WEST, House, viewed
from tests.stage.stored_clusters import commit, set_values, stored

HEAD, CLUSTER, NEWEST = (ONE_OF_EACH[name] for name in ("head", "cluster", "newest commit"))
BY_HAND = b'{"schema":1,"revision":50000,"request_id":"x"}'


async def _value(house: House, key: str) -> bytes:
    item = await house.etcd.get(key)
    assert item is not None
    return item.value


async def _put(house: House, **values: bytes) -> None:
    await house.etcd.txn([], [Put(ONE_OF_EACH[key], value) for key, value in values.items()])


def _stripped(raw: bytes, **changed: object) -> bytes:
    document = {**unpack(raw), **changed}
    for name in ("seal", "sealed", "chain"):
        document.pop(name, None)
    return pack(document)


async def _records(house: House) -> list[str]:
    prefix = keys.commits_prefix("west")
    return [item.key for item in (await house.etcd.range(prefix, keys_only=True)).items]


@pytest.mark.proves("F51", "P13")
async def test_a_head_without_its_seal_is_not_believed_and_trims_nothing(house: House) -> None:
    good, known = await _value(house, HEAD), house.view.content_hash("west", "mx1")
    records = await _records(house)
    await _put(house, head=BY_HAND)
    await house.until(lambda: f"{HEAD} was edited by hand" in str(house.view.problems))
    assert house.view.content_hash("west", "mx1") == known
    assert house.view.revision("west") == 6
    async with viewed(house.etcd) as later:
        assert f"{HEAD} was edited by hand" in str(later.problems)
        assert later.wanted("west", "mx1") is None
    with pytest.raises(UnreadableTouched, match=r"head was edited by hand.*othing was changed"):
        await house.commit(set_values(MACHINE, max_message_size=9), "from what was known")
    believed = await stored(house.etcd)
    with pytest.raises(UnreadableTouched, match=r"head was edited by hand.*nothing was changed"):
        await commit(house.etcd, believed, set_values(WEST, max_message_size=9), request_id="on it")
    assert await _records(house) == records
    (found,) = await repair(house.etcd, write=True)
    assert found.right
    assert await _value(house, HEAD) == good
    await house.until(lambda: not house.view.problems)


@pytest.mark.parametrize("revision", [6, 7])
async def test_a_level_that_lost_its_seal_with_the_head_is_not_in_force(
    house: House, revision: int
) -> None:
    goods = [await _value(house, key) for key in (HEAD, CLUSTER)]
    size = house.view.find_cluster("west").stored.settings["max_message_size"]
    settings = {"max_message_size": 77}
    for level in (6, revision):
        await _put(
            house,
            head=_stripped(goods[0], revision=revision),
            cluster=_stripped(goods[1], settings=settings, revision=level),
        )
        await house.until(lambda: f"{CLUSTER} was edited" in str(house.view.problems))
        assert house.view.find_cluster("west").stored.settings["max_message_size"] == size
        async with viewed(house.etcd) as later:
            assert "west" not in later.clusters
        assert all(each.right for each in await repair(house.etcd, write=True))
        assert [await _value(house, key) for key in (HEAD, CLUSTER)] == goods
        await house.until(lambda: not house.view.problems)


async def test_a_head_that_was_set_back_with_its_level_is_noticed_at_the_start(
    house: House,
) -> None:
    before = {name: await _value(house, ONE_OF_EACH[name]) for name in ("head", "cluster")}
    await house.commit(set_values(WEST, max_message_size=9), "r7")
    after = {name: await _value(house, ONE_OF_EACH[name]) for name in ("head", "cluster")}
    await _put(house, **before)
    async with viewed(house.etcd) as later:
        assert f"{HEAD} was set back by hand" in str(later.problems)
        assert "west" not in later.clusters
        await repair(house.etcd, write=True)
        assert await _value(house, HEAD) == after["head"]
        await house.until(lambda: not later.problems)
        assert later.revision("west") == 7


@pytest.mark.parametrize("how", ["deleted", "edited, without its seal", "damaged"])
async def test_no_commit_is_made_on_a_head_whose_record_is_hurt(house: House, how: str) -> None:
    """Until repair has said what that means, and made a snapshot in its place."""
    await house.hurt("newest commit", how)
    async with viewed(house.etcd) as later:
        assert f"{NEWEST} " in str(later.problems)
        assert "west" in later.clusters, "the head has its seal"
    with pytest.raises(UnreadableTouched, match=f"{NEWEST}.*repair.*nothing was changed"):
        await house.commit(set_values(WEST, max_message_size=9), "r7")
    for write in (False, True):
        (found,) = await repair(house.etcd, write=write)
        assert not found.right
        assert NEWEST in found.text
        assert "no going back across it" in found.text
    assert await repair(house.etcd, write=True) == ()
    await house.commit(set_values(WEST, max_message_size=9), "r7")
    async with viewed(house.etcd) as later:
        assert not later.problems


async def test_history_that_is_gone_is_a_finding(house: House) -> None:
    prefix = keys.commits_prefix("west")
    await house.etcd.txn([], [Delete(prefix, prefix_end(prefix))])
    (found,) = await repair(house.etcd, write=True)
    assert not found.right
    assert "deleted by hand" in found.text
    assert await repair(house.etcd, write=True) == ()
    await house.commit(set_values(WEST, max_message_size=9), "r7")
    assert await repair(house.etcd, write=True) == ()


@pytest.mark.parametrize("revision", [1, 2, 5, 6])
@pytest.mark.parametrize("gone", ["", "cluster"])
@pytest.mark.proves("P13")
async def test_a_record_that_lost_seal_and_chain_is_replayed_by_nobody(
    house: House, revision: int, gone: str
) -> None:
    key = keys.commit_key("west", revision)
    documents = {item.key: item.value for item in (await house.etcd.range(keys.CLUSTERS)).items}
    record = unpack(await _value(house, key))
    levels = [{**each, "after": 77} for each in record["levels"]]  # type: ignore[attr-defined]
    stripped = _stripped(json.dumps(record).encode(), author="mallory", levels=levels)
    await house.etcd.txn([], [Put(key, stripped)])
    if gone:
        documents.pop(ONE_OF_EACH[gone])
        await house.etcd.txn([], [Delete(ONE_OF_EACH[gone])])

    history = History(house.etcd)
    (row,) = [each for each in await history.commits("west") if isinstance(each, Unreadable)]
    assert f"{key} was edited by hand" in str(row)
    for limit in (1, 2, 6):
        listed = await history.commits("west", before=revision + 1, limit=limit)
        assert str(listed[0]) == str(row)
    assert str(await history.commit_record("west", revision)) == str(row)
    assert (await history.records_between("west", revision - 1, revision))[0] == row

    found = await repair(house.etcd, write=True)
    assert not any(each.right for each in found)
    assert any(key in each.text for each in found)
    stored_now = {item.key: item.value for item in (await house.etcd.range(keys.CLUSTERS)).items}
    assert stored_now == documents, "nothing was written that nobody committed"


async def test_a_record_of_before_seals_that_lost_its_chain_is_named(house: House) -> None:
    await house.of_before_seals()
    for revision in range(1, 7):
        key = keys.commit_key("west", revision)
        good = await _value(house, key)
        await house.etcd.txn([], [Put(key, _stripped(good, author="mallory"))])
        wrong = [
            each.key
            for each in await History(house.etcd).commits("west")
            if isinstance(each, Unreadable)
        ]
        assert key in wrong
        await house.etcd.txn([], [Put(key, good)])


async def test_a_head_of_before_seals_is_worth_what_its_record_says(house: House) -> None:
    await house.of_before_seals()
    good = await _value(house, HEAD)
    for head in (BY_HAND, _stripped(good, request_id="another")):
        await _put(house, head=head)
        async with viewed(house.etcd) as later:
            assert f"{HEAD} was edited by hand" in str(later.problems)
        believed = await stored(house.etcd)
        with pytest.raises(UnreadableTouched, match="head was edited by hand"):
            await commit(house.etcd, believed, set_values(WEST, max_message_size=9), request_id="n")
        assert not await snapshots.keep(house.etcd, "west"), "nothing vouches for it"
        assert await repair(house.etcd, write=False)
    await _put(house, head=good)
    assert await repair(house.etcd, write=True) == ()


async def test_a_snapshot_that_lost_its_seals_is_no_base(house: House) -> None:
    assert await snapshots.keep(house.etcd, "west")
    for key in (HEAD, CLUSTER):
        place = keys.snapshot_key("west", 6, key)
        raw = await _value(house, place)
        await house.etcd.txn([], [Put(place, _stripped(raw))])
    good = await house.hurt("cluster", "edited")
    found = await repair(house.etcd, write=True)
    assert all(each.right for each in found)
    assert await _value(house, CLUSTER) == good


async def test_commits_meanwhile_are_no_disagreement(house: House) -> None:
    for number in range(8):
        async with viewed(house.etcd) as later:
            await house.commit(set_values(WEST, max_message_size=10 + number), f"s{number}")
            assert await later.at_least("west", 7 + number, 5)
            assert not later.problems
