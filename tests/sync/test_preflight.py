"""`tdc-agent check` says what a start would meet; a reload never swaps a working agent for less."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.smtp_sink import SmtpSink
from tests.stage.settings_stream import until
from tests.surroundings import in_time
from tests.sync.test_program import AGENT, PATIENCE, config, ended, ports_of, program
from tests.sync.test_restart import greeting, logged, logging_config, send


def check(path: Path) -> tuple[int, str]:
    began = time.monotonic()
    run = subprocess.run(
        [AGENT, "check", "--config", str(path)], capture_output=True, text=True, check=False
    )
    assert in_time(time.monotonic() - began, 10)
    return run.returncode, run.stderr


def in_the_spool(folder: Path) -> str:
    (folder / "archive").mkdir()
    (folder / "archive" / "mail").write_text("x")
    return '[spool]\nfolder = "archive"\n'


def state_is_a_file(folder: Path) -> str:
    (folder / "state").write_text("x")
    return ""


def no_certificates(folder: Path) -> str:
    (folder / "ca.pem").write_text("x")
    return '[deliver]\nca_file = "ca.pem"\n'


FAULTS: dict[str, Callable[[Path], str]] = {
    "spool.folder: {}/archive holds files of others": in_the_spool,
    "state_folder: {}/state is not a folder": state_is_a_file,
    "deliver.ca_file: {}/ca.pem contains no certificates": no_certificates,
    "deliver.ca_file: {}/none can't be read": lambda _: '[deliver]\nca_file = "none"\n',
    "log.file: {}/none/log can't be made": lambda _: '[log]\nfile = "none/log"\n',
    "helo_name: 'mx 1' is not a host name": lambda _: '[deliver]\nhelo_name = "mx 1"\n',
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_start_would_meet_is_a_fault(tmp_path: Path, fault: str) -> None:
    path = config(tmp_path)
    more = FAULTS[fault](tmp_path)
    path.write_text(path.read_text() + more)
    before = sorted(tmp_path.rglob("*"))
    code, said = check(path)
    assert (code, fault.format(tmp_path) in said) == (2, True), said
    assert sorted(tmp_path.rglob("*")) == before, "it makes nothing"


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1")],
)
def test_a_next_hop_that_is_the_agent_itself_is_a_fault(
    tmp_path: Path, listen: str, next_hop: str
) -> None:
    path = config(tmp_path, listen=11_025, next_hop=11_025)
    text = path.read_text().replace('listen = "127.0.0.1:', f'listen = "{listen}:')
    path.write_text(text.replace('next_hop = "127.0.0.1:', f'next_hop = "{next_hop}:'))
    code, said = check(path)
    assert (code, "is where the agent itself listens" in said) == (2, True), said


@pytest.mark.parametrize(
    ("next_hop", "words"),
    [
        ("127.0.0.1:1", "accepts no connection now: Connection refused"),
        ("no-such-host.invalid:25", "can't be resolved"),
    ],
)
def test_what_may_pass_is_a_warning(tmp_path: Path, next_hop: str, words: str) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace("127.0.0.1:1", next_hop))
    path.write_text(path.read_text().replace('["' + next_hop, '["127.0.0.1:1'))
    code, said = check(path)
    assert code == 0, said
    assert f"tdc-agent: warning: the next hop {next_hop} " in said
    assert words in said
    assert "tdc-agent: warning: this machine is not enrolled" in said


async def test_a_reload_that_would_be_worse_is_refused_and_mail_goes_on(tmp_path: Path) -> None:
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port, helo_name="first.example")
        right = path.read_text()
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            spool = sorted((tmp_path / "state" / "spool").iterdir())
            path.write_text(right + in_the_spool(tmp_path))
            process.send_signal(signal.SIGHUP)
            await until(lambda: "holds files of others" in logged(path), timeout=PATIENCE)
            process.send_signal(signal.SIGUSR2)
            await until(lambda: logged(path).count("holds files of others") == 2, timeout=PATIENCE)
            assert sorted((tmp_path / "state" / "spool").iterdir()) == spool
            await send(port, 1)
            path.write_text(right.replace(f"127.0.0.1:{sink.port}", "127.0.0.1:1"))
            process.send_signal(signal.SIGHUP)
            await until(lambda: "SIGHUP: the next hop 127.0.0.1:1 accepts" in logged(path))
            await until(lambda: logged(path).count("accepts mail") == 2, timeout=PATIENCE)
            assert "first.example" in await greeting(port)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0


def test_an_address_of_another_machine_is_a_fault(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace('listen = "127.0.0.1', 'listen = "192.0.2.1'))
    code, said = check(path)
    assert code == 2
    assert "ingest.listen: can't listen on 192.0.2.1:0: Cannot assign requested address" in said


def test_a_next_hop_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        path = config(tmp_path, next_hop=full.getsockname()[1])
        assert check(path)[0] == 0
