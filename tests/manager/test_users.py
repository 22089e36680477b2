"""Users and what is theirs: the last administrator, ends at once, withdrawn certificates, codes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import TxnResult
from tdc.manager.intent.errors import LastAdministrator
from tdc.manager.people import totp
from tdc.manager.people.reach import Role
from tdc.manager.people.user import User
from tdc.manager.program import recover_command
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_entry import read_entry
from tdc.manager.store.keys import AUDIT, PEOPLE
from tdc.manager.store.people import PeopleStore, Users
from tdc.shared.edge.clock import wall
from tdc.shared.sync.audit_entry import AuditEvent, By
from tdc.v1 import people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.manager.test_login import PASSWORD, Caller, Desk
from tests.stage.manager import connected, logged_in, manager, of_people, refused

STATUS = grpc.StatusCode


@pytest.fixture
async def two(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two managers over one etcd, with one CA."""
    endpoints = etcd.options.endpoints
    async with (
        manager(tmp_path / "manager", etcd_endpoints=endpoints) as first,
        manager(tmp_path / "manager", etcd_endpoints=endpoints) as second,
    ):
        yield Desk(first), Desk(second)


@pytest.mark.proves("S12")
async def test_two_managers_at_once_leave_one_administrator(two: tuple[Desk, Desk]) -> None:
    one, other = two
    for name in ("ann", "bea"):
        await one.user(name, "administrator")
    ends = await asyncio.gather(
        one.people.DeleteUser(people_pb2.DeleteUserRequest(name="ann")),
        other.people.SetRole(people_pb2.SetRoleRequest(name="bea", role="operator")),
        return_exceptions=True,
    )
    failed = [each for each in ends if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in failed] == [STATUS.FAILED_PRECONDITION]
    assert "last administrator of the whole installation" in (failed[0].details() or "")


async def test_what_ends_at_one_manager_ends_at_the_other(two: tuple[Desk, Desk]) -> None:
    one, other = two
    await one.user("bob")
    secret = await logged_in(one.api, "bob", PASSWORD)
    async with other.caller(secret) as bob:
        assert (await bob.who()).name == "bob"
        await one.people.SetPassword(
            people_pb2.SetPasswordRequest(name="bob", password="another long word")
        )
        async with asyncio.timeout(10):
            while await _is_let_in(bob):
                await asyncio.sleep(0.05)
        async with refused(STATUS.UNAUTHENTICATED, "role, reach or password was changed"):
            await bob.who()


async def _is_let_in(caller: Caller) -> bool:
    try:
        await caller.who()
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_withdrawn_certificate_is_denied_and_its_connections_end(
    two: tuple[Desk, Desk],
) -> None:
    one, other = two
    issued = one.api.authority.issue_operator("wim")
    fingerprint = x509.load_pem_x509_certificate(issued.certificate_pem).fingerprint(SHA256()).hex()
    pair = (issued.certificate_pem, issued.key_pem)
    async with connected(other.api.ports, other.api.authority, *pair) as wim:
        people = of_people(wim.channel)
        assert (await people.WhoAmI(people_pb2.WhoAmIRequest())).role == "administrator"
        await one.people.WithdrawOperator(
            people_pb2.WithdrawOperatorRequest(fingerprint=fingerprint, reason="lost laptop")
        )
        async with asyncio.timeout(10):  # nobody calls meanwhile: the connection itself ends
            await wim.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        async with refused(STATUS.PERMISSION_DENIED, "withdrawn by ana: lost laptop"):
            await people.WhoAmI(people_pb2.WhoAmIRequest(), wait_for_ready=True, timeout=10)


async def test_a_code_is_needed_and_good_once(two: tuple[Desk, Desk]) -> None:
    one, other = two
    await one.user("bob")
    async with one.caller() as bob, other.caller() as again:
        await bob.log_in("bob")
        made = await bob.people.SetSecondFactor(
            people_pb2.SetSecondFactorRequest(), metadata=bob.shown
        )
        raw = totp.secret_read(made.secret)
        step = int(wall()) // totp.STEP
        request = people_pb2.SetSecondFactorRequest(
            secret=made.secret, code=totp.code_at(raw, step - 1), password=PASSWORD
        )
        await bob.people.SetSecondFactor(request, metadata=bob.shown)
        code = totp.code_at(raw, step)
        for each in ("", totp.code_at(raw, step - 1)):
            async with refused(STATUS.UNAUTHENTICATED, "one-time code is wrong"):
                await bob.log_in("bob", code=each)
        await bob.log_in("bob", code=code)
        async with refused(STATUS.UNAUTHENTICATED):
            await again.log_in("bob", code=code)


async def test_a_token_is_narrowed_by_its_user_and_makes_no_other(two: tuple[Desk, Desk]) -> None:
    one, _ = two
    await one.user("bob", "operator")
    async with one.caller() as bob:
        await bob.log_in("bob")
        async with refused(STATUS.PERMISSION_DENIED, "would do more than bob"):
            await bob.people.CreateApiToken(
                people_pb2.CreateApiTokenRequest(label="ci", role="administrator"),
                metadata=bob.shown,
            )
        made = await bob.people.CreateApiToken(
            people_pb2.CreateApiTokenRequest(label="ci"), metadata=bob.shown
        )
        await one.people.SetRole(people_pb2.SetRoleRequest(name="bob", role="help desk"))
        program = Caller(bob.channel, made.secret)
        assert (await program.who()).role == "help desk"
        async with refused(STATUS.PERMISSION_DENIED, "not for an API token"):
            await program.people.CreateApiToken(
                people_pb2.CreateApiTokenRequest(label="ci"), metadata=program.shown
            )


async def test_who_is_at_the_managers_machine_makes_an_administrator(
    etcd: ExternalEtcd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api:
        file = tmp_path / "password"
        file.write_text(PASSWORD + "\n")
        flags = {
            "folder": str(tmp_path / "manager"),
            "etcd_endpoints": ",".join(etcd.options.endpoints),
            "user": "rescue",
            "password_file": str(file),
        }
        assert await asyncio.to_thread(recover_command, flags) == 0
        assert "rescue is an administrator" in capsys.readouterr().out
        async with asyncio.timeout(10):
            while True:
                try:
                    secret = await logged_in(api, "rescue", PASSWORD)
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)
        async with EtcdClient(etcd.options) as client:
            stored = b"".join(each.value for each in (await client.range(PEOPLE)).items)
            log = (await client.range(AUDIT)).items
        entries = [read_entry(each.key, each.value).event for each in log]
        (made,) = [each for each in entries if each.operation == "people.recover"]
        assert (made.by.name, made.by.kind) == ("tdc-manager user-recover", "manager")
        assert {(row.target, row.part, row.after) for row in made.rows} == {
            ("user rescue", "role", "administrator"),
            ("user rescue", "reach", "the whole installation"),
            ("user rescue", "password", "set"),
        }
        stored += b"".join(each.value for each in log)
        assert secret.encode() not in stored
        assert PASSWORD.encode() not in stored


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
    def change(users: Users) -> User:
        if not any(each.administers_all for each in users.values() if each.name != name):
            raise LastAdministrator(name)
        return replace(users[name], role=Role.OPERATOR, number=users[name].number + 1)

    return change


MADE = AuditEvent("people.set_role", By("ann"))


async def test_a_change_that_was_overtaken_is_made_on_users_as_they_are_then(
    etcd: ExternalEtcd,
) -> None:
    async with _Overtaken(etcd.options) as slow, EtcdClient(etcd.options) as quick:
        store = PeopleStore(quick, AuditLog(quick))
        for name in ("ann", "bea"):
            await store.change_user(name, _made(User(name, Role.ADMINISTRATOR)), {}, MADE)
        slow.other = lambda: store.change_user("bea", _demoted("bea"), {}, MADE)
        with pytest.raises(LastAdministrator):
            await PeopleStore(slow, AuditLog(slow)).change_user("ann", _demoted("ann"), {}, MADE)
