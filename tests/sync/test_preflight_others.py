"""`tdc-agent check` finds what others use, and what can't be used: without a change to anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tdc.node_agent import holders, preflight
from tdc.node_agent.holders import Listening, lock_holder
from tdc.node_agent.spool.header import schema_of

from tests.stage.settings_stream import ManagerSide, until
from tests.sync.test_preflight import check
from tests.sync.test_program import PATIENCE, config, ended, ports_of, program
from tests.sync.test_restart import logged, logging_config


def pipe_as_log(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return '[log]\nfile = "pipe"\n'


def pipe_as_authorities(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return '[deliver]\nca_file = "pipe"\n'


def spool_in_use(folder: Path) -> str:
    spool = folder / "other"
    spool.mkdir()
    holder = subprocess.Popen(
        ["flock", str(spool / "spool.lock"), "sleep", "60"], start_new_session=True
    )
    HOLDERS.append(holder)
    until_now(lambda: lock_holder(spool / "spool.lock") is not None)
    return '[spool]\nfolder = "other"\n'


def listed(monkeypatch: pytest.MonkeyPatch, proc: Path, rows: list[tuple[int, int]]) -> None:
    """Have the kernel list these locks: process and number of the file, on some device."""
    (proc / "locks").write_text(
        "".join(f"{n}: FLOCK  ADVISORY  WRITE {pid} 00:99:{inode} 0 EOF\n"
                for n, (pid, inode) in enumerate(rows, 1))
    )  # fmt: skip
    for pid, _ in rows:
        if not (proc / str(pid)).exists():
            (proc / str(pid)).symlink_to(f"/proc/{pid}")
    monkeypatch.setattr(holders, "PROC", proc)


def test_a_lock_is_told_from_one_on_another_file_of_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices are not compared: on btrfs and overlay the kernel lists another one than stat(2)."""
    lock, proc = tmp_path / "other" / "spool.lock", tmp_path / "proc"
    proc.mkdir()
    spool_in_use(tmp_path)
    holder, inode, stranger = HOLDERS[0].pid, lock.stat().st_ino, os.getppid()
    listed(monkeypatch, proc, [(stranger, inode), (holder, inode)])
    assert lock_holder(lock) == holder
    listed(monkeypatch, proc, [(stranger, 1), (holder, 2)])
    assert lock_holder(lock) == holder, "its number is another one there (overlay)"
    listed(monkeypatch, proc, [(2**22 + 1, inode)])
    assert lock_holder(lock) == 2**22 + 1, "of a process that can't be seen"
    free = tmp_path / "free"
    free.touch()
    listed(monkeypatch, proc, [(stranger, free.stat().st_ino)])
    assert lock_holder(free) is None


def spool_of_a_newer_schema(folder: Path) -> str:
    (folder / "newer").mkdir()
    with contextlib.closing(sqlite3.connect(folder / "newer" / "spool.db")) as database:
        database.execute("PRAGMA user_version = 9999")
    return '[spool]\nfolder = "newer"\n'


def spool_that_is_a_folder(folder: Path) -> str:
    (folder / "odd" / "spool.db").mkdir(parents=True)
    return '[spool]\nfolder = "odd"\n'


HOLDERS: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    while HOLDERS:
        one = HOLDERS.pop()
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def until_now(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


MORE_FAULTS: dict[str, Callable[[Path], str]] = {
    "spool.folder: {}/other is in use by the process with pid ": spool_in_use,
    "spool.folder: {}/newer was written by a newer version (its schema version is 9999": (
        spool_of_a_newer_schema
    ),
    "spool.folder: {}/odd can't be used: spool.db in it is not a regular file": (
        spool_that_is_a_folder
    ),
    "spool.folder: /proc/x can't be made: /proc is on no disk": (
        lambda _: '[spool]\nfolder = "/proc/x"\n'
    ),
    "identity.folder: /sys/y can't be made": lambda _: '[identity]\nfolder = "/sys/y"\n',
    "deliver.ca_file: {}/pipe can't be read: it is no regular file": pipe_as_authorities,
}


@pytest.mark.parametrize("fault", MORE_FAULTS)
def test_what_is_used_by_others_or_cannot_be_used_is_a_fault(tmp_path: Path, fault: str) -> None:
    path = config(tmp_path)
    more = MORE_FAULTS[fault](tmp_path)
    path.write_text(path.read_text() + more)
    before = sorted(tmp_path.rglob("*"))
    code, said = check(path)
    assert (code, fault.format(tmp_path) in said) == (2, True), said
    assert sorted(tmp_path.rglob("*")) == before, "it makes nothing"


def test_the_schema_is_found_in_the_log_too(tmp_path: Path) -> None:
    """A newer agent that was killed has written it there alone."""
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("PRAGMA user_version = 7")
        database.execute("PRAGMA user_version = 77")
        names = sorted(each.name for each in tmp_path.iterdir())
        assert schema_of(tmp_path / "spool.db") == 77
        assert sorted(each.name for each in tmp_path.iterdir()) == names
    assert schema_of(tmp_path / "spool.db") == 77
    (tmp_path / "empty").touch()
    assert schema_of(tmp_path / "empty") == 0


def test_an_address_that_another_program_has_is_a_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        HOLDERS.append(
            subprocess.Popen(["sleep", "60"], pass_fds=[taken.fileno()], start_new_session=True)
        )
        port = taken.getsockname()[1]
        taken.close()
        for listen in ("127.0.0.1", "0.0.0.0"):
            path = config(tmp_path, listen=port)
            path.write_text(path.read_text().replace(f"127.0.0.1:{port}", f"{listen}:{port}"))
            code, said = check(path)
            assert code == 2, said
            assert f"can't listen on {listen}:{port}: Address already in use" in said
            assert f"by the process with pid {HOLDERS[0].pid}" in said


@pytest.mark.parametrize(
    ("user", "seen", "faults", "warnings"),
    [
        (0, {1}, 0, 0),  # systemd, for the agent
        (0, {77}, 1, 0),
        (0, set(), 0, 1),  # it can't be seen: root may be systemd
        (12, set(), 1, 0),
        (12, {os.getppid()}, 0, 0),
    ],
)
def test_who_has_the_address_decides(
    tmp_path: Path, user: int, seen: set[int], faults: int, warnings: int
) -> None:
    found = preflight._in_use(
        "127.0.0.1:25", Listening(user, frozenset(seen)), preflight._Ours(tmp_path / "agent.toml")
    )
    assert tuple(map(len, found)) == (faults, warnings)


async def test_beside_the_running_agent_the_check_is_content(tmp_path: Path) -> None:
    """Its spool and its address are in use, by this very agent."""
    path = logging_config(tmp_path)
    async with program(path) as process:
        await until(lambda: "accepts mail" in logged(path), timeout=PATIENCE)
        code, said = await asyncio.to_thread(check, path)
        assert code == 0, said
        assert "in use" not in said
        other = tmp_path / "other"
        other.mkdir()
        second = config(other)
        second.write_text(path.read_text().replace('"state"', f'"{tmp_path}/state"'))
        code, said = await asyncio.to_thread(check, second)
        assert code == 2
        assert f"state/spool is in use by the process with pid {process.pid}" in said
        assert "Address already in use" in said
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


def test_what_others_may_read_or_change_is_a_warning(tmp_path: Path) -> None:
    path = config(tmp_path)
    for name, mode in (("state", 0o777), ("state/identity", 0o770), ("state/spool", 0o702)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "state" / "identity" / "identity.pem").write_text("x")
    (tmp_path / "state" / "identity" / "identity.pem").chmod(0o644)
    path.write_text(path.read_text().replace("ports.json", "nowhere/ports.json"))
    code, said = check(path)
    assert code == 0, said
    for words in (
        f"state_folder: other users can change {tmp_path}/state (its mode is 777)",
        f"identity.folder: other users can change {tmp_path}/state/identity (its mode is 770)",
        f"spool.folder: other users can change {tmp_path}/state/spool (its mode is 702)",
        f"secret {tmp_path}/state/identity/identity.pem (its mode is 644): run chmod 600",
        "nowhere/ports.json can't be made: its folder does not exist",
    ):
        assert f"tdc-agent: warning: {words}" in said or words in said, words


def test_a_log_that_is_a_pipe_is_a_warning(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text() + pipe_as_log(tmp_path))
    code, said = check(path)
    assert code == 0
    assert "pipe is a pipe: lines go to standard error while nobody reads it" in said


async def test_a_log_that_is_a_pipe_nobody_reads_holds_up_no_start(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text() + pipe_as_log(tmp_path))
    async with program(path) as process:
        await ports_of(path)
        process.send_signal(signal.SIGTERM)
        code, said = await ended(process)
    assert code == 0
    assert "a pipe that nobody reads" in said
    assert "logging to standard error" in said


def test_before_the_enrolment_the_name_is_no_trouble(tmp_path: Path) -> None:
    code, said = check(config(tmp_path))
    assert code == 0
    assert "not enrolled" in said
    assert "helo_name" not in said


def test_a_manager_that_cannot_be_reached_is_a_warning(tmp_path: Path) -> None:
    code, said = check(config(tmp_path))
    assert code == 0
    assert "warning: the manager 127.0.0.1:1 accepts no connection now: Connection refused" in said


async def test_the_enrolment_port_is_told_from_the_port_for_agents(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """By the check, without a call; and by the agent itself."""
    for address, wrong in ((manager.address, False), (manager.enrol_address, True)):
        path = config(tmp_path, manager=address)
        code, said = await asyncio.to_thread(check, path)
        assert code == 0
        assert ("is the manager's enrolment port" in said) == wrong, said
    manager.enrolled(tmp_path / "state" / "identity")
    async with program(path) as process:
        await ports_of(path)
        await asyncio.sleep(1)
        process.send_signal(signal.SIGTERM)
        ended_with, said = await ended(process)
    assert ended_with == 0
    assert f"{manager.enrol_address} is the manager's enrolment port" in said
    assert "nothing is copied until a manager sends settings" in said
