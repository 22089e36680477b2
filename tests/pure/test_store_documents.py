"""A cluster as documents: what is written is what is read, and damage is named, never hidden."""

from __future__ import annotations

import json
import string
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.etcd.values import prefix_end
from tdc.manager.levels.changes import Edit, LevelChange, TopologyChange
from tdc.manager.levels.fleet import Cluster
from tdc.manager.levels.plan import make_plan
from tdc.manager.store.assembly import assemble
from tdc.manager.store.documents import (
    Document,
    Head,
    Unreadable,
    pack_head,
    read_document,
)
from tdc.manager.store.encoding import MAX_UNPACKED, Damaged, TooLong, moment_of, pack, unpack
from tdc.manager.store.keys import (
    CLUSTERS,
    DocumentKey,
    Part,
    commit_key,
    commits_prefix,
    enrolment_key,
    head_key,
    machine_key,
    parse_document_key,
    parse_enrolment_key,
)
from tdc.manager.store.record import (
    CommitRecord,
    Signature,
    chained,
    pack_record,
    read_record,
    topology_of,
)
from tdc.manager.store.replay import HistoryBroken, replayed
from tdc.manager.store.rewrite import Untouchable, rewritten, touched
from tdc.manager.store.seal import Edited, pack_sealed, same_content, unpack_sealed
from tdc.shared.settings.values import Level

from tests.stage.clusters import edit_lists, enabled_fleet, fleets, machine, put

Stored = dict[str, bytes]
any_text = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def write(
    stored: Mapping[str, bytes],
    after: Cluster,
    levels: Iterable[LevelChange],
    topology: Iterable[TopologyChange],
) -> Stored:
    """Return the store after a change, as a commit makes it."""
    documents = {
        key: document
        for key, raw in stored.items()
        if isinstance(document := read_document(key, raw), Document)
        and document.key.part is not Part.HEAD
    }
    values = rewritten(documents, after, touched(levels, topology, after))
    return {
        **stored,
        **values,
        head_key(after.name): pack_head(after.name, Head(after.revision, "id", born=after.born)),
    }


def write_all(cluster: Cluster) -> Stored:
    return write({}, cluster, (), topology_of(cluster))


def contents(stored: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """What is stored, without which commit wrote it."""
    return {key: {**unsealed(raw), "revision": 0} for key, raw in stored.items()}


def unsealed(raw: bytes) -> dict[str, object]:
    return {name: value for name, value in unpack(raw).items() if name != "seal"}


def read_all(stored: Mapping[str, bytes], name: str) -> tuple[Cluster | None, list[Unreadable]]:
    read = [read_document(key, raw) for key, raw in stored.items()]
    alone = [each for each in read if isinstance(each, Unreadable)]
    found = assemble(name, [each for each in read if isinstance(each, Document)])
    return found.cluster, [*alone, *found.unreadable]


@given(fleets(), edit_lists)
def test_a_rewritten_store_reads_as_the_plan_says(before: Cluster, edits: list[Edit]) -> None:
    """The dumb twin writes the whole cluster again; the commit writes what it touches."""
    plan = make_plan(before, edits)
    stored = write(write_all(before), plan.after, plan.levels, plan.topology)
    assert read_all(stored, before.name) == (plan.after, [])
    assert contents(stored) == contents(write_all(plan.after))


@given(fleets(), st.data())
def test_whatever_is_damaged_no_machine_looks_deleted(
    cluster: Cluster, data: st.DataObject
) -> None:
    stored = write_all(cluster)
    key = data.draw(st.sampled_from(sorted(stored)))
    stored[key] = data.draw(
        st.binary(max_size=40) | json_values.map(lambda v: json.dumps(v).encode())
    )
    found, unreadable = read_all(stored, cluster.name)
    if found is None:
        assert unreadable
        return
    lost_documents = {trouble.key for trouble in unreadable if trouble.entry is None}
    lost_entries = {trouble.entry for trouble in unreadable}
    for name, its in cluster.machines.items():
        hidden = machine_key(cluster.name, name) in lost_documents or name in lost_entries
        assert hidden or found.machines.get(name) == its


def test_an_entry_of_a_newer_version_is_refused_alone() -> None:
    cluster = enabled_fleet()
    key = machine_key(cluster.name, "mx1")
    stored = write_all(cluster)
    document = unsealed(stored[key])
    document["machines"]["mx1"]["settings"] = {"from_the_future": 1}  # type: ignore[index]
    stored[key] = pack_sealed(key, document)
    found, unreadable = read_all(stored, cluster.name)
    assert found is not None
    assert set(found.machines) == set(cluster.machines) - {"mx1"}
    assert [(trouble.key, trouble.entry) for trouble in unreadable] == [(key, "mx1")]
    plan = make_plan(cluster, [put(machine("mx1"), enabled=False)])
    with pytest.raises(Untouchable, match="entry 'mx1'"):
        write(stored, plan.after, plan.levels, plan.topology)


half_texts = st.text(st.characters(exclude_categories=()), max_size=4)  # halves of pairs as well


@given(
    st.sampled_from(["machines", "groups"]),
    st.dictionaries(
        half_texts,
        st.fixed_dictionaries(
            {
                "group": half_texts,
                "settings": st.dictionaries(st.sampled_from(["enabled", "tls.names"]), json_values),
                "set_by": st.dictionaries(st.just("enabled"), st.integers()),
            }
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(),
)
def test_whatever_json_holds_is_refused_in_words_and_kept_as_it_is(
    part: str, entries: dict[str, object], revision: int
) -> None:
    """JSON can hold names that are no text and numbers that no message can carry."""
    raw = json.dumps({"schema": 1, part: entries}).encode()
    document = read_document(f"{CLUSTERS}c1/{part}/00", raw)
    assert isinstance(document, Document)
    for trouble in document.unreadable:
        str(trouble).encode()
    good = {**document.machines, **document.groups}
    assert set(good) | set(document.kept) == set(entries)
    assert unpack(pack({part: document.kept}))[part] == document.kept
    raw = json.dumps({"schema": 1, "revision": revision, "request_id": "r"}).encode()
    head = read_document(head_key("c1"), raw)
    assert isinstance(head, Document)
    assert (head.head is not None) == (0 <= revision <= 2**53)


@pytest.mark.parametrize("tail", ["\udcff/head", "c1/head\udcff", "/head", "a%2Fb/head"])
def test_a_foreign_key_is_named_and_nothing_more(tail: str) -> None:
    found = read_document(CLUSTERS + tail, b"{}")
    assert isinstance(found, Unreadable)
    str(found).encode()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e300", "true", '"1"', "null"])
def test_a_time_is_one_that_a_clock_can_show(text: str) -> None:
    """Else a NaN would be the end of a token that never expires."""
    with pytest.raises(Damaged, match="not a time"):
        moment_of(unpack(b'{"schema": 1, "at": %s}' % text.encode()), "at")


def test_a_machine_in_the_wrong_shard_is_not_believed() -> None:
    cluster = enabled_fleet()
    stored = write_all(cluster)
    wrong = str(DocumentKey(cluster.name, Part.MACHINES, 0))
    assert wrong != machine_key(cluster.name, "mx1")
    stored[wrong] = pack_sealed(wrong, unsealed(stored[machine_key(cluster.name, "mx1")]))
    found, unreadable = read_all(stored, cluster.name)
    assert found == cluster
    assert "wrong shard" in unreadable[0].reason


def test_a_machine_whose_group_is_lost_is_named_and_not_served() -> None:
    cluster = enabled_fleet()
    stored = {key: raw for key, raw in write_all(cluster).items() if "/groups/" not in key}
    found, unreadable = read_all(stored, cluster.name)
    assert found is not None
    assert not found.machines
    assert {trouble.entry for trouble in unreadable} == set(cluster.machines)


@given(st.binary())
def test_any_bytes_are_a_document_or_damaged(raw: bytes) -> None:
    for doubtful in (raw, b"\x01" + raw, b"\x01" + zlib.compress(raw)):
        try:
            unpacked: object = unpack(doubtful)
        except Damaged:
            unpacked = {}
        assert isinstance(unpacked, dict)
        read_document(machine_key("c1", "mx1"), doubtful)  # raises nothing


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=60))
def test_a_packed_document_comes_out_as_it_went_in(document: dict[str, object]) -> None:
    document.pop("schema", None)
    assert unpack(pack(document)) == {"schema": 1, **document}


@given(any_text, st.dictionaries(st.text(max_size=8), json_values, max_size=9), st.data())
def test_a_seal_fits_what_was_sealed_however_it_is_written_and_nothing_else(
    key: str, document: dict[str, object], data: st.DataObject
) -> None:
    for name in ("schema", "seal"):
        document.pop(name, None)
    raw = pack_sealed(key, document)
    whole = unpack_sealed(key, raw)
    assert unsealed(raw) == {"schema": 1, **document}
    other = json.dumps(dict(reversed(whole.items())), indent=1).encode()
    assert unpack_sealed(key, other) == whole
    assert same_content(raw, other)
    name = data.draw(st.sampled_from(sorted(whole)))
    changed = {**whole, name: "another" if name != "schema" else 0}
    for at, wrong in (
        (key, json.dumps(changed).encode()),
        (key, json.dumps({**whole, "new": 1, "more": whole.get("more", 2)}).encode()),
        (f"{key}/", raw),
    ):
        with pytest.raises(Edited, match="seal does not fit"):
            unpack_sealed(at, wrong)
    del whole["seal"]
    assert unpack_sealed(key, pack(whole)) == whole


def test_a_value_that_is_nested_too_deep_to_be_sealed_is_damaged() -> None:
    deep = b'{"schema":1,"seal":"x","a":' + b"[" * 900 + b"]" * 900 + b"}"
    with pytest.raises(Damaged):
        unpack_sealed("key", deep)


def test_a_value_of_very_many_parts_is_not_even_parsed() -> None:
    """Small as it is, it would take seconds and a gigabyte; and none such is written."""
    many = b'{"schema":1,"a":[' + b"[]," * 1_000_000 + b"[]]}"
    with pytest.raises(Damaged, match="more than any value of ours"):
        unpack(b"\x01" + zlib.compress(many))
    with pytest.raises(TooLong, match="longer than can be read"):
        pack({"a": [[]] * 1_000_000})


def test_a_cut_off_value_and_one_that_unfolds_too_far_are_damaged() -> None:
    packed = pack({"text": "x" * 5_000})
    with pytest.raises(Damaged, match="cut off"):
        unpack(packed[:-3])
    bomb = b"\x01" + zlib.compress(b" " * (MAX_UNPACKED + 1))
    with pytest.raises(Damaged, match="unfolds"):
        unpack(bomb)
    with pytest.raises(Damaged):
        unpack(b"[" * 200_000)


@given(any_text, st.sampled_from(Part), st.integers(0, 15))
def test_document_keys_can_be_read_back(cluster: str, part: Part, shard: int) -> None:
    key = DocumentKey(cluster, part, shard if part in {Part.GROUPS, Part.MACHINES} else 0)
    assert parse_document_key(str(key)) == key
    assert str(key).isascii()


@given(any_text)
def test_no_other_key_is_taken_for_a_document(tail: str) -> None:
    for key in (tail, CLUSTERS + tail, f"{CLUSTERS}c1/{tail}", f"{CLUSTERS}c1/machines/{tail}"):
        parsed = parse_document_key(key)
        assert parsed is None or str(parsed) == key


@pytest.mark.parametrize(
    "tail",
    ["c%31/head", "c1/head/", "c1//head", "c1/machines/3F", "c1/machines/40", "c1/machines/7",
     "c1/head/00", "c1/groups/10", "c 1/head", "c%2f1/head", "c1/HEAD"],
)  # fmt: skip
def test_a_document_has_one_key(tail: str) -> None:
    """Two spellings of one would be two documents, of which each manager believes another."""
    assert parse_document_key(CLUSTERS + tail) is None


def test_a_value_of_a_later_schema_is_not_read() -> None:
    assert unpack(pack({"id": "x"})) == {"schema": 1, "id": "x"}
    with pytest.raises(Damaged, match="it has schema 2, but this version reads up to 1; upgrade"):
        unpack(pack({"id": "x", "schema": 2}))
    for odd in (True, "1", None, 1.0):
        with pytest.raises(Damaged, match="no schema version"):
            unpack(pack({"schema": odd}))


@given(any_text, any_text)
def test_enrolment_keys_can_be_read_back(cluster: str, name: str) -> None:
    assert parse_enrolment_key(enrolment_key(cluster, name)) == (cluster, name)


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_commit_keys_sort_as_revisions_do(one: int, other: int) -> None:
    assert (commit_key("c1", one) < commit_key("c1", other)) == (one < other)
    assert commit_key("c1", one).startswith(commits_prefix("c1"))


@given(
    st.text(string.printable, min_size=1, max_size=4),
    st.text(string.printable, max_size=6),
)
def test_a_prefix_ends_where_its_keys_end(prefix: str, key: str) -> None:
    assert (prefix <= key < prefix_end(prefix)) == key.startswith(prefix)


@given(fleets(), edit_lists, st.text(), st.text(), st.text())
def test_a_commit_record_comes_out_as_it_went_in(
    before: Cluster, edits: list[Edit], author: str, comment: str, request_id: str
) -> None:
    plan = make_plan(before, edits)
    record = CommitRecord(
        revision=plan.after.revision,
        signature=Signature(author, comment, request_id),
        time=1_795_000_000.25,
        levels=plan.levels,
        topology=plan.topology,
        machines_changed=3,
    )
    for each in (record, replace(record, sealed=1)):
        raw = pack_record("c1", each)
        assert read_record(commit_key("c1", each.revision), raw) == each


def test_a_record_that_was_changed_by_hand_is_not_replayed() -> None:
    """Repair would write what nobody committed, with an operator's name on it."""
    by_ana, records, chain = Signature("ana", "", "r"), list[CommitRecord](), ""
    for revision, topology in ((1, TopologyChange(Level.CLUSTER, "c1")),
                               (2, TopologyChange(Level.GROUP, "g1")),
                               (3, TopologyChange(Level.GROUP, "g2"))):  # fmt: skip
        record = CommitRecord(revision, by_ana, 1.0, (), (topology,), 0)
        records.append(chained(record, chain))
        chain = records[-1].chain
    head, _ = replayed("c1", records)
    assert (head.revision, head.chain) == (3, chain)
    for place, record in enumerate(records):
        for changed in (
            replace(record, signature=Signature("bob", "", "r")),
            replace(record, topology=(TopologyChange(Level.GROUP, "other"),)),
            replace(record, chain="f" * 64),
        ):
            with pytest.raises(HistoryBroken, match=f"commit {place + 1} .* was changed by hand"):
                replayed("c1", [*records[:place], changed, *records[place + 1 :]])
    with pytest.raises(HistoryBroken, match="has no commit 2"):
        replayed("c1", [records[0], records[2]])
