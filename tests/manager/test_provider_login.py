"""Logins at a real OpenID Connect provider, over real ports, and attacks on them."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from tdc.manager.intent import provider_login
from tdc.manager.people.throttle import FREE_OF_ACCOUNT
from tdc.manager.provider.client import ProviderClient
from tdc.manager.provider.values import NotProven, Registration
from tdc.v1 import people_pb2, provider_pb2

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import logged_in, manager, refused
from tests.stage.provider import CLIENT, SECRET, needs_provider
from tests.stage.provider_desk import PASSWORD, REDIRECT, Desk, desk_in

STATUS = grpc.StatusCode

pytestmark = [needs_provider]


@pytest.fixture
async def desk(etcd: ExternalEtcd, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path, etcd) as made:
        yield made


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


async def test_a_handle_that_no_manager_made_is_refused(desk: Desk) -> None:
    async with desk.caller() as caller:
        for handle in ("", "AAAA", "A" * 400, "\u00e9", "!"):
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


async def test_a_login_comes_back_to_loopback_only(desk: Desk) -> None:
    async with desk.caller() as caller:
        for uri in (
            "https://evil.example/callback",
            "http://evil.example:80/callback",
            "http://127.0.0.1.evil.example:80/callback",
            "http://127.0.0.1:1@evil.example/callback",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1:80/callback?to=https://evil.example",
            "http://localhost:80/callback",
            "",
        ):
            async with refused(STATUS.INVALID_ARGUMENT, "127.0.0.1"):
                request = provider_pb2.BeginRedirectRequest(redirect_uri=uri)
                await caller.login.BeginRedirect(request)


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
    desk: Desk, etcd: ExternalEtcd, tmp_path: Path
) -> None:
    async with (
        manager(tmp_path / "second", etcd_endpoints=etcd.options.endpoints) as api,
        Desk(api, desk.provider).caller() as caller,
    ):
        async with refused(STATUS.FAILED_PRECONDITION, "oidc_issuer"):
            await caller.begin()
        async with refused(STATUS.FAILED_PRECONDITION, "oidc_issuer"):
            await caller.finish("any", {"code": "c", "state": "s", "iss": ""})
