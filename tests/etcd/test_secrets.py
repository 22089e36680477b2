"""Secrets are read when used, and what was certainly not executed is not called unknown."""

from __future__ import annotations

import shutil
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
from tdc.manager.etcd.grpc_errors import translated
from tdc.manager.etcd.values import Put

from tests.fakes.etcd import PASSWORD, ExternalEtcd, answering, external_etcd, of_all


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
