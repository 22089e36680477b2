"""A restart in place keeps nobody waiting for anybody else, and a stop is heard at each moment."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from tdc.node_agent import checked_file, lifetime, trial
from tdc.node_agent.checked_file import CHECKED
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import read_options
from tdc.node_agent.passed_sockets import NONE_PASSED
from tdc.node_agent.trial import WouldNotStart, try_the_program

from tests.fakes.listening import free_port
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.filter_dialogue import Side, connected
from tests.stage.settings_stream import until
from tests.surroundings import in_time
from tests.sync.test_program import PATIENCE, ended, ports_of, program
from tests.sync.test_restart import (
    blocks,
    logged,
    logging_config,
    send,
    started_again,
)


async def in_transaction(port: int) -> Side:
    """A client that sent MAIL, has its reply, and sits there."""
    side = await connected(port)
    side.writer.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\n")
    for reply in ("220 *", "250 *", "250 *"):
        await side.expect(reply)
    return side


async def longest_wait(port: int, over: Callable[[], bool]) -> float:
    """The longest that a message on a connection of its own took, one after the other."""
    longest, number = 0.0, 0
    while not over():
        began, number = time.monotonic(), number + 1
        async with asyncio.timeout(20):
            await send(port, number)
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.02)
    return longest


async def test_a_client_that_sits_in_a_transaction_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            sitting = await in_transaction(port)
            process.send_signal(signal.SIGUSR2)
            again = asyncio.create_task(started_again(path, 2))
            assert await longest_wait(port, again.done) < 6  # the start of the program, and no more
            await again
            await sitting.expect("421 4.3.2 Service shutting down*")
            assert "before the restart, open sessions (" in logged(path)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0


async def test_a_next_hop_that_is_slow_to_answer_keeps_nobody_waiting_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    """While one message is past its dot for 8 seconds, others get in; it gets its reply."""
    async with SmtpSink() as sink:
        path = logging_config(tmp_path, sink.port)
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            sink.faults = Faults(delays={"dot": 8.0})
            slow = asyncio.create_task(send(port, 0))
            await asyncio.sleep(1)
            sink.faults = Faults()
            began = time.monotonic()
            process.send_signal(signal.SIGUSR2)
            again = asyncio.create_task(started_again(path, 2))
            assert await longest_wait(port, again.done) < 6
            await again
            await slow
            assert time.monotonic() - began > 6, "it was waited for"
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    assert sum(b"Subject: 0\r\n" in each.content for each in sink.messages) == 1


async def test_a_new_address_is_served_while_a_session_holds_the_restart_up(
    tmp_path: Path,
) -> None:
    async with SmtpSink() as sink:
        path, other = logging_config(tmp_path, sink.port), free_port()
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            held = await in_transaction(port)
            keep = asyncio.create_task(at_work(held))
            path.write_text(path.read_text().replace(f":{port}", f":{other}"))
            process.send_signal(signal.SIGHUP)
            await until(lambda: "before the restart" in logged(path), timeout=PATIENCE)
            await send(other, 1)
            await send(port, 2)
            assert "restarts in place" not in logged(path)
            keep.cancel()
            await held.close()
            await started_again(path, 2)
            await send(other, 3)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    assert len(sink.messages) == 3


async def test_what_was_checked_is_what_is_started(tmp_path: Path) -> None:
    """An edit during the turn-over waits for the reload that it is meant for."""
    async with SmtpSink() as sink:
        path, other = logging_config(tmp_path, sink.port), free_port()
        right = path.read_text()
        async with program(path) as process:
            port = (await ports_of(path))["smtp"]
            held = await in_transaction(port)
            keep = asyncio.create_task(at_work(held))
            process.send_signal(signal.SIGUSR2)
            await until(lambda: "before the restart" in logged(path), timeout=PATIENCE)
            path.write_text(right.replace("[ingest]", "[ingset]"))
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            keep.cancel()
            await held.close()
            await started_again(path, 2)
            await until(lambda: "SIGHUP: " in logged(path), timeout=PATIENCE)
            assert "unknown key ingset" in logged(path)
            await send(port, 1)
            # So with another address: it is served from the next reload on, which sees it.
            held = await in_transaction(port)
            keep = asyncio.create_task(at_work(held))
            path.write_text(right)
            process.send_signal(signal.SIGUSR2)
            await until(lambda: logged(path).count("before the restart") == 2, timeout=PATIENCE)
            path.write_text(right.replace(f":{port}", f":{other}"))
            keep.cancel()
            await held.close()
            await started_again(path, 3)
            await send(port, 2)
            process.send_signal(signal.SIGHUP)
            await started_again(path, 4)
            await send(other, 3)
            process.send_signal(signal.SIGTERM)
            assert (await ended(process))[0] == 0
    assert len(sink.messages) == 3


async def at_work(side: Side) -> None:
    """A client that goes on within its transaction."""
    while True:
        side.writer.write(b"NOOP\r\n")
        await side.reader.readline()
        await asyncio.sleep(0.2)


HANGING_CHECK = """
import sys, time
if "check" in sys.argv:
    print("hangs", flush=True)
    time.sleep(60)
from tdc.shared.edge.entry_point import tdc_agent
tdc_agent()
"""


@pytest.mark.slow
async def test_an_agent_toml_that_cannot_be_read_keeps_no_signal_waiting(tmp_path: Path) -> None:
    """A pipe that nobody writes to stands for a network disk that hangs."""
    path = logging_config(tmp_path)
    right = path.read_text()
    async with program(path) as process:
        await ports_of(path)
        path.unlink()
        os.mkfifo(path)
        process.send_signal(signal.SIGHUP)
        await until(lambda: f"can't read {path}: no answer in 5 s" in logged(path), timeout=20)
        path.unlink()
        path.write_text(right)
        process.send_signal(signal.SIGUSR2)
        await started_again(path, 2)
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


async def test_an_agent_out_of_descriptors_goes_on_without_the_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be gone just when the sockets are to be kept."""
    said: list[str] = []

    class Log(TdcLog):
        def error(self, text: str) -> None:
            said.append(text)

    async def would_start(_: str) -> list[str]:
        return []

    monkeypatch.setattr(lifetime, "try_the_program", would_start)
    rooms = mock.Mock()
    rooms.smtp_filter.sockets.side_effect = OSError(errno.EMFILE, "")
    path = logging_config(tmp_path)
    restart = lifetime._Restart(path, read_options(path), Log(), rooms, NONE_PASSED)
    assert await restart.prepared(signal.SIGUSR2) is None
    why = "can't keep the sockets: Too many open files"
    assert said == [f"SIGUSR2: {why}; the agent goes on as it is"]


async def test_a_stop_is_heard_while_the_program_is_tried(tmp_path: Path) -> None:
    path = logging_config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING_CHECK, "run", "--config", str(path)),
        stderr=subprocess.PIPE,
    )
    try:
        await started_again(path, 1)
        process.send_signal(signal.SIGUSR2)
        await until(lambda: bool(children(process.pid)), timeout=PATIENCE)
        (child,) = children(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0
        assert in_time(time.monotonic() - began, 5)
        assert not Path(f"/proc/{child}").exists(), "it is not left behind"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def children(pid: int) -> list[str]:
    """As the kernel has them, of all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for each in tasks for child in each.read_text().split()]


async def test_a_check_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(trial, "CHECK_WITHIN", 0.3)
    with pytest.raises(WouldNotStart, match="did not end within"):
        await try_the_program("")


SLOW_START = """
import asyncio
import os
from tdc.node_agent import own_name
async def slow(*_):
    await asyncio.sleep(60)
own_name.found_name = slow
from tdc.shared.edge.entry_point import tdc_agent
tdc_agent()
"""


async def test_a_stop_ends_a_start_that_is_slow(tmp_path: Path) -> None:
    path = logging_config(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SLOW_START, "run", "--config", str(path)),
        stderr=subprocess.PIPE,
    )
    try:
        await until(lambda: blocks(process.pid, signal.SIGTERM), timeout=PATIENCE)
        await asyncio.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0
        assert "the agent is stopping; it had not started yet" in logged(path)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_check_is_of_the_text_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logging_config(tmp_path)
    words = ["python", "-m", "tdc.node_agent.program", "run", "--config", str(path)]
    monkeypatch.setattr(sys, "orig_argv", words)
    right = path.read_text()
    path.write_text("broken")
    await try_the_program(right)
    path.write_text(right)
    with pytest.raises(WouldNotStart, match="is not TOML"):
        await try_the_program("broken")


def test_a_text_is_for_the_process_that_is_meant() -> None:
    environment: dict[str, str] = {}
    with checked_file.handed_over("x = 1", environment):
        environment[CHECKED] = "1" + environment[CHECKED]
        assert checked_file.take(environment) is None
    for wrong in (f"{os.getpid()}:x", f"{os.getpid()}:-1"):
        assert checked_file.take({CHECKED: wrong}) is None
    assert environment == {}
