"""A cluster put together again from what changed: the same as from all of its documents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.fleet import Group, Machine, RemovedMachine, StoredSettings
from tdc.manager.store.assembly import NOTHING_ASSEMBLED, Assembled, assemble, reassembled
from tdc.manager.store.documents import (
    Document,
    Head,
    pack_cluster_level,
    pack_groups,
    pack_head,
    pack_machines,
    read_document,
)
from tdc.manager.store.keys import cluster_key, group_key, head_key, machine_key
from tdc.shared.settings.check import checked

from tests.examples import examples

MACHINES, GROUPS = [f"mx{number}" for number in range(6)], ["g1", "g2", "g3"]

SIZES = st.none() | st.integers(1, 3)
KEYS = sorted(
    {head_key("c1"), cluster_key("c1")}
    | {group_key("c1", name) for name in GROUPS}
    | {machine_key("c1", name) for name in MACHINES}
)


def _stored(size: int | None) -> StoredSettings:
    if size is None:
        return StoredSettings()
    return StoredSettings(checked({"max_message_size": size}), {"max_message_size": size})


@st.composite
def _values(draw: st.DrawFn, key: str) -> bytes | None:
    """What a key may hold: nothing, garbage, or one document of those it can be."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.none() | st.just(b"{}"))
    if key == head_key("c1"):
        return pack_head("c1", Head(draw(st.integers(1, 9)), "r"))
    if key == cluster_key("c1"):
        return pack_cluster_level(_stored(draw(SIZES)))
    groups = [name for name in GROUPS if group_key("c1", name) == key]
    if groups:
        there = [name for name in groups if draw(st.integers(0, 5))]
        return pack_groups([Group(name, _stored(draw(SIZES))) for name in there], {})
    names = [name for name in MACHINES if machine_key("c1", name) == key]
    there = [name for name in names if draw(st.integers(0, 4))]
    machines = [
        Machine(name, draw(st.sampled_from(GROUPS)), _stored(draw(SIZES))) for name in there
    ]
    removed = {name: RemovedMachine(draw(st.integers(1, 3))) for name in names if name not in there}
    odd = {"mx0": {"settings": 1}} if "mx0" in names and not draw(st.integers(0, 9)) else {}
    return pack_machines(machines, odd, removed=removed)


@examples(300)
@given(st.data())
def test_documents_one_by_one_make_what_all_of_them_make(data: st.DataObject) -> None:
    known, before = NOTHING_ASSEMBLED, dict[str, Document]()
    now = dict[str, Document]()
    for step in range(data.draw(st.integers(1, 6))):
        keys = data.draw(st.lists(st.sampled_from(KEYS), max_size=3)) if step else KEYS
        for key in keys:
            raw = data.draw(_values(key))
            read = None if raw is None else read_document(key, raw)
            if isinstance(read, Document):
                now[key] = read
            else:
                now.pop(key, None)
        known = reassembled("c1", known, before, now)
        _same(known, assemble("c1", now.values()))
        before = dict(now)


def _same(one: Assembled, other: Assembled) -> None:
    assert one.cluster == other.cluster
    assert sorted(map(str, one.unreadable)) == sorted(map(str, other.unreadable))


def test_a_machine_that_was_not_written_again_is_the_same_object() -> None:
    names = [f"mx{number}" for number in range(500)]
    documents = {
        head_key("c1"): pack_head("c1", Head(1, "r")),
        cluster_key("c1"): pack_cluster_level(_stored(1)),
        group_key("c1", "g1"): pack_groups([Group("g1")], {}),
    }
    for name in names:
        key = machine_key("c1", name)
        beside = [each for each in names if machine_key("c1", each) == key]
        documents[key] = pack_machines([Machine(each, "g1", _stored(1)) for each in beside], {})
    read = {key: read_document(key, raw) for key, raw in documents.items()}
    before = {key: each for key, each in read.items() if isinstance(each, Document)}
    known = assemble("c1", before.values())
    key = machine_key("c1", "mx7")
    beside = [each for each in names if machine_key("c1", each) == key]
    raw = pack_machines([Machine(each, "g1", _stored(1 + (each == "mx7"))) for each in beside], {})
    again = read_document(key, raw)
    assert isinstance(again, Document)
    after = reassembled("c1", known, before, {**before, key: again})
    assert known.cluster is not None
    assert after.cluster is not None
    old, new = known.cluster.machines, after.cluster.machines
    assert [name for name in names if old[name] is not new[name]] == ["mx7"]
