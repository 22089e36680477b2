"""What is wrong with one stored value, where no other value has to say so as well."""

from __future__ import annotations

from tdc.manager.etcd.values import KeyValue
from tdc.manager.levels.changes import TopologyChange
from tdc.manager.levels.fleet import StoredSettings
from tdc.manager.store.by_hand import faults_of
from tdc.manager.store.documents import (
    Document,
    Head,
    Unreadable,
    pack_cluster_level,
    read_document,
)
from tdc.manager.store.encoding import pack, unpack
from tdc.manager.store.judging import judged
from tdc.manager.store.keys import cluster_key, commit_key, enrolment_key, head_key
from tdc.manager.store.record import CommitRecord, Signature, chained, pack_record
from tdc.manager.view.enrolments import KnownEnrolments
from tdc.shared.settings.values import Level


def _level(revision: int) -> dict[str, Document]:
    key = cluster_key("c1")
    read = read_document(key, pack_cluster_level(StoredSettings(), revision, seal_for=key))
    assert isinstance(read, Document)
    return {key: read}


def test_a_head_older_than_a_document_was_set_back() -> None:
    head = Head(2, "r2", written={cluster_key("c1"): 2}, sealed=1)
    assert faults_of("c1", head, _level(2), head.written) == ()
    (fault,) = faults_of("c1", head, _level(3), head.written)
    assert fault.key == head_key("c1")
    assert "was set back by hand: it is as commit 2 left it, but commit 3 came later" in str(fault)


def test_a_record_between_sealed_ones_that_lost_its_seal_is_named_for_that() -> None:
    """Also where its content is what the commit wrote: nobody but a commit writes there."""
    items, chain = list[KeyValue](), ""
    for revision in (1, 2, 3):
        change = TopologyChange(Level.GROUP, f"g{revision}")
        signed = Signature("ann", "", f"r{revision}")
        record = chained(CommitRecord(revision, signed, 1.0, (), (change,), 0, sealed=1), chain)
        raw, chain = pack_record("c1", record), record.chain
        if revision == 2:
            left = {name: each for name, each in unpack(raw).items() if not name.startswith("seal")}
            raw = pack(left)
        items.insert(0, KeyValue(commit_key("c1", revision), raw, revision))
    rows = judged("c1", items, None)
    assert [isinstance(row, Unreadable) for row in rows] == [False, True, False]
    assert "it has lost its seal" in str(rows[1])


def test_an_enrolment_without_a_seal_is_denied_where_everything_is_sealed() -> None:
    known, machine = KnownEnrolments(), ("c1", "mx1")
    raw = pack({"id": "e1", "at": 1.0, "number": 0, "token": ""})
    known.take({enrolment_key(*machine): raw}, all_of_it=True)
    assert known.find(machine) == "e1", "one of before there were seals"
    assert known.find(machine, sealed=True) is None
