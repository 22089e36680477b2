"""How long the agent lives, and how it is told to begin again.

    SIGTERM, SIGINT   stop in order
    SIGHUP            open the log file again; if agent.toml has changed, restart in place
    SIGUSR1           open the log file again, and nothing else
    SIGUSR2           restart in place, as after an upgrade

*A restart in place* stops in order, keeps the listening sockets open, and executes the program once
more in the same process. Connections of the MTA wait in the sockets' queue for that second or two,
none is refused, and a supervisor sees nothing end. Whatever can fail is tried while the agent still
has all that it needs: the program (`tdc-agent check`), and another address to listen on. So a file
with a mistake, half an upgrade or a port in use costs no more than a line in the log.

Signals are blocked for the whole life of the agent, and waited for: one that comes as it begins,
or as it executes itself, stays pending and counts afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tdc.node_agent import passed_sockets
from tdc.node_agent.ingest.filter import SmtpFilter
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import AgentOptions, AgentOptionsError, host_port, read_options
from tdc.node_agent.passed_sockets import Passed
from tdc.node_agent.serve import serving
from tdc.node_agent.smtp.listener import BACKLOG
from tdc.shared.edge import signals

CHECK_WITHIN = 20.0
"""Seconds that the program gets to say that it can start."""

WARNING = "warning: "
"""Begins what `tdc-agent check` says that does not keep the agent from starting."""

ASKED_BY = (signal.SIGTERM, signal.SIGINT, *signals.LATER)


class _NotNow(Exception):
    """A restart would fail; the text says why."""


async def serve_until_signal(
    config: Path, options: AgentOptions, log: TdcLog, passed: Passed
) -> Passed | None:
    """Serve until a signal; the sockets to keep if it asks for a restart in place, else None.

    ASKED_BY must be blocked. Raises what ended a room before that.
    """
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def take(number: signal.Signals) -> None:
        loop.call_soon_threadsafe(asked.put_nowait, number)

    with signals.received(ASKED_BY, take):
        async with serving(options, log, passed) as smtp_filter:
            restart = _Restart(config, options, log, smtp_filter, passed)
            kept = await _until_asked(asked, restart, log)
            if kept is None:
                log.info("the agent is stopping")
                return None
            log.info("the agent restarts in place; connections wait meanwhile")
    await asyncio.sleep(0)  # what the thread took last
    stop = any(asked.get_nowait() not in signals.LATER for _ in range(asked.qsize()))
    return None if stop else kept


def restart(kept: Passed) -> None:
    """Execute this program again, with these sockets; returns only by raising OSError."""
    passed_sockets.keep(kept, os.environ)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


async def _until_asked(
    asked: asyncio.Queue[signal.Signals], restart: _Restart, log: TdcLog
) -> Passed | None:
    """Do as signals ask until one ends the agent: the sockets for a restart, None for a stop."""
    while True:
        number = await asked.get()
        if number not in signals.LATER:
            return None
        if number in (signal.SIGHUP, signal.SIGUSR1):
            log.reopen()
        if number == signal.SIGUSR1:
            log.info("SIGUSR1: the log is open again")
        elif (kept := await restart.prepared(number)) is not None:
            return kept


@dataclass(frozen=True, slots=True)
class _Restart:
    """What a restart of this agent needs to know."""

    config: Path
    options: AgentOptions
    log: TdcLog
    smtp_filter: SmtpFilter
    passed: Passed

    async def prepared(self, number: signal.Signals) -> Passed | None:
        """The sockets for the next process; None, with a line in the log, if it is not to be."""
        try:
            found = read_options(self.config)
            if number == signal.SIGHUP and found == self.options:
                self.log.info(f"SIGHUP: the log is open again; {self.config} has not changed")
                return None
            for warning in await asyncio.to_thread(_try_the_program):
                self.log.warning(f"{number.name}: {warning}")
            return await asyncio.to_thread(self._kept, found, self.smtp_filter.sockets())
        except (AgentOptionsError, _NotNow) as error:
            self.log.error(f"{number.name}: {error}; the agent goes on as it is")
            return None

    def _kept(self, found: AgentOptions, existing: tuple[socket.socket, ...]) -> Passed:
        """The open sockets, or new ones if agent.toml names another address; raises _NotNow."""
        listen = found.ingest.listen
        if self.passed.by_system or listen == self.options.ingest.listen:
            return Passed(existing, self.passed.by_system)
        host, port = host_port(listen, zero=True)
        try:
            return Passed(passed_sockets.opened(host, port, BACKLOG, existing))
        except OSError as error:
            own = any(each.getsockname()[1] == port for each in existing)
            hint = "; another address with the same port needs a stop and a start" if own else ""
            raise _NotNow(f"can't listen on {listen}: {error.strerror or error}{hint}") from None
        finally:
            for each in existing:
                each.close()


def _try_the_program() -> list[str]:
    """Return the warnings of `tdc-agent check`; raise _NotNow if the program would not start now.

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
        raise _NotNow(f"`tdc-agent check` did not end within {CHECK_WITHIN:.0f} s") from None
    except OSError as error:
        raise _NotNow(f"can't execute {sys.executable}: {error.strerror}") from None
    lines = tried.stderr.decode(errors="replace").strip().splitlines()
    said = [line.removeprefix("tdc-agent: ") for line in lines]
    warnings = [line for line in said if line.startswith(WARNING)]
    if tried.returncode == 0:
        return [line.removeprefix(WARNING) for line in warnings]
    ours = lines and all(line.startswith("tdc-agent: ") for line in lines)
    faults = [line for line in said if line not in warnings] if ours else said[-1:]
    raise _NotNow("; ".join(faults) or f"`tdc-agent check` ended with {tried.returncode}")
