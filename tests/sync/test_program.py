"""The program `tdc-agent`: starts without a manager, stops cleanly, says why it can't."""

from __future__ import annotations

import asyncio
import json
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tdc.node_agent.sync import last_good
from tdc.shared.settings.known import hash_of
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Settings
from tdc.shared.sync.values import Running

from tests.fakes.smtp_sink import SmtpSink
from tests.stage.programs import BIN
from tests.stage.settings_stream import ManagerSide, until

AGENT = str(BIN / "tdc-agent")
PATIENCE = 60.0
"""Seconds for what an agent does in one or two: only a test that fails waits so long."""


def config(folder: Path, manager: str = "127.0.0.1:1", listen: int = 0, next_hop: int = 1) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'state_folder = "state"\nports_file = "ports.json"\n'
        f'[manager]\naddresses = ["{manager}"]\n'
        f'[ingest]\nlisten = "127.0.0.1:{listen}"\nnext_hop = "127.0.0.1:{next_hop}"\n'
    )
    return path


@asynccontextmanager
async def program(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        AGENT, "run", "--config", str(path), stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ports_of(path: Path) -> dict[str, int]:
    ports = path.with_name("ports.json")
    await until(ports.exists, timeout=PATIENCE)
    return dict(json.loads(ports.read_text()))


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(PATIENCE):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_mail_passes_without_a_manager_and_without_an_identity(tmp_path: Path) -> None:
    """Not enrolled, nothing applied yet: originals pass all the same."""
    async with SmtpSink() as sink:
        path = config(tmp_path, next_hop=sink.port)
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            swaks = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "import smtplib,sys; s=smtplib.SMTP('127.0.0.1',int(sys.argv[1]));"
                "s.sendmail('a@example.com',['b@example.com'],'Subject: x\\r\\n\\r\\nhello\\r\\n')",
                str(port),
            )
            assert await swaks.wait() == 0
            process.send_signal(signal.SIGTERM)
            code, said = await ended(process)
    assert code == 0, said
    assert "not enrolled" in said
    assert "the agent is stopping" in said
    assert not (tmp_path / "ports.json").exists()
    assert len(sink.messages) == 1


async def test_what_was_last_applied_runs_from_the_start(tmp_path: Path) -> None:
    """log.format of the last applied settings shows: lines are JSON before any manager spoke."""
    values = {name: value for name, value in default_values().items() if value is not None}
    settings = Settings.of({**values, "log.format": "json"})
    last_good.save(tmp_path / "state", Running(5, hash_of(settings), "s"), settings)
    path = config(tmp_path)
    async with program(path) as process:
        await ports_of(path)
        process.send_signal(signal.SIGINT)
        code, said = await ended(process)
    assert code == 0, said
    assert any("accepts mail" in json.loads(line)["text"] for line in said.splitlines())


@pytest.mark.parametrize("when_full", ["pass", "tempfail"])
async def test_a_spool_that_cannot_be_opened_holds_up_no_original(
    tmp_path: Path, when_full: str
) -> None:
    """Originals follow spool.when_full until the spool opens, without a restart."""
    values = {name: value for name, value in default_values().items() if value is not None}
    values |= {"enabled": True, "intake_address": "j@intake.example"}
    settings = Settings.of({**values, "spool.when_full": when_full})
    last_good.save(tmp_path / "state", Running(5, hash_of(settings), "s"), settings)
    (tmp_path / "state" / "spool").write_text("in the way")
    log = tmp_path / "log"
    async with SmtpSink() as sink:
        path = config(tmp_path, next_hop=sink.port)
        path.write_text(path.read_text() + f'[log]\nfile = "{log}"\n')
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            await until(
                lambda: "Spool is not writable: can't use the spool folder" in log.read_text()
            )
            if when_full == "pass":
                await asyncio.to_thread(send, port)
                assert len(sink.messages) == 1
                await until(
                    lambda: (
                        "Copy missed: spool is not writable: can't use the spool folder"
                        in log.read_text()
                    )
                )
            else:
                with pytest.raises(smtplib.SMTPDataError, match="451"):
                    await asyncio.to_thread(send, port)
                assert len(sink.messages) == 0
            (tmp_path / "state" / "spool").unlink()
            await until(lambda: "Spool is writable again" in log.read_text())
            await asyncio.to_thread(send, port)
            await until(lambda: "Message 1 queued for delivery" in log.read_text())
            process.send_signal(signal.SIGTERM)
            code, said = await ended(process)
    assert code == 0, said
    assert "Traceback" not in log.read_text()


async def test_files_that_cannot_be_written_hold_up_no_original(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with SmtpSink() as sink:
        path = config(tmp_path, listen=port, next_hop=sink.port)
        text = path.read_text().replace("ports.json", "nowhere/ports.json")
        path.write_text(text + '[log]\nfile = "nowhere/log"\n')
        async with program(path) as process:
            await until(lambda: takes_mail(port), timeout=15)
            await asyncio.to_thread(send, port)
            process.send_signal(signal.SIGTERM)
            code, said = await ended(process)
    assert code == 0, said
    assert "can't write [log] file" in said
    assert "ports_file: " in said
    assert len(sink.messages) == 1


def takes_mail(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\nhello\r\n")


async def test_a_port_that_is_taken_ends_the_agent_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = config(tmp_path, listen=taken.getsockname()[1])
        async with program(path) as process:
            code, said = await ended(process)
    assert code == 1
    assert "can't listen" in said
    assert "Traceback" not in said


@pytest.mark.proves("F16")
async def test_two_agents_do_not_share_a_spool(tmp_path: Path) -> None:
    path = config(tmp_path)
    async with program(path):
        first = await ports_of(path)
        async with program(path) as second:
            code, said = await ended(second)
        assert code == 1
        assert f"the agent ends: the spool {tmp_path}/state/spool is in use" in said
        assert str(first["pid"]) in said
        assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["run"], ["enrol", "--config", "x"], ["sing"], []])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = subprocess.run([AGENT, *arguments], capture_output=True, check=False, timeout=30)
    assert done.returncode == 2


async def test_a_token_comes_by_standard_input_and_a_refusal_is_exit_code_1(
    manager: ManagerSide, tmp_path: Path
) -> None:
    path = config(tmp_path, manager.address)
    token = manager.joins.make(manager.authority).text
    command = [AGENT, "enrol", "--config", str(path), "--manager", manager.enrol_address]
    for code, words in ((0, "mx1 of cluster c1 is enrolled"), (1, "used already")):
        process = await asyncio.create_subprocess_exec(
            *command,
            "--token-file",
            "-",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate(token.encode() + b"\n")
        assert process.returncode == code, said
        assert words in said.decode()
        assert token not in said.decode()
