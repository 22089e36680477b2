"""People log in at a real OpenID Connect provider, in a browser and by device, over real ports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from tdc.manager.rpc.operators import BEARER
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import people_pb2, people_pb2_grpc, provider_pb2, provider_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_machine, manager, of_people, refused
from tests.stage.provider import RunningProvider, needs_provider, provider

STATUS = grpc.StatusCode
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
