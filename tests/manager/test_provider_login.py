"""People log in at a real OpenID Connect provider, in a browser and by device, over real ports."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from tdc.manager.intent import provider_login
from tdc.manager.people.throttle import FREE_OF_ACCOUNT
from tdc.manager.provider.client import ProviderClient
from tdc.manager.provider.values import NotProven, Registration
from tdc.manager.rpc.operators import BEARER
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import audit_pb2, people_pb2, people_pb2_grpc, provider_pb2, provider_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_machine, logged_in, manager, of_people, refused
from tests.stage.provider import CLIENT, SECRET, RunningProvider, needs_provider, provider

STATUS = grpc.StatusCode
PASSWORD = "correct horse battery"
REDIRECT = "http://127.0.0.1:43210/callback"

pytestmark = [needs_provider]


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RunningProvider]:
    async with provider(tmp_path / "provider") as running:
        yield running


@dataclass
class Desk:
    """A manager that knows the provider."""

    api: Api
    provider: RunningProvider

    def __post_init__(self) -> None:
        self.people: people_pb2_grpc.PeopleAsyncStub = of_people(self.api.channel)

    @contextlib.asynccontextmanager
    async def caller(self) -> AsyncIterator[Caller]:
        address = f"127.0.0.1:{self.api.ports.operators}"
        async with client_channel(address, self.api.authority.ca_pem) as channel:
            yield Caller(channel, self.provider)


@dataclass
class Caller:
    """A person with a browser and a connection to the operator port."""

    channel: grpc.aio.Channel
    provider: RunningProvider

    def __post_init__(self) -> None:
        self.login: provider_pb2_grpc.ProviderLoginAsyncStub = provider_pb2_grpc.ProviderLoginStub(
            self.channel
        )
        self.people: people_pb2_grpc.PeopleAsyncStub = people_pb2_grpc.PeopleStub(self.channel)

    async def begin(self) -> provider_pb2.BeginRedirectResponse:
        return await self.login.BeginRedirect(
            provider_pb2.BeginRedirectRequest(redirect_uri=REDIRECT)
        )

    async def sign_in(self, url: str, subject: str) -> dict[str, str]:
        """What the provider sends back for `subject`."""
        async with self.provider.browser() as browser:
            back = await browser.sign_in(url, subject)
        assert back.startswith(REDIRECT), back
        return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    async def finish(self, handle: str, answer: dict[str, str]) -> people_pb2.LogInResponse:
        request = provider_pb2.FinishLoginRequest(
            handle=handle, code=answer["code"], state=answer["state"], issuer=answer["iss"]
        )
        return (await self.login.FinishLogin(request)).session

    async def log_in(self, subject: str) -> people_pb2.LogInResponse:
        begun = await self.begin()
        return await self.finish(begun.handle, await self.sign_in(begun.url, subject))

    async def who(self, session: people_pb2.LogInResponse) -> people_pb2.WhoAmIResponse:
        shown = (("authorization", f"{BEARER}{session.secret}"),)
        return await self.people.WhoAmI(people_pb2.WhoAmIRequest(), metadata=shown)


@pytest.fixture
async def desk(etcd: ExternalEtcd, tmp_path: Path, real: RunningProvider) -> AsyncIterator[Desk]:
    folder = tmp_path / "manager"
    async with manager(folder, etcd_endpoints=etcd.options.endpoints, **real.options()) as api:
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"))
        yield Desk(api, real)


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


async def test_who_has_no_mapped_group_stays_out(desk: Desk) -> None:
    async with (
        desk.caller() as caller,
        refused(STATUS.UNAUTHENTICATED, "none of this person's groups"),
    ):
        await caller.log_in("sub-cat")
    users = await desk.people.ListUsers(people_pb2.ListUsersRequest())
    assert not users.users


async def test_an_answer_with_another_state_or_issuer_or_without_a_code_is_refused(
    desk: Desk,
) -> None:
    async with desk.caller() as caller:
        begun = await caller.begin()
        answer = await caller.sign_in(begun.url, "sub-ben")
        assert answer["state"] == begun.state
        for changed, why in (
            ({"state": "forged"}, "(state)"),
            ({"state": ""}, "(state)"),
            ({"iss": "https://other.example"}, "(iss)"),
            ({"iss": ""}, "(iss)"),
            ({"code": ""}, "no code"),
        ):
            async with refused(STATUS.UNAUTHENTICATED, why):
                await caller.finish(begun.handle, {**answer, **changed})
        made = await caller.finish(begun.handle, answer)  # none of that has used it up
        assert made.name == "ben"


async def test_the_code_of_another_login_is_refused_by_its_verifier(desk: Desk) -> None:
    """As where somebody puts a code that he has stolen into a login of his own."""
    async with desk.caller() as thief, desk.caller() as ben:
        his, own = await ben.begin(), await thief.begin()
        stolen = await ben.sign_in(his.url, "sub-ben")
        async with refused(STATUS.UNAUTHENTICATED, "invalid_grant"):
            await thief.finish(own.handle, {**stolen, "state": own.state})
        async with refused(STATUS.UNAUTHENTICATED, "(state)"):
            await thief.finish(own.handle, stolen)


async def test_a_handle_is_good_once_and_not_after_a_later_login(desk: Desk) -> None:
    async with desk.caller() as caller:
        first, second = await caller.begin(), await caller.begin()
        answer = await caller.sign_in(second.url, "sub-ben")
        await caller.finish(second.handle, answer)
        async with refused(STATUS.UNAUTHENTICATED, "invalid_grant"):
            await caller.finish(second.handle, answer)
        older = await caller.sign_in(first.url, "sub-ben")
        async with refused(STATUS.UNAUTHENTICATED, "used before, or a later one"):
            await caller.finish(first.handle, older)


@pytest.mark.parametrize("handle", ["", "AAAA", "A" * 400, "\u00e9", "!"])
async def test_a_handle_that_no_manager_made_is_refused(desk: Desk, handle: str) -> None:
    async with desk.caller() as caller:
        async with refused(STATUS.UNAUTHENTICATED, "no manager here began this login"):
            await caller.finish(handle, {"code": "c", "state": "s", "iss": ""})
        begun = await caller.begin()
        changed = begun.handle[:-6] + ("A" if begun.handle[-6] != "A" else "B") + begun.handle[-5:]
        async with refused(STATUS.UNAUTHENTICATED, "no manager here began this login"):
            await caller.finish(changed, {"code": "c", "state": begun.state, "iss": ""})


async def test_a_handle_has_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk.caller() as caller:
        begun = await caller.begin()
        answer = await caller.sign_in(begun.url, "sub-ben")
        later = time.time() + provider_login.LIFETIME + 1
        monkeypatch.setattr(provider_login, "wall", lambda: later)
        async with refused(STATUS.UNAUTHENTICATED, "took too long"):
            await caller.finish(begun.handle, answer)


async def test_nothing_of_a_login_can_be_read_in_its_handle(desk: Desk) -> None:
    async with desk.caller() as caller:
        begun = await caller.begin()
    raw = base64.b64decode(begun.handle)
    assert begun.state.encode() not in raw
    assert b"redirect" not in raw


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/callback",
        "http://evil.example:80/callback",
        "http://127.0.0.1.evil.example:80/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:80/callback?to=https://evil.example",
        "http://localhost:80/callback",
        "",
    ],
)
async def test_a_login_comes_back_to_loopback_only(desk: Desk, uri: str) -> None:
    async with desk.caller() as caller, refused(STATUS.INVALID_ARGUMENT, "127.0.0.1"):
        await caller.login.BeginRedirect(provider_pb2.BeginRedirectRequest(redirect_uri=uri))


async def test_the_login_of_another_client_of_the_provider_is_not_good_here(desk: Desk) -> None:
    """A token that the real provider made for somebody else's application."""
    other = Registration(
        desk.provider.issuer, "other", lambda: SECRET, ("openid",), str(desk.provider.ca)
    )
    their = ProviderClient(other)
    url = await their.url(REDIRECT, "state", "nonce", "v" * 43)
    async with desk.caller() as caller:
        answer = await caller.sign_in(url, "sub-ana")
    tokens = await their.redeem(answer["code"], REDIRECT, "v" * 43)
    assert (await their.identify(tokens, "nonce", ()))["sub"] == "sub-ana"
    ours = ProviderClient(dataclasses.replace(other, client_id=CLIENT))
    with pytest.raises(NotProven, match="udience"):
        await ours.identify(tokens, "nonce", ())


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
        refused(STATUS.UNAUTHENTICATED, "there is or was a user ben here", "'sub-ben'"),
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
        async with refused(STATUS.UNAUTHENTICATED, "role, reach or password was changed"):
            await second.who(made)


async def test_logins_by_device_wait_and_can_be_refused(desk: Desk) -> None:
    async with desk.caller() as caller:
        begun = await caller.login.BeginDevice(provider_pb2.BeginDeviceRequest())
        asked = provider_pb2.FinishLoginRequest(handle=begun.handle)
        assert (await caller.login.FinishLogin(asked)).HasField("pending")
        async with desk.provider.browser() as browser:
            await browser.sign_in(begun.complete_url, "sub-ben")
        assert (await caller.login.FinishLogin(asked)).session.name == "ben"
        async with refused(STATUS.UNAUTHENTICATED, "invalid_grant"):
            await caller.login.FinishLogin(asked)


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


async def test_failures_slow_logins_down(desk: Desk) -> None:
    async with desk.caller() as caller:
        wrong = {"code": "c", "state": "s", "iss": ""}
        for _ in range(FREE_OF_ACCOUNT + 1):
            async with refused(STATUS.UNAUTHENTICATED):
                await caller.finish("forged", wrong)
        async with refused(STATUS.RESOURCE_EXHAUSTED, "too many logins failed"):
            await caller.begin()


async def test_a_provider_that_is_away_harms_no_other_login(desk: Desk) -> None:
    await desk.people.CreateUser(
        people_pb2.CreateUserRequest(name="bob", role="operator", password=PASSWORD)
    )
    await desk.provider.stop()
    async with desk.caller() as caller:
        async with refused(STATUS.UNAVAILABLE, desk.provider.issuer, "good all the same"):
            await caller.begin()
        async with refused(STATUS.UNAVAILABLE):
            await caller.login.BeginDevice(provider_pb2.BeginDeviceRequest())
        assert await logged_in(desk.api, "bob", PASSWORD)
    assert (await desk.people.WhoAmI(people_pb2.WhoAmIRequest())).name == "ana"


async def test_without_a_provider_that_is_what_it_says(
    etcd: ExternalEtcd, tmp_path: Path, real: RunningProvider
) -> None:
    async with (
        manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api,
        Desk(api, real).caller() as caller,
    ):
        async with refused(STATUS.FAILED_PRECONDITION, "oidc_issuer"):
            await caller.begin()
        async with refused(STATUS.FAILED_PRECONDITION, "oidc_issuer"):
            await caller.finish("any", {"code": "c", "state": "s", "iss": ""})
