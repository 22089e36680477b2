"""The audit log: never a change without its entry, and what a hand in etcd did to it is named."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdRefused, EtcdUnavailable, Reason
from tdc.manager.etcd.values import Delete, Operation, Put, TxnResult, Unchanged
from tdc.manager.levels.fleet import LevelKey, new_cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.store.audit import Audited, AuditLog
from tdc.manager.store.audit_check import AuditVerdict, Word, contradicts
from tdc.manager.store.audit_entry import pack_entry, pack_mark, read_entry, read_mark
from tdc.manager.store.audit_reading import AuditReader
from tdc.manager.store.audit_trim import trim_audit
from tdc.manager.store.commit import CommitStore
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.errors import UnreadableTouched
from tdc.manager.store.history import MAX_AGE
from tdc.manager.store.keys import (
    AUDIT,
    AUDIT_ANCHOR,
    AUDIT_HEAD,
    ROOT,
    audit_key,
    commit_key,
)
from tdc.manager.store.maintenance import Maintenance
from tdc.manager.store.record import read_record
from tdc.shared.settings.values import Level
from tdc.shared.sync.audit import AuditHead
from tdc.shared.sync.audit_entry import AuditEntry, AuditEvent, By, entry_after

from tests.fakes.etcd import FULL_QUOTA, external_etcd, full_etcd
from tests.fakes.etcd import fill as until_full
from tests.fakes.etcd_proxy import EtcdProxy
from tests.stage.etcds import shared_by_module
from tests.stage.stored_clusters import MADE, set_values, signed

pytestmark = shared_by_module

ANN = By("ann", role="administrator", origin="192.0.2.1:5")


def event(what: str) -> AuditEvent:
    return AuditEvent("test.done", ANN, what)


def key(name: str) -> str:
    return f"{ROOT}drafts/of-the-test/{name}"


async def written(etcd: EtcdClient) -> list[AuditEntry]:
    return [read_entry(each.key, each.value) for each in (await etcd.range(AUDIT)).items]


async def fill(etcd: EtcdClient, count: int) -> AuditLog:
    log = AuditLog(etcd, lambda: MADE)
    for number in range(1, count + 1):
        assert await log.txn([], [Put(key(str(number)), b"x")], event(f"change {number}"))
    return log


async def verdict(etcd: EtcdClient, *words: Word) -> AuditVerdict:
    return await AuditReader(etcd).check(words)


async def test_a_change_and_its_entry_are_written_together(etcd: EtcdClient) -> None:
    log = AuditLog(etcd, lambda: MADE)
    assert await log.txn([Unchanged(key("a"), 0)], [Put(key("a"), b"1")], event("first"))
    assert not await log.txn([Unchanged(key("a"), 0)], [Put(key("a"), b"2")], event("refused"))
    assert await log.txn([], [Delete(key("a"))], event("second"))
    assert [(each.number, each.event.what) for each in await written(etcd)] == [
        (1, "first"),
        (2, "second"),
    ]
    assert not (await verdict(etcd)).faults


async def test_two_managers_at_once_lose_no_change_and_break_no_chain(etcd: EtcdClient) -> None:
    """Neither hears of the other's entries as a lost race of its own."""
    logs = [AuditLog(etcd), AuditLog(etcd), AuditLog(etcd)]

    async def many(log: AuditLog, name: str) -> None:
        for number in range(15):
            put = Put(key(f"{name}-{number}"), b"x")
            assert await log.txn([Unchanged(put.key, 0)], [put], event(f"{name} {number}"))

    await asyncio.gather(*(many(log, str(place)) for place, log in enumerate(logs)))
    found = await verdict(etcd)
    assert (found.entries, found.fault_count) == (45, 0)
    assert len({each.event.what for each in await written(etcd)}) == 45


async def test_a_race_of_the_log_is_told_from_one_of_the_store(etcd: EtcdClient) -> None:
    """The head moved and the store's own compare fails as well: it hears of its own."""
    one, other = AuditLog(etcd), AuditLog(etcd)
    assert await one.txn([], [Put(key("a"), b"1")], event("first"))
    assert await other.txn([], [Put(key("a"), b"2")], event("second"))
    assert not await one.txn([Unchanged(key("a"), 1)], [Put(key("a"), b"3")], event("late"))
    assert await one.txn([], [Put(key("b"), b"1")], event("third"))
    assert [each.event.what for each in await written(etcd)] == ["first", "second", "third"]


async def test_what_is_written_holds_only_while_the_fence_does(etcd: EtcdClient) -> None:
    """Who was cut off while the CAs were replaced does not know of it, and must change nothing."""
    fence_key, looks = key("fence"), 0

    async def fence() -> Unchanged:
        nonlocal looks
        looks += 1
        item = await etcd.get(fence_key)
        if item is not None and item.value == b"replaced":
            raise EtcdUnavailable("not followed")
        return Unchanged(fence_key, item.mod_revision if item is not None else 0)

    log = AuditLog(etcd, fence=fence)
    for number, step in enumerate((b"", b"prepared", b"switched")):
        if step:
            await etcd.txn([], [Put(fence_key, step)])
        for _ in range(2):
            assert await log.txn([], [Put(key("written"), step)], event("a change"))
        assert looks == number + 1, "one look for each step"
    await etcd.txn([], [Put(fence_key, b"replaced")])
    before = await written(etcd)
    for _ in range(2):
        with pytest.raises(EtcdUnavailable, match="not followed"):
            await log.txn([], [Put(key("written"), b"by the old CA")], event("a change"))
    found = await etcd.get(key("written"))
    assert found is not None
    assert found.value == b"switched"
    assert await written(etcd) == before
    await etcd.txn([], [Put(fence_key, b"followed")])
    assert await log.txn([], [Put(key("written"), b"")], event("a change"))


async def test_a_commit_and_its_entry_name_each_other(etcd: EtcdClient) -> None:
    commits = CommitStore(etcd)
    await commits.create_cluster(new_cluster("west"), signed("r1"), MADE)
    west = new_cluster("west")
    plan = make_plan(west, [set_values(LevelKey(Level.CLUSTER, "west"), max_message_size=7)])
    await commits.commit(plan, signed("r2"), MADE)
    first, second = await written(etcd)
    item = await etcd.get(commit_key("west", 2))
    assert item is not None
    record = read_record(item.key, item.value)
    assert record.audit == first.head
    assert second.event.digest == record.chain
    assert second.event.commit == item.key
    assert second.event.by.name == record.signature.author


async def test_a_lost_answer_makes_neither_a_second_change_nor_a_second_entry(
    lossy: EtcdClient, proxy: EtcdProxy
) -> None:
    commits = CommitStore(lossy, settle_within=10)
    proxy.lose_answers = 1
    await commits.create_cluster(new_cluster("west"), signed("r1"), MADE)
    assert len(await written(lossy)) == 1
    assert not (await verdict(lossy)).faults


# -- by hand -------------------------------------------------------------------------------------


def _edited(raw: bytes) -> bytes:
    document = unpack(raw)
    document["who"] = "mallory"
    return pack(document)


async def _with_seal(etcd: EtcdClient) -> list[Operation]:
    """Entry 3 again with another content, its own seal and a chain value that fits."""
    before, entry = (await written(etcd))[1:3]
    other = dataclasses.replace(entry.event, by=By("mallory"))
    return [Put(audit_key(3), pack_entry(entry_after(before.head, other, MADE)))]


BY_HAND: dict[str, tuple[Callable[[dict[str, bytes]], list[Operation]], int, str]] = {
    "an entry deleted": (lambda _: [Delete(audit_key(2))], 2, "entry 2 is missing"),
    "entries deleted": (
        lambda _: [Delete(audit_key(2), audit_key(4))],
        2,
        "entries 2 to 3 are missing",
    ),
    "the first deleted": (lambda _: [Delete(audit_key(1))], 1, "entry 1 is missing"),
    "an entry edited": (
        lambda raw: [Put(audit_key(3), _edited(raw[audit_key(3)]))],
        3,
        "entry 3 was edited or damaged",
    ),
    "an entry damaged": (
        lambda _: [Put(audit_key(3), b"\x01no value of ours")],
        3,
        "entry 3 was edited or damaged",
    ),
    "entries in another order": (
        lambda raw: [
            Put(audit_key(2), raw[audit_key(3)]),
            Put(audit_key(3), raw[audit_key(2)]),
        ],
        2,
        "the key of entry 2 holds entry 3",
    ),
    "the tail cut": (
        lambda _: [Delete(audit_key(4), audit_key(6))],
        4,
        "entries 4 to 5, the end of the log, are missing",
    ),
    "the head deleted": (lambda _: [Delete(AUDIT_HEAD)], 0, "is missing"),
    "the head damaged": (lambda _: [Put(AUDIT_HEAD, b"\x01no")], 0, "edited or damaged"),
    "a foreign key": (lambda _: [Put(f"{AUDIT}note", b"hello")], 0, "is not a key of an entry"),
}


@pytest.mark.parametrize("how", BY_HAND)
@pytest.mark.proves("S14")
async def test_what_was_changed_by_hand_is_found_and_named(etcd: EtcdClient, how: str) -> None:
    change, number, words = BY_HAND[how]
    log = await fill(etcd, 5)
    raw = {each.key: each.value for each in (await etcd.range(AUDIT)).items}
    await etcd.txn([], change(raw))
    found = await verdict(etcd)
    assert found.faults[0].number == number
    assert words in found.faults[0].what
    assert found.faults[0].meaning
    assert found.faults[0].advice
    if "edited" not in how and "damaged" not in how and how != "entries in another order":
        assert found.fault_count == 1
    # The log goes on, and what is wrong stays named unless it was the head alone.
    assert await log.txn([], [Put(key("later"), b"x")], event("later"))
    later = await verdict(etcd)
    assert bool(later.faults) is not how.startswith("the head")
    assert bool(later.remarks) is how.startswith("the head")


async def test_an_entry_that_was_put_in_place_with_a_fitting_seal_is_found(
    etcd: EtcdClient,
) -> None:
    await fill(etcd, 5)
    await etcd.txn([], await _with_seal(etcd))
    (fault,) = (await verdict(etcd)).faults
    assert (fault.number, "does not follow" in fault.what) == (4, True)


async def test_a_head_that_was_set_back_overwrites_no_entry(etcd: EtcdClient) -> None:
    log = await fill(etcd, 3)
    before = (await written(etcd))[0].head
    await etcd.txn([], [Put(AUDIT_HEAD, pack_mark(AUDIT_HEAD, before))])
    assert "entry 1 is the newest, and there is entry 3" in (await verdict(etcd)).faults[0].what
    assert await log.txn([], [Put(key("later"), b"x")], event("later"))
    newest = (await written(etcd))[-1]
    assert newest.number == 4
    assert "was set back to entry 1 by hand" in newest.note


async def test_a_tail_that_was_cut_and_a_log_that_was_rewritten_contradict_a_witness(
    etcd: EtcdClient,
) -> None:
    """Both are whole in themselves: the chain alone finds neither."""
    await fill(etcd, 5)
    entries = await written(etcd)
    saw = [Word("machine mx1 saw", each.head, "agents") for each in (entries[2], entries[4])]
    assert not [word for word in saw if contradicts(word, await verdict(etcd, *saw))]
    cut: list[Operation] = [
        Delete(audit_key(4), audit_key(6)),
        Put(AUDIT_HEAD, pack_mark(AUDIT_HEAD, entries[2].head)),
    ]
    await etcd.txn([], cut)
    found = await verdict(etcd, *saw)
    assert not found.faults
    assert contradicts(saw[0], found) is None
    fault = contradicts(saw[1], found)
    assert fault is not None
    assert fault.what.startswith("machine mx1 saw entry 5")
    assert "the log ends at entry 3" in fault.what
    again = AuditLog(etcd, lambda: MADE)
    for number in (4, 5, 6):
        await again.txn([], [], event(f"another change {number}"))
    found = await verdict(etcd, *saw)
    assert not found.faults
    fault = contradicts(saw[1], found)
    assert fault is not None
    assert "the log has another entry 5" in fault.what


# -- bounds --------------------------------------------------------------------------------------


async def test_what_is_trimmed_leaves_an_anchor_from_which_the_rest_follows(
    etcd: EtcdClient,
) -> None:
    log = await fill(etcd, 10)
    assert await trim_audit(etcd, log, MADE, most=4) == 6
    anchor = await etcd.get(AUDIT_ANCHOR)
    assert anchor is not None
    assert read_mark(AUDIT_ANCHOR, anchor.value).number == 6
    found = await verdict(etcd)
    assert (found.first, found.newest.number, found.fault_count) == (7, 11, 0)
    assert (await written(etcd))[-1].event.operation == "audit.trim"
    # A witness of what was trimmed can't be compared, and is no contradiction.
    assert contradicts(Word("mx1 saw", AuditHead(2, "0" * 64), "agents"), found) is None
    await etcd.txn([], [Delete(AUDIT_ANCHOR)])
    assert (await verdict(etcd)).faults[0].what == "entries 1 to 6 are missing"


async def test_who_lost_the_work_without_knowing_trims_nothing(etcd: EtcdClient) -> None:
    log = await fill(etcd, 10)
    item = await etcd.get(AUDIT_HEAD)
    assert item is not None
    before = Unchanged(AUDIT_HEAD, item.mod_revision - 1)
    assert await trim_audit(etcd, log, MADE, most=4, fence=[before]) == 0
    assert await etcd.get(AUDIT_ANCHOR) is None
    fence = Unchanged(AUDIT_HEAD, item.mod_revision)
    assert await trim_audit(etcd, log, MADE, most=4, fence=[fence]) == 6


async def test_a_full_store_is_maintained_though_nothing_goes_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes leaves an anchor, for which there is no room."""
    monkeypatch.setattr("tdc.manager.store.maintenance.trim_audit", partial(trim_audit, most=1))
    arguments = (f"--quota-backend-bytes={FULL_QUOTA}",)
    async with (
        external_etcd(tmp_path / "etcd", arguments=arguments) as server,
        EtcdClient(server.options) as etcd,
    ):
        await fill(etcd, 5)
        await until_full(etcd)
        maintenance = Maintenance(etcd, own_member=True)
        assert await maintenance.round_if_due(MADE) is not None
        assert len(await written(etcd)) == 5


async def test_entries_are_trimmed_by_age_and_the_newest_never(etcd: EtcdClient) -> None:
    log = await fill(etcd, 3)
    assert not await trim_audit(etcd, log, MADE + 10 * MAX_AGE), "a clock that is far ahead"
    later = AuditLog(etcd, lambda: MADE + MAX_AGE + 10)
    await later.txn([], [], event("much later"))
    assert await trim_audit(etcd, later, MADE + MAX_AGE + 20) == 3
    assert not (await verdict(etcd)).faults


async def test_an_entry_is_bounded_whatever_it_is_asked_to_hold(etcd: EtcdClient) -> None:
    log = AuditLog(etcd, lambda: MADE)
    long = "\x1b[31m" + "x" * 100_000
    by = By(long, role=long, means=long, origin=long)
    await log.txn([], [], AuditEvent("test.done", by, long, long, comment=long, reason=long))
    (item,) = (await etcd.range(AUDIT)).items
    assert len(item.value) < 8_192
    entry = read_entry(item.key, item.value)
    assert "\x1b" not in str(entry)


@pytest.mark.proves("S14", "F46", "F57")
async def test_a_change_whose_entry_can_not_be_written_is_not_made(tmp_path: Path) -> None:
    """They are one transaction, so etcd refuses both, and the words say why."""
    async with full_etcd(tmp_path / "etcd") as etcd:
        before = (await etcd.range(ROOT, keys_only=True)).items
        with pytest.raises(EtcdRefused, match=r"NOSPACE.*defragment") as caught:
            await CommitStore(etcd).create_cluster(new_cluster("west"), signed("r1"), MADE)
        assert caught.value.reason is Reason.NO_SPACE
        assert (await etcd.range(ROOT, keys_only=True)).items == before


# -- together ------------------------------------------------------------------------------------


async def test_those_who_wait_go_together_and_each_hears_of_its_own_end(
    etcd: EtcdClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose compare fails, one that can't be made, two for one key: the others are written."""
    sent: list[int] = []
    real = EtcdClient.txn

    async def counted(
        self: EtcdClient,
        compares: Sequence[Unchanged],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        sent.append(sum(AUDIT in each.key for each in then))
        return await real(self, compares, then, otherwise)

    log = AuditLog(etcd, lambda: MADE)
    await log.txn([], [Put(key("taken"), b"x")], event("before"))
    monkeypatch.setattr(EtcdClient, "txn", counted)

    def new(name: str, at: int = 0) -> Awaitable[bool]:
        return log.txn([Unchanged(key(name), at)], [Put(key(name), b"x")], event(name))

    def refuses(head: AuditHead) -> Audited:
        raise UnreadableTouched("damaged")

    assert await asyncio.gather(*(new(f"n{each}") for each in range(30))) == [True] * 30
    assert len(sent) < 6, "most go together"
    assert max(sent) <= 40
    sent.clear()
    outcomes: list[object] = await asyncio.gather(  # type: ignore[assignment]  # a list it is
        new("a"),
        new("b"),
        new("a"),
        log.append(refuses, (Unchanged(key("c"), 0),)),
        new("taken"),
        new("d"),
        return_exceptions=True,
    )
    assert outcomes[:3] == [True, True, False]
    assert isinstance(outcomes[3], UnreadableTouched)
    assert outcomes[4:] == [False, True]
    assert not (await verdict(etcd)).faults
    assert len(await written(etcd)) == 34


async def test_who_goes_away_while_he_waits_leaves_no_entry_and_holds_up_nobody(
    etcd: EtcdClient,
) -> None:
    log = AuditLog(etcd, lambda: MADE)
    tasks = [
        asyncio.create_task(
            log.txn([Unchanged(key(f"g{each}"), 0)], [Put(key(f"g{each}"), b"x")], event(str(each)))
        )
        for each in range(12)
    ]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each is True for each in done] == [True, False] * 6
    assert await log.txn([], [Put(key("later"), b"x")], event("later"))
    kept = {each.event.what for each in await written(etcd)}
    there = {each.key for each in (await etcd.range(key(""), keys_only=True)).items}
    assert {key(f"g{what}") for what in kept - {"later"}} | {key("later")} == there
