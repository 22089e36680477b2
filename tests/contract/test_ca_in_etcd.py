"""The CA's rotation over a real etcd: followed, written back, and what was sealed sealed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import Delete, Put
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_record import pack_record
from tdc.manager.identity.ca_state import CaState, finished, prepared, switched
from tdc.manager.identity.sealing import SECOND_FACTOR, NotOpened, Sealing
from tdc.manager.people.reach import Role
from tdc.manager.people.user import OperatorCertificate, User
from tdc.manager.rotation.follow import Followed
from tdc.manager.rotation.look import standing_of
from tdc.manager.rotation.managers import asked_by
from tdc.manager.rotation.reseal import reseal
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.keys import AUTHORITY, operator_key
from tdc.manager.store.people import PeopleStore, Users
from tdc.manager.store.people_documents import pack_operator
from tdc.shared.edge.tasks import running
from tdc.shared.sync.audit_entry import AuditEvent, By

from tests.fakes.etcd import external_etcd
from tests.stage.house import SOON
from tests.stage.settings_stream import until

A, B = Authority.new(), Authority.new()
OLD = CaState(A.pair)
PREPARED = prepared(OLD, B.pair, A.bridge_to(B), 10.0)
SWITCHED = switched(PREPARED, 20.0)
DONE = finished(SWITCHED, 30.0)
C = Authority.new()
FOREIGN = CaState(C.pair, number=1)
BY = By("a test", kind="manager")


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdClient]:
    async with external_etcd(tmp_path / "etcd") as server, EtcdClient(server.options) as client:
        yield client


def _is(known: Authorities, state: CaState) -> bool:
    return known.state == state


def _as(user: User, _: Users) -> User:
    return user


async def _put(etcd: EtcdClient, value: bytes) -> None:
    await etcd.txn([], [Put(AUTHORITY, value)])


async def _stored(etcd: EtcdClient) -> bytes | None:
    item = await etcd.get(AUTHORITY)
    return item.value if item is not None else None


async def test_each_step_is_followed_and_an_older_one_is_not(
    etcd: EtcdClient, tmp_path: Path
) -> None:
    known = Authorities(tmp_path / "ca", OLD)
    followed = Followed(etcd, known, SOON)
    async with running(followed.run(), name="follow"):
        await followed.read(10)
        assert known.state == OLD
        for state in (PREPARED, SWITCHED):
            await _put(etcd, pack_record(state))
            await until(partial(_is, known, state))
            assert Authorities.load(tmp_path / "ca").state == state
        await _put(etcd, pack_record(PREPARED))  # a store that was set back
        await until(lambda: Authorities.load(tmp_path / "ca").state == SWITCHED)
        assert known.state == SWITCHED
        assert followed.problems() == ()


@pytest.mark.parametrize("how", ["set back", "deleted", "damaged", "of long before"])
async def test_a_store_that_lost_it_gets_it_back(
    etcd: EtcdClient, tmp_path: Path, how: str
) -> None:
    known = Authorities(tmp_path / "ca", SWITCHED)
    followed = Followed(etcd, known, SOON)
    async with running(followed.run(), name="follow"):
        await followed.read(10)
        first = await _stored(etcd)
        assert first is not None
        if how == "deleted":
            await etcd.txn([], [Delete(AUTHORITY)])
        else:
            hurt = {"set back": pack_record(PREPARED), "of long before": pack_record(FOREIGN)}
            await _put(etcd, hurt.get(how, b"\x01x"))
        there = await _stored(etcd)
        for _ in range(500):
            if (now := await _stored(etcd)) not in (None, there):
                break
        assert now not in (None, there)
        assert known.state == SWITCHED


@pytest.mark.parametrize("runs", [True, False])
async def test_a_manager_whose_cas_were_all_replaced_ends(
    etcd: EtcdClient, tmp_path: Path, *, runs: bool
) -> None:
    """As one does that was cut off meanwhile, and as one that starts does."""
    known = Authorities(tmp_path / "ca", OLD)
    followed = Followed(etcd, known, SOON)
    seen = list[frozenset[str]]()
    known.on_replaced(lambda: seen.append(known.key_ids))
    if not runs:
        await _put(etcd, pack_record(DONE))
    with pytest.RaisesGroup(
        pytest.RaisesExc(AuthorityUnusable, match="replaced while this manager was away")
    ):
        async with running(followed.run(), name="follow"):
            await followed.read(10)
            assert known.key_ids
            await _put(etcd, pack_record(DONE))
            await asyncio.sleep(20)
    assert known.replaced
    assert seen == [frozenset()], "no certificate counts any more by the time that it is told"


async def test_who_only_writes_etcd_ends_no_manager_that_runs_and_none_starts_on_it(
    etcd: EtcdClient, tmp_path: Path
) -> None:
    known = Authorities(tmp_path / "ca", OLD)
    followed = Followed(etcd, known, SOON)
    async with running(followed.run(), name="follow"):
        await followed.read(10)
        await _put(etcd, pack_record(FOREIGN))
        await until(lambda: bool(followed.problems()))
        assert "does not follow from any" in "".join(followed.problems())
        assert known.key_ids
    again = Followed(etcd, Authorities(tmp_path / "ca", OLD), SOON)
    async with running(again.run(), name="follow"):
        with pytest.raises(AuthorityUnusable, match="does not follow from any"):
            await again.read(10)


async def test_the_certificates_of_a_user_who_was_deleted_hold_up_no_step(
    etcd: EtcdClient, tmp_path: Path
) -> None:
    """They are denied already, and none that is made in his name is let in."""
    store = PeopleStore(etcd, AuditLog(etcd))
    for number, (name, deleted) in enumerate((("ana", False), ("bob", True))):
        user = User(name, Role.ADMINISTRATOR, deleted=deleted, certificates_from=50.0 * deleted)
        await store.change_user(name, partial(_as, user), {}, AuditEvent("x", BY))
        seen = OperatorCertificate(f"{number}" * 64, name, issued=10.0, ends=2e9, issuer="a")
        key = operator_key(seen.fingerprint)
        await etcd.txn([], [Put(key, pack_operator(key, seen))])
    async with asked_by(etcd, Authorities(tmp_path, SWITCHED)) as managers:
        standing = await standing_of(etcd, managers)
    assert [each.operator for each in standing.certificates] == ["ana"]


async def test_one_time_codes_survive_the_old_ca(etcd: EtcdClient, tmp_path: Path) -> None:
    before, after = Authorities(tmp_path, PREPARED), Authorities(tmp_path, SWITCHED)
    done = Sealing(lambda: Authorities(tmp_path, DONE).keys_for(SECOND_FACTOR))
    store = PeopleStore(etcd, AuditLog(etcd))
    sealed = Sealing(lambda: before.keys_for(SECOND_FACTOR)).seal(b"secret", "ana")
    for name, factor in (("ana", sealed), ("bob", ""), ("eve", "not sealed by us")):
        user = User(name, Role.ADMINISTRATOR, second_factor=factor)
        await store.change_user(name, partial(_as, user), {}, AuditEvent("x", BY))
    with pytest.raises(NotOpened):
        done.open(sealed, "ana")
    assert await reseal(etcd, AuditLog(etcd), after, BY) == 1
    users = await store.users()
    assert done.open(users["ana"].second_factor, "ana") == b"secret"
    assert users["ana"].epoch == 1  # his sessions go on
    assert users["eve"].second_factor == "not sealed by us"
    assert await reseal(etcd, AuditLog(etcd), after, BY) == 0
