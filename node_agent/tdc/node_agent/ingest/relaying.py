"""One mail transaction with the next hop, on behalf of the MTA.

A connection is borrowed when the first commands of a transaction are settled and returned when
it ends. If a borrowed connection turns out to have been closed while nobody used it, the commands
go to a fresh one; the MTA does not notice. If a next hop is lost or mute before the body, and there
is another one, the whole transaction so far goes to that (`turns.py`). Any other loss ends the
transaction with a reply that makes the MTA keep the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tdc.node_agent.ingest.blame import Blame, blame
from tdc.node_agent.ingest.pool import NextHopPool, NextHopUnavailable
from tdc.node_agent.ingest.relay import HopConnection, HopLost
from tdc.node_agent.ingest.timeouts import HopTimeouts
from tdc.node_agent.ingest.turns import Turns
from tdc.node_agent.ingest.uses import declared_size, extensions_used
from tdc.node_agent.log.ids import MessageIds
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.smtp.backend import PendingCommand
from tdc.node_agent.smtp.commands import queue_id
from tdc.node_agent.smtp.extensions import Extensions
from tdc.node_agent.smtp.replies import Reply, reply

NO_NEXT_HOP = reply("451 4.4.1 Next hop unavailable, try again later")
HOP_LOST = reply("451 4.4.2 Connection to next hop lost, try again later")
HOPS_DIFFER = reply("451 4.4.2 Next hop changed during the transaction, try again later")
HOP_CHANGED = reply("421 4.3.2 Next hop changed its extensions, try again later")
HOP_SMALLER = reply("451 4.3.4 This next hop takes no such size, try again later")
OFFERS_LESS = (HOP_CHANGED, HOP_SMALLER)
OWN = (NO_NEXT_HOP, HOP_LOST, HOPS_DIFFER, *OFFERS_LESS)
XFORWARD_LINE = 400  # bytes of attributes in one command; its line may have 512
UNKNOWN = b"[UNAVAILABLE]"
NOTHING: frozenset[str] = frozenset()


class Relaying:
    """A session's transaction with the next hop; used again for each message.

    `announced` are the extensions that the MTA may use, because they were offered to it. A next hop
    that offers less is good for a transaction that uses nothing of what it lacks.
    """

    def __init__(self, pool: NextHopPool, timeouts: HopTimeouts, log: TdcLog) -> None:
        self.announced = NOTHING
        self.lost = False  # the connection was lost during the transaction, or had to be closed
        self._pool = pool
        self._timeouts = timeouts
        self._log = log
        self._hop: HopConnection | None = None
        self._lacks = NOTHING  # what was announced and this one does not offer
        self._refusal: tuple[Blame, str] | None = None  # why no message came of it, so far
        self._accepted: list[bytes] = []  # MAIL and RCPT commands of the transaction, as answered
        self._left = timeouts.envelope  # seconds for what the next hop has yet to answer
        self._loop = asyncio.get_running_loop()

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
            self._left = self._timeouts.envelope
            self._refusal = None
        began = self._loop.time()
        replies = await self._relay(commands, xforward, began)
        self._left -= self._loop.time() - began
        checked = [self._check(*pair) for pair in zip(commands, replies, strict=True)]
        if self.lost:
            # Also if `drop` was called while we waited: what was borrowed since carries a message.
            self.drop()
        elif not self._accepted:
            self.end()
        return checked

    def _check(self, command: PendingCommand, answer: Reply) -> Reply:
        """Pass a reply that the command can have; else the next hop does not speak SMTP."""
        if answer.refused:
            self._note(command, answer)
            return answer
        if command.is_data:
            if answer.code != 354 or not self._accepted:
                return self._breach(f"DATA with {answer.text}")
        elif not answer.positive:
            return self._breach(f"a command with {answer.text}")
        elif command.mail is not None or self._accepted:
            self._accepted.append(command.line)
            self._refusal = None
        return answer

    def _note(self, command: PendingCommand, answer: Reply) -> None:
        """Remember a refusal of the next hop that leaves the message without a recipient."""
        accepted = len(self._accepted)
        if command.mail is not None:
            matters = accepted == 0
        elif command.is_data:
            matters = accepted > 1
        else:
            matters = accepted == 1
        if matters and answer not in OWN:
            self.refused(answer, recipient=command.recipient is not None)

    def refused(self, answer: Reply, *, recipient: bool = False) -> None:
        """The next hop has refused the message, or a recipient of it."""
        whose = blame(answer, recipient=recipient)
        if self._refusal is None or whose >= self._refusal[0]:
            self._refusal = whose, answer.text

    def hop_failed(self, why: str) -> None:
        """The next hop was lost, or violated SMTP, during the message; the pool notes silence."""
        if self._hop is not None and not self._hop.fell_silent:
            self._refusal = Blame.HOP, why

    async def _relay(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes], began: float
    ) -> list[Reply]:
        """The next hop's reply to each command, or ours where it gives none."""
        until = began + self._left
        lines = [command.line for command in commands]
        # DATA's shorter time is for DATA alone: before its reply may come those to MAIL and RCPT.
        alone = len(commands) == 1 and commands[0].is_data
        turns = Turns(self._pool)
        if self._lacks and self._lacks & extensions_used(lines):
            self.drop()
            return [HOP_CHANGED] * len(lines)
        while True:
            prefix: list[bytes] = []
            if self._hop is None:
                trouble = await self._borrow(turns, lines)
                if trouble is not None:
                    # One that offers less is sound: what is slow is not waited for then.
                    if trouble not in OFFERS_LESS and turns.fall_back():
                        continue
                    return [trouble] * len(lines)
                prefix = _xforward_lines(self.hop, xforward) + self._accepted
                alone = alone and not prefix
            timeout = self._timeouts.data if alone else self._timeouts.command
            hop, lost = self.hop, ""
            silence = turns.silence(hop, self._timeouts.silence)
            try:
                replies = await hop.exchange(prefix + lines, timeout, until=until, silence=silence)
            except HopLost as error:
                lost, replies = str(error), list(error.replies)
            if lost or replies[-1].code == 421:
                now = self._loop.time()
                if self._goes_on(hop, turns, replies, lost, now - began):
                    began = now
                    continue
            elif not prefix:
                return replies
            return self._answers(replies, len(prefix), len(lines), lost, xforward)

    def _goes_on(
        self, hop: HopConnection, turns: Turns, replies: list[Reply], lost: str, took: float
    ) -> bool:
        """Whether the commands can go to another connection, though this one is of no use."""
        if self.lost:
            return False  # it was closed by ourselves
        why = lost or replies[-1].text
        stale = not turns.fresh and hop.reused and _none_taken(replies) and not hop.fell_silent
        if stale and not self._accepted:
            # It was closed while nobody used it. No part of this message had been sent.
            turns.fresh = True
        elif turns.move_on(hop):
            where = self._pool.address(hop)
            self._log.warning(f"Trying another next hop instead of {where}: {why}")
            if not (hop.fell_silent or turns.sound_left):  # of silence the pool knows
                self._pool.refused(hop, Blame.HOP, why)
        else:
            return False
        self._hop = None
        self._pool.discard(hop, late=why if took >= self._timeouts.late else "")
        return True

    def _answers(
        self,
        replies: list[Reply],
        before: int,
        count: int,
        lost: str,
        xforward: Mapping[str, bytes],
    ) -> list[Reply]:
        """The replies to `count` commands, without those to what was sent `before` them."""
        if lost:
            answered = max(0, len(replies) - before)
            last_words = replies[-1].text if replies and replies[-1].code == 421 else lost
            self._log.not_accepted(f"{lost}, after {answered} of {count} replies", _ids(xforward))
            replies += [HOP_LOST] * (before + count - len(replies))
            if not self.lost:
                self.hop_failed(last_words)
            self.drop()
        elif not all(one.positive for one in replies[before - len(self._accepted) : before]):
            # The MTA was told that another next hop accepted this.
            self._log.not_accepted("the next hops' replies differ", _ids(xforward))
            self.hop_failed("it refused what another one had accepted")
            self.drop()
            return [HOPS_DIFFER] * count
        return replies[before:]

    async def _borrow(self, turns: Turns, lines: Sequence[bytes]) -> Reply | None:
        """Borrow a connection for these commands, or return the reply to give instead."""
        try:
            hop = await self._pool.acquire(
                fresh=turns.fresh, needs=self.announced, among=turns.among, patient=turns.patient
            )
        except NextHopUnavailable as unavailable:
            self._log.warning(f"Next hop not available: {unavailable}")
            return NO_NEXT_HOP
        self._lacks = NOTHING
        commands = [*self._accepted, *lines]
        if self._pool.is_too_small(hop, declared_size(commands)):
            self._pool.release(hop)
            return HOP_SMALLER
        if not hop.extensions.covers(self.announced):
            lacks = frozenset(word for word in self.announced if word not in hop.extensions)
            if lacks & extensions_used(commands):
                self._pool.release(hop)
                return HOP_CHANGED
            self._lacks = lacks
        self._hop = hop
        return None

    # Ending

    async def reset(self) -> None:
        """End the transaction as RSET does; the connection is kept if the next hop agrees soon."""
        hop = self._hop
        if hop is not None and self._accepted:
            try:
                [answer] = await hop.exchange([b"RSET"], self._timeouts.silence)
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
            if self._refusal is not None:
                self._tell(hop)
            self._pool.release(hop)
        self._accepted = []

    def drop(self) -> None:
        """Close the connection during the transaction; the next hop then forgets it."""
        hop, self._hop = self._hop, None
        if hop is not None:
            if self._refusal is not None:
                self._tell(hop)
            self._pool.discard(hop)
        self._accepted = []
        self.lost = True

    def _tell(self, hop: HopConnection) -> None:
        """Tell the pool of the message that was not accepted, once."""
        if self._refusal is not None:
            self._pool.refused(hop, *self._refusal)
            self._refusal = None

    def _breach(self, what: str) -> Reply:
        self._log.warning(f"Next hop violated SMTP: it answered {what}")
        self.hop_failed(f"it answered {what}")
        self.drop()
        return HOP_LOST


def _ids(xforward: Mapping[str, bytes]) -> MessageIds:
    """What is known of a message before its content."""
    return MessageIds(queue_id=queue_id(xforward) or "")


def _none_taken(replies: Sequence[Reply]) -> bool:
    """True if a connection that is lost was closed before it took a command."""
    return not replies or replies[0].code == 421


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
