"""How long the agent lives, and how it is told to begin anew.

    SIGTERM, SIGINT   stop in order
    SIGHUP            open the log file again; if agent.toml has changed, restart in place
    SIGUSR2           restart in place, as after an upgrade

*A restart in place* stops in order, keeps the listening sockets open, and executes the program once
more in the same process. Connections of the MTA wait in the sockets' queue for that second or two,
none is refused, and a supervisor sees nothing end. The program is tried before (`tdc-agent check`):
a file with a mistake, or half an upgrade, costs no more than a line in the log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from tdc.node_agent import passed_sockets
from tdc.node_agent.ingest.filter import SmtpFilter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import AgentOptions, AgentOptionsError, read_options
from tdc.node_agent.passed_sockets import NONE_PASSED, Passed
from tdc.node_agent.serve import serving

CHECK_WITHIN = 20.0
"""Seconds that the program gets to say that it can start."""

ASKED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
OUTLIVED = (signal.SIGHUP, signal.SIGUSR2)
"""Signals that must not end the agent while nobody handles them: as it starts, as it ends."""


async def serve_until_signal(
    config: Path, options: AgentOptions, log: TdcLog, passed: Passed
) -> Passed | None:
    """Serve until a signal; the sockets to keep if it asks for a restart in place, else None.

    Raises what ended a room before that.
    """
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for each in ASKED_BY:
        loop.add_signal_handler(each, asked.put_nowait, each)
    try:
        async with serving(options, log, passed) as smtp_filter:
            if not await _restart_is_due(asked, config, options, log):
                log.info("the agent is stopping")
                return None
            kept = _kept(smtp_filter, passed, config, options)
            log.info("the agent restarts in place; connections wait meanwhile")
        stop = any(asked.get_nowait() not in OUTLIVED for _ in range(asked.qsize()))
        return None if stop else kept
    finally:
        for each in OUTLIVED:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)  # which an exec inherits


def restart(kept: Passed) -> None:
    """Execute this program again, with these sockets; returns only by raising OSError."""
    passed_sockets.keep(kept, os.environ)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


async def _restart_is_due(
    asked: asyncio.Queue[signal.Signals], config: Path, options: AgentOptions, log: TdcLog
) -> bool:
    """Do as signals ask until one ends the agent: True for a restart, False for a stop."""
    while True:
        number = await asked.get()
        if number not in OUTLIVED:
            return False
        if number == signal.SIGHUP:
            log.reopen()
            if not _changed(config, options, log):
                continue
        fault = await asyncio.to_thread(_fault_of_the_program)
        if not fault:
            return True
        log.error(f"not restarted, the agent goes on as it is: {fault}")


def _changed(config: Path, options: AgentOptions, log: TdcLog) -> bool:
    try:
        found = read_options(config)
    except AgentOptionsError as error:
        log.error(f"SIGHUP: {error}; the agent goes on with what it has read before")
        return False
    if found == options:
        log.info(f"SIGHUP: the log is open again; {config} has not changed")
    return found != options


def _fault_of_the_program() -> str:
    """Why the program would not start now, with agent.toml as it is; empty if it would.

    Not through the event loop: it would fork, and where gRPC is at work a fork's child may crash
    before it is the program.
    """
    command = ["check" if word == "run" else word for word in sys.orig_argv[1:]]
    try:
        tried = subprocess.run(  # noqa: S603
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"`tdc-agent check` did not end within {CHECK_WITHIN:.0f} s"
    except OSError as error:
        return f"can't execute {sys.executable}: {error.strerror}"
    if tried.returncode == 0:
        return ""
    last = tried.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return last.removeprefix("tdc-agent: ") or f"`tdc-agent check` ended with {tried.returncode}"


def _kept(smtp_filter: SmtpFilter, passed: Passed, config: Path, options: AgentOptions) -> Passed:
    """The sockets for the next process; none if agent.toml wants another address by now."""
    if passed.by_system or read_options(config).ingest.listen == options.ingest.listen:
        return Passed(smtp_filter.sockets(), passed.by_system)
    return NONE_PASSED
