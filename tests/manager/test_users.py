"""Users and what is theirs: ends at once, withdrawn certificates, codes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.first_setup import CA_FOLDER
from tdc.manager.identity.authority import Authority, Issued
from tdc.manager.people import totp
from tdc.manager.people.throttle import FREE_OF_ACCOUNT
from tdc.manager.program import recover_command
from tdc.manager.store.audit_entry import read_entry
from tdc.manager.store.keys import AUDIT, PEOPLE
from tdc.shared.edge.clock import wall
from tdc.v1 import operators_pb2, operators_pb2_grpc, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.manager.test_login import PASSWORD, Caller, Desk
from tests.stage.manager import Api, connected, logged_in, manager, of_people, put, refused

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
        async with refused(
            STATUS.UNAUTHENTICATED, "role, reach, password or one-time codes were changed"
        ):
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


@contextlib.asynccontextmanager
async def _by(desk: Desk, issued: Issued) -> AsyncIterator[Api]:
    pair = (issued.certificate_pem, issued.key_pem)
    async with connected(desk.api.ports, desk.api.authority, *pair) as api:
        yield api


def _made_by_a_clock(folder: Path, ahead: float) -> Issued:
    """A certificate of bob, made on a machine whose clock is so many seconds ahead."""
    place = folder / "manager" / CA_FOLDER
    return Authority.load(place, clock=lambda: wall() + ahead).issue_operator("bob")


async def _listed(desk: Desk, name: str) -> people_pb2.OperatorCertificate:
    """The certificate of this name, once it is noted that it was seen."""
    async with asyncio.timeout(20):
        while True:
            listed = await desk.people.ListOperators(people_pb2.ListOperatorsRequest())
            for each in listed.certificates:
                if each.name == name:
                    return each
            await asyncio.sleep(0.1)


@pytest.mark.proves("S12")
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("role", ["administrator", "help desk"])
async def test_certificates_of_a_deleted_user_stay_shut_when_the_name_is_used_again(
    two: tuple[Desk, Desk], seen: bool, role: str
) -> None:
    one, other = two
    old = one.api.authority.issue_operator("bob")
    await one.user("bob")
    if seen:
        async with _by(other, old) as bob:
            assert (await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())).is_user
    await one.people.DeleteUser(people_pb2.DeleteUserRequest(name="bob"))
    await one.user("bob", role)
    await _known(other, "bob", role)
    for desk in two:
        words = "an earlier user of this name"
        async with _by(desk, old) as bob, refused(STATUS.PERMISSION_DENIED, words):
            await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())
    await asyncio.sleep(1.1)  # certificates are of a whole second
    for desk in two:
        async with _by(desk, one.api.authority.issue_operator("bob")) as bob:
            me = await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())
            assert (me.role, me.is_user) == (role, True)


async def test_a_certificate_that_was_seen_stays_shut_whatever_clock_made_it(
    two: tuple[Desk, Desk], tmp_path: Path
) -> None:
    one, _ = two
    await one.user("bob")
    old = _made_by_a_clock(tmp_path, ahead=200)
    async with _by(one, old) as bob:
        await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())
    assert not (await _listed(one, "bob")).HasField("withdrawn")
    await one.people.DeleteUser(people_pb2.DeleteUserRequest(name="bob"))
    his = await _listed(one, "bob")
    assert his.HasField("withdrawn")
    assert his.reason == "its user was deleted"
    await one.user("bob")
    async with _by(one, old) as bob, refused(STATUS.PERMISSION_DENIED, "an earlier user"):
        await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())
    async with _by(one, _made_by_a_clock(tmp_path, ahead=202)) as bob:
        await of_people(bob.channel).WhoAmI(people_pb2.WhoAmIRequest())


async def test_nothing_of_a_deleted_user_is_the_next_ones(two: tuple[Desk, Desk]) -> None:
    one, _ = two
    await one.api.create_cluster("c1")
    await one.user("bob")
    async with one.caller() as bob:
        await bob.log_in("bob")
        made = await bob.people.CreateApiToken(
            people_pb2.CreateApiTokenRequest(label="ci"), metadata=bob.shown
        )
        drafts: operators_pb2_grpc.DraftsAsyncStub = operators_pb2_grpc.DraftsStub(bob.channel)
        change = operators_pb2.ChangeDraftRequest(cluster="c1")
        change.add.edits.append(put("cluster", "c1", max_message_size=7))
        assert (await drafts.ChangeDraft(change, metadata=bob.shown)).rows
        await one.people.DeleteUser(people_pb2.DeleteUserRequest(name="bob"))
        await one.user("bob", "administrator")
        for secret in (bob.secret, made.secret):
            async with refused(STATUS.UNAUTHENTICATED):
                await Caller(bob.channel, secret).who()
        await bob.log_in("bob")
        request = operators_pb2.GetDraftRequest(cluster="c1")
        assert not (await drafts.GetDraft(request, metadata=bob.shown)).rows
        assert len((await drafts.ChangeDraft(change, metadata=bob.shown)).rows) == 1


async def _known(desk: Desk, name: str, role: str) -> None:
    """Wait until a manager knows the user of this name by this role."""
    async with asyncio.timeout(10):
        while True:
            listed = await desk.people.ListUsers(people_pb2.ListUsersRequest())
            if (name, role) in {(each.name, each.role) for each in listed.users}:
                return
            await asyncio.sleep(0.05)


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
        wrong = "the name, the password or the one-time code is wrong"
        for password, given, why in (
            (PASSWORD, totp.code_at(raw, step - 9), wrong),
            ("wrong", "", wrong),
            ("wrong", totp.code_at(raw, step - 1), wrong),
            (PASSWORD, totp.code_at(raw, step - 1), "was used already: wait for the next one"),
        ):
            async with refused(STATUS.UNAUTHENTICATED, why):
                await bob.log_in("bob", password, code=given)
        await bob.log_in("bob", code=code)
        async with refused(STATUS.UNAUTHENTICATED, "was used already"):
            await again.log_in("bob", code=code)


async def test_who_has_the_password_alone_is_asked_for_a_code_and_slows_down(
    two: tuple[Desk, Desk],
) -> None:
    """Each such answer counts as a try: else it would free him for further guesses of a code."""
    one, _ = two
    await one.user("bob")
    async with one.caller() as bob:
        await bob.log_in("bob")
        made = await bob.people.SetSecondFactor(
            people_pb2.SetSecondFactorRequest(), metadata=bob.shown
        )
        raw = totp.secret_read(made.secret)
        step = int(wall()) // totp.STEP
        request = people_pb2.SetSecondFactorRequest(
            secret=made.secret, code=totp.code_at(raw, step), password=PASSWORD
        )
        await bob.people.SetSecondFactor(request, metadata=bob.shown)
        for _ in range(FREE_OF_ACCOUNT + 1):
            reply = await bob.login.LogIn(people_pb2.LogInRequest(name="bob", password=PASSWORD))
            assert (reply.code_needed, reply.secret) == (True, "")
        async with refused(STATUS.RESOURCE_EXHAUSTED, "too many logins failed"):
            await bob.log_in("bob", code=totp.code_at(raw, step + 1))


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
        await Desk(api).user("Rescue2")
        beside = flags | {"user": "rescue2"}
        assert await asyncio.to_thread(recover_command, beside) == 1
        assert "there is a user Rescue2" in capsys.readouterr().err
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
