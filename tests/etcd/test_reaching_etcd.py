"""Endpoints, certificates, logins, quota: what reaching an etcd can run into, and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdOptionsError, EtcdRefused, EtcdUnavailable, Reason
from tdc.manager.etcd.follow import Away, Snapshot
from tdc.manager.etcd.values import Put, Unchanged

from tests.fakes.etcd import FULL_QUOTA, PASSWORD, external_etcd, full_etcd
from tests.fakes.etcd_proxy import WATCH, etcd_proxy
from tests.fakes.follower import following
from tests.fakes.goes_away import GoesAway, Moment
from tests.fakes.listening import free_port
from tests.stage.etcds import Server, shared_by_module

pytestmark = shared_by_module


async def test_a_dead_first_endpoint_is_passed_over(server: Server, etcd: EtcdClient) -> None:
    dead = f"127.0.0.1:{free_port()}"
    options = replace(server.options, endpoints=(dead, *server.options.endpoints))
    async with EtcdClient(options) as client:
        assert (await client.txn([Unchanged("/tdc/a", 0)], [Put("/tdc/a", b"1")])).succeeded
        async with following(client) as follower:
            await client.txn([], [Put("/tdc/t/a", b"1")])
            await follower.has("/tdc/t/a", b"1")
    assert not follower.of(Away)


async def test_an_endpoint_that_accepts_and_is_silent_is_passed_over(embedded: Server) -> None:
    """A host that is up while its etcd is not: the connection opens, nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = f"127.0.0.1:{mute.getsockname()[1]}"
        options = replace(embedded.options, endpoints=(silent, *embedded.options.endpoints))
        async with EtcdClient(options) as client:
            assert await client.get("/tdc/nothing") is None


async def test_the_second_endpoint_takes_over_when_the_first_one_dies(
    embedded: Server, small_etcd: EtcdClient, tmp_path: Path
) -> None:
    """A proxy that is stopped stands for the first of two members of one etcd."""
    target = embedded.options.endpoints[0]
    async with contextlib.AsyncExitStack() as first:
        proxy = await first.enter_async_context(etcd_proxy(target, tmp_path))
        options = EtcdOptions((*proxy.options.endpoints, target))
        async with EtcdClient(options) as client, following(client) as follower:
            await client.txn([], [Put("/tdc/t/a", b"1")])
            await follower.has("/tdc/t/a", b"1")
            assert proxy.calls[WATCH] == 1
            await first.aclose()
            await follower.until(lambda: len(follower.of(Snapshot)) == 2)
            await client.txn([], [Put("/tdc/t/a", b"2")])
            await follower.has("/tdc/t/a", b"2")


@pytest.mark.parametrize("when", list(Moment))
async def test_an_endpoint_that_sends_calls_away_is_passed_over(
    embedded: Server, when: Moment
) -> None:
    """Before the call's deadline, which gRPC would use up by trying again there."""
    async with GoesAway(when) as away:
        options = replace(embedded.options, endpoints=(away.address, *embedded.options.endpoints))
        for _ in range(20):
            async with EtcdClient(options) as client, asyncio.timeout(options.timeout):
                assert await client.get("/tdc/nothing") is None
        assert len(away.came) >= 20


async def test_no_endpoint_at_all_is_told_at_once_and_nothing_was_executed() -> None:
    endpoints = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    async with EtcdClient(EtcdOptions(endpoints)) as client:
        with pytest.raises(EtcdUnavailable, match="no connection to etcd"):
            await client.txn([], [Put("/tdc/a", b"1")])


@pytest.mark.proves("S7")
async def test_an_etcd_of_another_authority_is_not_trusted(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with external_etcd(tmp_path / "etcd", tls=True) as etcd:
        async with EtcdClient(replace(etcd.options, ca_file=tmp_path / "other.pem")) as client:
            with pytest.raises(EtcdUnavailable, match="trust each other"):
                await client.get("/tdc/a")
        without = replace(etcd.options, cert_file=None, key_file=None)
        async with EtcdClient(without) as client:
            with pytest.raises(EtcdUnavailable):
                await client.get("/tdc/a")


async def test_a_wrong_password_and_a_missing_login_are_told(tmp_path: Path) -> None:
    async with external_etcd(tmp_path / "etcd", login=True) as etcd:
        async with EtcdClient(replace(etcd.options, password="wrong")) as client:
            with pytest.raises(EtcdRefused, match="check the user and its password") as caught:
                await client.get("/tdc/a")
            assert caught.value.reason is Reason.LOGIN
            assert PASSWORD not in str(caught.value)
        async with EtcdClient(replace(etcd.options, user=None, password=None)) as client:
            with pytest.raises(EtcdRefused, match="requires a login") as caught:
                await client.txn([], [Put("/tdc/a", b"1")])
            assert caught.value.reason is Reason.LOGIN
        async with EtcdClient(etcd.options) as client:
            with pytest.raises(EtcdRefused, match="/tdc/") as caught:
                await client.txn([], [Put("/elsewhere", b"1")])
            assert caught.value.reason is Reason.PERMISSION


async def test_a_login_where_etcd_asks_for_none_is_no_hindrance(embedded: Server) -> None:
    options = replace(embedded.options, user="manager", password="any")
    async with EtcdClient(options) as client:
        assert await client.get("/tdc/nothing") is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (EtcdOptions(()), "no etcd endpoint"),
        (EtcdOptions(("etcd.example.com",)), "form host:port"),
        (EtcdOptions(("ftp://etcd.example.com:1",)), "form host:port"),
        (EtcdOptions(("etcd.example.com:99999",)), "form host:port"),
        (EtcdOptions(("https://etcd.example.com:2379",)), "needs the CA file"),
        (EtcdOptions(("http://a.example:2379",), ca_file=Path("ca.pem")), "without TLS"),
        (EtcdOptions(("a.example:1",), cert_file=Path("a"), key_file=Path("b")), "without the CA"),
        (EtcdOptions(("a.example:1",), cert_file=Path("a")), "both its cert file and its key"),
    ],
)
async def test_options_that_can_not_work_are_refused(options: EtcdOptions, says: str) -> None:
    with pytest.raises(EtcdOptionsError, match=says):
        EtcdClient(options)


async def test_unreadable_tls_files_are_named(tmp_path: Path) -> None:
    """At the start, where it is a wrong path; later they may be away for a moment."""
    options = EtcdOptions(("127.0.0.1:1",), ca_file=tmp_path / "absent.pem")
    with pytest.raises(EtcdOptionsError, match=r"absent\.pem: No such file"):
        EtcdClient(options)


@pytest.mark.parametrize("size", [300_000, 1_400_000], ids=["by etcd", "by its gRPC"])
async def test_an_etcd_that_takes_small_requests_only_refuses_for_certain(
    tmp_path: Path, size: int
) -> None:
    arguments = ("--max-request-bytes=262144",)
    async with (
        external_etcd(tmp_path / "etcd", arguments=arguments) as etcd,
        EtcdClient(etcd.options) as client,
    ):
        with pytest.raises(EtcdRefused) as caught:
            await client.txn([], [Put("/tdc/t/big", os.urandom(size))])
        assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.proves("F46")
async def test_a_full_store_says_what_to_do_and_is_repaired_that_way(tmp_path: Path) -> None:
    """NOSPACE: writes are refused with the way out, reads go on, and the way out works."""
    async with full_etcd(tmp_path / "etcd") as client:
        with pytest.raises(EtcdRefused, match=r"NOSPACE.*defragment.*alarm disarm") as caught:
            await client.txn([], [Put("/tdc/t/a", b"1")])
        assert caught.value.reason is Reason.NO_SPACE
        assert await client.get("/tdc/t/big") is not None
        status = await client.status()
        assert (status.alarms, status.quota) == (("NOSPACE",), FULL_QUOTA)
        await client.compact(status.revision, wait=True)
        await client.defragment()
        await client.disarm()
        await client.txn([], [Put("/tdc/t/a", b"1")])
        assert (await client.status()).alarms == ()
