"""`tdc login --provider`, the program itself, at a real provider and with a real manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.stage.manager import Api, manager
from tests.stage.provider import RunningProvider, needs_provider, provider

pytestmark = [pytest.mark.system, needs_provider]

TDC = Path(sys.executable).parent / "tdc"


@dataclass
class Terminal:
    """One run of `tdc` by somebody who has a file with the address of the operator port."""

    process: asyncio.subprocess.Process

    async def line(self, begin: str) -> str:
        """The next line of standard error that begins so."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := (await self.process.stderr.readline()).decode():
                if line.startswith(begin):
                    return line.strip()
        raise AssertionError(f"tdc ended without a line {begin!r}")

    async def ended(self) -> tuple[int, str, str]:
        """Exit code, standard output, and what is left of standard error."""
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    async def document(self) -> Any:
        code, out, err = await self.ended()
        assert code == 0, err
        return json.loads(out)


@dataclass
class Home:
    """Where `tdc` runs."""

    config: Path
    provider: RunningProvider
    api: Api

    @contextlib.asynccontextmanager
    async def tdc(self, *words: str) -> AsyncIterator[Terminal]:
        process = await asyncio.create_subprocess_exec(
            TDC, "--config", self.config, "-o", "json", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield Terminal(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with (
        provider(tmp_path / "provider") as real,
        manager(tmp_path / "manager", **real.options()) as api,
    ):
        config = tmp_path / "somebody" / "operator.toml"
        config.parent.mkdir()
        (config.parent / "ca.pem").write_bytes(api.authority.ca_pem)
        config.write_text(f'manager = "127.0.0.1:{api.ports.operators}"\nca = "ca.pem"\n')
        await api.create_cluster("c1")  # whose group has a role there
        yield Home(config, real, api)


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def test_a_login_in_a_browser_begins_a_session(home: Home) -> None:
    async with home.tdc("login", "--provider", "--no-browser") as login:
        url = await login.line("https://")
        async with home.provider.browser() as browser:
            back = await browser.sign_in(url, "sub-ben")
        parts = urlsplit(back)
        elsewhere = await get(f"http://{parts.netloc}/favicon.ico")
        forged = await get(f"http://{parts.netloc}{parts.path}?code=forged&state=forged")
        assert (elsewhere.status_code, forged.status_code) == (404, 400)
        assert "You can close this page" in (await get(back)).text
        made = await login.document()
    assert (made["name"], made["role"]) == ("ben", "operator")
    assert stat.S_IMODE(Path(made["file"]).stat().st_mode) == 0o600
    async with home.tdc("whoami") as who:
        assert (await who.document())["name"] == "ben"


async def test_a_login_by_device_begins_a_session_once_its_code_was_typed(home: Home) -> None:
    async with home.tdc("login", "--provider", "--device") as login:
        said = await login.line("Log in at")
        code = said.rstrip(":").rpartition(" ")[2]
        complete = await login.line("https://")
        while "user_code" not in complete:
            complete = await login.line("https://")
        assert code in complete
        async with home.provider.browser() as browser:
            await browser.sign_in(complete, "sub-ana")
        made = await login.document()
    assert (made["name"], made["role"], made["reach"]) == ("ana.admin", "administrator", None)


async def test_who_refuses_at_the_provider_is_not_logged_in(home: Home) -> None:
    async with home.tdc("login", "--provider", "--no-browser") as login:
        url = await login.line("https://")
        async with home.provider.browser() as browser:
            page = await browser.client.get(url, follow_redirects=True)
            abort = f"{page.url}/abort"
            answer = await browser.client.get(abort)
            while not (back := answer.headers["location"]).startswith("http://127.0.0.1"):
                answer = await browser.client.get(back)
        await get(back)
        code, _, err = await login.ended()
    assert (code, "access_denied" in err) == (1, True)
    assert not home.config.with_name("operator.session").exists()


@pytest.mark.parametrize(
    "words",
    [(), ("ben", "--provider"), ("--provider", "--code", "123456"), ("ben", "--device")],
)
async def test_a_login_that_is_neither_by_name_nor_by_provider_is_refused(
    home: Home, words: tuple[str, ...]
) -> None:
    async with home.tdc("login", *words) as login:
        code, _, err = await login.ended()
    assert (code, "--provider" in err) == (2, True)
