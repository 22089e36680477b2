"""One mail transaction: the MTA's on one side, the next hop's on the other.

Commands are gathered as they come and settled together, so that what the MTA pipelined is
pipelined to the next hop (RFC 2920) and a transaction costs few round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdc.node_agent.counters import Counters
from tdc.node_agent.ingest.options import FilterOptions
from tdc.node_agent.ingest.pool import NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.relay import (
    COMMAND_TIMEOUT,
    DATA_TIMEOUT,
    Capabilities,
    HopConnection,
    HopLost,
)
from tdc.node_agent.ingest.take import Taken, Taker, TakeRefused
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.commands import (
    BadCommand,
    Mail,
    client_address,
    parse_mail,
    parse_recipient,
)
from tdc.node_agent.smtp.framing import unstuffed
from tdc.node_agent.smtp.replies import Reply, reply
from tdc.shared.mail.envelope import Envelope

NO_NEXT_HOP = reply("451 4.4.1 The next hop takes no connection, try again")
HOP_LOST = reply("451 4.4.2 The connection to the next hop was lost, try again")
HOP_CHANGED = reply("421 4.3.2 The next hop changed its abilities, try again")
NO_MAIL = reply("503 5.5.1 Send MAIL first")
NO_ROOM = reply("451 4.3.1 The copy of this message can't be kept now, try again")
SMALL_BODY = 64 * 1024
XFORWARD_LINE = 400  # bytes of attributes in one command; its line may have 512
UNKNOWN = b"[UNAVAILABLE]"


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command that awaits its reply; `answer` is set where the next hop isn't asked."""

    line: bytes = b""
    mail: Mail | None = None
    recipient: str | None = None
    answer: Reply | None = None

    @property
    def is_data(self) -> bool:
        """Say whether it is DATA."""
        return self.mail is None and self.recipient is None and self.answer is None


class Transaction:
    """The session's current transaction, used again for each message.

    `gone` says whether the MTA has closed the connection. `announced` are the extensions that
    the MTA was told of; `xforward` is what it told about the client for the next message.
    """

    def __init__(
        self,
        options: FilterOptions,
        pool: NextHopPool,
        taker: Taker,
        counters: Counters,
        log: TdcLog,
        gone: Callable[[], bool],
    ) -> None:
        self.announced: set[str] = set()
        self.xforward: dict[str, bytes] = {}
        self.pending: list[PendingCommand] = []
        self.in_data = False
        self._options = options
        self._pool = pool
        self._taker = taker
        self._counters = counters
        self._log = log
        self._gone = gone
        self._hop: HopConnection | None = None
        self._mail: Mail | None = None
        self._recipients: list[str] = []
        self._begun = False  # MAIL is pending or was accepted
        self._without_mail = NO_MAIL  # the reply to RCPT and DATA then
        self._asked = 0  # recipients accepted or pending

    @property
    def open(self) -> bool:
        """Say whether MAIL was given and the transaction isn't over."""
        return self._begun

    def size_limit(self, capabilities: Capabilities) -> int:
        """Return the SIZE to announce (RFC 1870)."""
        return min(
            capabilities.size or self._options.max_message_size, self._options.max_message_size
        )

    @property
    def body_limit(self) -> int:
        """Return how many bytes of body are held.

        Larger than SIZE by what dots may add, so that it is the next hop who refuses a message
        that is only a little too large for it.
        """
        assert self._hop is not None
        limit = self.size_limit(self._hop.capabilities)
        return min(limit + limit // 3 + 1024, self._options.max_message_size)

    # Commands

    def mail(self, line: bytes) -> None:
        """Add a MAIL command; raises BadCommand."""
        if self._begun:
            raise BadCommand("503 5.5.1 Nested MAIL command")
        self.pending.append(PendingCommand(line, mail=parse_mail(line)))
        self._begun = True
        self._without_mail = NO_MAIL

    def recipient(self, line: bytes) -> None:
        """Add a RCPT command; raises BadCommand."""
        if not self._begun:
            raise BadCommand(self._without_mail.text)
        step = PendingCommand(line, recipient=parse_recipient(line))
        if self._asked >= self._options.max_recipients:
            raise BadCommand("452 4.5.3 Too many recipients")
        self.pending.append(step)
        self._asked += 1

    def data(self, line: bytes) -> None:
        """Add a DATA command; raises BadCommand."""
        if not self._begun:
            raise BadCommand(self._without_mail.text)
        self.pending.append(PendingCommand(line))

    def answer_in_turn(self, answer: Reply) -> None:
        """Add a reply of our own behind those that are awaited."""
        self.pending.append(PendingCommand(answer=answer))

    # Settling

    async def settle(self) -> list[Reply]:
        """Relay what is pending, return the replies in order."""
        steps, self.pending = self.pending, []
        relayed = [step for step in steps if step.answer is None]
        answers = iter(await self._relay(relayed)) if relayed else iter(())
        replies = [step.answer or self._apply(step, next(answers)) for step in steps]
        if self._mail is None or self._hop is None:  # MAIL was refused, or the next hop is lost
            self._end()
        return replies

    def _apply(self, step: PendingCommand, answer: Reply) -> Reply:
        if step.is_data:
            self.in_data = answer.code == 354 and self._mail is not None
            if not self.in_data and not answer.refused:
                return self._breach(f"the next hop answered DATA with {answer.text}")
        elif not answer.positive and not answer.refused:
            return self._breach(f"the next hop answered with {answer.text}")
        elif answer.refused:
            self._asked -= step.recipient is not None
        elif step.mail is not None:
            self._mail = step.mail
        elif step.recipient is not None:
            self._recipients.append(step.recipient)
        return answer

    async def _relay(self, steps: Sequence[PendingCommand]) -> list[Reply]:
        """Return the next hop's reply for each step, or one of ours where it gives none."""
        lines = [step.line for step in steps]
        # DATA's shorter time is for DATA alone: before its reply may come those to MAIL and RCPT.
        timeout = DATA_TIMEOUT if len(steps) == 1 and steps[0].is_data else COMMAND_TIMEOUT
        for fresh in (False, True):
            prefix: list[bytes] = []
            if self._hop is None:
                trouble = await self._borrow(fresh=fresh)
                if trouble is not None:
                    return [trouble] * len(lines)
                prefix = self._xforward_lines()
            hop = self._hop
            assert hop is not None
            lost: HopLost | None = None
            try:
                replies = await hop.exchange(prefix + lines, timeout)
            except HopLost as error:
                lost, replies = error, list(error.replies)
            if not fresh and hop.reused and self._mail is None and _none_taken(replies, lost):
                # It was closed while nobody used it. No part of this message had been sent.
                self._hop = None
                self._pool.discard(hop)
                continue
            if lost is not None:
                self._log.warning(f"{lost}, after {len(replies)} of {len(lines)} replies")
                replies += [HOP_LOST] * (len(prefix) + len(lines) - len(replies))
                self._drop_hop()
            return replies[len(prefix) :]
        raise AssertionError("the second round returns")

    async def _borrow(self, *, fresh: bool) -> Reply | None:
        """Borrow a connection; return the reply to give where there is none."""
        try:
            hop = await self._pool.acquire(fresh=fresh, needs=self.announced)
        except NextHopUnavailable as unavailable:
            self._log.warning(f"The next hop takes no mail: {unavailable}")
            return NO_NEXT_HOP
        if not all(word in hop.capabilities for word in self.announced):
            self._pool.release(hop)
            return HOP_CHANGED
        self._hop = hop
        return None

    def _xforward_lines(self) -> list[bytes]:
        """Return XFORWARD commands for what the next hop wants to know of the client."""
        assert self._hop is not None
        wanted = self._hop.capabilities.keywords.get("XFORWARD", "").split()
        # Nothing of the last transaction's client may stick to this one's.
        told = dict.fromkeys(wanted, UNKNOWN) if self._hop.xforwarded else {}
        told.update((name, value) for name, value in self.xforward.items() if name in wanted)
        self._hop.xforwarded = bool(self.xforward) and bool(told)
        lines: list[bytes] = []
        for name, value in told.items():
            word = b" %s=%s" % (name.encode(), value)
            if lines and len(lines[-1]) + len(word) <= XFORWARD_LINE:
                lines[-1] += word
            else:
                lines.append(b"XFORWARD" + word)
        return lines

    # The message

    async def finish(self, body: bytes) -> Reply:
        """Relay the body and take its copies; return the reply to the final dot."""
        hop, mail = self._hop, self._mail
        assert hop is not None
        assert mail is not None
        envelope = Envelope(
            mail.sender,
            tuple(self._recipients),
            mail.smtputf8,
            mail.body,
            client_address(self.xforward),
        )
        # A small body costs one system call less together with its final dot.
        small = len(body) <= SMALL_BODY
        try:
            if not small:
                await hop.send_body(body)
            taken = await self._taker.take(envelope, unstuffed(body))
        except HopLost as lost:
            return self._unfinished(HOP_LOST, str(lost))
        except TakeRefused as refused:
            return self._unfinished(NO_ROOM, str(refused))
        if self._gone():
            await self._taker.discard(taken)
            return self._unfinished(HOP_LOST, "the MTA closed the connection before its reply")
        return await self._final_dot(hop, taken, body if small else b"")

    async def _final_dot(self, hop: HopConnection, taken: Taken, unsent: bytes) -> Reply:
        try:
            answer = await hop.finish(unsent)
        except HopLost as lost:
            # The next hop may have the message or not; the MTA keeps it and tries again, and
            # the original may then arrive twice (RFC 1047). The next try brings its own copy.
            await self._taker.discard(taken)
            return self._unfinished(HOP_LOST, str(lost))
        if answer.positive:
            self._taker.release(taken)
            self._counters.originals_passed += 1
        else:
            await self._taker.discard(taken)
            if not answer.refused:
                return self._unfinished(HOP_LOST, f"final dot answered with {answer.text}")
            self._counters.originals_refused += 1
        self._end()
        return answer

    def _unfinished(self, answer: Reply, reason: str) -> Reply:
        """Give the message up before it is anyone's; the MTA keeps it."""
        self._log.warning(f"A message was put back to the MTA: {reason}")
        self._counters.originals_refused += 1
        self.abandon()
        return answer

    # Ending

    async def reset(self) -> None:
        """End the transaction as RSET does; the next hop's connection is kept if it can be."""
        hop = self._hop
        if hop is not None and self._mail is not None:
            try:
                answers = await hop.exchange([b"RSET"], COMMAND_TIMEOUT)
            except HopLost:
                self._drop_hop()
            else:
                if not answers[0].positive:  # the next message's MAIL would be a nested one there
                    self._drop_hop()
        self._end()
        self._without_mail = NO_MAIL

    def abandon(self) -> None:
        """End the transaction now; the next hop sees its connection closed and forgets it."""
        self._drop_hop()
        self.pending.clear()
        self._end()

    def _breach(self, reason: str) -> Reply:
        self._log.warning(f"Not SMTP: {reason}")
        self._drop_hop()
        self.in_data = False
        return HOP_LOST

    def _drop_hop(self) -> None:
        hop, self._hop = self._hop, None
        if hop is not None:
            self._pool.discard(hop)
        # Commands that follow in this transaction are refused, for now: it is over at the next
        # hop, and a 503 would make the MTA return the message to its sender.
        self._mail = None
        self._without_mail = HOP_LOST

    def _end(self) -> None:
        hop, self._hop = self._hop, None
        if hop is not None:
            self._pool.release(hop)
        self._mail = None
        self._recipients = []
        self._asked = 0
        self._begun = self.in_data = False
        if self.xforward:
            self.xforward = {}


def _none_taken(replies: Sequence[Reply], lost: HopLost | None) -> bool:
    """Say whether a connection turned out to be closed before it took a command."""
    return replies[0].code == 421 if replies else lost is not None
