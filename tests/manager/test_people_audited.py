"""What is done to people is in the audit log, with what it was before; no secret is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.passwords import Passwords
from tdc.manager.identity.rates import Rate
from tdc.manager.identity.sealing import Sealing
from tdc.manager.intent import own_acts
from tdc.manager.intent.errors import NotKnown, TooManyTries
from tdc.manager.intent.login import Login
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.people import totp
from tdc.manager.people.reach import EVERYWHERE, Role
from tdc.manager.people.throttle import FREE_OF_ACCOUNT
from tdc.manager.people.user import ApiToken, OperatorCertificate, Session, User
from tdc.manager.rpc.operators import BEARER
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.audit_entry import read_entry
from tdc.manager.store.audit_trim import MAX_ENTRIES
from tdc.manager.store.identity import store_id
from tdc.manager.store.keys import (
    AUDIT,
    api_token_key,
    audit_key,
    operator_key,
    session_key,
    user_key,
)
from tdc.manager.store.people import PeopleStore
from tdc.manager.view.fleet import FleetView
from tdc.shared.edge.clock import wall
from tdc.shared.edge.grpc_tls import client_channel
from tdc.shared.edge.tasks import running
from tdc.shared.sync.audit_entry import AuditEvent, By
from tdc.v1 import audit_pb2, audit_pb2_grpc, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, logged_in, manager, of_people, refused

STATUS = grpc.StatusCode
PASSWORD, OTHER = "correct horse battery", "staple of canaries"


async def _entries(api: Api, count: int, outcome: str = "done") -> list[audit_pb2.AuditEntry]:
    """Those about people, oldest first, once there are `count`."""
    request = audit_pb2.ListEntriesRequest(outcome=outcome, oldest_first=True)
    async with asyncio.timeout(10):
        while True:
            answer = await api.audit.ListEntries(request)
            found = [each for each in answer.entries if each.operation.startswith("people.")]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.proves("S14")
async def test_every_change_of_people_is_an_entry_without_a_secret(api: Api) -> None:
    people = of_people(api.channel)
    await people.CreateUser(
        people_pb2.CreateUserRequest(name="bob", role="operator", password=PASSWORD)
    )
    await people.SetRole(people_pb2.SetRoleRequest(name="bob", role="read-only"))
    await people.SetPassword(people_pb2.SetPasswordRequest(name="bob", password=OTHER))
    secret = await logged_in(api, "bob", OTHER)
    shown = (("authorization", f"{BEARER}{secret}"),)
    address = f"127.0.0.1:{api.ports.operators}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        own = of_people(channel)
        asked = people_pb2.CreateApiTokenRequest(label="ci")
        made = await own.CreateApiToken(asked, metadata=shown)
        revoked = people_pb2.RevokeApiTokensRequest(ids=[made.token.id])
        await own.RevokeApiTokens(revoked, metadata=shown)
        await own.EndSessions(people_pb2.EndSessionsRequest(), metadata=shown)
    lost = people_pb2.WithdrawOperatorRequest(fingerprint="a" * 64, reason="lost")
    await people.WithdrawOperator(lost)
    await people.DeleteUser(people_pb2.DeleteUserRequest(name="bob"))
    found = await _entries(api, 9)
    assert [(each.operation.removeprefix("people."), each.who, each.means) for each in found] == [
        ("create_user", "ana", "certificate"),
        ("set_role", "ana", "certificate"),
        ("set_password", "ana", "certificate"),
        ("log_in", "bob", "password"),
        ("create_token", "bob", "session"),
        ("revoke_tokens", "bob", "session"),
        ("end_sessions", "bob", "session"),
        ("withdraw_operator", "ana", "certificate"),
        ("delete_user", "ana", "certificate"),
    ]
    rows = [(row.target, row.part, row.before, row.after) for row in found[1].rows]
    assert rows == [("user bob", "role", "operator", "read only")]
    assert "lost" in found[7].comment
    everything = b"".join(each.SerializeToString() for each in found)
    for each in (PASSWORD, OTHER, secret, made.secret):
        assert each.encode() not in everything


async def test_a_login_that_fails_and_a_secret_that_is_not_good_are_entries(api: Api) -> None:
    for name, password in (("bob", OTHER), ("nobody", PASSWORD)):
        async with refused(STATUS.UNAUTHENTICATED, "wrong"):
            await logged_in(api, name, password)
    address = f"127.0.0.1:{api.ports.operators}"
    async with (
        client_channel(address, api.authority.ca_pem) as channel,
        refused(STATUS.UNAUTHENTICATED),
    ):
        await of_people(channel).ListUsers(
            people_pb2.ListUsersRequest(), metadata=(("authorization", f"{BEARER}x"),)
        )
    found = await _entries(api, 3, "refused")
    assert sorted((each.operation, each.who) for each in found) == [
        ("people.list_users", ""),
        ("people.log_in", "bob"),
        ("people.log_in", "nobody"),
    ]
    assert all(each.origin.startswith("127.0.0.1:") for each in found)
    assert OTHER.encode() not in b"".join(each.SerializeToString() for each in found)
    assert {(each.who, each.kind) for each in found} == {
        ("bob", "unknown"),
        ("nobody", "unknown"),
        ("", "unknown"),
    }


async def test_logins_that_fail_and_that_are_not_looked_at_are_heard_of(etcd: ExternalEtcd) -> None:
    heard: list[AuditEvent] = []
    async with EtcdClient(etcd.options) as client:
        view = FleetView(client, await store_id(client))
        store = PeopleStore(client, AuditLog(client))
        login = Login(
            view,
            store,
            Passwords(),
            Sealing(lambda: (bytes(32),)),
            heard.append,
            OwnActs(),
            steady=lambda: 1.0,
        )
        async with running(view.run(), name="view"):
            await view.ready(10)
            for number in range(FREE_OF_ACCOUNT + 2):
                with pytest.raises((NotKnown, TooManyTries)):
                    await login.log_in("bob", OTHER, "", origin="192.0.2.7:4", address="192.0.2.7")
                assert len(heard) == number + 1
        assert not (await client.range(AUDIT)).items
    assert heard[-2].reason.startswith("the name, the password or")
    assert heard[-1].reason.startswith("too many logins failed")
    for each in heard:
        assert each.by == By("bob", kind="unknown", means="password", origin="192.0.2.7:4")
        assert (each.operation, each.outcome) == ("people.log_in", "refused")
        assert OTHER not in repr(each)


async def test_one_time_codes_are_entries_without_their_secret(
    api: Api, etcd: ExternalEtcd
) -> None:
    people = of_people(api.channel)
    await people.CreateUser(
        people_pb2.CreateUserRequest(name="bob", role="operator", password=PASSWORD)
    )
    shown = (("authorization", f"{BEARER}{await logged_in(api, 'bob', PASSWORD)}"),)
    address = f"127.0.0.1:{api.ports.operators}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        own = of_people(channel)
        made = await own.SetSecondFactor(people_pb2.SetSecondFactorRequest(), metadata=shown)
        raw = totp.secret_read(made.secret)
        code = totp.code_at(raw, int(wall()) // totp.STEP)
        await own.SetSecondFactor(
            people_pb2.SetSecondFactorRequest(secret=made.secret, code=code, password=PASSWORD),
            metadata=shown,
        )
    await people.RemoveSecondFactor(people_pb2.RemoveSecondFactorRequest(name="bob"))
    created, entered, set_up, removed = await _entries(api, 4)
    assert (created.operation, entered.operation) == ("people.create_user", "people.log_in")
    assert (entered.who, entered.kind, entered.role) == ("bob", "operator", "operator")
    assert (set_up.operation, set_up.who) == ("people.set_second_factor", "bob")
    assert (removed.operation, removed.who) == ("people.remove_second_factor", "ana")
    parts = [[(row.part, row.before, row.after) for row in each.rows] for each in (set_up, removed)]
    assert parts == [[("one-time codes", "", "set")], [("one-time codes", "set", "")]]
    async with EtcdClient(etcd.options) as client:
        log = b"".join(each.value for each in (await client.range(AUDIT)).items)
    for canary in (made.secret.encode(), raw, raw.hex().encode(), PASSWORD.encode()):
        assert canary not in log


async def test_what_changes_nothing_is_no_entry(api: Api) -> None:
    people = of_people(api.channel)
    asked = people_pb2.CreateUserRequest(name="bob", role="operator")
    await people.CreateUser(asked)
    await people.SetRole(people_pb2.SetRoleRequest(name="bob", role="operator"))
    async with refused(STATUS.ALREADY_EXISTS):
        await people.CreateUser(asked)
    lost = people_pb2.WithdrawOperatorRequest(fingerprint="a" * 64, reason="lost")
    await people.WithdrawOperator(lost)
    await people.WithdrawOperator(lost)
    await people.ListUsers(people_pb2.ListUsersRequest())
    await people.DeleteUser(people_pb2.DeleteUserRequest(name="bob"))
    found = [each.operation.removeprefix("people.") for each in await _entries(api, 3)]
    assert found == ["create_user", "withdraw_operator", "delete_user"]


async def test_a_change_and_its_entry_have_one_revision_and_a_use_has_no_entry(
    etcd: ExternalEtcd,
) -> None:
    event = AuditEvent("people.test", By("ana"))
    session = Session("a" * 64, "bob", 0, 1.0, 1.0)
    token = ApiToken("b" * 64, "bob", 1.0, "ci", Role.OPERATOR, EVERYWHERE, made=1.0, ends=2.0)
    seen = OperatorCertificate("c" * 64, "wim")
    async with EtcdClient(etcd.options) as client:
        store = PeopleStore(client, AuditLog(client))
        user = User("bob", Role.OPERATOR)
        await store.change_user("bob", lambda _: user, {}, event)
        await _together(client, user_key("bob"), 1)
        await store.log_in("bob", lambda stored: stored, session, event)
        await _together(client, session_key(session.id), 2)
        await store.add_token(token, event)
        await _together(client, api_token_key(token.id), 3)
        await store.change_operator(seen.fingerprint, lambda _: seen, None, event)
        await _together(client, operator_key(seen.fingerprint), 4)
        await store.note_session_used(session)
        await store.note_token_used(token)
        used = await store.change_operator(
            seen.fingerprint, lambda before: replace(before, used=9.0), None
        )
        assert used.used == 9.0
        assert len((await client.range(AUDIT)).items) == 4
        await store.end_sessions([session.id], event)
        await store.revoke_tokens([token.id], event)
        log = (await client.range(AUDIT)).items
        assert [read_entry(each.key, each.value).number for each in log] == [1, 2, 3, 4, 5, 6]
        assert await client.get(session_key(session.id)) is None
        assert await client.get(api_token_key(token.id)) is None


async def _together(client: EtcdClient, key: str, number: int) -> None:
    """The key and the entry of this number were written by one transaction."""
    written, entry = await client.get(key), await client.get(audit_key(number))
    assert written is not None
    assert entry is not None
    assert written.mod_revision == entry.mod_revision


async def test_who_reaches_less_than_the_installation_reads_nothing_of_the_log(api: Api) -> None:
    await api.create_cluster("c1")
    await of_people(api.channel).CreateUser(
        people_pb2.CreateUserRequest(
            name="cat",
            role="administrator",
            reach=people_pb2.Reach(clusters=["c1"]),
            password=PASSWORD,
        )
    )
    shown = (("authorization", f"{BEARER}{await logged_in(api, 'cat', PASSWORD)}"),)
    address = f"127.0.0.1:{api.ports.operators}"
    async with client_channel(address, api.authority.ca_pem) as channel:
        log: audit_pb2_grpc.AuditAsyncStub = audit_pb2_grpc.AuditStub(channel)
        async with refused(STATUS.PERMISSION_DENIED, "audit.list"):
            await log.ListEntries(audit_pb2.ListEntriesRequest(cluster="c1"), metadata=shown)
        async with refused(STATUS.PERMISSION_DENIED, "audit.read"):
            await log.GetEntry(audit_pb2.GetEntryRequest(number=1), metadata=shown)
        async with refused(STATUS.PERMISSION_DENIED, "audit.verify"):
            await log.VerifyLog(audit_pb2.VerifyLogRequest(), metadata=shown)


async def test_who_may_do_least_can_not_push_others_out_of_the_log(
    etcd: ExternalEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each login, draft and token of one's own is an entry, of which the log holds so many."""
    a_day = own_acts.EACH.burst + own_acts.EACH.per_second * 86_400
    assert 2 * a_day * 20 < MAX_ENTRIES, "each made and ended"
    monkeypatch.setattr(own_acts, "EACH", Rate(burst=3, per_second=0.0))
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api:
        people = of_people(api.channel)
        for name in ("bob", "cat"):
            await people.CreateUser(
                people_pb2.CreateUserRequest(name=name, role="help-desk", password=PASSWORD)
            )
        secret = await logged_in(api, "bob", PASSWORD)
        shown = (("authorization", f"{BEARER}{secret}"),)
        async with client_channel(
            f"127.0.0.1:{api.ports.operators}", api.authority.ca_pem
        ) as channel:
            asked = people_pb2.CreateApiTokenRequest(label="ci")
            made = await of_people(channel).CreateApiToken(asked, metadata=shown)
            revoked = people_pb2.RevokeApiTokensRequest(ids=[made.token.id])
            etcd.pause()  # so that all nine are here before the first is done
            ends = [of_people(channel).RevokeApiTokens(revoked, metadata=shown) for _ in range(9)]
            ending = asyncio.gather(*ends, return_exceptions=True)
            await asyncio.sleep(0.5)
            etcd.resume()
            await ending  # one entry, however often at once
            await logged_in(api, "bob", PASSWORD)
            async with refused(STATUS.RESOURCE_EXHAUSTED, "Nothing was changed"):
                await logged_in(api, "bob", PASSWORD)
            async with refused(STATUS.RESOURCE_EXHAUSTED, "script"):
                await of_people(channel).CreateApiToken(asked, metadata=shown)
        await logged_in(api, "cat", PASSWORD)  # and nobody else is kept from it
        found = await _entries(api, 7)
    assert [each.operation for each in found].count("people.revoke_tokens") == 1
    assert [each.who for each in found] == ["ana", "ana", "bob", "bob", "bob", "bob", "cat"]
