"""One mail transaction with the next hop, on behalf of the MTA.

A connection is borrowed when the first commands of a transaction are settled and returned when
it ends. If a borrowed connection turns out to have been closed while nobody used it, the commands
go to a fresh one; the MTA does not notice. Any later loss ends the transaction with a reply that
makes the MTA keep the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tdc.node_agent.ingest.pool import NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.relay import HopConnection, HopLost
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.backend import PendingCommand
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import Reply, reply

NO_NEXT_HOP = reply("451 4.4.1 Next hop unavailable, try again later")
HOP_LOST = reply("451 4.4.2 Connection to next hop lost, try again later")
HOP_CHANGED = reply("421 4.3.2 Next hop changed its extensions, try again later")
XFORWARD_LINE = 400  # bytes of attributes in one command; its line may have 512
UNKNOWN = b"[UNAVAILABLE]"


class Relaying:
    """A session's transaction with the next hop; used again for each message.

    `announced` are the extensions that the MTA may use, because they were offered to it.
    """

    def __init__(self, pool: NextHopPool, timeouts: HopTimeouts, log: TdcLog) -> None:
        self.announced: frozenset[str] = frozenset()
        self.lost = False  # the connection was lost during the transaction, or had to be closed
        self._pool = pool
        self._timeouts = timeouts
        self._log = log
        self._hop: HopConnection | None = None
        self._mail_accepted = False

    @property
    def hop(self) -> HopConnection:
        """The borrowed connection; raises HopLost."""
        if self._hop is None:
            raise HopLost("the transaction with the next hop was ended")
        return self._hop

    async def settle(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes]
    ) -> list[Reply]:
        """Relay commands and return a reply for each, as `Backend.settle` has it."""
        if commands[0].mail is not None:
            self.lost = False
        replies = await self._relay(commands, xforward)
        checked = [self._check(*pair) for pair in zip(commands, replies, strict=True)]
        if self.lost:
            # Also if `drop` was called while we waited: what was borrowed since carries a message.
            self.drop()
        elif not self._mail_accepted:
            self.end()
        return checked

    def _check(self, command: PendingCommand, answer: Reply) -> Reply:
        """Pass a reply that the command can have; else the next hop does not speak SMTP."""
        if answer.refused:
            return answer
        if command.is_data:
            if answer.code != 354 or not self._mail_accepted:
                return self._breach(f"DATA with {answer.text}")
        elif not answer.positive:
            return self._breach(f"a command with {answer.text}")
        elif command.mail is not None:
            self._mail_accepted = True
        return answer

    async def _relay(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes]
    ) -> list[Reply]:
        """The next hop's reply to each command, or ours where it gives none."""
        lines = [command.line for command in commands]
        # DATA's shorter time is for DATA alone: before its reply may come those to MAIL and RCPT.
        alone = len(commands) == 1 and commands[0].is_data
        timeout = self._timeouts.data if alone else self._timeouts.command
        for fresh in (False, True):
            prefix: list[bytes] = []
            if self._hop is None:
                trouble = await self._borrow(fresh=fresh)
                if trouble is not None:
                    return [trouble] * len(lines)
                prefix = _xforward_lines(self.hop, xforward)
            hop = self.hop
            lost: HopLost | None = None
            try:
                replies = await hop.exchange(prefix + lines, timeout)
            except HopLost as error:
                lost, replies = error, list(error.replies)
            if not fresh and hop.reused and not self._mail_accepted and _none_taken(replies, lost):
                # It was closed while nobody used it. No part of this message had been sent.
                self._hop = None
                self._pool.discard(hop)
                continue
            if lost is not None:
                self._log.warning(f"{lost}, after {len(replies)} of {len(lines)} replies")
                replies += [HOP_LOST] * (len(prefix) + len(lines) - len(replies))
                self.drop()
            return replies[len(prefix) :]
        raise AssertionError("the second round returns")

    async def _borrow(self, *, fresh: bool) -> Reply | None:
        """Borrow a connection, or return the reply to give instead."""
        try:
            hop = await self._pool.acquire(fresh=fresh, needs=self.announced)
        except NextHopUnavailable as unavailable:
            self._log.warning(f"Next hop not available: {unavailable}")
            return NO_NEXT_HOP
        if not all(word in hop.extensions for word in self.announced):
            self._pool.release(hop)
            return HOP_CHANGED
        self._hop = hop
        return None

    # Ending

    async def reset(self) -> None:
        """End the transaction as RSET does; the connection is kept if the next hop agrees."""
        hop = self._hop
        if hop is not None and self._mail_accepted:
            try:
                [answer] = await hop.exchange([b"RSET"], self._timeouts.command)
            except HopLost:
                self.drop()
            else:
                if not answer.positive:  # the next message's MAIL would be a nested one there
                    self.drop()
        self.end()
        self.lost = False

    def end(self) -> None:
        """The transaction is over at the next hop too: return the connection."""
        hop, self._hop = self._hop, None
        if hop is not None:
            self._pool.release(hop)
        self._mail_accepted = False

    def drop(self) -> None:
        """Close the connection during the transaction; the next hop then forgets it."""
        hop, self._hop = self._hop, None
        if hop is not None:
            self._pool.discard(hop)
        self._mail_accepted = False
        self.lost = True

    def _breach(self, what: str) -> Reply:
        self._log.warning(f"Next hop violated SMTP: it answered {what}")
        self.drop()
        return HOP_LOST


def _none_taken(replies: Sequence[Reply], lost: HopLost | None) -> bool:
    """True if the connection was closed before it took a command."""
    return replies[0].code == 421 if replies else lost is not None


def _xforward_lines(hop: HopConnection, xforward: Mapping[str, bytes]) -> list[bytes]:
    """XFORWARD commands with what the next hop wants to know of the MTA's client."""
    wanted = _xforward_names(hop.extensions)
    # Nothing of the last transaction's client may stick to this one's.
    values = dict.fromkeys(wanted, UNKNOWN) if hop.xforwarded else {}
    values.update((name, value) for name, value in xforward.items() if name in wanted)
    hop.xforwarded = bool(xforward) and bool(values)
    lines: list[bytes] = []
    for name, value in values.items():
        word = b" %s=%s" % (name.encode(), value)
        if lines and len(lines[-1]) + len(word) <= XFORWARD_LINE:
            lines[-1] += word
        else:
            lines.append(b"XFORWARD" + word)
    return lines


def _xforward_names(extensions: Extensions) -> list[str]:
    return extensions.keywords.get("XFORWARD", "").split()
