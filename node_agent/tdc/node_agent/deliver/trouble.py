"""PURE. What a reply or a fault means: for the message, for the host, for the destination.

The policy, and why
===================
A journal feed is not users' mail. Every report goes to one address, the intake, and nobody
waits for a bounce: the sender of the original knows nothing of the copy. Three things follow.

**Nothing bounces.** A copy is delivered, tried again, or put on the dead-letter list where an
operator finds it. The sender of a report is the null sender, so a bounce would go nowhere.

**Blame is sized.** Every failure is about one of these:

- *the message*: the intake read the content and refused it. This copy is deferred, whether the
  reply is 4yz or 5yz; the next report goes out on the same connection. A refusal for good makes it
  dead only when time and the other reports have proven it: see `evidence`.
- *the command*: the intake does not know BDAT, or a parameter of MAIL, although it offered the
  extension. The report goes again at once without; this is remembered for the host.
- *the host*: it can't be reached, greets with a refusal, offers no acceptable TLS, is out of disk.
  The next host of the destination is tried; only when none is left is it the destination.
- *the destination*, when no host is left: the intake refuses the sender, the recipient, or all
  mail. As all reports have the same sender and recipient, a refusal before the content would meet
  every report alike: trying them one by one would turn the whole queue into dead letters because of
  one wrong setting. So the destination goes on hold: everything waits, the operator gets one alarm,
  and one report at a time probes whether it is fixed. "550 5.1.1 no such user" to RCPT is
  therefore not permanent here: it means that intake_address or the intake is wrong. After the
  content the same words may yet be about one message (BLOCKED), and at any time one of several
  backends may say them: what other reports meet decides (`evidence`).

**At least once.** The only proof of delivery is a 2yz reply to the end of the content. A missing
reply after the end was sent proves nothing: the report is sent again with the same report id and
counted as a possible duplicate, because a copy twice is better than none. For the same reason a
fault in the middle of the content is charged to the message first: if one message kills every
connection that carries it, moving on with it from host to host would let it stop the whole queue.
It is deferred, and others show whether it is the message or the host (`evidence`).

**Message, host, intake: blamed in this order.** Before the content all reports are alike, but for
size and form: another refusal or fault there can't be one message, so the next host is tried at
once. At the content it may be the message; when others have shown that it is not, it is the host,
for as long as another one is left. Trying the hosts in turn until one takes the report is RFC 5321
5.1. That a 5yz leads to the next host too is our policy, as nothing bounces. All hosts have the
same TLS policy.

The stages
==========
A stage names the command whose reply decides, or the point where the connection failed, in the
order of a session: connect, banner, EHLO, STARTTLS, TLS, then for each report MAIL, RCPT, DATA,
content, end of data. Up to TLS it is the host that speaks for itself; in MAIL, RCPT and DATA the
intake judges an envelope that is always the same; from the content on it judges one message.

What surprises
==============
- *TLS.* No STARTTLS, a refused STARTTLS, a failed handshake, a wrong certificate and "530 must
  issue STARTTLS" are all the reason "TLS Error". None of them ever leads to plain text.
- *421 after earlier reports* on the same connection, or its loss between two reports, is how many
  intakes end a connection that carried enough. Nobody is to blame and no attempt is counted: the
  copy goes again at once, elsewhere. MAX_AGAIN bounds that, for an intake that always does it.
  A connection that is found ended when it gets its next report was idle: no attempt is made on it.
- *5.6.z* refuses how a message is written: octets above 127, a header. The report has another form,
  with the original in base64, and goes again at once in that, once for each copy.
- *Too large* is believed only if the report is larger than the limit that the host names (SIZE),
  and that limit can be meant: any host must take LEAST_LIMIT octets (RFC 5321 4.5.3.1.7). Else
  something is wrong with the intake.
- *A refused BDAT* says nothing of the message; some offer CHUNKING on behalf of a host behind them
  that lacks it. The report goes by DATA.

What a reply is about is in `reply_table`, row by row. What is then done (when to try again, how
long to hold, what to log) is decided in `settle`, not here.

Sources: RFC 5321 4.2 and 4.5.4 (replies, retries), RFC 3207 4 (530), RFC 1870 6 (552), RFC 3030
(BDAT), RFC 3463 (enhanced codes); Postfix's smtp_trouble and its soft_bounce, for the split into
sizes and for holding rather than bouncing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tdc.node_agent.deliver.reply_table import ENVELOPE, About, row_for
from tdc.node_agent.smtp.dialogue import Extension, Stage
from tdc.node_agent.smtp.replies import Reply

MAX_AGAIN = 3
"""Times a copy goes again at once without an attempt being counted."""

MAX_SESSIONS = 2
"""Hosts that accept a connection and then fail, before an attempt to connect gives up on those
that failed lately too."""

LEAST_LIMIT = 65_536
"""Octets that any host must take (RFC 5321 4.5.3.1.7); a smaller limit can't be meant."""


class Verdict(StrEnum):
    """What happens next to the message, the host or the destination."""

    DELIVERED = "delivered"
    AGAIN = "send again at once on another connection"
    WITHOUT = "send again at once without an extension"
    ENCODED = "send again at once with the original in base64"
    NEXT_HOST = "send again at once to the next host"
    HOLD = "put the destination on hold"
    BLOCKED = "put the destination on hold, unless others pass"
    DEFER = "defer the message"
    REFUSED = "defer the message; dead if it was refused often enough while others passed"


class SessionFault(StrEnum):
    """What broke where no usable reply came."""

    REFUSED = "connection failed"
    TIMEOUT = "timeout"
    DROPPED = "connection lost"
    GARBAGE = "protocol error"
    NO_STARTTLS = "no STARTTLS"
    TLS = "tls"


class Sent(NamedTuple):
    """How a report was sent: with which extensions, encoded or not, and its octets.

    `limit` is what the host's SIZE says: 0 for none stated, None where SIZE is not offered.
    """

    extensions: frozenset[Extension] = frozenset()
    encoded: bool = False
    size: int = 0
    limit: int | None = None


NOT_SENT = Sent()


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failure and its situation: where, at which stage, and the reply or else the fault.

    `text` completes "HOST ..." for a fault. `answered_before` counts the reports that this
    connection had carried, refused ones included; `sent_again` how often this copy already went
    again at once; `more_hosts` says that another host is worth a try; `may_be_taken` that the
    whole message was sent and only the reply is missing.
    """

    where: str
    stage: Stage
    reply: Reply | None = None
    fault: SessionFault | None = None
    text: str = ""
    more_hosts: bool = False
    answered_before: int = 0
    sent_again: int = 0
    may_be_taken: bool = False
    sent: Sent = NOT_SENT


class Outcome(NamedTuple):
    """The meaning of how an attempt ended.

    `reason` is a short class of trouble, `check` what the operator should look at, `reply` what
    the host said, if it said anything. `fewer` asks for fewer connections, `at_least` is the
    shortest wait in seconds before the destination is probed. `suspect`: the destination goes on
    hold, but this message may be the cause. `replied`: a hold by a reply to the envelope, which
    one of several backends may have given. `silent`: none came while the content or its reply was
    under way. `without` is what the verdict WITHOUT leaves out.
    """

    verdict: Verdict
    reason: str = ""
    check: str = ""
    reply: str = ""
    maybe_duplicate: bool = False
    fewer: bool = False
    at_least: float = 0.0
    suspect: bool = False
    replied: bool = False
    silent: bool = False
    without: frozenset[Extension] = frozenset()


BLOCKED = Verdict.BLOCKED

_FAULT_REASONS = {
    SessionFault.REFUSED: "Connection Error",
    SessionFault.TIMEOUT: "Timeout",
    SessionFault.DROPPED: "Connection Error",
    SessionFault.GARBAGE: "Protocol Error",
    SessionFault.NO_STARTTLS: "TLS Error",
    SessionFault.TLS: "TLS Error",
}


def judge(trouble: Trouble) -> Outcome:
    """Decide what one failure means; a positive reply is the delivery."""
    if trouble.reply is None:
        return _judge_fault(trouble)._replace(maybe_duplicate=trouble.may_be_taken)
    if trouble.reply.positive:
        return accepted(trouble.reply)
    return _judge_reply(trouble, trouble.reply)


def _judge_reply(trouble: Trouble, reply: Reply) -> Outcome:
    row = row_for(trouble.stage, reply)
    without = _left_out(trouble) if row.about is About.COMMAND else frozenset()
    verdict = Verdict.WITHOUT if without else _verdict(row.about, trouble, reply)
    return Outcome(
        verdict,
        row.reason,
        f"{trouble.where} answered {trouble.stage} with {reply.text}",
        reply.text,
        fewer=row.fewer,
        at_least=row.at_least,
        replied=verdict is Verdict.HOLD and trouble.stage in ENVELOPE,
        without=without,
    )


def _verdict(about: About, trouble: Trouble, reply: Reply) -> Verdict:
    refusal = Verdict.REFUSED if reply.permanent else Verdict.DEFER
    match about:
        case About.CONNECTION if _served_before(trouble):
            return Verdict.AGAIN
        case About.FORM if not trouble.sent.encoded:
            return Verdict.ENCODED
        case About.SIZE:
            return refusal if _is_plausible(trouble.sent.size, trouble.sent.limit) else BLOCKED
        case About.MESSAGE | About.FORM:
            return refusal
        case About.INTAKE | About.COMMAND if trouble.stage is Stage.DOT:
            return BLOCKED
        case _ if trouble.more_hosts:
            return Verdict.NEXT_HOST
        case _:
            return BLOCKED if trouble.stage is Stage.DOT else Verdict.HOLD


def _left_out(trouble: Trouble) -> frozenset[Extension]:
    """What to do without after a refused command: the likeliest first, and nothing twice."""
    used = trouble.sent.extensions
    match trouble.stage:
        case Stage.MAIL if Extension.SIZE in used:
            return frozenset({Extension.SIZE})
        case Stage.MAIL:
            return used & {Extension.EIGHT_BIT, Extension.SMTPUTF8}
        case Stage.DOT:
            return used & {Extension.CHUNKING}
        case _:
            return frozenset()


def _is_plausible(size: int, limit: int | None) -> bool:
    return limit is not None and LEAST_LIMIT <= limit < size


def _judge_fault(trouble: Trouble) -> Outcome:
    fault = trouble.fault or SessionFault.DROPPED
    reason, check = _FAULT_REASONS[fault], f"{trouble.where} {trouble.text}"
    if fault is SessionFault.NO_STARTTLS:
        return Outcome(_next_host_or_hold(trouble), reason, f"{trouble.where} offered no STARTTLS")
    if fault is SessionFault.TLS:
        return Outcome(_next_host_or_hold(trouble), reason, check)
    check = f"{check} ({trouble.stage})"
    if trouble.may_be_taken or trouble.stage in (Stage.CONTENT, Stage.DOT):
        return Outcome(Verdict.DEFER, reason, check, silent=True)
    if trouble.stage in ENVELOPE and _served_before(trouble):
        return Outcome(Verdict.AGAIN, reason, check)
    return Outcome(_next_host_or_hold(trouble), reason, check)


def _next_host_or_hold(trouble: Trouble) -> Verdict:
    return Verdict.NEXT_HOST if trouble.more_hosts else Verdict.HOLD


def _served_before(trouble: Trouble) -> bool:
    return trouble.answered_before > 0 and trouble.sent_again < MAX_AGAIN


def worth_next_host(hosts_left: int, sessions: int, *, fresh: bool) -> bool:
    """Say whether to try one more host after `sessions` of them connected and then failed.

    `fresh`: one of those left has not failed lately.
    """
    return hosts_left > 0 and (fresh or sessions < MAX_SESSIONS)


# What ends an attempt without a peer's trouble


def accepted(reply: Reply) -> Outcome:
    """The intake took the message over."""
    return Outcome(Verdict.DELIVERED, check=reply.text, reply=reply.text)


def no_route(reason: str, check: str) -> Outcome:
    """DNS or the configured route leads to no host: true for every report."""
    return Outcome(Verdict.HOLD, reason, check)


def internal_error(error: str) -> Outcome:
    """A fault of our own while connected: hold, or the same fault would return at once.

    If a report was being sent it may be what we stumble over: another one must be the probe.
    """
    return Outcome(Verdict.HOLD, "Internal Error", error, suspect=True)


def report_not_built(error: str) -> Outcome:
    """A fault of our own with one message: it must not stop the others."""
    return Outcome(Verdict.DEFER, "Report Error", error)


def too_large(where: str, size: int, limit: int) -> Outcome:
    """The report has more octets than the intake says it accepts (RFC 1870 6.1)."""
    check = f"the report has {size} octets, {where} accepts at most {limit}"
    if _is_plausible(size, limit):
        return Outcome(Verdict.REFUSED, "too-large", check)
    return Outcome(BLOCKED, "Intake Refused", f"{check}, and every host must take {LEAST_LIMIT}")


class Failed(Exception):
    """The connection, or a transaction on it, failed without a usable reply."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.text)
        self.trouble = trouble
