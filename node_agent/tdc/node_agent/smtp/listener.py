"""Listens for SMTP clients, owns the task of each session, and stops cleanly.

At its limit of sessions it makes room: a newcomer gets the place of the session whose client has
kept us waiting longest. So those who hold connections and pass no message keep nobody out, whatever
their number, and a client whose turn it is to wait for us is never ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from tdc.node_agent.passed_sockets import opened
from tdc.node_agent.smtp.connection import RECEIVE_BUFFER, ServerConnection
from tdc.node_agent.smtp.slowest import Timed, expel_slowest
from tdc.shared.edge.daemon_thread import in_daemon_thread

BACKLOG = 1024
PATIENCE = 3.0
"""Seconds that a session gets at a stop whose message is not here as a whole. Its client keeps it
and comes again, so all that is lost is its time; meanwhile nobody else is served."""
ABORT_TIMEOUT = 5.0  # seconds a session is given to end once its connection is closed


class Served(Timed, Protocol):
    """What the listener runs for each connection."""

    async def run(self) -> None:
        """Serve until the connection ends; every fault ends in here."""
        ...

    def stop(self) -> None:
        """End soon: after the transaction under way, if there is one."""
        ...

    def abort(self) -> None:
        """End now; a transaction under way is given up."""
        ...

    @property
    def past_dot(self) -> bool:
        """True while a whole message is here and not answered: to end then may double it."""
        ...

    @property
    def ending(self) -> bool:
        """True once it no longer needs its place."""
        ...


class Listener:
    """Listens at one address, or on sockets that exist. `new_session` serves a connection.

    The task group in which the sessions run is entered by `start` and left by `close`.

    A session ends its own faults. If it raises all the same, it alone ends, and the loop's
    exception handler logs it: to end the agent would cut off every other message, and if one
    message is the cause, each retry of it would do so again.
    """

    def __init__(self, new_session: Callable[[ServerConnection], Served]) -> None:
        self._new_session = new_session
        self._sessions: dict[Served, asyncio.Task[None]] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._stack = contextlib.AsyncExitStack()
        self._buffer = memoryview(bytearray(RECEIVE_BUFFER))

    @property
    def port(self) -> int:
        """The port it listens on, the first of several."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """The number of sessions under way."""
        return len(self._sessions)

    async def start(self, host: str, port: int, existing: Sequence[socket.socket] = ()) -> None:
        """Begin to listen; raises OSError. `port` 0 lets the system choose.

        With `existing` sockets, which listen already, these are served instead.
        """
        loop = asyncio.get_running_loop()
        for each in existing or await in_daemon_thread(opened, host, port, BACKLOG):
            server = await loop.create_server(self._accepted, sock=each, backlog=BACKLOG)
            self._servers.append(server)
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())

    async def serve_also(self, sockets: Sequence[socket.socket]) -> None:
        """Serve more sockets that listen already; those that are served stay."""
        served = {each.getsockname() for one in self._servers for each in one.sockets}
        for each in sockets:
            if each.getsockname() in served:
                continue
            again = socket.socket(fileno=os.dup(each.fileno()))
            self._servers.append(
                await asyncio.get_running_loop().create_server(
                    self._accepted, sock=again, backlog=BACKLOG
                )
            )

    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets once more: open, and connections wait there, after it has ended."""
        return tuple(
            socket.socket(fileno=os.dup(each.fileno()))
            for server in self._servers
            for each in server.sockets
        )

    async def turn_over(self, patience: float) -> int:
        """See the sessions of now to their end while new ones are served; how many did not end.

        Those are ended after `patience` seconds.
        """
        old = dict(self._sessions)
        for session in old:
            session.stop()
        if not old:
            return 0
        _, late = await asyncio.wait(list(old.values()), timeout=patience)
        for session, task in old.items():
            if task in late:
                session.abort()
        return len(late)

    def make_room(self, capacity: int) -> bool:
        """Say whether one that has just come may stay; another may be ended for it."""
        if len(self._sessions) <= capacity:
            return True
        if len(self._sessions) - sum(one.ending for one in self._sessions) <= capacity:
            return True
        return expel_slowest(self._sessions, asyncio.get_running_loop().time())

    async def drain(self, patience: float) -> int:
        """Take no new connection, and end each session; the number that did not end.

        Transactions under way are given PATIENCE seconds, those past the final dot `patience`.
        `close` must follow.
        """
        if not self._servers:
            return 0
        self._stop_listening()
        for _ in range(3):  # connections just accepted become sessions
            await asyncio.sleep(0)
        for session in self._sessions:
            session.stop()
        first = min(PATIENCE, patience)
        await self._ended_within(first)
        unfinished = [session for session in self._sessions if not session.past_dot]
        for session in unfinished:
            session.abort()
        await self._ended_within(patience - first)
        return len(unfinished) + sum(session not in unfinished for session in self._sessions)

    async def close(self) -> None:
        """End the sessions that are left now."""
        self._stop_listening()
        for session in self._sessions:
            session.abort()
        try:
            await self._ended_within(ABORT_TIMEOUT)
        finally:
            for task in self._sessions.values():
                task.cancel()
            self._tasks = None
            await self._stack.aclose()

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    async def _ended_within(self, seconds: float) -> None:
        if self._sessions:
            await asyncio.wait(list(self._sessions.values()), timeout=seconds)

    def _accepted(self) -> ServerConnection:
        return ServerConnection(self._buffer, self._opened)

    def _opened(self, connection: ServerConnection) -> None:
        if self._tasks is None:  # it came while we stopped
            connection.abort()
            return
        session = self._new_session(connection)
        task = self._tasks.create_task(self._run(session, connection), name="SMTP session")
        self._sessions[session] = task

    async def _run(self, session: Served, connection: ServerConnection) -> None:
        try:
            await session.run()
        except Exception as error:  # see the class
            connection.abort()
            asyncio.get_running_loop().call_exception_handler(
                {"message": "SMTP session failed", "exception": error}
            )
        finally:
            del self._sessions[session]
