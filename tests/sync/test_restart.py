"""`tdc-agent` over a restart: no connection is refused, and no signal ends it without a word."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.listening import free_port
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.filter_dialogue import connected
from tests.stage.settings_stream import until
from tests.sync.test_program import AGENT, PATIENCE, config, ended, ports_of, program


def logging_config(folder: Path, next_hop: int = 1, **ingest: str) -> Path:
    path = config(folder, listen=free_port(), next_hop=next_hop)
    more = "".join(f'{key} = "{value}"\n' for key, value in ingest.items())
    path.write_text(path.read_text() + more + '[log]\nfile = "log"\n')
    return path


def logged(path: Path) -> str:
    log = path.with_name("log")
    return log.read_text() if log.exists() else ""


def in_log(path: Path, line: str) -> bool:
    return line in logged(path)


async def said(path: Path, text: str, times: int) -> None:
    await until(lambda: logged(path).count(text) == times, timeout=PATIENCE)


async def started_again(path: Path, times: int) -> None:
    await said(path, "accepts mail", times)


async def greeting(port: int) -> str:
    side = await connected(port)
    try:
        async with asyncio.timeout(10):
            return (await side.reader.readline()).decode()
    finally:
        await side.close()


async def send(port: int, number: int) -> None:
    """A message on a connection of its own; whatever is refused raises."""
    side = await connected(port)
    await side.expect("220 *")
    for command in ("HELO x", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"):
        side.writer.write(f"{command}\r\n".encode())
        await side.expect("354 *" if command == "DATA" else "250 *")
    side.writer.write(b"Subject: %d\r\n\r\nx\r\n.\r\n" % number)
    await side.expect("250 *")
    await side.close()


async def test_a_restart_in_place_refuses_no_connection(tmp_path: Path) -> None:
    """Under mail on new connections, three times: each message is taken at its first try."""
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        async with program(path) as process:
            ports, sent, over = await ports_of(path), 0, False

            async def mail() -> None:
                nonlocal sent
                while not over:
                    async with asyncio.timeout(10):
                        await send(ports["smtp"], sent)
                    sent += 1

            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(mail())
                for times in (2, 3, 4):
                    await asyncio.sleep(0.2)
                    process.send_signal(signal.SIGUSR2)
                    await started_again(path, times)
                over = True
            assert (await ports_of(path)) == ports  # of the same process too
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    assert sent > 50
    assert len(sink.messages) == sent


async def test_a_hangup_opens_the_log_again_and_ends_nothing(tmp_path: Path) -> None:
    path = logging_config(tmp_path)
    async with program(path) as process:
        await started_again(path, 1)
        moved = path.with_name("log").rename(path.with_name("log.1"))
        process.send_signal(signal.SIGHUP)
        await until(lambda: "has not changed" in logged(path), timeout=PATIENCE)
        assert "accepts mail" in moved.read_text()
        # Where it can't be opened, lines go where they went.
        path.with_name("log").rename(path.with_name("log.2"))
        path.with_name("log").mkdir()
        process.send_signal(signal.SIGHUP)
        await until(
            lambda: "can't open [log] file again" in path.with_name("log.2").read_text(),
            timeout=PATIENCE,
        )
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


async def test_a_hangup_takes_a_changed_agent_toml_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    path = logging_config(tmp_path, helo_name="first.example")
    right = path.read_text()
    async with program(path) as process:
        port = (await ports_of(path))["smtp"]
        assert "first.example" in await greeting(port)
        path.write_text(right.replace("helo_name", "hello_name"))
        process.send_signal(signal.SIGHUP)
        await until(lambda: "unknown key hello_name" in logged(path), timeout=PATIENCE)
        process.send_signal(signal.SIGUSR2)
        await until(lambda: "SIGUSR2: " in logged(path), timeout=PATIENCE)
        assert "first.example" in await greeting(port)
        path.write_text(right.replace("first.example", "second.example"))
        process.send_signal(signal.SIGHUP)
        await started_again(path, 2)
        assert "second.example" in await greeting(port)
        other = free_port()
        path.write_text(path.read_text().replace(f":{port}", f":{other}"))
        process.send_signal(signal.SIGHUP)
        await started_again(path, 3)
        assert "second.example" in await greeting(other)
        with pytest.raises(ConnectionRefusedError):
            await greeting(port)  # the old address is given up
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
async def test_no_restart_in_place_leaves_the_spool_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Copies may wait in it, and nobody would look there any more."""
    path = logging_config(tmp_path)
    right = path.read_text()
    (tmp_path / "linked").symlink_to(tmp_path / "state")
    async with program(path) as process:
        port = (await ports_of(path))["smtp"]
        others = (
            right + '[spool]\nfolder = "elsewhere"\n',
            right.replace('"state"', '"elsewhere"'),
        )
        for times, other in enumerate(others, 1):
            path.write_text(other)
            process.send_signal(number)
            await said(path, "would stay behind", times)
            assert "220" in await greeting(port)
        path.write_text(right.replace('"state"', '"linked"'))
        process.send_signal(number)
        await started_again(path, 2)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
async def test_an_address_that_cannot_be_had_ends_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The new socket is there before anything of the old agent is given up."""
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        right = path.read_text()
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            with socket.create_server(("127.0.0.1", 0)) as taken:
                used = taken.getsockname()[1]
                faults = {
                    f"127.0.0.1:{used}": "Address already in use",
                    f"192.0.2.1:{port}": "Cannot assign requested address",
                    f"0.0.0.0:{port}": "needs a stop and a start",
                }
                for listen, why in faults.items():
                    path.write_text(right.replace(f"127.0.0.1:{port}", listen))
                    process.send_signal(number)
                    line = f"can't listen on {listen}: "
                    await until(partial(in_log, path, line), timeout=PATIENCE)
                    (told,) = [each for each in logged(path).splitlines() if line in each]
                    assert f"{number.name}: " in told
                    assert why in told
                    assert "the agent goes on as it is" in told
                    await send(port, 1)
            path.write_text(right.replace("127.0.0.1:", "localhost:", 1))
            process.send_signal(number)  # the same socket under another name
            await started_again(path, 2)
            await send(port, 1)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    assert len(sink.messages) == 4


async def test_connections_to_a_new_address_wait_from_the_moment_it_is_opened(
    tmp_path: Path,
) -> None:
    """While a message under way holds the restart up, the new address accepts already."""
    async with SmtpSink() as sink:
        path, other = logging_config(tmp_path, sink.port), free_port()
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            held = await connected(port)
            held.writer.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\n")
            await held.expect("220 *")
            await held.expect("250 *")
            await held.expect("250 *")
            path.write_text(path.read_text().replace(f":{port}", f":{other}"))
            process.send_signal(signal.SIGHUP)
            await until(lambda: "restarts in place" in logged(path), timeout=PATIENCE)
            early = asyncio.create_task(send(other, 1))
            await asyncio.sleep(0.1)
            assert not early.done()
            await held.close()
            await early
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0


async def test_the_signal_for_the_log_alone_reads_no_agent_toml(tmp_path: Path) -> None:
    """A program that rotates logs at night must not put a half-made edit in force."""
    path = logging_config(tmp_path, helo_name="first.example")
    async with program(path) as process:
        port = (await ports_of(path))["smtp"]
        path.write_text(path.read_text().replace("first.example", "second.example"))
        await started_again(path, 1)
        moved = path.with_name("log").rename(path.with_name("log.1"))
        process.send_signal(signal.SIGUSR1)
        await until(lambda: "SIGUSR1: the log is open again" in logged(path), timeout=PATIENCE)
        assert "accepts mail" in moved.read_text()
        assert "first.example" in await greeting(port)
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


IN_THE_GAP = """
import os, signal, sys
execute = os.execv
def after_a_signal(path, words):
    os.kill(os.getpid(), getattr(signal, os.environ["IN_THE_GAP"]))
    execute(path, words)
os.execv = after_a_signal
from tdc.shared.edge.entry_point import tdc_agent
tdc_agent()
"""


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("SIGHUP", "SIGHUP: the log is open again"),
        ("SIGUSR1", "SIGUSR1: the log is open again"),
        ("SIGTERM", "the agent is stopping"),
    ],
)
async def test_a_signal_as_the_agent_executes_itself_counts_afterwards(
    tmp_path: Path, number: str, said: str
) -> None:
    """At that moment no handler of ours is there, nor in the first tenths of the next process."""
    path = logging_config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IN_THE_GAP, "run", "--config", str(path)),
        env=os.environ | {"IN_THE_GAP": number},
        stderr=subprocess.PIPE,
    )
    try:
        await started_again(path, 1)
        process.send_signal(signal.SIGUSR2)
        await until(lambda: said in logged(path), timeout=PATIENCE)
        assert logged(path).count("accepts mail") == (1 if number == "SIGTERM" else 2)
        if number != "SIGTERM":
            process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_only_the_agent_that_runs_keeps_signals_waiting(tmp_path: Path) -> None:
    """Not `enrol`, which ends with its terminal."""
    process = await asyncio.create_subprocess_exec(
        *(AGENT, "enrol", "--config", str(logging_config(tmp_path))),
        *("--manager", "127.0.0.1:1", "--token-file", "-"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    await until(lambda: blocks(process.pid, signal.SIGHUP), timeout=PATIENCE)
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == -signal.SIGHUP


async def test_a_stop_during_a_restart_is_a_stop(tmp_path: Path) -> None:
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        async with program(path) as process:
            held = await connected((await ports_of(path))["smtp"])
            held.writer.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\n")
            await held.expect("220 *")
            await held.expect("250 *")
            process.send_signal(signal.SIGUSR2)  # which waits for the message under way
            await until(lambda: "restarts in place" in logged(path), timeout=PATIENCE)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            await held.close()
            assert (await ended(process))[0] == 0
    assert logged(path).count("accepts mail") == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
async def test_a_signal_ends_no_agent_that_is_starting(
    tmp_path: Path, number: signal.Signals
) -> None:
    """From where our code begins: until then it is Python's, for some hundredths of a second."""
    path = logging_config(tmp_path)
    async with program(path) as process:
        await until(lambda: blocks(process.pid, number), timeout=PATIENCE)
        for _ in range(20):
            process.send_signal(number)
            await asyncio.sleep(0.04)
        await ports_of(path)
        await until(lambda: "accepts mail" in logged(path), timeout=PATIENCE)
        assert process.returncode is None


def blocks(pid: int, number: signal.Signals) -> bool:
    """As the kernel has it (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigBlk")]
    return bool(mask >> (number - 1) & 1)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="needs systemd's tools")
async def test_a_socket_of_systemd_is_served_and_survives_the_agent(tmp_path: Path) -> None:
    """systemd's own tool holds the socket, and executes the agent at the first connection."""
    async with SmtpSink() as sink:
        path, port = logging_config(tmp_path, sink.port), free_port()
        process = await asyncio.create_subprocess_exec(
            "systemd-socket-activate",
            f"--listen=127.0.0.1:{port}",
            *(AGENT, "run", "--config", str(path)),
            stderr=subprocess.PIPE,
        )
        try:
            await until(lambda: listens(port), timeout=PATIENCE)
            await send(port, 1)
            assert (await ports_of(path))["smtp"] == port
            await started_again(path, 1)
            await until(lambda: f"opened 127.0.0.1:{port} for it" in logged(path), timeout=PATIENCE)
            process.send_signal(signal.SIGUSR2)
            for number in range(2, 12):
                await send(port, number)
                await asyncio.sleep(0.05)
            await started_again(path, 2)
            await until(lambda: logged(path).count("the system opened") == 2, timeout=PATIENCE)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert len(sink.messages) == 11


def listens(port: int) -> bool:
    """As the kernel lists it: a connection would start the agent."""
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


async def given(path: Path, descriptor: int) -> tuple[int | None, str]:
    """How the agent ends to which this descriptor is passed as systemd does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HAND_OVER, str(descriptor)),
        *(AGENT, "run", "--config", str(path)),
        pass_fds=[descriptor],
        stderr=subprocess.PIPE,
    )
    return await ended(process)


async def test_what_is_no_listening_socket_is_refused_by_name(tmp_path: Path) -> None:
    path = logging_config(tmp_path)
    with Path("/dev/null").open() as nothing:
        code, said = await given(path, nothing.fileno())
    assert code == 1
    assert "descriptor 3 was passed as a listening socket and is none" in said
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "local"))
        local.listen()
        code, said = await given(path, local.fileno())
    assert code == 1
    assert "no listening TCP socket: the socket unit needs ListenStream=" in said


async def test_sockets_of_another_process_are_left_alone(tmp_path: Path) -> None:
    """As sd_listen_fds(3) has it: a variable that was inherited by chance means somebody else."""
    path = logging_config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(AGENT, "run", "--config", str(path)),
        env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1", "TDC_KEPT_SOCKETS": "1:0:3"},
        stderr=subprocess.PIPE,
    )
    assert "220" in await greeting((await ports_of(path))["smtp"])
    process.send_signal(signal.SIGTERM)
    assert (await ended(process))[0] == 0
