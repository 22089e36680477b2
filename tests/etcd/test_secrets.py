"""Secrets are read when used, and what was certainly not executed is not called unknown."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import (
    EtcdAnswerLost,
    EtcdError,
    EtcdRefused,
    EtcdUnavailable,
    Reason,
)
from tdc.manager.etcd.follow import Away, News, NewValues, Snapshot, follow
from tdc.manager.etcd.grpc_errors import translated
from tdc.manager.etcd.values import Put

from tests.fakes.etcd import PASSWORD, ExternalEtcd, answering, external_etcd, of_all
from tests.surroundings import in_time


async def test_a_rotated_password_is_read_at_the_next_login(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("the old one")
    async with (
        external_etcd(tmp_path / "etcd", login=True) as etcd,
        EtcdClient(replace(etcd.options, password=file.read_text)) as client,
    ):
        with pytest.raises(EtcdRefused, match="check the user"):
            await client.get("/tdc/a")
        file.write_text(PASSWORD)
        assert await client.get("/tdc/a") is None
        file.unlink()
        assert await client.get("/tdc/a") is None, "the token is good for a second"


async def test_a_password_that_can_not_be_read_is_named_and_nothing_was_sent(
    tmp_path: Path,
) -> None:
    absent = (tmp_path / "absent").read_text
    async with (
        external_etcd(tmp_path / "etcd", login=True) as etcd,
        EtcdClient(replace(etcd.options, password=absent)) as client,
    ):
        with pytest.raises(EtcdRefused, match=r"no password for etcd.*absent") as caught:
            await client.txn([], [Put("/tdc/a", b"1")])
    assert caught.value.reason is Reason.LOGIN


async def test_replaced_tls_files_are_used_without_a_restart(tmp_path: Path) -> None:
    """Also one by one: while they do not fit each other, the connection that there is goes on."""
    async with external_etcd(tmp_path / "etcd", tls=True) as etcd:
        ca, cert, key = (tmp_path / name for name in ("ca.pem", "client.crt", "client.key"))
        shutil.copy(etcd.folder / "ca.pem", ca)
        stranger = trustme.CA().issue_cert("manager.example.com")
        stranger.private_key_pem.write_to_path(key)
        stranger.cert_chain_pems[0].write_to_path(cert)
        own = replace(etcd.options, ca_file=ca, cert_file=cert, key_file=key)
        async with EtcdClient(own) as client:
            with pytest.raises(EtcdUnavailable):
                await client.get("/tdc/a")
            shutil.copy(etcd.folder / "client.crt", cert)
            shutil.copy(etcd.folder / "client.key", key)
            assert await client.get("/tdc/a") is None
            trustme.CA().cert_pem.write_to_path(ca)
            assert await client.get("/tdc/a") is None, "the connection that there is goes on"
            shutil.copy(etcd.folder / "ca.pem", ca)
            assert await client.get("/tdc/a") is None


@pytest.mark.parametrize("name", ["client.key", "client.crt", "ca.pem"])
async def test_a_tls_file_that_is_away_for_a_moment_ends_nothing(tmp_path: Path, name: str) -> None:
    """The connection that there is goes on, also over a restart of etcd; a new client waits."""
    async with external_etcd(tmp_path / "etcd", tls=True) as etcd:
        for each in ("client.key", "client.crt", "ca.pem"):
            shutil.copy(etcd.folder / each, tmp_path / each)
        own = replace(
            etcd.options,
            ca_file=tmp_path / "ca.pem",
            cert_file=tmp_path / "client.crt",
            key_file=tmp_path / "client.key",
        )
        async with (
            EtcdClient(own) as client,
            EtcdClient(own) as later,
            contextlib.aclosing(follow(client, "/tdc/")) as news,
        ):
            assert isinstance(await anext(news), Snapshot)
            (tmp_path / name).rename(tmp_path / "away")
            await client.txn([], [Put("/tdc/a", b"1")])
            assert isinstance(await anext(news), NewValues)
            with pytest.raises(EtcdUnavailable, match="can't read the TLS files"):
                await later.txn([], [Put("/tdc/b", b"1")])
            await etcd.stop()
            assert isinstance(await anext(news), Away)
            await etcd.start()
            assert isinstance(await anext(news), Snapshot)
            (tmp_path / "away").rename(tmp_path / name)
            await later.txn([], [Put("/tdc/b", b"1")])


async def test_a_login_that_is_denied_is_noticed_beside_a_watch_that_goes_on(
    tmp_path: Path,
) -> None:
    """Not at the next comparison, which may be a minute away."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    async with (
        external_etcd(tmp_path / "etcd", login=True) as etcd,
        EtcdClient(replace(etcd.options, password=file.read_text)) as client,
        contextlib.aclosing(follow(client, "/tdc/")) as news,
    ):
        assert isinstance(await anext(news), Snapshot)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_next(news))
            file.write_text("wrong")
            await asyncio.sleep(3)  # tokens of this etcd live for one second
            with pytest.raises(EtcdRefused):
                await client.txn([], [Put("/tdc/a", b"1")])
            async with asyncio.timeout(10):
                away = await watching
        assert isinstance(away, Away)
        assert "login" in away.reason
        file.write_text(PASSWORD)
        assert isinstance(await anext(news), Snapshot)


async def _next(news: AsyncGenerator[News, None]) -> News:
    return await anext(news)


@pytest.mark.slow
async def test_reads_of_a_frozen_etcd_end_in_bounded_time_however_many_endpoints(
    tmp_path: Path,
) -> None:
    """A caller learns that nothing came of it before it gives up itself."""
    async with external_etcd(tmp_path / "etcd") as etcd:
        (endpoint,) = etcd.options.endpoints
        port = endpoint.rpartition(":")[2]
        three = (endpoint, f"localhost:{port}", f"127.0.0.2:{port}")
        async with EtcdClient(replace(etcd.options, endpoints=three, timeout=2.0)) as client:
            await client.get("/tdc/a")
            etcd.pause()
            try:
                began = time.monotonic()
                with pytest.raises(EtcdUnavailable):
                    await client.get("/tdc/a")
                assert in_time(time.monotonic() - began, 4.5)
            finally:
                etcd.resume()


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("failed to connect to all addresses; last error: Connection refused", False),
        ("etcdserver: no leader", False),
        ("etcdserver: too many requests", False),
        ("etcdserver: request timed out", True),
        ("etcdserver: leader changed", True),
        ("Socket closed", True),
    ],
)
async def test_only_what_was_sent_may_have_been_executed(words: str, lost: bool) -> None:
    nothing = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, words)
    ours = translated(error, "here", sent=True)
    assert isinstance(ours, EtcdAnswerLost if lost else EtcdUnavailable)
    assert ("may or may not" in str(ours)) == lost


@pytest.mark.proves("P16", "F44")
async def test_a_member_of_the_minority_writes_nothing_and_says_so(
    members: list[ExternalEtcd],
) -> None:
    async with EtcdClient(replace(members[0].options, timeout=2.0)) as cut_off:
        await cut_off.txn([], [Put("/tdc/a", b"1")])
        for other in members[1:]:
            other.pause()
        said: list[EtcdError] = []
        for number in range(4):
            with pytest.raises(EtcdError) as caught:
                await cut_off.txn([], [Put(f"/tdc/n{number}", b"2")])
            said.append(caught.value)
        assert isinstance(said[-1], EtcdUnavailable), "without a leader nothing is even proposed"
        for other in members[1:]:
            other.resume()
    async with EtcdClient(of_all(members[1:])) as elsewhere:
        await answering(elsewhere)
        assert await elsewhere.get("/tdc/n3") is None
