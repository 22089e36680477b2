"""Every kind of key deleted, set back, edited or damaged by hand: noticed, named, put right."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.levels.changes import AddMachine
from tdc.manager.levels.fleet import Machine, StoredSettings
from tdc.manager.levels.plan import make_plan
from tdc.manager.store import identity, keys
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.documents import Unreadable, pack_machines
from tdc.manager.store.encoding import unpack
from tdc.manager.store.errors import StoreError, TokenUsed, UnreadableStore, UnreadableTouched
from tdc.manager.store.history import History
from tdc.manager.store.joins import JoinStore, JoinToken
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.store.record import CommitRecord, pack_record, read_record
from tdc.manager.store.repair import repair
from tdc.manager.store.seal import pack_sealed
from tdc.manager.view.fleet import FleetView

from tests.stage.house import GROUP, MACHINE, ONE_OF_EACH, WEST, House, signed, viewed
from tests.stage.stored_clusters import MADE, set_values
from tests.surroundings import in_time

NOTHING = StoredSettings()
HOW = {
    "deleted": "was deleted by hand",
    "set back": "was set back by hand",
    "edited": "was edited by hand",
    "edited, without its seal": "was edited by hand",
    "damaged": "can't be read",
}
DOCUMENTS = ("head", "cluster", "groups", "machines")
TOUCHING = {
    "head": set_values(MACHINE, max_message_size=9),
    "cluster": set_values(WEST, max_message_size=9),
    "groups": set_values(GROUP, max_message_size=9),
    "machines": set_values(MACHINE, max_message_size=9),
}


def test_no_family_of_keys_is_left_out() -> None:
    families = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and value.startswith(keys.ROOT)
    } - {keys.ROOT}
    assert {each for each in families if any(k.startswith(each) for k in ONE_OF_EACH.values())} == (
        families
    )
    parts = {
        document.part for k in ONE_OF_EACH.values() if (document := keys.parse_document_key(k))
    }
    assert parts == set(keys.Part)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.proves("F51", "P13")
async def test_a_document_is_noticed_kept_refused_at_once_and_put_right(
    house: House, name: str, how: str
) -> None:
    key, known, words = ONE_OF_EACH[name], house.view.find_cluster("west"), HOW[how]
    good = await house.hurt(name, how)
    await house.until(lambda: any(f"{key} {words}" in each for each in house.view.problems))
    assert house.view.find_cluster("west") == known, "the last known one is served"
    began = time.monotonic()
    with pytest.raises(UnreadableTouched, match=f"{key} {words}.*repair.*othing was ch"):
        await house.commit(TOUCHING[name], "after")
    assert in_time(time.monotonic() - began, 2)

    async with viewed(house.etcd) as later:
        assert any(key in each for each in later.problems) or name == "cluster"
        assert not _sees(later, name), "what no commit wrote is not taken for the truth"

    found = await repair(house.etcd, write=False)
    assert [(key in each.text, each.right) for each in found] == [(True, True)]
    await repair(house.etcd, write=True)
    item = await house.etcd.get(key)
    assert item is not None
    assert item.value == good, "byte for byte as the commits left it"
    await house.until(lambda: not house.view.problems)
    await house.commit(TOUCHING[name], "after")
    assert house.view.revision("west") == known.revision + 1
    assert await repair(house.etcd, write=True) == ()


def _sees(view: FleetView, name: str) -> bool:
    """Whether a view believes what it could only have from a document that is not right."""
    if "west" not in view.clusters:
        return False
    cluster = view.clusters["west"]
    return {"groups": "g1" in cluster.groups, "machines": "mx1" in cluster.machines}.get(name, True)


async def test_a_document_that_no_commit_touches_hinders_no_other_commit(house: House) -> None:
    await house.hurt("machines", "deleted")
    await house.commit(set_values(WEST, max_message_size=8), "beside")
    assert house.view.find_cluster("west").machines["mx1"].stored.settings["max_message_size"] == 1


@pytest.mark.parametrize("how", ["deleted", "set back", "edited", "damaged"])
@pytest.mark.proves("F49")
async def test_the_stores_id_is_noticed_and_the_known_one_kept(house: House, how: str) -> None:
    async with viewed(house.etcd) as view:
        known = view.store_id
        await house.hurt("store", how)
        await house.until(lambda: any(f"{keys.STORE} {HOW[how]}" in each for each in view.problems))
        assert view.store_id == known
        if how != "set back":
            with pytest.raises(UnreadableStore, match="tdc-manager adopt"):
                await identity.store_id(house.etcd)
            (found,) = await repair(house.etcd, write=True)
            assert keys.STORE in found.text
            assert not found.right
        made = await identity.adopt(house.etcd)
        await house.until(lambda: view.store_id == made.id and not view.problems)


async def test_a_commit_record_that_is_gone_is_a_row_and_a_refusal(house: House) -> None:
    await house.hurt("commit", "deleted")
    listed = await History(house.etcd).commits("west")
    assert [type(each) is Unreadable for each in listed] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert "was deleted by hand" in str(listed[3])
    await house.commit(set_values(WEST, max_message_size=8), "r7")


async def test_a_commit_record_of_another_revision_is_named(house: House) -> None:
    other = await house.etcd.get(keys.commit_key("west", 2))
    assert other is not None
    unsealed = pack_record("west", replace(read_record(other.key, other.value), sealed=0))
    for raw, words in ((other.value, "its seal does not fit"), (unsealed, "record of revision 2")):
        await house.etcd.txn([], [Put(ONE_OF_EACH["commit"], raw)])
        assert words in str(await History(house.etcd).commit_record("west", 3))


@pytest.mark.parametrize("how", ["edited", "edited, without its seal", "damaged"])
@pytest.mark.parametrize("name", ["commit", "newest commit"])
async def test_a_commit_record_that_no_commit_wrote_is_named_wherever_it_is_read(
    house: House, name: str, how: str
) -> None:
    key, revision = ONE_OF_EACH[name], 3 if name == "commit" else 6
    await house.hurt(name, how)
    history = History(house.etcd)
    (wrong,) = [e for e in await history.commits("west") if isinstance(e, Unreadable)]
    assert f"{key} {HOW[how]}" in str(wrong)
    assert str(await history.commit_record("west", revision)) == str(wrong)
    (only,) = await history.records_between("west", revision - 1, revision)
    assert only == wrong
    await house.hurt("machines", "deleted")
    for found in await repair(house.etcd, write=True):
        assert not found.right
        assert str(wrong) in found.text


async def test_a_record_of_before_seals_is_judged_by_the_chain(house: House) -> None:
    """The chain value of the commit before it says what it must be."""
    await house.of_before_seals()
    history = History(house.etcd)
    good = await history.commits("west")
    assert not [each for each in good if isinstance(each, Unreadable)]
    for name, revision in (("commit", 3), ("newest commit", 6)):
        item = await house.etcd.get(ONE_OF_EACH[name])
        assert item is not None
        await house.hurt(name, "edited")
        for limit in (7 - revision, 50):
            listed = await history.commits("west", limit=limit)
            assert "was edited by hand" in str(listed[6 - revision])
            assert len([each for each in listed if isinstance(each, Unreadable)]) == 1
        assert "was edited by hand" in str(await history.commit_record("west", revision))
        await house.etcd.txn([], [Put(item.key, item.value)])


@pytest.mark.parametrize("name", ["head", "cluster", "groups", "machines"])
async def test_a_value_that_belongs_to_another_key_is_no_value_of_this_one(
    house: House, name: str
) -> None:
    """Of another cluster, that is: a whole one, sealed and of the same revision."""
    key = ONE_OF_EACH[name]
    good = await house.etcd.get(key)
    assert good is not None
    content = {name: each for name, each in unpack(good.value).items() if name != "seal"}
    other = pack_sealed(key.replace("/west/", "/east/"), content)
    await house.etcd.txn([], [Put(key, other)])
    await house.until(lambda: any(f"{key} was edited" in each for each in house.view.problems))
    await repair(house.etcd, write=True)
    item = await house.etcd.get(key)
    assert item is not None
    assert item.value == good.value


async def test_a_document_that_no_commit_wrote_is_not_believed_and_goes(house: House) -> None:
    name = next(n for n in ("m1", "m2") if keys.machine_key("west", n) != ONE_OF_EACH["machines"])
    free, raw = keys.machine_key("west", name), pack_machines([Machine(name, "g1", NOTHING)], {})
    await house.etcd.txn([], [Put(free, raw)])
    await house.until(lambda: any(f"{free} was edited" in each for each in house.view.problems))
    assert name not in house.view.find_cluster("west").machines
    with pytest.raises(UnreadableTouched, match=r"no commit wrote it.*nothing was changed"):
        await house.commit(AddMachine(name, "g1"), "after")
    assert [each.right for each in await repair(house.etcd, write=True)] == [True]
    assert await house.etcd.get(free) is None
    await house.until(lambda: not house.view.problems)


async def test_a_store_of_before_seals_is_put_right_byte_for_byte(house: House) -> None:
    """And so is what commits that seal then make of it."""
    await house.of_before_seals()
    for commit in ("", "machines"):
        if commit:
            await house.commit(TOUCHING[commit], f"after {commit}")
        items = (await house.etcd.range(keys.cluster_prefix("west"))).items
        sealed = {item.key for item in items if b"seal" in json.dumps(unpack(item.value)).encode()}
        assert sealed == ({ONE_OF_EACH["head"], ONE_OF_EACH["machines"]} if commit else set())
        assert await repair(house.etcd, write=True) == ()
        for item in items:
            name = next((n for n in DOCUMENTS if ONE_OF_EACH[n] == item.key), "")
            for how in ("deleted", "edited", "damaged") if name else ():
                await house.hurt(name, how)
                assert [each.right for each in await repair(house.etcd, write=True)] == [True]
                found = await house.etcd.get(item.key)
                assert found is not None
                assert found.value == item.value
        await house.until(lambda: not house.view.problems)


async def test_json_that_is_written_in_another_way_is_no_fault(house: House) -> None:
    for name in (*DOCUMENTS, "commit"):
        item = await house.etcd.get(ONE_OF_EACH[name])
        assert item is not None
        document = dict(reversed(unpack(item.value).items()))
        other = json.dumps(document, indent=2).encode()
        await house.etcd.txn([], [Put(item.key, other)])
    await house.commit(TOUCHING["machines"], "after")
    assert house.view.problems == ()
    assert await repair(house.etcd, write=True) == ()
    assert all(isinstance(each, CommitRecord) for each in await History(house.etcd).commits("west"))


async def test_what_is_hurt_again_while_it_is_doubted_is_not_believed(house: House) -> None:
    known = house.view.find_cluster("west")
    for then in ("damaged", "deleted"):
        good = await house.hurt("machines", "edited, without its seal")
        await house.until(lambda: "was edited by hand" in str(house.view.problems))
        await house.hurt("machines", then)
        words = HOW[then]
        await house.until(lambda words=words: words in str(house.view.problems))  # type: ignore[misc]
        assert house.view.find_cluster("west") == known
        await house.etcd.txn([], [Put(ONE_OF_EACH["machines"], good)])
        await house.until(lambda: not house.view.problems)


@pytest.mark.parametrize("how", ["edited", "damaged"])
async def test_a_request_id_that_is_hurt_makes_nothing_again(house: House, how: str) -> None:
    await house.hurt("request", how)
    with pytest.raises(UnreadableTouched, match=f"{HOW[how]}.*nothing was changed.*new request id"):
        await house.commit(set_values(WEST, max_message_size=8), "r5")
    assert await History(house.etcd).find_request("west", "r5") is None


async def test_a_request_that_made_the_last_commit_is_known_without_its_key(house: House) -> None:
    edit = set_values(MACHINE, max_message_size=7)
    before = house.view.find_cluster("west")
    await house.commit(edit, "r7")
    await house.etcd.txn([], [Delete(keys.request_key("west", "r7"))])
    plan = make_plan(before, [edit])
    again = await CommitStore(house.etcd).commit(plan, signed("r7"), MADE)
    assert (again.revision, again.already) == (7, True)


async def test_a_join_token_that_is_set_back_enrols_nobody_again(house: House) -> None:
    await house.hurt("join token", "set back")
    with pytest.raises(TokenUsed, match="set it back in etcd by hand"):
        await JoinStore(house.etcd).redeem("hash", 1e9, "a thief's")
    await house.hurt("join token", "deleted")
    with pytest.raises(StoreError, match="unknown join token"):
        await JoinStore(house.etcd).redeem("hash", 1e9, "a thief's")


@pytest.mark.parametrize("how", ["edited", "damaged"])
async def test_a_join_token_that_is_hurt_enrols_nobody(house: House, how: str) -> None:
    joins = JoinStore(house.etcd)
    await house.hurt("join token", how)
    with pytest.raises(StoreError, match=f"{HOW[how]}.*make a new one"):
        await joins.redeem("hash", 1e9, "a thief's")
    assert house.view.enrolment("west", "mx1") == "of hash"


@pytest.mark.parametrize("how", ["edited", "edited, without its seal", "damaged"])
@pytest.mark.proves("F51")
async def test_an_enrolment_that_is_hurt_lets_nobody_in(house: House, how: str) -> None:
    """Neither the certificate that it names now, nor, until the machine enrols again, its own."""
    await house.hurt("enrolment", how)
    key = ONE_OF_EACH["enrolment"]
    await house.until(lambda: any(f"{key}) {HOW[how]}" in each for each in house.view.problems))
    assert house.view.enrolment("west", "mx1") is None
    async with viewed(house.etcd) as later:
        assert later.enrolment("west", "mx1") is None
        assert any(f"{key}) {HOW[how]}" in each for each in later.problems)
    await JoinStore(house.etcd).add("new", JoinToken("west", "g1", "mx1", 2e9, born=3))
    await JoinStore(house.etcd).redeem("new", 1e9, "again")
    await house.until(lambda: not house.view.problems)
    assert house.view.enrolment("west", "mx1") == "again"


async def test_an_enrolment_that_is_set_back_brings_no_old_certificate_back(house: House) -> None:
    await house.hurt("enrolment", "set back")
    await house.until(lambda: any("mx1" in p and "set back" in p for p in house.view.problems))
    assert house.view.enrolment("west", "mx1") == "of hash"
    await house.hurt("enrolment", "deleted")
    await house.until(lambda: any("mx1" in p and "deleted" in p for p in house.view.problems))
    assert house.view.enrolment("west", "mx1") is None, "deny by default"
    await JoinStore(house.etcd).add("new", JoinToken("west", "g1", "mx1", 2e9, born=3))
    await JoinStore(house.etcd).redeem("new", 1e9, "again")
    await house.until(lambda: not house.view.problems)
    assert house.view.enrolment("west", "mx1") == "again"


@pytest.mark.parametrize("how", HOW)
async def test_suspensions_that_are_hurt_hold_and_are_written_again(house: House, how: str) -> None:
    known = house.view.suspension("west", "mx1")
    assert known.delivery is not None
    await house.hurt("suspensions", how)
    key = ONE_OF_EACH["suspensions"]
    await house.until(lambda: any(f"{key} {HOW[how]}" in each for each in house.view.problems))
    assert house.view.suspension("west", "mx1") == known
    async with viewed(house.etcd) as later:
        believed = later.suspension("west", "mx1")
        assert believed != known
        assert believed.number < known.number, "agents keep what is newer"
    await house.suspend(1e9 + 120)
    await house.until(lambda: not house.view.problems)
    again = house.view.suspension("west", "mx1")
    assert again.number > known.number
    assert again.delivery is not None


@pytest.mark.parametrize("how", ["deleted", "set back", "edited", "damaged"])
async def test_the_mark_of_the_last_round_does_no_harm(house: House, how: str) -> None:
    await house.hurt("maintenance", how)
    assert await Maintenance(house.etcd, own_member=False).round_if_due(1.2e9) is not None
    await house.commit(set_values(WEST, max_message_size=8), "r7")
    assert not house.view.problems
