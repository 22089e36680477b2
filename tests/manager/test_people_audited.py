"""What is done to people is in the audit log, with what it was before; no secret is."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from tdc.manager.rpc.operators import BEARER
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import audit_pb2, people_pb2

from tests.stage.manager import Api, logged_in, of_people, refused

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
