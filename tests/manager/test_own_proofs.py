"""What may be done about one's own user: every such act, by every means, narrowed or not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
import pytest
from tdc.manager.intent.errors import TooManyActs
from tdc.manager.intent.own_acts import OwnActs
from tdc.manager.intent.permissions import PERMISSIONS, Extent
from tdc.manager.people.throttle import FREE_OF_ACCOUNT
from tdc.manager.rpc.callers import RPCS
from tdc.v1 import people_pb2

from tests.manager.test_login import PASSWORD, Caller, Desk, desk
from tests.stage.manager import connected, refused

__all__ = ["desk"]

STATUS = grpc.StatusCode
NEW = "another long password"

Act = Callable[[Caller, str], Any]
"""Asks for something about the caller's own user; it is given the id of a token of his."""


def _acts(own: str) -> Mapping[str, Act]:
    """Every act of `People` about the user `own`, by its operation; the last ones end him."""

    def of(rpc: str, request: Callable[[str], Any]) -> Act:
        return lambda who, token: getattr(who.people, rpc)(request(token), metadata=who.shown)

    pb = people_pb2
    return {
        "people.list_sessions": of("ListSessions", lambda _: pb.ListSessionsRequest()),
        "people.list_tokens": of("ListApiTokens", lambda _: pb.ListApiTokensRequest(user=own)),
        "people.create_token": of(
            "CreateApiToken", lambda _: pb.CreateApiTokenRequest(label="more", role="help desk")
        ),
        "people.set_second_factor": of("SetSecondFactor", lambda _: pb.SetSecondFactorRequest()),
        "people.revoke_tokens": of(
            "RevokeApiTokens", lambda token: pb.RevokeApiTokensRequest(ids=[token])
        ),
        "people.end_sessions": of("EndSessions", lambda _: pb.EndSessionsRequest(user=own)),
        "people.remove_second_factor": of(
            "RemoveSecondFactor", lambda _: pb.RemoveSecondFactorRequest(name=own)
        ),
        "people.set_role": of(
            "SetRole", lambda _: pb.SetRoleRequest(name=own, role="administrator")
        ),
        "people.set_password": of(
            "SetPassword", lambda _: pb.SetPasswordRequest(password=NEW, old_password=PASSWORD)
        ),
        "people.delete_user": of("DeleteUser", lambda _: pb.DeleteUserRequest(name=own)),
    }


OF_ADMINISTRATORS = {"people.remove_second_factor", "people.set_role", "people.delete_user"}
ABOUT_NO_OWN = {
    "people.who_am_i",
    "people.list_users",
    "people.create_user",
    "people.list_operators",
    "people.withdraw_operator",
}

TOKENS: Mapping[str, people_pb2.CreateApiTokenRequest] = {
    "a token": people_pb2.CreateApiTokenRequest(label="t"),
    "a token of a lesser role": people_pb2.CreateApiTokenRequest(label="t", role="help desk"),
    "a token of a group": people_pb2.CreateApiTokenRequest(
        label="t",
        role="help desk",
        reach=people_pb2.Reach(groups=[people_pb2.GroupName(cluster="c1", group="Main_Group")]),
    ),
}
WHOLE = ("a certificate", "a session")


def test_every_operation_of_people_is_an_act_here_or_about_no_own_user() -> None:
    of_service = {row.operation for rpc, row in RPCS.items() if rpc.startswith("tdc.v1.People.")}
    assert _acts("bob").keys() | ABOUT_NO_OWN == of_service
    own = {name for name, row in PERMISSIONS.items() if row.extent is Extent.OWN}
    assert own - {"people.who_am_i", "people.look_after_oneself"} <= _acts("bob").keys()


async def _token(desk: Desk, made: people_pb2.CreateApiTokenRequest) -> str:
    """The secret of an API token of bob's."""
    async with desk.caller() as bob:
        await bob.log_in("bob")
        return (await bob.people.CreateApiToken(made, metadata=bob.shown)).secret


@contextlib.asynccontextmanager
async def _by_certificate(desk: Desk, name: str) -> AsyncIterator[Caller]:
    issued = desk.api.authority.issue_operator(name)
    pair = (issued.certificate_pem, issued.key_pem)
    async with connected(desk.api.ports, desk.api.authority, *pair) as api:
        yield Caller(api.channel)


@contextlib.asynccontextmanager
async def _whole(desk: Desk, means: str, name: str) -> AsyncIterator[Caller]:
    if means == "a certificate":
        async with _by_certificate(desk, name) as caller:
            yield caller
    else:
        async with desk.caller() as caller:
            await caller.log_in(name)
            yield caller


async def _stands(desk: Desk) -> object:
    """All that is stored of users and tokens, as administrators see it."""
    users = await desk.people.ListUsers(people_pb2.ListUsersRequest())
    tokens = await desk.people.ListApiTokens(people_pb2.ListApiTokensRequest(all_users=True))
    for each in users.users:
        each.ClearField("last_login")
    return [str(each) for each in users.users], {each.id for each in tokens.tokens}


@pytest.mark.proves("S12")
@pytest.mark.parametrize("narrowed", TOKENS)
async def test_an_api_token_does_nothing_about_its_own_user(desk: Desk, narrowed: str) -> None:
    await desk.user("bob", "administrator")
    secret = await _token(desk, TOKENS[narrowed])
    mine = await desk.people.ListApiTokens(people_pb2.ListApiTokensRequest(user="bob"))
    before = await _stands(desk)
    async with desk.caller(secret) as program:
        for name, act in _acts("bob").items():
            async with refused(STATUS.PERMISSION_DENIED, "people."):
                await act(program, mine.tokens[0].id)
            assert await _stands(desk) == before, name
        assert (await program.who()).means == "API token", "it is good still"
    async with desk.caller() as bob:
        await bob.log_in("bob", PASSWORD)


@pytest.mark.parametrize("role", ["help desk", "operator", "administrator"])
@pytest.mark.parametrize("means", WHOLE)
async def test_who_is_his_user_does_all_that_his_role_lets_him(
    desk: Desk, means: str, role: str
) -> None:
    await desk.user("bob", role)
    await desk.user("ann", "administrator")  # bob is not the last one
    for name, act in _acts("bob").items():
        async with contextlib.AsyncExitStack() as stack:
            if name == "people.delete_user":
                await desk.people.SetPassword(
                    people_pb2.SetPasswordRequest(name="bob", password=PASSWORD)
                )
            bob = await stack.enter_async_context(_whole(desk, means, "bob"))
            made = await bob.people.CreateApiToken(
                people_pb2.CreateApiTokenRequest(label="ci"), metadata=bob.shown
            )
            if name in OF_ADMINISTRATORS and role != "administrator":
                await stack.enter_async_context(refused(STATUS.PERMISSION_DENIED, name))
            await act(bob, made.token.id)


@pytest.mark.parametrize(
    ("means", "role", "old", "ends"),
    [
        ("a session", "operator", "", STATUS.UNAUTHENTICATED),
        ("a session", "administrator", "wrong", STATUS.UNAUTHENTICATED),
        ("a session", "administrator", PASSWORD, STATUS.OK),
        ("a certificate", "operator", "", STATUS.UNAUTHENTICATED),
        ("a certificate", "operator", PASSWORD, STATUS.OK),
        ("a certificate", "administrator", "", STATUS.OK),
    ],
)
async def test_an_own_password_needs_the_old_one_or_an_administrators_certificate(
    desk: Desk, means: str, role: str, old: str, ends: grpc.StatusCode
) -> None:
    await desk.user("bob", role)
    async with _whole(desk, means, "bob") as bob:
        request = people_pb2.SetPasswordRequest(password=NEW, old_password=old)
        call: Any = bob.people.SetPassword(request, metadata=bob.shown)
        assert await call.code() is ends


async def test_who_was_robbed_of_a_session_ends_it_whatever_the_thief_did(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.user("bob")
    async with desk.caller() as bob:
        await bob.log_in("bob")
        made = await bob.people.CreateApiToken(
            people_pb2.CreateApiTokenRequest(label="t"), metadata=bob.shown
        )

        def none_left(acts: OwnActs, name: str) -> None:
            raise TooManyActs(name)

        monkeypatch.setattr(OwnActs, "take", none_left)
        revoke = people_pb2.RevokeApiTokensRequest(ids=[made.token.id])
        assert (await bob.people.RevokeApiTokens(revoke, metadata=bob.shown)).revoked == 1
        end = people_pb2.EndSessionsRequest(user="bob")
        assert (await bob.people.EndSessions(end, metadata=bob.shown)).ended == 1


async def test_a_first_password_is_set_by_certificate(desk: Desk) -> None:
    await desk.user("ci", password="")
    request = people_pb2.SetPasswordRequest(password=NEW)
    async with _by_certificate(desk, "ci") as ci:
        await ci.people.SetPassword(request)
    async with desk.caller() as caller:
        await caller.log_in("ci", NEW)


@pytest.mark.proves("S12")
async def test_who_has_a_session_guesses_the_password_as_slowly_as_at_a_login(desk: Desk) -> None:
    await desk.user("bob")
    async with desk.caller() as bob:
        await bob.log_in("bob")
        guess = people_pb2.SetPasswordRequest(password=NEW, old_password="a guess")
        for _ in range(FREE_OF_ACCOUNT + 1):
            async with refused(STATUS.UNAUTHENTICATED, "present password is wrong"):
                await bob.people.SetPassword(guess, metadata=bob.shown)
        right = people_pb2.SetPasswordRequest(password=NEW, old_password=PASSWORD)
        async with refused(STATUS.RESOURCE_EXHAUSTED, "wrong too often"):
            await bob.people.SetPassword(right, metadata=bob.shown)


async def test_a_user_who_is_not_there_has_no_sessions_to_end(desk: Desk) -> None:
    """A typing error in the middle of an incident ends nothing, and must say so."""
    await desk.user("bob")
    people, pb = desk.people, people_pb2
    for call in (
        people.EndSessions(pb.EndSessionsRequest(user="bobb")),
        people.ListSessions(pb.ListSessionsRequest(user="bobb")),
        people.ListApiTokens(pb.ListApiTokensRequest(user="bobb")),
    ):
        async with refused(STATUS.NOT_FOUND, "there is no user 'bobb'"):
            await call
    assert (await people.EndSessions(pb.EndSessionsRequest(user="bob"))).ended == 0
    async with desk.caller() as bob:
        await bob.log_in("bob")
        async with refused(STATUS.PERMISSION_DENIED):  # who may not look is not told who is there
            await bob.people.EndSessions(pb.EndSessionsRequest(user="bobb"), metadata=bob.shown)
