"""The CAs as a value in etcd: who has one of them gets both, and nobody else can make one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tdc.manager.identity import ca_folder
from tdc.manager.identity.authorities import Authorities, trusted_in
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_record import ForeignRecord, open_record, pack_record
from tdc.manager.identity.ca_state import CaState, aborted, finished, prepared, switched
from tdc.manager.identity.sealing import NotOpened, Sealing
from tdc.manager.store.encoding import Damaged, pack, unpack
from tdc.manager.store.keys import AUTHORITY
from tdc.manager.store.seal import pack_sealed, unpack_sealed
from tdc.node_agent.sync import identity as identities

A, B, OTHER = Authority.new(), Authority.new(), Authority.new()
OLD = CaState(A.pair)
PREPARED = prepared(OLD, B.pair, A.bridge_to(B), 10.0)
SWITCHED = switched(PREPARED, 20.0)
DONE = finished(SWITCHED, 30.0)


@pytest.mark.parametrize("state", [PREPARED, SWITCHED])
@pytest.mark.parametrize("known", [A, B], ids=["the old", "the new"])
def test_who_has_one_key_gets_both(state: CaState, known: Authority) -> None:
    assert open_record(pack_record(state), CaState(known.pair)) == state


def test_no_key_is_readable_in_it() -> None:
    text = json.dumps(unpack(pack_record(PREPARED)))
    for each in (A, B):
        assert each.pair.key.splitlines()[1] not in text
    assert "PRIVATE" not in text


def test_who_has_none_of_the_keys_is_told_so() -> None:
    with pytest.raises(ForeignRecord) as foreign:
        open_record(pack_record(PREPARED), CaState(OTHER.pair))
    assert not foreign.value.follows
    with pytest.raises(ForeignRecord) as foreign:
        open_record(pack_record(DONE), OLD)
    assert foreign.value.follows
    assert open_record(pack_record(DONE), CaState(B.pair)).current == B.pair


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", 99), ("phase", "settled"), ("since", 99.0), ("bridges", []), ("used", True)],
)
def test_what_somebody_wrote_in_etcd_is_not_used(name: str, value: object) -> None:
    document = unpack_sealed(AUTHORITY, pack_record(PREPARED))
    document.pop("seal")
    with pytest.raises(Damaged):
        open_record(pack_sealed(AUTHORITY, {**document, name: value}), OLD)


def test_bridges_lead_over_several_rotations() -> None:
    later = prepared(DONE, OTHER.pair, B.bridge_to(OTHER), 40.0)
    for state in (switched(later, 50.0), finished(switched(later, 50.0), 60.0)):
        with pytest.raises(ForeignRecord) as foreign:
            open_record(pack_record(state), OLD)
        assert foreign.value.follows


@pytest.mark.parametrize("how", ["no bridge", "not by ours", "a machine's certificate"])
def test_nobody_who_only_writes_etcd_proves_that_a_ca_was_replaced(how: str) -> None:
    """Nor one who has a machine, whose certificate our CA signed."""
    mine = Authority.new()
    request = identities.request_for(mine.pair.key.encode())
    bridges = {
        "no bridge": (),
        "not by ours": (mine.bridge_to(mine),),
        "a machine's certificate": (A.issue_machine(request, "c1", "mx1", "e1").decode(),),
    }[how]
    made = pack_record(CaState(mine.pair, number=9, bridges=bridges))
    with pytest.raises(ForeignRecord) as foreign:
        open_record(made, OLD)
    assert not foreign.value.follows


def test_a_ca_of_somebody_who_only_writes_etcd_is_not_trusted() -> None:
    """He has the certificate of ours, but not its key."""
    forged = prepared(CaState(A.pair), OTHER.pair, A.bridge_to(OTHER), 10.0)
    document = unpack_sealed(AUTHORITY, pack_record(forged))
    theirs = unpack_sealed(AUTHORITY, pack_record(PREPARED))
    document.pop("seal")
    document["proofs"] = theirs["proofs"]
    with pytest.raises(Damaged):
        open_record(pack_sealed(AUTHORITY, document), OLD)


@pytest.mark.parametrize(
    "raw", [b"", b"x", pack({"phase": "prepared"}), pack_sealed(AUTHORITY, {})]
)
def test_what_can_not_be_read_is_damaged(raw: bytes) -> None:
    with pytest.raises(Damaged):
        open_record(raw, OLD)


def test_the_folder_keeps_it_as_one_file_and_the_first_keys_are_gone(tmp_path: Path) -> None:
    ca_folder.make(tmp_path, A.pair)
    assert ca_folder.read(tmp_path) == OLD
    for state in (PREPARED, SWITCHED, DONE, aborted(PREPARED, 1.0)):
        ca_folder.write(tmp_path, state)
        assert ca_folder.read(tmp_path) == state
        assert trusted_in((tmp_path / "ca.pem").read_bytes()) == tuple(
            Authority.of(each, "here").fingerprint for each in state.pairs
        )
    assert {each.name for each in tmp_path.iterdir()} == {"ca.json", "ca.pem"}
    assert (tmp_path / "ca.json").stat().st_mode & 0o777 == 0o600
    ca_folder.write(tmp_path, DONE)
    assert A.pair.key not in (tmp_path / "ca.json").read_text().replace("\\n", "\n")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', '{"format": 1, "phase": "odd"}'])
def test_a_folder_that_is_damaged_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "ca.json").write_text(text)
    with pytest.raises(AuthorityUnusable):
        ca_folder.read(tmp_path)


def test_both_cas_open_what_either_sealed_and_the_one_that_signs_seals(tmp_path: Path) -> None:
    now = [PREPARED]
    sealing = Sealing(lambda: Authorities(tmp_path, now[0]).keys_for("x"))
    by_old = sealing.seal(b"secret", "ana")
    now[0] = SWITCHED
    assert sealing.open(by_old, "ana") == b"secret"
    by_new = sealing.seal(b"secret", "ana")
    now[0] = DONE
    assert sealing.open(by_new, "ana") == b"secret"
    with pytest.raises(NotOpened):
        sealing.open(by_old, "ana")


def test_a_number_that_is_replayed_is_authentic_but_older() -> None:
    """That the number grows is what keeps it out; see `rotation.follow`."""
    assert open_record(pack_record(PREPARED), replace(SWITCHED)).number < SWITCHED.number
