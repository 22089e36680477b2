"""No secret where others can read it: not among the processes, in logs, nor in etcd."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from pathlib import Path

import pytest
from tdc.manager.etcd.client import EtcdClient

from tests.fakes.etcd import PASSWORD, USER, external_etcd
from tests.stage.programs import BIN, Program

pytestmark = pytest.mark.system


def _of_processes() -> bytes:
    """Every command line and environment that this user can read."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                found.append((process / name).read_bytes())
    return b"\n".join(found)


@pytest.mark.proves("S16")
async def test_a_canary_is_in_no_process_no_log_and_no_etcd(tmp_path: Path) -> None:
    """The password of etcd, a join token, the keys of the CA and of an operator."""
    folder, secret = tmp_path / "manager", tmp_path / "password"
    secret.write_text(PASSWORD)
    ports, log = tmp_path / "ports.json", tmp_path / "manager.log"
    async with external_etcd(tmp_path / "etcd", login=True) as etcd:
        reach = ["--etcd-endpoints", etcd.options.endpoints[0].removeprefix("http://")]
        reach += ["--etcd-user", USER, "--etcd-password-file", str(secret)]
        place = ["--folder", str(folder), "--listen-port", "0", "--enrol-port", "0", *reach]
        init = [str(BIN / "tdc-manager"), "init", *place]
        await asyncio.to_thread(subprocess.run, init, check=True, capture_output=True)
        command = [str(BIN / "tdc-manager"), "run", "--folder", str(folder)]
        command += ["--ports-file", str(ports), "--log-level", "debug"]
        manager = Program(command, log=log, ports_file=ports)
        await manager.start()
        try:
            told = []
            for words in (
                ["cluster", "create", "demo"],
                ["machine", "create", "mx1", "--group", "Main_Group", "--yes"],
                ["machine", "token", "mx1", "-o", "json"],
            ):
                tdc = [str(BIN / "tdc"), *words, "--config", str(folder / "operator/operator.toml")]
                done = await asyncio.to_thread(
                    subprocess.run, tdc, check=True, capture_output=True, text=True
                )
                told.append(done.stdout)
            seen = {"processes": _of_processes(), "log": log.read_bytes()}
        finally:
            await manager.stop()
        async with EtcdClient(etcd.options) as client:
            items = (await client.range("/tdc/")).items
        seen["etcd"] = b"\n".join(item.key.encode() + item.value for item in items)
    keys = [folder / "ca/ca-key.pem", folder / "operator/operator.key"]
    bodies = [b"".join(path.read_bytes().splitlines()[1:3])[:48] for path in keys]
    token = str(json.loads(told[-1])["token"]).encode()
    canaries = {"password": PASSWORD.encode(), "token": token}
    canaries |= {path.name: body for path, body in zip(keys, bodies, strict=True)}
    found = [(name, where) for name, it in canaries.items() for where in seen if it in seen[where]]
    assert found == []
    assert b"demo" in seen["etcd"]
    assert str(folder).encode() in seen["processes"], "the search sees our processes"
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
