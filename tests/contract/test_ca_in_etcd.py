"""The CA's rotation over a real etcd: followed, written back, and what was sealed sealed again."""

from __future__ import annotations

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
from tdc.manager.people.user import User
from tdc.manager.rotation.follow import Followed
from tdc.manager.rotation.reseal import reseal
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.keys import AUTHORITY
from tdc.manager.store.people import PeopleStore, Users
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


async def test_a_manager_that_has_none_of_the_cas_does_not_start(
    etcd: EtcdClient, tmp_path: Path
) -> None:
    await _put(etcd, pack_record(DONE))
    followed = Followed(etcd, Authorities(tmp_path / "ca", OLD), SOON)
    async with running(followed.run(), name="follow"):
        with pytest.raises(AuthorityUnusable, match="replaced while this manager was away"):
            await followed.read(10)
    assert followed.problems()


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
