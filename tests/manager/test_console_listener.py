"""The console's port: its certificate and that of the operator, renewed; who takes up its room."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from tdc.manager.program import init_command
from tdc.manager.web import console as listener
from tdc.manager.web import tls
from tdc.manager.web.console import ConsolePortTaken, bound
from tdc.manager.web.tls import CertificateUnusable, ConsoleTls

from tests.fakes.etcd import ExternalEtcd
from tests.stage.console import PASSWORD, make_user, trusting, visitor
from tests.stage.fleet import write_certificate
from tests.stage.manager import Api, logged_in, manager
from tests.surroundings import slowdown


@pytest.fixture
async def api(tmp_path: Path, etcd: ExternalEtcd) -> AsyncIterator[Api]:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    async with manager(tmp_path / "manager", **given) as connection:
        yield connection


@contextlib.asynccontextmanager
async def _connection(
    port: int, context: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _serial(port: int, context: ssl.SSLContext) -> str:
    async with _connection(port, context) as (_, writer):
        certificate = writer.get_extra_info("peercert")
        assert certificate
        return str(certificate["serialNumber"])


async def test_a_manager_without_a_port_for_it_has_no_console(
    tmp_path: Path, etcd: ExternalEtcd
) -> None:
    async with manager(tmp_path / "manager", etcd_endpoints=etcd.options.endpoints) as api:
        assert api.ports.console is None


async def test_the_port_is_the_same_at_the_next_start_and_one_taken_is_named(
    tmp_path: Path, etcd: ExternalEtcd
) -> None:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    async with manager(tmp_path / "manager", **given) as api:
        first = api.ports.console
        assert first is not None
        with pytest.raises(ConsolePortTaken, match="change console_host or console_port"):
            bound("127.0.0.1", first)
    async with manager(tmp_path / "manager", **given) as api:
        assert api.ports.console == first


async def test_the_operators_own_certificate_is_served_and_renewed_without_a_restart(
    tmp_path: Path, etcd: ExternalEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_EVERY", 0.1)
    authority = trustme.CA()
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    chain, key = write_certificate(authority, tmp_path / "console", "localhost")
    async with manager(
        tmp_path / "manager",
        etcd_endpoints=etcd.options.endpoints,
        console_port=0,
        console_certificate=chain,
        console_key=key,
    ) as api:
        assert api.ports.console is not None
        async with _connection(api.ports.console, context) as (reader, writer):
            before = await _serial(api.ports.console, context)
            other, _ = write_certificate(authority, tmp_path / "other", "localhost")
            for half in (b"not a certificate", other.read_bytes()):  # without its key
                chain.write_bytes(half)
                await asyncio.sleep(0.4)
                assert await _serial(api.ports.console, context) == before, "the last good one"
            write_certificate(authority, tmp_path / "console", "localhost")
            async with asyncio.timeout(10 * slowdown()):
                while await _serial(api.ports.console, context) == before:
                    await asyncio.sleep(0.1)
            writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" in await reader.readline(), "an open connection goes on"


def test_a_certificate_that_can_t_be_used_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    chain, _ = write_certificate(authority, tmp_path / "one", "localhost")
    _, other_key = write_certificate(authority, tmp_path / "two", "localhost")
    for certificate, key in (
        (chain, other_key),
        (tmp_path / "gone", other_key),
        (other_key, chain),
    ):
        with pytest.raises(CertificateUnusable, match="console_key"):
            ConsoleTls(lambda: pytest.fail("not asked"), certificate, key)


def test_small_answers_are_not_held_back() -> None:
    """asyncio turns Nagle's algorithm off where a socket says that it is of TCP."""
    with bound("127.0.0.1", 0) as made:
        assert made.proto == socket.IPPROTO_TCP


async def test_the_manager_s_own_certificate_is_for_the_names_of_the_console(api: Api) -> None:
    context = trusting(api.authority.ca_pem)
    assert api.ports.console is not None
    async with _connection(api.ports.console, context) as (reader, writer):
        writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 200" in await reader.read()


async def test_who_sends_nothing_or_too_much_or_too_slowly_loses_the_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD_TIME", 0.5)
    context = trusting(api.authority.ca_pem)
    assert api.ports.console is not None
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: local", b"\x00" * 10, b"GET /" + b"a" * 40_000):
        async with (
            _connection(api.ports.console, context) as (reader, writer),
            asyncio.timeout(10 * slowdown()),
        ):
            writer.write(sent)
            answer = await reader.read()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400"), sent[:10]
    async with visitor(api) as browser:
        assert (await browser.get("/login")).status_code == 200


async def test_connections_of_one_address_are_bounded_and_room_comes_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_OF_ONE", 5)
    context, port = trusting(api.authority.ca_pem), api.ports.console
    assert port is not None
    async with contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(_connection(port, context)) for _ in range(5)]
        async with _connection(port, context) as (reader, _):
            async with asyncio.timeout(10 * slowdown()):
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
        reader, writer = held[0]
        writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await reader.readline(), "those that were there go on"
    async with visitor(api) as browser, asyncio.timeout(10 * slowdown()):
        while True:
            with contextlib.suppress(Exception):
                if (await browser.get("/login")).status_code == 200:
                    break
            await asyncio.sleep(0.1)


async def test_a_manager_stops_in_time_though_pages_are_open(
    tmp_path: Path, etcd: ExternalEtcd
) -> None:
    given = {"etcd_endpoints": etcd.options.endpoints, "console_port": 0}
    heard = asyncio.Event()

    async def listen(api: Api, secret: str) -> None:
        async with visitor(api, secret) as browser, browser.client.stream("GET", "/live") as answer:
            async for _ in answer.aiter_lines():
                heard.set()

    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(manager(tmp_path / "manager", **given))
        await make_user(api, "maria")
        task = asyncio.create_task(listen(api, await logged_in(api, "maria", PASSWORD)))
        await heard.wait()
        async with asyncio.timeout(8 * slowdown()):
            await stack.aclose()
        await asyncio.wait([task], timeout=10)
        assert task.done()


def test_init_prints_the_set_up_address_and_keeps_its_hash_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "manager"
    assert init_command({"folder": folder, "console_port": "7446"}) == 0
    found = re.search(r"https://127\.0\.0\.1:7446/setup\?key=(\S+)", capsys.readouterr().out)
    assert found
    kept = folder / "setup.json"
    assert found[1] not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert init_command({"folder": tmp_path / "other"}) == 0
    assert "setup" not in capsys.readouterr().out, "without a console there is nothing to set up"
