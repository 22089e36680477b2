"""One connection to an intake: a socket, TLS and timeouts around a Dialogue.

Promises: no message byte before TLS is up and the peer verified; every wait is bounded, alone and
with all of its phase (`timeouts`); a failure is a Trouble with its stage. The owner closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
from collections.abc import Callable
from typing import cast

from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.node_agent.deliver.tls import NoTrust
from tdc.node_agent.deliver.trouble import Failed, SessionFault, Trouble
from tdc.node_agent.deliver.verify import TlsPolicy, TlsRefused, handshake_fault, verify_peer
from tdc.node_agent.smtp.bounded_wait import BoundedWait
from tdc.node_agent.smtp.dialogue import (
    Answered,
    Dialogue,
    Event,
    Finished,
    Offers,
    Outgoing,
    Ready,
    Stage,
)
from tdc.node_agent.smtp.replies import ProtocolFault, Reply
from tdc.shared.edge.os_words import os_reason

_JOIN_UP_TO = _WRITE_AT_ONCE = 256 * 1024  # octets that are one write; and full TLS records
Following = Callable[[], Outgoing | None]


class Connection(asyncio.Protocol):
    """A connection, from `open` to `close`; one message at a time by `deliver`."""

    def __init__(self, candidate: Candidate, helo_name: str, timeouts: Timeouts) -> None:
        self.candidate = candidate
        self.tls_version = ""
        self.delivered = 0
        self.answered = 0  # reports, the refused ones too
        self._timeouts = timeouts
        self._dialogue = Dialogue(helo_name)
        self._transport: asyncio.Transport | None = None
        self._events: list[Event] = []
        self._fault: tuple[SessionFault, str] | None = None
        self._room: asyncio.Future[None] | None = None
        self._full = False
        self._writing = False  # in this very moment
        self._amid_content = False  # a write of a large content has not ended
        self._announced: Outgoing | None = None
        self._loop = asyncio.get_running_loop()
        self._wait = BoundedWait(self._loop, self._wait_expired)
        self._end = math.inf  # of the phase under way (opening, one message), loop time
        self._phase = ""  # its bound, for the log

    @classmethod
    async def open(
        cls,
        candidate: Candidate,
        helo_name: str,
        policy: TlsPolicy,
        timeouts: Timeouts,
        source: tuple[str, int] | None = None,
        *,
        hurried: bool = False,
    ) -> Connection:
        """Connect, start TLS, verify; raises Failed. Ready for messages when it returns.

        `hurried`: another host can be tried, so that this one gets less time.
        """
        connection = cls(candidate, helo_name, timeouts)
        try:
            await connection._connect(source)
            within = timeouts.opening_hurried if hurried else timeouts.opening
            connection._begin(within, "to open a session")
            await connection._session(Stage.BANNER)
            await connection._greet()
            if not connection.offers.starttls:
                raise Failed(connection._trouble(Stage.STARTTLS, SessionFault.NO_STARTTLS))
            connection._dialogue.starttls()
            await connection._session(Stage.STARTTLS)
            await connection._start_tls(policy)
            await connection._session(Stage.EHLO)
        except BaseException:
            connection.close()
            raise
        connection._end = math.inf
        return connection

    @property
    def offers(self) -> Offers:
        """What the intake offers, inside TLS once `open` has returned."""
        return self._dialogue.offers

    @property
    def usable(self) -> bool:
        """True if another message may be sent: open, in step, and not ended by the intake."""
        return self._fault is None and self._dialogue.over is None

    async def deliver(
        self, transaction: Outgoing, following: Following, *, hurried: bool = False
    ) -> Finished:
        """Send one report and wait for the intake's answer; raises Failed if none comes.

        `following` is asked for the next transaction when this one's content goes out, so that
        both travel in one write; what it returns must be delivered next. `hurried`: another host
        can be tried, so that this one gets less time until the content begins.
        """
        self._begin(self._timeouts.for_message(transaction.size), "for one message")
        end, phase = self._end, self._phase
        if hurried:
            self._begin(self._timeouts.envelope_hurried, "for the envelope")
        try:
            if self._announced is not transaction:
                self._dialogue.announce(transaction)
            self._announced = None
            return await self._deliver(transaction, following, end, phase)
        except Failed:
            raise self._failed(transaction) from None
        finally:
            self._end = math.inf

    async def _deliver(
        self, transaction: Outgoing, following: Following, end: float, phase: str
    ) -> Finished:
        """`end` and `phase` bound what comes after the envelope."""
        while True:
            await self._flush()
            event = await self._next_event()
            if isinstance(event, Ready) and self._dialogue.content(transaction):
                self._end, self._phase = end, phase
                if self._dialogue.takes_another:
                    self._announced = following()
                if self._announced is not None:
                    self._dialogue.announce(self._announced)
            elif isinstance(event, Finished):
                self.answered += 1
                if event.succeeded:
                    self.delivered += 1
                return event
            self._note_fault()

    async def say_goodbye(self) -> None:
        """QUIT, unless a reply is due; then close. What the peer does is ignored."""
        if self.usable and self._dialogue.waiting_for is None:
            self._dialogue.quit()
            with contextlib.suppress(Failed):
                await self._flush()  # a few octets: it does not wait
                await self._next_event(self._timeouts.goodbye)
        self.close()

    def close(self) -> None:
        """Cut the connection now."""
        self._fault = self._fault or (SessionFault.DROPPED, "was closed by us")
        self._wait.cancel_timer()
        if self._transport is not None:
            self._transport.abort()

    def may_be_taken(self, transaction: Outgoing) -> bool:
        """Say whether the intake may have this message although its reply is missing, or unread.

        A reply is unread for a moment: it has arrived, and the task that waits for it has yet to
        run. A connection that is cut in this moment repeats a report that was accepted.
        """
        if any(isinstance(event, Finished) for event in self._events):
            return True
        return not self._amid_content and self._dialogue.may_be_taken(transaction)

    # The session

    def _begin(self, within: float, what_for: str) -> None:
        """Bound what follows in all."""
        self._end = self._loop.time() + within
        self._phase = f"{_seconds(within)} {what_for}"

    async def _connect(self, source: tuple[str, int] | None) -> None:
        candidate = self.candidate
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await self._loop.create_connection(
                    lambda: self, candidate.address, candidate.port, local_addr=source
                )
        except TimeoutError:
            text = f"[{candidate.address}] did not answer within {self._timeouts.connect:g} s"
            raise Failed(self._trouble(Stage.CONNECT, SessionFault.TIMEOUT, text)) from None
        except OSError as error:
            text = f"[{candidate.address}] can't be reached: {os_reason(error)}"
            raise Failed(self._trouble(Stage.CONNECT, SessionFault.REFUSED, text)) from error

    async def _greet(self) -> None:
        self._dialogue.ehlo()
        await self._session(Stage.EHLO)

    async def _session(self, stage: Stage) -> None:
        """Wait for the reply at a stage of the session; raises Failed unless it is positive."""
        await self._flush()
        event = await self._next_event()
        assert isinstance(event, Answered)
        if not event.reply.positive:
            raise Failed(self._refused(stage, event.reply))

    async def _start_tls(self, policy: TlsPolicy) -> None:
        try:
            self._dialogue.tls_started()
            context = policy.context()
        except (ProtocolFault, NoTrust) as error:
            raise Failed(self._tls_trouble(str(error))) from error
        assert self._transport is not None
        within = self._handshake_timeout()
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=self.candidate.name or policy.domain,
                ssl_handshake_timeout=within,
                ssl_shutdown_timeout=1.0,
            )
        except ConnectionAbortedError:  # by asyncio, because of the time
            text = f"did not end the TLS handshake within {_seconds(within)}"
            raise Failed(self._tls_trouble(text)) from None
        except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
            raise Failed(self._tls_trouble(handshake_fault(error, policy))) from error
        if transport is None:
            raise Failed(self._tls_trouble("closed the connection in the TLS handshake"))
        self._transport = transport
        peer: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.tls_version = peer.version() or ""
        try:
            verify_peer(peer, self.candidate, policy)
        except TlsRefused as error:
            raise Failed(self._tls_trouble(str(error))) from error

    def _handshake_timeout(self) -> float:
        """Seconds for the whole handshake: asyncio wants more than nought."""
        return max(0.001, min(self._timeouts.tls, self._end - self._loop.time()))

    async def _next_event(self, timeout: float = 0.0) -> Event:
        """Wait for the next event; raises Failed on loss, garbage and silence.

        Each whole reply has the time of its stage, or `timeout`; bytes that complete none do not
        end the wait.
        """
        while not self._events:
            if self._fault is not None:
                raise Failed(self._trouble(self._stage(), *self._fault))
            if self._dialogue.has_output:
                await self._flush()
            allowed = timeout or self._timeouts.of(self._dialogue.waiting_for)
            await self._wait.wait(allowed, until=self._end)
        return self._events.pop(0)

    def _wait_expired(self) -> None:
        late = self._wait.deadline == self._end
        limit = self._phase if late else f"{self._wait.allowed:g} s"
        self._fault = self._fault or (SessionFault.TIMEOUT, f"did not reply within {limit}")
        self._wait.end()

    # Bytes

    async def _flush(self) -> None:
        parts = self._dialogue.output()
        if not parts or self._transport is None or self._broken():
            return
        if sum(map(len, parts)) <= _JOIN_UP_TO:
            self._write(self._transport, b"".join(parts))
            return
        self._amid_content = True
        for part in parts:
            for at in range(0, len(part), _WRITE_AT_ONCE):
                self._write(self._transport, memoryview(part)[at : at + _WRITE_AT_ONCE])
                await self._wait_for_room()
                if self._broken():
                    return
        self._amid_content = False

    def _write(self, transport: asyncio.Transport, octets: bytes | memoryview) -> None:
        self._writing = True
        transport.write(octets)
        self._writing = False

    async def _wait_for_room(self) -> None:
        if not self._full or self._fault is not None:
            return
        self._room = self._loop.create_future()
        left = self._end - self._loop.time()
        try:
            async with asyncio.timeout(min(self._timeouts.block, left)):
                await self._room
        except TimeoutError:
            late = left < self._timeouts.block
            limit = f"in the {self._phase}" if late else f"for {self._timeouts.block:g} s"
            self._fault = (SessionFault.TIMEOUT, f"accepted no data {limit}")
        finally:
            self._room = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the dialogue (called by asyncio)."""
        before = self._dialogue.replies
        events = self._dialogue.feed(data)
        if self._amid_content and any(
            isinstance(one, Finished) and one.succeeded for one in events
        ):
            # It answers something else; counted as the answer, it would lose the message.
            self._fault = self._fault or (SessionFault.GARBAGE, "accepted a message before its end")
        else:
            self._events += events
        self._note_fault()
        if self._broken():
            self._wait.end()
            self.resume_writing()
        elif self._dialogue.replies != before:  # else it is a part of one, or a drip
            self._wait.end()

    def eof_received(self) -> bool:
        """Note the end of the peer's bytes (called by asyncio)."""
        self._fault = self._fault or (SessionFault.DROPPED, "closed the connection")
        self._wait.end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection (called by asyncio)."""
        self._fault = self._fault or (SessionFault.DROPPED, f"closed the connection{_why(exc)}")
        self._wait.end()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Note that the transport is full (called by asyncio); if not by us, TLS filled it."""
        self._full = True
        if not self._writing and not self._amid_content:
            self._fault = self._fault or (
                SessionFault.GARBAGE,
                "asks for TLS answers, reads none",
            )
            self._wait.end()

    def resume_writing(self) -> None:
        """Note that the transport has room (called by asyncio)."""
        self._full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _broken(self) -> bool:
        return self._fault is not None

    def _note_fault(self) -> None:
        if self._dialogue.fault is not None and self._fault is None:
            self._fault = (SessionFault.GARBAGE, f"violated the protocol: {self._dialogue.fault}")

    # Trouble

    def _stage(self) -> Stage:
        return self._dialogue.waiting_for or Stage.MAIL

    def _trouble(self, stage: Stage, fault: SessionFault, text: str = "") -> Trouble:
        return Trouble(
            where=str(self.candidate),
            stage=stage,
            fault=fault,
            text=text,
            answered_before=self.answered,
        )

    def _tls_trouble(self, text: str) -> Trouble:
        return self._trouble(Stage.TLS, SessionFault.TLS, text)

    def _refused(self, stage: Stage, reply: Reply) -> Trouble:
        return Trouble(str(self.candidate), stage, reply=reply)

    def _failed(self, transaction: Outgoing) -> Failed:
        fault, text = self._fault or (SessionFault.DROPPED, "closed the connection")
        stage = Stage.CONTENT if self._amid_content else self._stage()
        return Failed(
            Trouble(
                where=str(self.candidate),
                stage=stage,
                fault=fault,
                text=text,
                answered_before=self.answered,
                may_be_taken=self.may_be_taken(transaction),
            )
        )


def _seconds(seconds: float) -> str:
    return f"{f'{seconds:.1f}'.removesuffix('.0')} s"


def _why(error: Exception | None) -> str:
    return f": {error}" if error is not None and str(error) else ""
