"""An older certificate is admitted by no hand in etcd; a stray key denies nobody."""

from __future__ import annotations

import pytest
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.levels.changes import AddMachine, RemoveMachine
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.errors import TokenUsed
from tdc.manager.store.joins import JoinStore, JoinToken, ValidEnrolment, pack_enrolment
from tdc.manager.store.keys import ENROLMENTS, enrolment_count_key, parse_enrolment_key
from tdc.manager.view.enrolments import KnownEnrolments

from tests.stage.house import ONE_OF_EACH, House, viewed

KEY, COUNT = ONE_OF_EACH["enrolment"], enrolment_count_key("west", "mx1")


def _older(house: House) -> bytes:
    return house.values["enrolment"][0]


async def _enrol_again(house: House) -> None:
    joins = JoinStore(house.etcd)
    await joins.add("new", JoinToken("west", "g1", "mx1", 2e9, born=3))
    await joins.redeem("new", 1e9, "again")
    await house.until(lambda: house.view.enrolment("west", "mx1") == "again")
    assert not house.view.problems


@pytest.mark.parametrize("first", ["deleted", "damaged", "edited"])
@pytest.mark.proves("F51")
async def test_a_view_remembers_the_newest_enrolment(house: House, first: str) -> None:
    """An older one that is put in the place of one that is gone is an older one still."""
    await house.until(lambda: house.view.enrolment("west", "mx1") == "of hash")
    newest = await house.hurt("enrolment", first)
    await house.until(lambda: house.view.enrolment("west", "mx1") is None)
    await house.etcd.txn([], [Put(KEY, _older(house)), Delete(COUNT)])
    await house.until(lambda: "set back by hand" in str(house.view.problems))
    assert house.view.enrolment("west", "mx1") is None
    await house.etcd.txn([], [Put(KEY, newest)])
    await house.until(lambda: "was deleted by hand" in str(house.view.problems))
    assert house.view.enrolment("west", "mx1") is None, "its count is gone"
    await _enrol_again(house)


@pytest.mark.parametrize("how", ["damaged", "deleted"])
@pytest.mark.parametrize("name", ["head", "cluster", "groups", "machines"])
@pytest.mark.proves("S6")
async def test_what_can_not_be_read_lets_no_removed_machine_in(
    house: House, name: str, how: str
) -> None:
    """Others keep their identity, though what is in force on them may not be known."""
    await house.commit(AddMachine("mx2", "g1"), "r7")
    joins = JoinStore(house.etcd)
    await joins.add("second", JoinToken("west", "g1", "mx2", 2e9, born=7))
    await joins.redeem("second", 1e9, "of second")
    await house.until(lambda: house.view.enrolment("west", "mx2") == "of second")
    await house.commit(RemoveMachine("mx1"), "r8")
    await house.hurt(name, how)
    await house.until(lambda: bool(house.view.problems))
    assert house.view.enrolment("west", "mx1") is None
    assert house.view.enrolment("west", "mx2") == "of second"
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx2") == "of second"
        if name != "machines":  # else nothing is left that says which machines there are
            assert later.enrolment("west", "mx1") is None


@pytest.mark.parametrize("how", ["damaged", "deleted"])
async def test_a_machine_that_can_not_be_read_keeps_its_identity(house: House, how: str) -> None:
    await house.hurt("machines", how)
    await house.until(lambda: bool(house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash"
    async with viewed(house.etcd) as later:
        assert later.wanted("west", "mx1") is None
        assert later.enrolment("west", "mx1") == "of hash"


@pytest.mark.parametrize("name", ["head", "groups"])
@pytest.mark.proves("S6")
async def test_nor_one_whose_name_was_used_again(house: House, name: str) -> None:
    await house.commit(RemoveMachine("mx1"), "r7")
    await house.commit(AddMachine("mx1", "g1"), "r8")
    await house.hurt(name, "damaged")
    await house.until(lambda: bool(house.view.problems))
    assert house.view.enrolment("west", "mx1") is None
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") is None


@pytest.mark.proves("F51")
async def test_a_manager_that_starts_admits_no_older_certificate(house: House) -> None:
    await house.hurt("enrolment", "set back")
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") is None
        assert f"{KEY}) was set back by hand" in str(later.problems)
    await house.etcd.txn([], [Delete(KEY)])
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") is None
        assert f"{KEY}) was deleted by hand" in str(later.problems)
    await house.hurt("join token", "set back")
    with pytest.raises(TokenUsed, match="set it back in etcd by hand"):
        await JoinStore(house.etcd).redeem("hash", 1e9, "a thief's")
    await _enrol_again(house)


@pytest.mark.parametrize("count", [None, b"\x01", b'{"schema":1,"number":1,"token":""}'])
async def test_an_enrolment_whose_count_is_hurt_can_not_be_told_from_an_older(
    house: House, count: bytes | None
) -> None:
    await house.until(lambda: house.view.enrolment("west", "mx1") == "of hash")
    await house.etcd.txn([], [Delete(COUNT) if count is None else Put(COUNT, count)])
    await house.until(lambda: COUNT in str(house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash", "it was known before"
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") is None
        assert COUNT in str(later.problems)
    await _enrol_again(house)


def test_an_enrolment_of_before_counts_may_not_lose_its_seal() -> None:
    known, value = KnownEnrolments(), pack_enrolment(KEY, ValidEnrolment("id", 1.0, 7))
    stripped = {name: each for name, each in unpack(value).items() if name != "seal"}
    known.take({KEY: value}, all_of_it=True)
    assert known.find(("west", "mx1")) == "id"
    known.take({KEY: pack(stripped)}, all_of_it=False)
    assert known.find(("west", "mx1")) is None
    other = pack_enrolment(KEY, ValidEnrolment("another", 1.0, 7))
    known.take({KEY: other}, all_of_it=False)
    assert known.find(("west", "mx1")) is None, "its number is that of the first"
    known.take({KEY: value}, all_of_it=False)
    assert known.find(("west", "mx1")) == "id"


@pytest.mark.parametrize("stray", ["mx%31", "mx1/other", "mx1/x/count", ""])
async def test_a_stray_key_is_named_and_denies_nobody(house: House, stray: str) -> None:
    key = f"{ENROLMENTS}west/{stray}"
    assert parse_enrolment_key(key) != ("west", "mx1")
    await house.etcd.txn([], [Put(key, b"{}")])
    await house.until(lambda: key in str(house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash"
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") == "of hash"
    await house.etcd.txn([], [Delete(key)])
    await house.until(lambda: key not in str(house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash"
