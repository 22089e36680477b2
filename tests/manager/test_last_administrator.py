"""Nothing that is done through a manager leaves an installation without an administrator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import TxnResult
from tdc.manager.identity.authority import Issued
from tdc.manager.people.administrators import LastAdministrator
from tdc.manager.people.reach import Role
from tdc.manager.people.user import OperatorCertificate, User
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.people import PeopleStore, Users
from tdc.shared.edge.clock import wall
from tdc.shared.sync.audit_entry import AuditEvent, By
from tdc.v1 import people_pb2, people_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.manager.test_login import PASSWORD, Caller, Desk
from tests.stage.manager import connected, logged_in, manager, of_people, refused

STATUS = grpc.StatusCode
WHO = people_pb2.WhoAmIRequest()
LAST = "last administrator of the whole installation"


@pytest.fixture
async def two(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two managers over one etcd, with one CA."""
    endpoints = etcd.options.endpoints
    async with (
        manager(tmp_path / "manager", etcd_endpoints=endpoints) as first,
        manager(tmp_path / "manager", etcd_endpoints=endpoints) as second,
    ):
        yield Desk(first), Desk(second)


@pytest.fixture
async def one(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[Desk]:
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api:
        yield Desk(api)


@contextlib.asynccontextmanager
async def _by(desk: Desk, issued: Issued) -> AsyncIterator[people_pb2_grpc.PeopleAsyncStub]:
    pair = (issued.certificate_pem, issued.key_pem)
    async with connected(desk.api.ports, desk.api.authority, *pair) as api:
        yield of_people(api.channel)


@contextlib.asynccontextmanager
async def _by_session(desk: Desk, name: str) -> AsyncIterator[Caller]:
    async with desk.caller(await logged_in(desk.api, name, PASSWORD)) as caller:
        yield caller


async def _fingerprint(desk: Desk, name: str) -> str:
    """Of the certificate of this name, once it is noted that it was used."""
    async with asyncio.timeout(30):
        while True:
            listed = await desk.people.ListOperators(people_pb2.ListOperatorsRequest())
            for each in listed.certificates:
                if each.name == name:
                    return each.fingerprint
            await asyncio.sleep(0.1)


@pytest.mark.proves("S12")
async def test_the_only_certificate_is_not_weakened_by_a_user_of_its_name(one: Desk) -> None:
    """A fresh installation: nobody is there but the certificate of `init`."""
    async with refused(STATUS.FAILED_PRECONDITION, f"ana is the {LAST}"):
        await one.user("ana", "read only")
    assert (await one.people.WhoAmI(WHO)).role == "administrator"


@pytest.mark.proves("S12")
async def test_a_password_lets_nobody_in_where_there_is_no_port_for_it(
    etcd: ExternalEtcd, tmp_path: Path
) -> None:
    endpoints = etcd.options.endpoints
    async with manager(tmp_path / "manager", etcd_endpoints=endpoints, operator_port=None) as api:
        one = Desk(api)
        await one.user("bea", "administrator")
        async with refused(STATUS.FAILED_PRECONDITION, f"ana is the {LAST}", "operator_port"):
            await one.user("ana", "read only")


@pytest.mark.proves("S12")
async def test_the_last_one_keeps_his_role_his_reach_and_his_user(one: Desk) -> None:
    await one.api.create_cluster("c1")
    await one.user("bea", "administrator")
    await one.user("ana", "read only")  # with bea there, a certificate may be weakened
    assert (await one.people.WhoAmI(WHO)).role == "read only"
    part = people_pb2.Reach(clusters=["c1"])
    async with _by_session(one, "bea") as bea:
        for request in (
            people_pb2.SetRoleRequest(name="bea", role="operator"),
            people_pb2.SetRoleRequest(name="bea", role="administrator", reach=part),
        ):
            async with refused(STATUS.FAILED_PRECONDITION, f"bea is the {LAST}"):
                await bea.people.SetRole(request, metadata=bea.shown)
        async with refused(STATUS.FAILED_PRECONDITION, f"bea is the {LAST}"):
            own = people_pb2.DeleteUserRequest(name="bea")
            await bea.people.DeleteUser(own, metadata=bea.shown)


@pytest.mark.proves("S12")
async def test_a_record_without_password_or_certificate_is_nobody_who_can_come_in(
    one: Desk,
) -> None:
    await one.user("rescue", "administrator")
    await one.user("nobody1", "administrator", password="")
    await one.user("ana", "read only")
    own = people_pb2.DeleteUserRequest(name="rescue")
    async with (
        _by_session(one, "rescue") as rescue,
        refused(STATUS.FAILED_PRECONDITION, f"rescue is the {LAST}"),
    ):
        await rescue.people.DeleteUser(own, metadata=rescue.shown)
    async with _by(one, one.api.authority.issue_operator("nobody1")) as nobody1:
        await nobody1.DeleteUser(own)  # he has shown that he can


@pytest.mark.proves("S12")
async def test_the_last_certificate_is_not_withdrawn(one: Desk) -> None:
    await one.user("bea", "administrator")
    mine = people_pb2.WithdrawOperatorRequest(fingerprint=await _fingerprint(one, "ana"))
    async with _by(one, one.api.authority.issue_operator("eva")) as eva:
        await eva.WithdrawOperator(mine)
    own = people_pb2.DeleteUserRequest(name="bea")
    async with _by_session(one, "bea") as bea:
        # Eva's is left, so bea may go; but not once hers is withdrawn as well.
        listed = await bea.people.ListOperators(
            people_pb2.ListOperatorsRequest(), metadata=bea.shown
        )
        assert {each.name for each in listed.certificates} >= {"ana"}
        async with asyncio.timeout(30):
            while True:
                listed = await bea.people.ListOperators(
                    people_pb2.ListOperatorsRequest(), metadata=bea.shown
                )
                hers = [each.fingerprint for each in listed.certificates if each.name == "eva"]
                if hers:
                    break
                await asyncio.sleep(0.1)
        gone = people_pb2.WithdrawOperatorRequest(fingerprint=hers[0])
        await bea.people.WithdrawOperator(gone, metadata=bea.shown)
        async with refused(STATUS.FAILED_PRECONDITION, f"bea is the {LAST}"):
            await bea.people.DeleteUser(own, metadata=bea.shown)


async def test_a_certificate_that_was_used_keeps_the_installation(one: Desk) -> None:
    """As it is noted: by a CA that is trusted, seen, and not ended."""
    await one.user("bea", "administrator")
    async with _by(one, one.api.authority.issue_operator("eva")) as eva:
        await eva.WhoAmI(WHO)
    await _fingerprint(one, "eva")
    await one.user("ana", "read only")
    async with _by_session(one, "bea") as bea:
        request = people_pb2.SetRoleRequest(name="bea", role="operator")
        assert (await bea.people.SetRole(request, metadata=bea.shown)).role == "operator"


@pytest.mark.proves("S12")
async def test_two_managers_at_once_leave_one_administrator(two: tuple[Desk, Desk]) -> None:
    one, other = two
    for name in ("ann", "bea"):
        await one.user(name, "administrator")
    await one.user("ana", "read only")
    async with _by_session(one, "ann") as ann, _by_session(other, "bea") as bea:
        ends = await asyncio.gather(
            ann.people.DeleteUser(people_pb2.DeleteUserRequest(name="ann"), metadata=ann.shown),
            bea.people.SetRole(
                people_pb2.SetRoleRequest(name="bea", role="operator"), metadata=bea.shown
            ),
            return_exceptions=True,
        )
    failed = [each for each in ends if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in failed] == [STATUS.FAILED_PRECONDITION]
    assert LAST in (failed[0].details() or "")


async def test_a_certificate_with_a_name_of_no_user_counts_for_nobody(one: Desk) -> None:
    """It would be an administrator of everything for good, and look like the user ci."""
    await one.user("ci", "read only")
    for name in ("ci ", "c/i", "CI"):
        issued = one.api.authority.issue_operator(name)
        async with (
            _by(one, issued) as people,
            refused(STATUS.PERMISSION_DENIED, "counts for nobody"),
        ):
            await people.WhoAmI(WHO)


async def test_names_of_users_and_certificates_differ_in_more_than_case(one: Desk) -> None:
    await one.user("bob")
    async with refused(STATUS.ALREADY_EXISTS, "bob already", "more than case"):
        await one.user("Bob")
    async with _by(one, one.api.authority.issue_operator("Eva")) as eva:
        await eva.WhoAmI(WHO)
    await _fingerprint(one, "Eva")
    async with refused(STATUS.ALREADY_EXISTS, "certificate Eva already"):
        await one.user("eva")
    await one.user("Eva")


# -- races: what was overtaken is judged on people as they are by then ---------------------------


class _Overtaken(EtcdClient):
    """Lets another change come first, once, between what was read and what is written."""

    other: Callable[[], Awaitable[object]] | None = None

    async def txn(self, compares: Any, operations: Any, *rest: Any) -> TxnResult:
        other, self.other = self.other, None
        if other is not None:
            await other()
        return await super().txn(compares, operations, *rest)


def _made(user: User) -> Callable[[Users], User]:
    return lambda users: user


def _demoted(name: str) -> Callable[[Users], User]:
    return lambda users: replace(users[name], role=Role.OPERATOR, number=users[name].number + 1)


def _seen(name: str) -> Callable[[OperatorCertificate], OperatorCertificate]:
    now = wall()
    return lambda before: replace(before, name=name, issued=now, first=now, ends=now + 1000)


def _withdrawn(before: OperatorCertificate) -> OperatorCertificate:
    return replace(before, withdrawn=wall(), withdrawn_by="ann")


MADE = AuditEvent("people.set_role", By("ann"))
ANN, BEA = "a" * 64, "b" * 64


@pytest.mark.parametrize("what", ["roles", "certificates", "one of each"])
async def test_a_change_that_was_overtaken_is_made_on_people_as_they_are_then(
    etcd: ExternalEtcd, what: str
) -> None:
    async with _Overtaken(etcd.options) as slow, EtcdClient(etcd.options) as quick:
        store, late = PeopleStore(quick, AuditLog(quick)), PeopleStore(slow, AuditLog(slow))
        if what == "roles":
            for name in ("ann", "bea"):
                user = User(name, Role.ADMINISTRATOR, password="a hash")
                await store.change_user(name, _made(user), {}, MADE)
        else:
            await store.note_operator(BEA, _seen("bea"), None)
            if what == "certificates":
                await store.note_operator(ANN, _seen("ann"), None)
            else:
                user = User("ann", Role.ADMINISTRATOR, password="a hash")
                await store.change_user("ann", _made(user), {}, MADE)

        async def first() -> None:
            if what == "roles":
                await store.change_user("bea", _demoted("bea"), {}, MADE)
            else:
                await store.withdraw_operator(BEA, _withdrawn, None, {}, MADE, None)

        slow.other = first
        change: Awaitable[object] = (
            late.withdraw_operator(ANN, _withdrawn, None, {}, MADE, None)
            if what == "certificates"
            else late.change_user("ann", _demoted("ann"), {}, MADE)
        )
        with pytest.raises(LastAdministrator):
            await change
