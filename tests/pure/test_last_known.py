"""Documents come, go and get damaged: the view's memory against a dumb twin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.fleet import Cluster, Group, Machine, StoredSettings
from tdc.manager.store.documents import (
    Head,
    pack_cluster_level,
    pack_groups,
    pack_head,
    pack_machines,
)
from tdc.manager.store.keys import CLUSTERS, cluster_key, group_key, head_key, machine_key
from tdc.manager.view.last_known import KnownClusters
from tdc.shared.settings.check import checked

from tests.examples import examples

GARBAGE = st.sampled_from([b"", b"\x01\xff", b"{}", b"null", b'{"schema":99}'])


NAMES = [f"mx{number}" for number in range(5)]


def _stored(size: int) -> StoredSettings:
    return StoredSettings(checked({"max_message_size": size}), {"max_message_size": size})


def _documents(sizes: dict[str, int], revision: int) -> dict[str, bytes]:
    """A cluster of one group and some machines, each with a size of its own."""
    documents = {
        head_key("c1"): pack_head("c1", Head(revision, "r")),
        cluster_key("c1"): pack_cluster_level(StoredSettings()),
        group_key("c1", "g1"): pack_groups([Group("g1")], {}),
    }
    shards: dict[str, list[Machine]] = {machine_key("c1", name): [] for name in NAMES}
    for name, size in sizes.items():
        shards.setdefault(machine_key("c1", name), []).append(Machine(name, "g1", _stored(size)))
    return documents | {key: pack_machines(each, {}) for key, each in shards.items()}


SIZES = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), max_size=5)


def _sizes(cluster: Cluster | None) -> dict[str, int]:
    machines = cluster.machines.values() if cluster is not None else ()
    return {each.name: int(str(each.stored.settings["max_message_size"])) for each in machines}


@examples(200)
@given(st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=5))
def test_changes_one_by_one_give_what_reading_everything_gives(
    steps: list[tuple[dict[str, int], bool]],
) -> None:
    """And a machine that may be affected is among those named; nothing else is missed."""
    known = KnownClusters()
    before: dict[str, bytes] = {}
    sizes_before: dict[str, int] = {}
    for revision, (sizes, whole) in enumerate(steps, 1):
        after = _documents(sizes, revision)
        differing = {key: value for key, value in after.items() if before.get(key) != value}
        gone = dict.fromkeys(before.keys() - after.keys())
        changes = known.take(after if whole else {**differing, **gone}, all_of_it=whole)
        assert _sizes(known.clusters.get("c1")) == sizes
        assert known.clusters["c1"].revision == revision
        named = {name for change in changes for name in change.machines}
        assert named >= {name for name in NAMES if sizes.get(name) != sizes_before.get(name)}
        if not whole:
            assert named <= {name for name in NAMES if sizes.get(name) != sizes_before.get(name)}
        before, sizes_before = after, sizes
    assert known.unreadable() == ()


@examples(200)
@given(SIZES, SIZES, st.data())
def test_damage_keeps_what_was_known_of_the_damaged_document_alone(
    old: dict[str, int], new: dict[str, int], data: st.DataObject
) -> None:
    known = KnownClusters()
    known.take(_documents(old, 1), all_of_it=True)
    after = _documents(new, 2)
    damaged = data.draw(st.sets(st.sampled_from(sorted(after))))
    known.take({**after, **{key: data.draw(GARBAGE) for key in damaged}}, all_of_it=True)

    expected = {
        name: (old if machine_key("c1", name) in damaged else new).get(name) for name in NAMES
    }
    kept = {name: size for name, size in expected.items() if size is not None}
    assert _sizes(known.clusters.get("c1")) == kept
    assert known.clusters["c1"].revision == (1 if head_key("c1") in damaged else 2)
    assert {trouble.key for trouble in known.unreadable()} == damaged

    known.take(after, all_of_it=True)
    assert _sizes(known.clusters.get("c1")) == new
    assert known.unreadable() == ()


def test_a_damaged_entry_leaves_its_neighbours_in_the_shard_readable() -> None:
    shard = machine_key("c1", "mx0")
    neighbour = next(
        name for name in (f"n{number}" for number in range(999)) if machine_key("c1", name) == shard
    )
    known = KnownClusters()
    known.take(_documents({"mx0": 1, neighbour: 1}, 1), all_of_it=True)
    odd = {"mx0": {"group": "g1", "settings": {"from.the.future": 1}, "set_by": {}}}
    known.take({shard: pack_machines([Machine(neighbour, "g1", _stored(2))], odd)}, all_of_it=False)
    assert _sizes(known.clusters["c1"]) == {"mx0": 1, neighbour: 2}
    (trouble,) = known.unreadable()
    assert trouble.entry == "mx0"


def test_a_key_of_no_known_form_is_named_and_forgotten_when_deleted() -> None:
    known = KnownClusters()
    known.take({f"{CLUSTERS}c1/strange": b"x"}, all_of_it=False)
    assert [trouble.key for trouble in known.unreadable()] == [f"{CLUSTERS}c1/strange"]
    known.take({f"{CLUSTERS}c1/strange": None}, all_of_it=False)
    assert known.unreadable() == ()


def test_a_cluster_whose_documents_are_gone_without_a_commit_is_kept_and_named() -> None:
    known = KnownClusters()
    documents = _documents({"mx0": 1}, 1)
    known.take(documents, all_of_it=True)
    (change,) = known.take(dict.fromkeys(documents), all_of_it=False)
    assert _sizes(known.clusters["c1"]) == {"mx0": 1}
    assert change.machines == frozenset()
    assert {each.key for each in known.unreadable()} == set(documents)
    assert all("was deleted by hand" in str(each) for each in known.unreadable())
    known.take(documents, all_of_it=False)
    assert known.unreadable() == ()


def test_a_store_that_was_replaced_is_believed_whatever_was_known() -> None:
    known = KnownClusters()
    known.take(_documents({"mx0": 1}, 5), all_of_it=True)
    (change,) = known.take(_documents({"mx1": 2}, 3), all_of_it=True, replaced=True)
    assert change.machines == {"mx0", "mx1"}
    assert _sizes(known.clusters["c1"]) == {"mx1": 2}
    (change,) = known.take({}, all_of_it=True, replaced=True)
    assert known.clusters == {}
    assert (change.machines, change.after) == (frozenset({"mx1"}), None)
    assert known.unreadable() == ()
