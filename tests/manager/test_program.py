"""The program: set-up that overwrites nothing, start, stop on a signal, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import sys
import tomllib
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest
from tdc.manager import own_ports, serve
from tdc.manager.cli.config import read_config
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.program import init_command, main, operator_command, run_command
from tdc.shared.edge.grpc_tls import client_channel
from tdc.v1 import operators_pb2, operators_pb2_grpc

from tests.fakes.listening import free_port
from tests.stage.other_user import acting_as_nobody, only_as_root, open_folder

ON_ANY_PORT = {"listen_port": "0", "enrol_port": "0"}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_private_folders_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "manager"
    flags = {"folder": folder, "operator": "ana", "listen_port": "7000", "names": "m.example"}
    assert init_command(flags) == 0
    bundle = folder / "operator"
    assert {_mode(each) for each in (folder, bundle, folder / "ca")} == {0o700}
    assert _mode(bundle / "operator.key") == _mode(folder / "ca" / "ca-key.pem") == 0o600
    config = read_config(bundle / "operator.toml")
    assert config.manager == "m.example:7000"
    written = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    assert tomllib.loads((folder / "manager.toml").read_text()) == {
        "listen_port": 7000,
        "names": ["m.example"],
    }

    assert init_command(flags) == 1
    assert "set up already" in capsys.readouterr().err
    assert written == {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--folder", "{folder}"], 1, "no CA"),
        (["adopt", "--folder", "{folder}/none"], 1, "run `tdc-manager init` first"),
        (["repair", "--folder", "{folder}/none"], 1, "run `tdc-manager init` first"),
        (["repair", "--folder", "{folder}/none", "--dry-run"], 1, "`tdc-manager init` first"),
        (
            ["operator", "--folder", "{folder}/none", "--operator", "b", "--out", "{folder}/b"],
            1,
            "no CA",
        ),
        (["run", "--folder", "{folder}", "--listen-port", "x"], 2, "not a number"),
        (["backup", "--folder", "{folder}/none", "--out", "{folder}/b"], 1, "no CA"),
        (["backup", "--folder", "{folder}"], 2, "--out"),
        (["restore", "{folder}/none", "--folder", "{folder}/new"], 1, "none can't be read"),
        (["restore", "{folder}/none", "--dry-run"], 1, "none can't be read"),
        (["restore", "{folder}/none"], 2, "--folder"),
        (["run"], 2, "--folder"),
        (["init", "--folder", "{folder}/new", "--operator", ""], 2, "not a valid user name"),
        (
            ["init", "--folder", "{folder}/new", "--operator", "x" * 3_000],
            2,
            "not a valid user name",
        ),
        (["init", "--folder", "{folder}/new", "--operator", "a\nb"], 2, "not a valid user name"),
        (["init", "--folder", "{folder}/new", "--operator", "\udcff"], 2, "not a valid user name"),
        (
            ["operator", "--folder", "{folder}", "--operator", "ci ", "--out", "{folder}/b"],
            2,
            "valid",
        ),
        (
            ["operator", "--folder", "{folder}", "--operator", "c/i", "--out", "{folder}/b"],
            2,
            "valid",
        ),
        (["init", "--folder", "{folder}/new", "--ports-file", "\udcff"], 2, "not UTF-8"),
        (["fly"], 2, "fly"),
    ],
)
def test_what_can_not_run_ends_with_a_sentence_and_its_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([each.format(folder=tmp_path) for each in arguments])
    assert ended.value.code == code
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tdc-manager {version('threat-defense-connector')}\n"


@pytest.mark.parametrize("lost", ["ca.pem", "ca-key.pem"])
def test_a_part_of_a_ca_is_neither_used_nor_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    """An init that was cut off, or a file lost since: both commands say the same of it."""
    folder = tmp_path / "data"
    assert init_command({"folder": str(folder)}) == 0
    shutil.rmtree(folder / "operator")
    (folder / "manager.toml").unlink()
    (folder / "ca" / lost).unlink()
    left = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    capsys.readouterr()
    assert init_command({"folder": str(folder)}) == 1
    said = capsys.readouterr().err
    assert "cut off" in said
    with pytest.raises(SystemExit) as ended:
        main(["run", "--folder", str(folder)])
    assert ended.value.code == 1
    assert "cut off" in capsys.readouterr().err
    assert left == {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_why_a_port_can_not_be_had_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for number, (host, why) in enumerate(
            [
                ("127.0.0.1", "Address already in use"),
                ("192.0.2.1", "Cannot assign requested address"),
                ("host.invalid", "its name was not found"),
            ]
        ):
            flags = {"folder": tmp_path / str(number), "listen_host": host, "listen_port": port}
            assert init_command(flags) == 0
            assert run_command({**flags, "enrol_port": "0"}) == 1
            assert f"can't listen on {host}:{port}: {why}; free it" in capsys.readouterr().err


@contextlib.asynccontextmanager
async def _program(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tdc-manager run` as a process; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tdc.manager.program", "run", "--folder", str(folder),
        "--ports-file", str(folder / "ports.json"), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while not (folder / "ports.json").exists():
                assert process.returncode is None, await _said(process)
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _said(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()


async def _create(folder: Path, name: str, bundle: Path | None = None) -> list[str]:
    """Create a cluster as the operator; all clusters."""
    config = read_config((bundle or folder / "operator") / "operator.toml")
    channel = client_channel(config.manager, config.ca, config.certificate, config.key)
    async with channel:
        stub: operators_pb2_grpc.FleetAsyncStub = operators_pb2_grpc.FleetStub(channel)
        request = operators_pb2.CreateClusterRequest(name=name, request_id=name)
        await stub.CreateCluster(request, wait_for_ready=True, timeout=10)
        listed = await stub.ListClusters(operators_pb2.ListClustersRequest())
    return [each.name for each in listed.clusters]


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_a_manager_stops_in_order_on_a_signal_and_starts_again_where_it_was(
    tmp_path: Path, signal_number: signal.Signals
) -> None:
    folder = tmp_path / "manager"
    assert init_command({"folder": folder, **ON_ANY_PORT}) == 0
    async with _program(folder) as process:
        ports = json.loads((folder / "ports.json").read_text())
        assert ports["pid"] == process.pid
        assert await _create(folder, "c1") == ["c1"]
        process.send_signal(signal_number)
        async with asyncio.timeout(10):
            said = await _said(process)
            assert await process.wait() == 0, said
        assert "Traceback" not in said
        assert not (folder / "ports.json").exists()
    async with _program(folder):
        assert await _create(folder, "c2") == ["c1", "c2"]


async def test_a_hangup_reads_the_options_again_and_ends_nothing(tmp_path: Path) -> None:
    """The log level counts at once; what waits for a restart is named; a mistake costs a line."""
    folder = tmp_path / "manager"
    assert init_command({"folder": folder, **ON_ANY_PORT}) == 0
    toml = folder / "manager.toml"
    right = toml.read_text()
    async with _program(folder) as process:
        for content, word in (
            (right + 'log_level = "debug"\nstatus_interval = 3.0\n', "status_interval"),
            (right + "status_intervall = 3.0\n", "did you mean status_interval?"),
            (right + 'log_level = "warning"\n', "log_level is now warning"),
            (right + 'log_level = "warning"\n', "no option has changed"),
        ):
            toml.write_text(content)
            process.send_signal(signal.SIGHUP)
            line = await _line_with(process, "SIGHUP")
            assert word in line
            assert ("log_level is now debug" in line) == (word == "status_interval")
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # which only an agent has a use for
            process.send_signal(number)
            assert f"{number.name} does nothing" in await _line_with(process, "SIGUSR")
        assert await _create(folder, "c1") == ["c1"]
        (etcd,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert not blocks(int(etcd), signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        said = await _said(process)
        assert await process.wait() == 0, said
        assert " INFO " not in said


def blocks(pid: int, number: signal.Signals) -> bool:
    """As the kernel has it (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigBlk")]
    return bool(mask >> (number - 1) & 1)


async def _line_with(process: asyncio.subprocess.Process, word: str) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(10):
        while word not in (line := (await process.stderr.readline()).decode()):
            assert line, "the manager ended"
    return line


async def test_another_operator_is_let_in_and_is_the_author_of_what_he_commits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, bundle = tmp_path / "manager", tmp_path / "bundle"
    assert init_command({"folder": folder, **ON_ANY_PORT}) == 0
    async with _program(folder):
        flags = {"folder": folder, "operator": "ben", "out": bundle}
        assert operator_command(flags) == 0
        assert await _create(folder, "c1", bundle) == ["c1"]
        config = read_config(bundle / "operator.toml")
        channel = client_channel(config.manager, config.ca, config.certificate, config.key)
        async with channel:
            stub: operators_pb2_grpc.ChangesAsyncStub = operators_pb2_grpc.ChangesStub(channel)
            commit = await stub.GetCommit(operators_pb2.GetCommitRequest(revision=1))
        assert commit.author == "ben"
        assert operator_command(flags) == 1
        assert "exists already" in capsys.readouterr().err


def test_an_etcd_that_is_set_up_wrongly_is_not_waited_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No second try makes a missing file readable."""
    monkeypatch.setattr(serve, "START_TIMEOUT", 0.5)
    flags = {"folder": tmp_path / "manager", **ON_ANY_PORT}
    assert init_command(flags) == 0
    etcd = {"etcd_endpoints": "127.0.0.1:1", "etcd_ca": tmp_path / "absent.pem"}
    assert run_command({**flags, **etcd}) == 1
    assert "absent.pem" in capsys.readouterr().err
    assert "waiting for etcd" not in caplog.text


async def test_a_signal_also_ends_a_start_that_waits_for_etcd(tmp_path: Path) -> None:
    """And meanwhile the log says what it waits for, once."""
    folder = tmp_path / "manager"
    assert init_command({"folder": folder, **ON_ANY_PORT}) == 0
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tdc.manager.program", "run", "--folder", str(folder),
        "--etcd-endpoints", f"127.0.0.1:{free_port()}", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(15):
        assert b"files and connections" in await process.stderr.readline()
        assert b"waiting for etcd" in await process.stderr.readline()
        await asyncio.sleep(1)  # some six tries
        process.send_signal(signal.SIGTERM)
        said = await _said(process)
        assert await process.wait() == 0, said
    assert "Traceback" not in said
    assert "waiting for etcd" not in said  # the same reason is told once


async def test_a_manager_that_was_killed_starts_again_with_everything(tmp_path: Path) -> None:
    """kill -9 leaves an etcd behind for a moment: the next start must come up all the same."""
    folder = tmp_path / "manager"
    assert init_command({"folder": folder, **ON_ANY_PORT}) == 0
    async with _program(folder) as process:
        assert await _create(folder, "c1") == ["c1"]
        process.kill()
        await process.wait()
    ports = json.loads((folder / "ports.json").read_text())
    (folder / "ports.json").unlink()
    async with _program(folder):
        again = json.loads((folder / "ports.json").read_text())
        assert (again["main"], again["enrol"]) == (ports["main"], ports["enrol"])
        assert await _create(folder, "c2") == ["c1", "c2"]


@only_as_root
@pytest.mark.parametrize("hidden", ["ca", "operator"])
def test_a_folder_of_another_user_is_named_in_words(
    hidden: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """`init` was run by root, say. What is no longer needed there keeps no manager from serving."""
    with open_folder() as place:
        folder = place / "manager"
        flags = {"folder": folder, **ON_ANY_PORT}
        with acting_as_nobody():
            assert init_command(flags) == 0
        os.chown(folder / hidden, 0, 0)
        with acting_as_nobody():
            more = {"operator": "bob", "out": str(folder / hidden / "bob")}
            assert operator_command({**flags, **more}) == 1
            said = capsys.readouterr().err
            assert f"{folder / hidden}/" in said
            assert "can't be read: Permission denied" in said
            if hidden == "ca":
                with pytest.raises(AuthorityUnusable, match="can't be read: Permission denied"):
                    Authority.load(folder / "ca")
            else:
                assert not own_ports._is_ours(folder / "operator" / "operator.toml")
                assert "operator.toml can't be read: Permission denied" in caplog.text
