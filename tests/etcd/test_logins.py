"""Logins that end: expired, forgotten by etcd, of a password or of rights that were changed."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EtcdRefused, Reason
from tdc.manager.etcd.stubs.auth_pb2 import Permission
from tdc.manager.etcd.stubs.rpc_pb2 import (
    AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
)
from tdc.manager.etcd.values import Put

from tests.fakes.etcd import USER, ExternalEtcd, administering, as_root, external_etcd
from tests.fakes.follower import following

KINDS = ("simple", "simple, tls", "jwt")


@asynccontextmanager
async def _etcd(folder: Path, kind: str, ttl: int = 300) -> AsyncIterator[ExternalEtcd]:
    arguments = [f"--auth-token-ttl={ttl}"]
    if kind == "jwt":
        folder.mkdir()
        key, public = folder / "jwt.key", folder / "jwt.pem"
        for command in (
            ("openssl", "genrsa", "-out", str(key), "2048"),
            ("openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public)),
        ):
            subprocess.run(command, check=True, capture_output=True)
        files = f"pub-key={public},priv-key={key},sign-method=RS256"
        arguments.append(f"--auth-token=jwt,{files},ttl={ttl}s")
    async with external_etcd(
        folder, tls=kind.endswith("tls"), login=True, arguments=arguments
    ) as etcd:
        yield etcd


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.proves("S7")
async def test_a_token_that_etcd_takes_no_longer_is_renewed_and_nothing_is_lost(
    tmp_path: Path, kind: str
) -> None:
    """It expires; etcd forgets it at a restart; others change users, and it is of before."""
    async with (
        _etcd(tmp_path / "etcd", kind, ttl=1) as etcd,
        EtcdClient(etcd.options) as client,
        following(client, "/tdc/") as follower,
    ):
        await client.txn([], [Put("/tdc/t/a", b"1")])
        await asyncio.sleep(2.5)
        await client.txn([], [Put("/tdc/t/a", b"2")])
        await follower.has("/tdc/t/a", b"2")
        await etcd.restart()
        await client.txn([], [Put("/tdc/t/a", b"3")])
        await follower.has("/tdc/t/a", b"3")
        async with administering(etcd) as auth:
            added = AuthUserAddRequest(name="another", password="of others")
            await auth.UserAdd(added, metadata=await as_root(auth))
        await client.txn([], [Put("/tdc/t/a", b"4")])
        await follower.has("/tdc/t/a", b"4")
        assert client.denials == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_password_that_is_changed_in_etcd_and_in_the_file_needs_no_restart(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse")
    async with (
        _etcd(tmp_path / "etcd", kind) as etcd,
        EtcdClient(replace(etcd.options, password=file.read_text)) as client,
    ):
        await client.txn([], [Put("/tdc/a", b"1")])
        async with administering(etcd) as auth:
            changed = AuthUserChangePasswordRequest(name=USER, password="another horse")
            await auth.UserChangePassword(changed, metadata=await as_root(auth))
        with pytest.raises(EtcdRefused, match="check the user and its password") as caught:
            await client.txn([], [Put("/tdc/a", b"2")])
        assert caught.value.reason is Reason.LOGIN
        file.write_text("another horse")
        await client.txn([], [Put("/tdc/a", b"3")])


@pytest.mark.proves("S7")
async def test_rights_that_are_taken_away_and_given_back_are_noticed_without_a_restart(
    tmp_path: Path,
) -> None:
    async with _etcd(tmp_path / "etcd", "simple") as etcd, EtcdClient(etcd.options) as client:
        await client.txn([], [Put("/tdc/a", b"1")])
        async with administering(etcd) as auth:
            taken = AuthRoleRevokePermissionRequest(role="tdc", key=b"/tdc/", range_end=b"/tdc0")
            await auth.RoleRevokePermission(taken, metadata=await as_root(auth))
            with pytest.raises(EtcdRefused, match="readwrite on the prefix /tdc/") as caught:
                await client.txn([], [Put("/tdc/a", b"2")])
            assert caught.value.reason is Reason.PERMISSION
            right = Permission(permType=Permission.READWRITE, key=b"/tdc/", range_end=b"/tdc0")
            given = AuthRoleGrantPermissionRequest(name="tdc", perm=right)
            await auth.RoleGrantPermission(given, metadata=await as_root(auth))
        await client.txn([], [Put("/tdc/a", b"3")])


async def test_a_client_certificate_may_be_the_login(tmp_path: Path) -> None:
    """etcd takes its common name for the user; one without is told what is missing."""
    async with external_etcd(tmp_path / "etcd", tls=True, login=True) as etcd:
        nobody = replace(etcd.options, user=None, password=None)
        async with EtcdClient(nobody) as client:
            with pytest.raises(
                EtcdRefused, match="common name of the client certificate"
            ) as caught:
                await client.get("/tdc/a")
            assert caught.value.reason is Reason.PERMISSION
        authority = trustme.CA()
        authority.cert_pem.write_to_path(etcd.folder / "ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            etcd.folder / "server.pem"
        )
        named = authority.issue_cert("manager.example.com", common_name=USER)
        named.private_key_pem.write_to_path(etcd.folder / "client.key")
        named.cert_chain_pems[0].write_to_path(etcd.folder / "client.crt")
        await etcd.restart()
        async with EtcdClient(nobody) as client:
            await client.txn([], [Put("/tdc/a", b"1")])
            with pytest.raises(EtcdRefused, match="readwrite") as caught:
                await client.txn([], [Put("/elsewhere", b"1")])
            assert caught.value.reason is Reason.PERMISSION
