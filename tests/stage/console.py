"""The web console of a running manager, as a browser or a program comes to it."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from tdc.manager.web.headers import COOKIE
from tdc.v1 import people_pb2

from tests.stage.manager import Api, of_people

PASSWORD = "correct horse battery"


def trusting(ca_pem: bytes) -> ssl.SSLContext:
    """TLS that trusts the manager's CA, and checks names."""
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@dataclass
class Visitor:
    """One who comes to the console: by a session's cookie, an API token, or as nobody."""

    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form, as a page of the console does."""
        return await self.client.post(path, data=fields, headers={"sec-fetch-site": "same-origin"})

    async def log_in(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.post("/login", name=name, password=password, **more)

    async def json(self, path: str, expect: int = 200) -> Any:
        answer = await self.get(f"/api/v1{path}")
        assert answer.status_code == expect, answer.text
        return answer.json()


@contextlib.asynccontextmanager
async def visitor(api: Api, secret: str = "", *, token: bool = False) -> AsyncIterator[Visitor]:
    """Come to the console of a manager; `secret` is of a session or, with `token`, an API token."""
    headers = {"authorization": f"Bearer {secret}"} if token else {}
    if secret and not token:
        headers = {"cookie": f"{COOKIE}={secret}"}
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{api.ports.console}",
        verify=trusting(api.authority.ca_pem),
        headers=headers,
        timeout=20,
        trust_env=False,
    ) as client:
        yield Visitor(client)


async def make_user(
    api: Api, name: str, role: str = "administrator", reach: people_pb2.Reach | None = None
) -> None:
    """A user with the password PASSWORD."""
    request = people_pb2.CreateUserRequest(name=name, role=role, reach=reach, password=PASSWORD)
    await of_people(api.channel).CreateUser(request)


def text_of(page: str) -> str:
    """What a page says, without markup."""
    plain = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain))


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', page)
    assert found, f"the page has no field {name}"
    return found[1]
