"""Who comes in by a real provider, as whom, and who stays out."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from tdc.v1 import audit_pb2, people_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import manager, refused, rename_group
from tests.stage.provider import needs_provider
from tests.stage.provider_desk import PASSWORD, Desk, desk_in

STATUS = grpc.StatusCode

pytestmark = [needs_provider]


@pytest.fixture
async def desk(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path, etcd) as made:
        yield made


async def test_who_logs_in_at_the_provider_gets_the_role_of_his_group(desk: Desk) -> None:
    async with desk.caller() as caller:
        made = await caller.log_in("sub-ben")
        assert (made.name, made.role) == ("ben", "operator")
        me = await caller.who(made)
        assert (me.name, me.role, me.means, me.is_user) == ("ben", "operator", "session", True)
        assert [(each.cluster, each.group) for each in me.reach.groups] == [("c1", "Main_Group")]
        again = await caller.log_in("sub-ben")
        assert again.name == "ben"
        assert (await caller.log_in("sub-ana")).role == "administrator"


async def test_a_reach_by_groups_follows_a_rename_and_no_name(desk: Desk) -> None:
    """What oidc_roles names is looked up at the login, and kept as every reach is."""
    rename = rename_group("Main_Group", "front")
    async with desk.caller() as caller:
        made = await caller.log_in("sub-ben")
        await desk.api.commit(rename)
        me = await caller.who(made)
        assert [(each.cluster, each.group) for each in me.reach.groups] == [("c1", "front")]
        async with refused(STATUS.UNAUTHENTICATED, "oidc_roles", "Main_Group"):
            await caller.log_in("sub-ben")


async def test_who_has_no_mapped_group_stays_out(desk: Desk) -> None:
    async with (
        desk.caller() as caller,
        refused(STATUS.UNAUTHENTICATED, "none of this person's groups"),
    ):
        await caller.log_in("sub-cat")
    users = await desk.people.ListUsers(people_pb2.ListUsersRequest())
    assert not users.users


async def test_a_deleted_user_stays_out_until_an_administrator_lets_him_in(desk: Desk) -> None:
    async with desk.caller() as caller:
        made = await caller.log_in("sub-ben")
        await desk.people.DeleteUser(people_pb2.DeleteUserRequest(name="ben"))
        async with refused(STATUS.UNAUTHENTICATED):
            await caller.who(made)
        async with refused(STATUS.UNAUTHENTICATED, "ben of this person was deleted"):
            await caller.log_in("sub-ben")
        another = people_pb2.CreateUserRequest(name="ben", role="help desk", password=PASSWORD)
        await desk.people.CreateUser(another)
        async with refused(STATUS.UNAUTHENTICATED, "was deleted"):
            await caller.log_in("sub-ben")
        by_hand = people_pb2.CreateUserRequest(name="ben2", role="read only", subject="sub-ben")
        await desk.people.CreateUser(by_hand)
        again = await caller.log_in("sub-ben")
        assert (again.name, again.role) == ("ben2", "read only"), "not the role of his groups"
        async with refused(STATUS.ALREADY_EXISTS, "this person is the user ben2"):
            by_hand.name = "ben3"
            await desk.people.CreateUser(by_hand)


async def test_a_provider_does_not_speak_for_a_user_who_is_there(desk: Desk) -> None:
    """Else who can choose what he is called there could be any user here."""
    local = people_pb2.CreateUserRequest(name="ben", role="administrator", password=PASSWORD)
    await desk.people.CreateUser(local)
    async with (
        desk.caller() as caller,
        refused(
            STATUS.UNAUTHENTICATED, "there is or was a user or a certificate ben here", "'sub-ben'"
        ),
    ):
        await caller.log_in("sub-ben")


async def test_a_role_set_by_hand_outlives_groups_and_one_by_groups_gets_no_password(
    desk: Desk,
) -> None:
    async with desk.caller() as caller:
        await caller.log_in("sub-ana")
        password = people_pb2.SetPasswordRequest(name="ana.admin", password=PASSWORD)
        async with refused(STATUS.INVALID_ARGUMENT, "logs in at the provider"):
            await desk.people.SetPassword(password)
        users = (await desk.people.ListUsers(people_pb2.ListUsersRequest())).users
        assert [(each.provider, each.subject, each.by_groups) for each in users] == [
            (desk.provider.issuer, "sub-ana", True)
        ]
        await desk.people.SetRole(people_pb2.SetRoleRequest(name="ana.admin", role="read only"))
        assert (await caller.log_in("sub-ana")).role == "read only"


async def test_a_new_role_of_groups_ends_the_sessions_of_before(
    desk: Desk, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    """And any manager finishes what another began."""
    roles = {"oidc_roles": ("help-desk=mail-ops",)}
    options = desk.provider.options(**roles)
    shutil.copytree(tmp_path / "manager" / "ca", tmp_path / "second" / "ca")
    shutil.copytree(tmp_path / "manager" / "operator", tmp_path / "second" / "operator")
    async with (
        manager(tmp_path / "second", etcd_endpoints=etcd.options.endpoints, **options) as api,
        desk.caller() as first,
        Desk(api, desk.provider).caller() as second,
    ):
        made = await first.log_in("sub-ben")
        begun = await first.begin()
        answer = await first.sign_in(begun.url, "sub-ben")
        again = await second.finish(begun.handle, answer)
        assert (made.role, again.role) == ("operator", "help desk")
        async with refused(
            STATUS.UNAUTHENTICATED, "role, reach, password or one-time codes were changed"
        ):
            await second.who(made)


async def test_logins_and_refusals_are_written_down_with_the_provider(desk: Desk) -> None:
    async with desk.caller() as caller:
        await caller.log_in("sub-ben")
        async with refused(STATUS.UNAUTHENTICATED):
            await caller.log_in("sub-cat")
    async with asyncio.timeout(20):
        while True:
            request = audit_pb2.ListEntriesRequest(oldest_first=True)
            listed = (await desk.api.audit.ListEntries(request)).entries
            found = [each for each in listed if each.operation == "people.log_in"]
            if len(found) == 3:
                break
            await asyncio.sleep(0.05)
    made, session, refusal = found
    assert [(each.part, each.after) for each in made.rows] == [
        ("role", "operator"),
        ("reach", "group Main_Group of cluster c1"),
        ("identity", f"sub-ben of {desk.provider.issuer}"),
        ("role by groups", "yes"),
    ]
    for each in found:
        assert desk.provider.issuer in each.what
        assert each.means == "provider"
    assert (session.who, refusal.who, refusal.outcome) == ("ben", "cat", "refused")
