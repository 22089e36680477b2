"""A manager that knows a real provider, and people who log in at it, as clients see them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
from tdc.manager.rpc.operators import BEARER
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import people_pb2, people_pb2_grpc, provider_pb2, provider_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_machine, manager, of_people
from tests.stage.provider import RunningProvider, provider

PASSWORD = "correct horse battery"
REDIRECT = "http://127.0.0.1:43210/callback"


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


@contextlib.asynccontextmanager
async def desk_in(folder: Path, etcd: ExternalEtcd) -> AsyncIterator[Desk]:
    """A manager in `folder` with the machine mx1, and its provider."""
    async with (
        provider(folder / "provider") as real,
        manager(folder / "manager", etcd_endpoints=etcd.options.endpoints, **real.options()) as api,
    ):
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"))
        yield Desk(api, real)
