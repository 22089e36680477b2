"""Providers that answer wrongly, late, without end or not at all, and our client with them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from tdc.manager.provider import http
from tdc.manager.provider.client import REFRESH, ProviderClient
from tdc.manager.provider.kept import AGAIN
from tdc.manager.provider.metadata import DOCUMENT, check_issuer
from tdc.manager.provider.values import (
    NotProven,
    ProviderAway,
    ProviderRefused,
    Registration,
    Tokens,
    UnknownKey,
)

from tests.fakes.listening import listening
from tests.manager.test_provider_proof import (
    ACCESS,
    CLIENT,
    EC_KEY,
    NONCE,
    RSA_KEY,
    claims,
    published,
    signed,
)


@dataclass
class OddProvider:
    """Answers each path with a status and a body; an unknown path is answered with 404."""

    port: int = 0
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: str = ""
    silent: bool = False

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, document: object, status: int = 200) -> None:
        self.answers[path] = (status, json.dumps(document).encode())

    def describe(self, **changed: object) -> None:
        good: dict[str, object] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        self.put(DOCUMENT, {**good, **changed})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.asked.append(path)
            if self.silent:
                return
            status, body = self.answers.get(path, (404, b"{}"))
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{self.headers}"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def odd() -> AsyncIterator[OddProvider]:
    provider = OddProvider()
    async with listening(provider.serve) as port:
        provider.port = port
        provider.describe()
        yield provider


def client(odd: OddProvider, clock: Clock | None = None) -> ProviderClient:
    own = Registration(odd.issuer, CLIENT, lambda: "secret", ("openid",))
    return ProviderClient(own, clock or Clock())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"issuer": "https://login.example"}, "calls itself"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"token_endpoint": "http://login.example/token"}, "without TLS"),
        ({"jwks_uri": "http://127.0.0.1.evil.example/keys"}, "without TLS"),
        ({"jwks_uri": "file:///etc/passwd"}, "https://"),
        ({"authorization_endpoint": "https://a:b@login.example/"}, "has a user"),
        ({"device_authorization_endpoint": 7}, "is not an address"),
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(
    odd: OddProvider, changed: dict[str, object], why: str
) -> None:
    odd.describe(**changed)
    with pytest.raises(ProviderAway, match=why):
        await client(odd).about()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (404, b"not here"),
        (302, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"[" * 100_000),
        (200, b"\xff\xfe{}"),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_an_answer_that_is_none_is_an_error_in_words(
    odd: OddProvider, status: int, body: bytes
) -> None:
    odd.answers[DOCUMENT] = (status, body)
    with pytest.raises(ProviderAway):
        await client(odd).about()


async def test_an_answer_is_read_up_to_a_bound(odd: OddProvider) -> None:
    status, good = odd.answers[DOCUMENT]
    odd.answers[DOCUMENT] = (status, good + b" " * (http.LONGEST - len(good)))
    assert (await client(odd).about()).issuer == odd.issuer
    odd.answers[DOCUMENT] = (status, good + b" " * (http.LONGEST - len(good) + 1))
    with pytest.raises(ProviderAway, match="more than 256 KiB"):
        await client(odd).about()


async def test_a_redirect_of_the_provider_is_not_followed(odd: OddProvider) -> None:
    odd.headers = f"Location: {odd.issuer}/elsewhere\r\n"
    odd.answers[DOCUMENT] = (302, b"")
    with pytest.raises(ProviderAway, match="302"):
        await client(odd).about()
    assert odd.asked == [DOCUMENT]


async def test_a_provider_that_says_nothing_is_waited_for_once(
    odd: OddProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits behind the first is answered with it: else each would wait in turn."""
    monkeypatch.setattr(http, "TIMEOUT", 0.2)
    odd.silent, clock = True, Clock()
    asks = client(odd, clock)
    outcomes = await asyncio.gather(*(asks.about() for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in outcomes} == {ProviderAway}
    assert odd.asked == [DOCUMENT]
    odd.silent, clock.now = False, clock.now + AGAIN + 1
    assert (await asks.about()).issuer == odd.issuer


async def test_keys_are_read_again_for_an_unknown_one_but_seldom(odd: OddProvider) -> None:
    odd.put("/keys", {"keys": [published(EC_KEY, "e")]})
    clock = Clock()
    asks = client(odd, clock)
    tokens = Tokens(signed(claims(iss=odd.issuer)), ACCESS)
    for _ in range(5):
        with pytest.raises(UnknownKey):
            await asks.identify(tokens, NONCE, ())
    assert odd.asked.count("/keys") == 1
    odd.put("/keys", {"keys": [published(RSA_KEY, "r")]})
    clock.now += REFRESH + 1
    assert (await asks.identify(tokens, NONCE, ()))["sub"] == "sub-1"
    assert odd.asked.count("/keys") == 2


async def test_what_userinfo_says_must_be_of_the_same_person(odd: OddProvider) -> None:
    odd.describe(userinfo_endpoint=f"{odd.issuer}/me")
    odd.put("/keys", {"keys": [published(RSA_KEY, "r")]})
    tokens = Tokens(signed(claims(iss=odd.issuer)), ACCESS)
    odd.put("/me", {"sub": "sub-1", "groups": ["staff"], "iss": "https://forger.example"})
    found = await client(odd).identify(tokens, NONCE, ("groups",))
    assert (found["groups"], found["iss"]) == (["staff"], odd.issuer)
    others: list[object] = [
        {"sub": "sub-admin", "groups": ["tdc-admins"]},
        {"groups": ["tdc-admins"]},
        [],
    ]
    for other in others:
        odd.put("/me", other)
        with pytest.raises(NotProven, match="of another"):
            await client(odd).identify(tokens, NONCE, ("groups",))


async def test_a_refusal_is_repeated_without_what_a_terminal_acts_on(odd: OddProvider) -> None:
    odd.put("/token", {"error": "invalid_grant", "error_description": "no\x1b[31m" * 100}, 400)
    with pytest.raises(ProviderRefused) as caught:
        await client(odd).redeem("code", "http://127.0.0.1:1/callback", "v")
    assert caught.value.code == "invalid_grant"
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example",
        "http://127.0.0.1.example",
        "https://",
        "https://a@login.example",
        "https://login.example?x=1",
        "https://login.example#x",
        "ftp://login.example",
        "login.example",
        "https://login.example/ x",
        "",
    ],
)
def test_a_provider_is_not_called_so(issuer: str) -> None:
    with pytest.raises(ValueError, match=" "):
        check_issuer(issuer)


@pytest.mark.parametrize(
    "issuer", ["https://login.example/realms/staff", "http://localhost:8080", "http://[::1]:80/x"]
)
def test_a_provider_may_be_called_so(issuer: str) -> None:
    assert check_issuer(issuer) == issuer
