"""The name in EHLO and in addresses that we make: a full one, or a warning says what to set."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tdc.node_agent import own_name as module
from tdc.node_agent.own_name import OwnName, host_name, own_name


@pytest.mark.parametrize(
    ("configured", "machine", "host", "name"),
    [
        ("set.example.org", "mx1.example.com", "host.example.net", "set.example.org"),
        ("", "mx1.example.com", "host.example.net", "mx1.example.com"),
        ("", "mx1", "host.example.net", "host.example.net"),
        ("mx1", "mx1.example.com", "", "mx1"),  # who sets it may know better
    ],
)
def test_the_nearest_full_name_is_taken(
    configured: str, machine: str, host: str, name: str
) -> None:
    assert own_name(configured, machine, host) == OwnName(name)


@pytest.mark.parametrize(
    "host", ["", "vm", "localhost", "vm.localdomain", "10.0.0.1", "a_b.example"]
)
def test_without_a_full_name_the_warning_says_what_to_set(host: str) -> None:
    own = own_name("", "mx1", host)
    assert own.name == "mx1"
    assert "Set deliver.helo_name in agent.toml, such as mx1.example.org" in own.warning


async def test_the_host_is_asked_for_its_full_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mx1.example.org")
    assert await host_name() == "mx1.example.org"
    monkeypatch.setattr(socket, "gethostname", lambda: "mx1")
    loop = asyncio.get_running_loop()

    async def found(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "mx1.example.net", ("192.0.2.1", 0))]

    monkeypatch.setattr(loop, "getaddrinfo", found)
    assert await host_name() == "mx1.example.net"


async def test_a_dead_nameserver_does_not_hold_up_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_UP_WITHIN", 0.05)
    monkeypatch.setattr(socket, "gethostname", lambda: "mx1")

    async def silent(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
    async with asyncio.timeout(2):
        assert await host_name() == "mx1"
