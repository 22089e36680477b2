"""Repair where history is not whole: what is lost is named, and never called put right."""

from __future__ import annotations

import pytest
from tdc.manager.etcd.values import Delete, Put, prefix_end
from tdc.manager.levels.fleet import new_cluster
from tdc.manager.store import keys, snapshots
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.repair import Finding, repair

from tests.stage.house import ONE_OF_EACH, House, signed, viewed
from tests.stage.stored_clusters import MADE

HEAD = ONE_OF_EACH["head"]


async def _trimmed(house: House, before: int) -> None:
    """History of before that commit is gone, and no snapshot was made."""
    first, end = keys.commit_key("west", 0), keys.commit_key("west", before)
    await house.etcd.txn([], [Delete(first, end)])


async def _delete(house: House, *names: str) -> None:
    await house.etcd.txn([], [Delete(ONE_OF_EACH[name]) for name in names])


def _without_born(head: bytes) -> dict[str, object]:
    return {name: each for name, each in unpack(head).items() if name not in ("born", "seal")}


def _of(found: tuple[Finding, ...], key: str) -> Finding:
    (one,) = [each for each in found if each.text.startswith((key, f"entry 'mx1' of {key}"))]
    return one


async def test_the_head_is_made_again_and_what_can_not_be_known_is_said(house: House) -> None:
    """It is the head that commits left, here; but nobody could tell."""
    await _trimmed(house, 4)
    good = await house.hurt("head", "deleted")
    for write in (False, True):
        found, history = await repair(house.etcd, write=write)
        assert not found.right
        assert not history.right
        assert "has no commit 1" in history.text
        assert "run it again" in history.text
        assert f"{HEAD} was deleted by hand" in found.text
        assert "no commit from 4 on has written" in found.text
        assert "`tdc machine list`" in found.text
        assert "restore a backup" in found.text
        item = await house.etcd.get(HEAD)
        assert (item is not None) == write
    assert item is not None
    assert _without_born(item.value) == _without_born(good), "what created it is trimmed"
    (history,) = await repair(house.etcd, write=True)
    assert not history.right
    assert "A snapshot of the documents was made" in history.text
    assert await repair(house.etcd, write=True) == ()


@pytest.mark.parametrize("how", ["deleted", "edited", "damaged", "set back"])
async def test_a_document_that_went_with_the_head_is_not_forgotten(house: House, how: str) -> None:
    """A record that is left says that it was there: so does the head that is made."""
    await _trimmed(house, 4)
    await house.hurt("head", how)
    await _delete(house, "machines")
    for _ in range(2):
        found = await repair(house.etcd, write=True)
        lost = _of(found, ONE_OF_EACH["machines"])
        assert "commit 4 wrote it" in lost.text
        assert "restore a backup" in lost.text
        assert not any(each.right for each in found)
    assert any(ONE_OF_EACH["machines"] in each for each in house.view.problems)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("machines", "entry 'mx1' of .* is missing: it is enrolled"),
        ("groups", "entry 'g1' of .* is missing: machine 'mx1' is in it"),
        ("cluster", "was deleted by hand: commit 6 wrote it"),
    ],
)
async def test_what_no_record_speaks_of_may_be_known_otherwise(
    house: House, lost: str, words: str
) -> None:
    await _trimmed(house, 6)
    await _delete(house, "head", lost)
    found = await repair(house.etcd, write=True)
    assert not any(each.right for each in found)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError("\n".join(each.text for each in found))


async def test_a_document_that_is_older_than_a_record_says_is_named(house: House) -> None:
    await _trimmed(house, 4)
    await house.hurt("machines", "set back")
    await _delete(house, "head")
    found = await repair(house.etcd, write=True)
    assert "was set back by hand" in _of(found, ONE_OF_EACH["machines"]).text
    assert not any(each.right for each in found)


@pytest.mark.parametrize("how", ["edited", "edited, without its seal", "damaged"])
async def test_an_edit_is_named_where_history_is_gone(house: House, how: str) -> None:
    await _trimmed(house, 6)
    await _delete(house, "head")
    await house.hurt("machines", how)
    for _ in range(2):
        found = await repair(house.etcd, write=True)
        lost = _of(found, ONE_OF_EACH["machines"])
        assert not lost.right
        assert "edited by hand" in lost.text or "can't be read" in lost.text


async def test_a_lost_newest_record_sets_nothing_back(house: House) -> None:
    """Neither the head nor a document becomes what an older commit left."""
    before = (await house.etcd.range(keys.cluster_prefix("west"))).items
    await _delete(house, "newest commit")
    await house.hurt("groups", "edited")
    found = await repair(house.etcd, write=True)
    assert [each.right for each in found] == [False]
    assert f"{ONE_OF_EACH['newest commit']} was deleted by hand" in found[0].text
    after = (await house.etcd.range(keys.cluster_prefix("west"))).items
    differing = {a.key for a, b in zip(before, after, strict=True) if a.value != b.value}
    assert differing == {ONE_OF_EACH["groups"]}
    await _delete(house, "head")
    found = await repair(house.etcd, write=True)
    assert not any(each.right for each in found)
    assert "newest commit's record is missing" in _of(found, HEAD).text
    assert await house.etcd.get(HEAD) is None


async def test_a_record_that_can_not_be_used_is_named_once_and_history_begins_anew(
    house: House,
) -> None:
    for name in ("commit", "newest commit"):
        await house.hurt(name, "edited")
    assert [each.right for each in await repair(house.etcd, write=False)] == [False, False]
    found = await repair(house.etcd, write=True)
    assert [each.right for each in found] == [False, False]
    assert all("was edited by hand" in each.text for each in found)
    assert "a snapshot" in found[0].text.lower()
    assert await repair(house.etcd, write=True) == ()
    good = await house.hurt("machines", "edited")
    assert [each.right for each in await repair(house.etcd, write=True)] == [True]
    item = await house.etcd.get(ONE_OF_EACH["machines"])
    assert item is not None
    assert item.value == good


async def _snapshot(house: House) -> None:
    assert await snapshots.keep(house.etcd, "west")


SNAPSHOT = keys.snapshot_key("west", 6, ONE_OF_EACH["machines"])


@pytest.mark.parametrize("how", ["edited", "damaged", "deleted"])
async def test_a_snapshot_that_was_hurt_is_not_used_and_is_named(house: House, how: str) -> None:
    await _snapshot(house)
    item = await house.etcd.get(SNAPSHOT)
    assert item is not None
    changed = pack({**unpack(item.value), "revision": 5})
    values = {"edited": Put(SNAPSHOT, changed), "damaged": Put(SNAPSHOT, b"\x01")}
    await house.etcd.txn([], [values.get(how, Delete(SNAPSHOT))])
    (found,) = await repair(house.etcd, write=False)
    assert found.right, "history is whole without it"
    good = await house.hurt("machines", "edited")
    found, fault = await repair(house.etcd, write=True)
    assert "the snapshot" in found.text
    assert fault.right
    stored = await house.etcd.get(ONE_OF_EACH["machines"])
    assert stored is not None
    assert stored.value == good
    assert await repair(house.etcd, write=True) == ()
    assert not (await house.etcd.range(keys.SNAPSHOTS)).items


async def test_a_snapshot_that_was_hurt_where_history_needs_it(house: House) -> None:
    await _snapshot(house)
    await _trimmed(house, 6)
    await house.etcd.txn([], [Put(SNAPSHOT, b"\x01")])
    await _delete(house, "machines")
    found = await repair(house.etcd, write=True)
    assert not any(each.right for each in found)
    assert "restore a backup" in _of(found, ONE_OF_EACH["machines"]).text
    assert any("Not used" in each.text for each in found)
    assert (await house.etcd.range(keys.SNAPSHOTS)).items


async def test_a_snapshot_of_before_seals_overwrites_nothing_that_has_one(house: House) -> None:
    """An edit in it could not be told; so it is not history against a seal that fits."""
    await house.of_before_seals()
    await _snapshot(house)
    item = await house.etcd.get(SNAPSHOT)
    assert item is not None
    document = unpack(item.value)
    document["machines"]["mx1"]["settings"] = {"max_message_size": 77}  # type: ignore[index]
    await house.etcd.txn([], [Put(SNAPSHOT, pack(document))])
    before = await house.etcd.get(ONE_OF_EACH["machines"])
    (found,) = await repair(house.etcd, write=True)
    assert not found.right
    assert "it may as well be history, or the snapshot" in found.text
    assert await house.etcd.get(ONE_OF_EACH["machines"]) == before


@pytest.mark.proves("F51")
async def test_a_cluster_of_which_only_history_is_left_is_no_empty_fleet(house: House) -> None:
    """To a manager that starts; one that runs names each document."""
    await CommitStore(house.etcd).create_cluster(new_cluster("east"), signed("e1"), MADE)
    prefix, stray = keys.cluster_prefix("west"), f"{keys.COMMITS}zzz, nothing of ours"
    await house.etcd.txn([], [Delete(prefix, prefix_end(prefix)), Put(stray, b"")])
    async with viewed(house.etcd) as later:
        assert list(later.clusters) == ["east"]
        assert f"{HEAD} was deleted by hand: commit 6 wrote it" in str(later.problems)
        await house.etcd.txn([], [Delete(stray)])
        assert all(each.right for each in await repair(house.etcd, write=True))
        assert await later.at_least("west", 6, 5)
        assert not later.problems


async def test_a_cluster_of_which_all_documents_are_gone_is_named(house: House) -> None:
    prefix = keys.cluster_prefix("west")
    await house.etcd.txn([], [Delete(prefix, prefix_end(prefix))])
    await _trimmed(house, 999)
    (found,) = await repair(house.etcd, write=True)
    assert not found.right
    assert "neither head nor history" in found.text
