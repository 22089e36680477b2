"""The name in EHLO and in addresses that we make: a full one, or a warning says what to set."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvloop
from tdc.node_agent import own_name as module
from tdc.node_agent.ingest.pool import NextHop, NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.own_name import OwnName, found_name, host_name, own_name

from tests.surroundings import in_time


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

    def found(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "mx1.example.net", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert await host_name() == "mx1.example.net"
    assert (await found_name("", "mx1")).name == "mx1.example.net"


@pytest.fixture
def dead_nameservers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Lookups that end with the test; the names that were asked for."""
    asked: list[object] = []
    over = threading.Event()

    def silent(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        over.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "gethostname", lambda: "mx1")
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    yield asked
    over.set()


def test_a_dead_nameserver_holds_up_neither_the_start_nor_the_stop(
    monkeypatch: pytest.MonkeyPatch, dead_nameservers: list[object]
) -> None:
    """The loop does not wait for the lookup when it is closed."""
    monkeypatch.setattr(module, "LOOK_UP_WITHIN", 0.05)
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(host_name()) == "mx1"
    assert in_time(time.monotonic() - began, 2)
    assert dead_nameservers == ["mx1"]


def test_a_next_hop_whose_name_is_not_answered_holds_up_no_stop(
    dead_nameservers: list[object],
) -> None:
    began = time.monotonic()
    hurried = HopTimeouts(connect=0.05)

    async def connect() -> None:
        pool = NextHopPool([NextHop("hop.example.org", 25)], "gw.example.org", hurried)
        with pytest.raises(NextHopUnavailable, match=r"no connection in 0\.05 s"):
            await pool.acquire()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect())
    assert in_time(time.monotonic() - began, 2)
    assert dead_nameservers == ["hop.example.org"]


@pytest.mark.parametrize(
    ("configured", "machine"), [("set.example.org", None), ("", "mx1.example.com")]
)
async def test_nobody_is_asked_for_a_name_that_is_known(
    dead_nameservers: list[object], configured: str, machine: str | None
) -> None:
    assert (await found_name(configured, machine)).name == configured or machine
    assert dead_nameservers == []


def test_before_the_enrolment_nothing_is_said_of_the_name() -> None:
    assert own_name("", None, "vm") == OwnName("vm")
    assert own_name("", None, "vm.example.org") == OwnName("vm.example.org")
