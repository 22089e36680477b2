"""A real OpenID Connect provider (oidc-provider on node), and a person with a browser at it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import trustme

from tests.fakes.listening import free_port

HOME = Path(__file__).parent / "oidc_provider"
CLIENT, SECRET = "tdc", "a secret of the client's"
CALLBACK = "http://127.0.0.1/callback"

needs_provider = pytest.mark.skipif(
    shutil.which("node") is None or not (HOME / "node_modules" / "oidc-provider").is_dir(),
    reason="needs node and the provider of the tests: scripts/setup system",
)

PEOPLE: Mapping[str, Mapping[str, object]] = {
    "sub-ana": {"preferred_username": "ana.admin", "groups": ["tdc-admins", "staff"]},
    "sub-ben": {"preferred_username": "ben", "groups": ["mail-ops"]},
    "sub-cat": {"preferred_username": "cat", "groups": ["staff"]},
}


@dataclass
class RunningProvider:
    """A provider that runs; people are changed in `people` before it starts again."""

    folder: Path
    issuer: str
    ca: Path
    setup: dict[str, object]
    process: asyncio.subprocess.Process | None = None
    log: list[str] = field(default_factory=list)

    def options(self, **more: object) -> dict[str, object]:
        """What the manager's options say of it."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret_file": self.folder / "client-secret",
            "oidc_scopes": ("openid", "profile", "groups"),
            "oidc_roles": ("administrator=tdc-admins", "operator@c1/Main_Group=mail-ops"),
            "oidc_ca": self.ca,
            **more,
        }

    async def start(self) -> None:
        file = self.folder / "provider.json"
        file.write_text(json.dumps(self.setup))
        self.process = await asyncio.create_subprocess_exec(
            "node",
            str(HOME / "provider.js"),
            str(file),
            stdout=asyncio.subprocess.PIPE,
            stderr=(self.folder / "provider.log").open("ab"),
            # node 18 has it, and needs to be asked
            env={**os.environ, "NODE_OPTIONS": "--experimental-global-webcrypto"},
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
        assert line == b"serving\n", (self.folder / "provider.log").read_text()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    @contextlib.asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """A browser of its own, with nobody logged in."""
        trust = ssl.create_default_context(cafile=str(self.ca))
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=20) as client:
            yield Browser(client)


@dataclass
class Browser:
    """What a person does at the provider's pages."""

    client: httpx.AsyncClient

    async def sign_in(self, url: str, subject: str) -> str:
        """Log in as `subject` and consent; the address that the browser is sent to at the end."""
        response = await self.client.get(url)
        for _ in range(20):
            if response.is_redirect:
                url = urljoin(str(response.url), response.headers["location"])
                if url.startswith("http://127.0.0.1"):
                    return url
                response = await self.client.get(url)
                continue
            form = _form(response.text)
            if form is None:
                return response.text
            action, fields = form
            if 'name="login"' in response.text:
                fields |= {"login": subject, "password": "any"}
            response = await self.client.post(urljoin(str(response.url), action), data=fields)
        raise AssertionError("the provider goes on and on")


def _form(page: str) -> tuple[str, dict[str, str]] | None:
    found = re.search(r'<form[^>]*action="([^"]+)"', page)
    if found is None:
        return None
    fields = {}
    for tag in re.findall(r"<input[^>]*>", page):
        name, value = (re.search(rf'{each}="([^"]*)"', tag) for each in ("name", "value"))
        if name is not None:
            fields[name[1]] = html.unescape(value[1]) if value is not None else ""
    return html.unescape(found[1]), fields


def client(name: str = CLIENT, **more: object) -> dict[str, object]:
    """A client as the provider knows it."""
    return {
        "client_id": name,
        "client_secret": SECRET,
        "application_type": "native",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        **more,
    }


@contextlib.asynccontextmanager
async def provider(folder: Path, **more: object) -> AsyncIterator[RunningProvider]:
    """Run a provider of the test's own."""
    folder.mkdir()
    port, authority = free_port(), trustme.CA()
    ca, certificate, key = (folder / each for each in ("ca.pem", "server.pem", "server.key"))
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(ca)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    (folder / "client-secret").write_text(SECRET + "\n")
    issuer = f"https://localhost:{port}"
    setup: dict[str, object] = {
        "issuer": issuer,
        "port": port,
        "certificate": str(certificate),
        "key": str(key),
        "clients": [client(), client("other")],
        "people": PEOPLE,
        **more,
    }
    running = RunningProvider(folder, issuer, ca, setup)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
