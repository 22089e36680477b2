"""Users log in with a password, and come back with a session or an API token, over real ports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tdc.manager.rpc.operators import BEARER
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import operators_pb2, operators_pb2_grpc, people_pb2, people_pb2_grpc

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import Api, add_machine, manager, refused

STATUS = grpc.StatusCode
PASSWORD = "correct horse battery"


@dataclass
class Caller:
    """One who calls at the operator port, with a secret or without."""

    channel: grpc.aio.Channel
    secret: str = ""

    def __post_init__(self) -> None:
        self.login: people_pb2_grpc.LoginAsyncStub = people_pb2_grpc.LoginStub(self.channel)
        self.people: people_pb2_grpc.PeopleAsyncStub = people_pb2_grpc.PeopleStub(self.channel)
        self.fleet: operators_pb2_grpc.FleetAsyncStub = operators_pb2_grpc.FleetStub(self.channel)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"{BEARER}{self.secret}"),) if self.secret else ()

    async def log_in(self, name: str, password: str = PASSWORD, code: str = "") -> None:
        request = people_pb2.LogInRequest(name=name, password=password, code=code)
        self.secret = (await self.login.LogIn(request)).secret

    async def who(self) -> people_pb2.WhoAmIResponse:
        return await self.people.WhoAmI(people_pb2.WhoAmIRequest(), metadata=self.shown)

    async def machines(self) -> list[str]:
        request = operators_pb2.ListMachinesRequest()
        found = await self.fleet.ListMachines(request, metadata=self.shown)
        return [each.name for each in found.machines]


@dataclass
class Desk:
    """A manager with an operator port, and its administrator by certificate."""

    api: Api

    def __post_init__(self) -> None:
        self.people: people_pb2_grpc.PeopleAsyncStub = people_pb2_grpc.PeopleStub(self.api.channel)

    @contextlib.asynccontextmanager
    async def caller(self, secret: str = "") -> AsyncIterator[Caller]:
        address = f"127.0.0.1:{self.api.ports.operators}"
        async with client_channel(address, self.api.authority.ca_pem) as channel:
            yield Caller(channel, secret)

    async def user(
        self,
        name: str,
        role: str = "operator",
        groups: tuple[str, ...] = (),
        password: str = PASSWORD,
    ) -> None:
        reach = people_pb2.Reach(
            groups=[people_pb2.GroupName(cluster="c1", group=group) for group in groups]
        )
        request = people_pb2.CreateUserRequest(name=name, role=role, reach=reach, password=password)
        await self.people.CreateUser(request)


@pytest.fixture
async def desk(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "manager"
    async with manager(folder, etcd_endpoints=etcd.options.endpoints, operator_port=0) as api:
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"))
        yield Desk(api)


async def test_who_logs_in_is_let_in_by_his_session_until_he_logs_out(desk: Desk) -> None:
    await desk.user("bob", groups=("Main_Group",))
    async with desk.caller() as bob:
        async with refused(STATUS.UNAUTHENTICATED, "the call carries none"):
            await bob.who()
        await bob.log_in("bob")
        me = await bob.who()
        assert (me.name, me.role, me.means, me.is_user) == ("bob", "operator", "session", True)
        assert [each.group for each in me.reach.groups] == ["Main_Group"]
        assert await bob.machines() == ["mx1"]
        async with refused(STATUS.PERMISSION_DENIED, "people.list_users", "administrator"):
            await bob.people.ListUsers(people_pb2.ListUsersRequest(), metadata=bob.shown)
        ended = await bob.people.EndSessions(people_pb2.EndSessionsRequest(), metadata=bob.shown)
        assert ended.ended == 1
        async with refused(STATUS.UNAUTHENTICATED, "the session has ended"):
            await bob.who()


async def test_a_wrong_name_password_or_code_is_answered_alike_and_slows_down(desk: Desk) -> None:
    await desk.user("bob")
    answers = set()
    async with desk.caller() as caller:
        for name, password in (("bob", "wrong"), ("nobody", PASSWORD), ("bob", "")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await caller.log_in(name, password)
            answers.add((caught.value.code(), caught.value.details()))
        assert answers == {
            (STATUS.UNAUTHENTICATED, "the name, the password or the one-time code is wrong")
        }
        for _ in range(4):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await caller.log_in("bob", "wrong")
        async with refused(STATUS.RESOURCE_EXHAUSTED, "too many logins failed"):
            await caller.log_in("bob")
        await desk.user("cat")
        await caller.log_in("cat")  # another account from the same address
        assert (await caller.who()).name == "cat"
