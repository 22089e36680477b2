"""How long the agent lives, and how it is told to begin again.

    SIGTERM, SIGINT   stop in order
    SIGHUP            open the log file again; if agent.toml has changed, restart in place
    SIGUSR1           open the log file again, and nothing else
    SIGUSR2           restart in place, as after an upgrade

*A restart in place* goes in this order, so that nobody waits for anybody else:

 1. Whatever can fail is tried while the agent still has all that it needs: the program (`trial`),
    and another address to listen on. So a file with a mistake, half an upgrade or a port in use
    costs no more than a line in the log.
 2. Sessions of now are ended once they are idle or their message is through, TURN_OVER seconds at
    most; new ones are served meanwhile, at a new address too. Then delivery ends its reports.
 3. The rooms stop in order, and the program is executed once more in the same process. The
    listening sockets stay open: connections wait there for a second or two, and none is refused.
    What came in during the second step has 3 seconds, and 10 past the final dot.

What was checked in the first step is what is executed in the third, whatever becomes of agent.toml
in between. A supervisor sees nothing end. A stop is heard at each moment, and makes it a stop;
other signals that come meanwhile are acted on by the next process.

Signals are blocked for the whole life of the agent, and waited for: one that comes as it begins,
or as it executes itself, stays pending and counts afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from tdc.node_agent import checked_file, loop_faults, passed_sockets
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import (
    AgentOptions,
    AgentOptionsError,
    host_port,
    options_in,
    read_text,
)
from tdc.node_agent.passed_sockets import Passed
from tdc.node_agent.serve import Rooms, serving
from tdc.node_agent.smtp.listener import BACKLOG
from tdc.node_agent.trial import WouldNotStart, try_the_program
from tdc.shared.edge import signals
from tdc.shared.edge.daemon_thread import in_daemon_thread
from tdc.shared.edge.os_words import os_reason
from tdc.shared.edge.tasks import GivenUp, unless

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LOOK_WITHIN = 5.0
"""Seconds for agent.toml to be read, the spool's folder to be found, an address to be looked up."""

TURN_OVER = 30.0
"""Seconds that sessions get before a restart to end by themselves. It keeps nobody waiting, and a
message that a next hop is slow to answer is not doubled."""

ASKED_BY = (signal.SIGTERM, signal.SIGINT, *signals.LATER)


class _NotNow(Exception):
    """A restart would fail; the text says why."""


@dataclass(frozen=True, slots=True)
class Next:
    """What the next process begins with: sockets that it keeps, and the text of agent.toml."""

    sockets: Passed
    text: str


class _Asked:
    """What signals ask for: a stop, or one thing after another.

    `start` is set while the agent starts; a stop then ends that.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.later: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self.start: asyncio.Timeout | None = None

    def take(self, number: signal.Signals) -> None:
        """Note a signal."""
        if number in signals.LATER:
            self.later.put_nowait(number)
            return
        self.stop.set()
        if self.start is not None:
            self.start.reschedule(0)

    async def unless_stop(self, work: Coroutine[object, object, Result]) -> Result:
        """Return what `work` returns; raise GivenUp if a stop comes first."""
        return await unless(self.stop, work, name="until a stop")

    def leave(self) -> None:
        """Leave what was not acted on to the next process: blocked signals outlive an exec."""
        while not self.later.empty():
            os.kill(os.getpid(), self.later.get_nowait())


async def serve_until_signal(
    config: Path, options: AgentOptions, log: TdcLog, passed: Passed
) -> Next | None:
    """Serve until a signal; what to go on with if it asks for a restart in place, else None.

    ASKED_BY must be blocked. Raises what ended a room before that.
    """
    asked, loop = _Asked(), asyncio.get_running_loop()
    loop.set_exception_handler(loop_faults.reporter(log))
    following: Next | None = None

    def take(number: signal.Signals) -> None:
        loop.call_soon_threadsafe(asked.take, number)

    with signals.received(ASKED_BY, take):
        try:
            async with asyncio.timeout(None) as start:
                asked.start = start
                async with serving(options, log, passed) as rooms:
                    asked.start = None
                    restart = _Restart(config, options, log, rooms, passed)
                    following = await _until_asked(asked, restart)
        except TimeoutError:
            if not start.expired():
                raise
            log.info("the agent is stopping; it had not started yet")
        await asyncio.sleep(0)  # what the thread took last
    if asked.stop.is_set() or following is None:
        return None
    asked.leave()
    return following


def restart(following: Next) -> None:
    """Execute this program again, to go on with this; returns only by raising OSError."""
    passed_sockets.keep(following.sockets, os.environ)
    with checked_file.handed_over(following.text, os.environ):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


async def _until_asked(asked: _Asked, restart: _Restart) -> Next | None:
    """Do as signals ask until one ends the agent: for a restart what to go on with, else None."""
    log = restart.log
    try:
        while True:
            number = await asked.unless_stop(asked.later.get())
            if number in (signal.SIGHUP, signal.SIGUSR1):
                log.reopen()
            if number == signal.SIGUSR1:
                log.info("SIGUSR1: the log is open again")
            elif (following := await asked.unless_stop(restart.prepared(number))) is not None:
                await asked.unless_stop(
                    restart.rooms.turn_over(following.sockets.sockets, TURN_OVER)
                )
                log.info("the agent restarts in place; connections wait meanwhile")
                return following
    except GivenUp:
        log.info("the agent is stopping")
        return None


async def _soon(
    fault: str,
    work: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Result:
    """Return what `work` returns, which asks a disk or the resolver; else raise _NotNow.

    Else a disk that does not answer would keep each later signal waiting.
    """
    try:
        async with asyncio.timeout(LOOK_WITHIN):
            return await in_daemon_thread(work, *arguments, **named)
    except TimeoutError:
        raise _NotNow(f"{fault}: no answer in {LOOK_WITHIN:.0f} s") from None
    except OSError as error:
        raise _NotNow(f"{fault}: {os_reason(error)}") from None


@dataclass(frozen=True, slots=True)
class _Restart:
    """What a restart of this agent needs to know."""

    config: Path
    options: AgentOptions
    log: TdcLog
    rooms: Rooms
    passed: Passed

    async def prepared(self, number: signal.Signals) -> Next | None:
        """What the next process begins with; None, with a line in the log, if it is not to be."""
        try:
            text = await _soon(f"can't read {self.config}", read_text, self.config)
            found = options_in(text, self.config)
            if number == signal.SIGHUP and found == self.options:
                self.log.info(f"SIGHUP: the log is open again; {self.config} has not changed")
                return None
            for warning in await try_the_program(text):
                self.log.warning(f"{number.name}: {warning}")
            spool = found.spool_folder
            await _soon(f"can't look at {spool}", self._see_that_no_copy_is_left, spool)
            existing, listen = self.rooms.smtp_filter.sockets(), found.ingest.listen
            kept = await _soon(f"can't listen on {listen}", self._kept, listen, existing)
            return Next(kept, text)
        except (AgentOptionsError, WouldNotStart, _NotNow) as error:
            why = str(error)
        except OSError as error:
            why = f"can't keep the sockets: {os_reason(error)}"
        self.log.error(f"{number.name}: {why}; the agent goes on as it is")
        return None

    def _see_that_no_copy_is_left(self, folder: Path) -> None:
        """Raise _NotNow if copies may stay behind, in a spool that nobody would look at."""
        ours = self.options.spool_folder
        if folder.resolve() != ours.resolve():
            raise _NotNow(
                f"the spool would be {folder}, and copies that wait in {ours} would stay behind: "
                "stop the agent, move the folder, and start the agent"
            )

    def _kept(self, listen: str, existing: tuple[socket.socket, ...]) -> Passed:
        """The open sockets, or new ones if agent.toml names another address; raises _NotNow."""
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
