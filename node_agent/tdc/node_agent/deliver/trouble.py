"""PURE. What a reply or a fault means: for the message, for the host, for the destination.

The policy, and why
===================
A journal feed is not users' mail. Every report goes to one address, the intake, and nobody
waits for a bounce: the sender of the original knows nothing of the copy. Three things follow.

**Nothing bounces.** A copy is delivered, tried again, or put on the dead-letter list where an
operator finds it. The sender of a report is the null sender, so a bounce would go nowhere.

**Blame is sized.** Every failure is about exactly one of three things:

- *the message*: the intake read the content and refused it. This copy is deferred (4yz) or dead
  (5yz); the next report goes out on the same connection.
- *the host*: it can't be reached, greets with a refusal, offers no acceptable TLS. The next host
  of the destination is tried; only when none is left does the destination count as in trouble.
- *the destination*: the intake refuses the sender, the recipient, or all mail. As all reports
  have the same sender and recipient, a refusal before the content would meet every report
  alike: trying them one by one would turn the whole queue into dead letters because of one
  wrong setting. So the destination goes on hold: everything waits, the operator gets one alarm,
  and one report at a time probes whether it is fixed. "550 5.1.1 no such user" to RCPT is
  therefore not permanent here: it means that intake_address or the intake is wrong.

**At least once.** The only proof of delivery is a 2yz reply to the end of the content. A missing
reply after the end was sent proves nothing: the report is sent again with the same report id and
counted as a possible duplicate, because a copy twice is better than none. For the same reason a
fault in the middle of the content is charged to the message and not to the host: if one message
kills every connection that carries it, moving on to the next host would let it stop the whole
queue.

The stages
==========
A stage names the command whose reply decides, or the point where the connection failed, in the
order of a session: connect, banner, EHLO, STARTTLS, TLS, then for each report MAIL, RCPT, DATA,
content, end of data. Up to TLS it is the host that speaks for itself; in MAIL, RCPT and DATA the
intake judges an envelope that is always the same; from the content on it judges one message.

Rows that surprise
==================
- *TLS.* No STARTTLS, a refused STARTTLS, a failed handshake, a wrong certificate and "530 must
  issue STARTTLS" are all the reason "TLS Error". None of them ever leads to plain text.
- *421 after earlier reports* on the same connection, or its loss between two reports, is how many
  intakes end a connection that carried enough. Nobody is to blame and no attempt is counted: the
  copy goes again at once, elsewhere. MAX_AGAIN bounds that, for an intake that always does it.
  A connection that is found ended when it gets its next report was idle: no attempt is made on it.
- *Greylisting* wants the same envelope again after some minutes, and an earlier attempt may
  restart its clock: the next probe waits for GREYLIST_WAIT at least.
- *452, 4.3.1, 4.5.3* complain of load: fewer connections from now on.
- *552* with a code for size, at any stage, will be the same tomorrow: dead, "too-large".
- *501, 504, 555* to a MAIL with SIZE may mean the parameter, which is ours and optional: the
  report goes once more without it (RFC 5321 4.1.1.11).
- *A run of refusals.* Content refused more than MANY_IN_A_ROW times without one success is not
  about the messages (an expired tenant refuses at the end of data): `in_a_row` makes it a hold.

`REPLIES` is the table; the first row that fits decides. What is then done (when to try again,
how long to hold, what to log) is decided in `settle`, not here.

Sources: RFC 5321 4.2 and 4.5.4 (replies, retries), RFC 3207 4 (530), RFC 1870 6 (552), RFC 3463
(enhanced codes); Postfix's smtp_trouble and its soft_bounce, for the split into sizes and for
holding rather than bouncing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tdc.node_agent.smtp.dialogue import Stage
from tdc.node_agent.smtp.replies import Reply

MANY_IN_A_ROW = 20
"""Refused messages in a row that are believed; one more is the destination's fault."""

MAX_AGAIN = 3
"""Times a copy goes again at once without an attempt being counted."""

GREYLIST_WAIT = 300.0
"""Least wait in seconds after a greylisting reply."""

MAX_SESSIONS = 2
"""Hosts that accept a connection and then fail, before an attempt to connect gives up."""


class Verdict(StrEnum):
    """What happens next to the message, the host or the destination."""

    DELIVERED = "delivered"
    AGAIN = "send again at once on another connection"
    WITHOUT_SIZE = "send again at once without SIZE"
    NEXT_HOST = "send again at once to the next host"
    HOLD = "put the destination on hold"
    DEFER = "defer the message"
    DEAD = "dead letter"


class SessionFault(StrEnum):
    """What broke where no usable reply came."""

    REFUSED = "connection failed"
    TIMEOUT = "timeout"
    DROPPED = "connection lost"
    GARBAGE = "protocol error"
    NO_STARTTLS = "no STARTTLS"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failure and its situation: where, at which stage, and the reply or else the fault.

    `text` completes "HOST ..." for a fault. `answered_before` counts the reports that this
    connection had carried, refused ones included; `sent_again` how often this copy already went
    again at once; `more_hosts` says that another host is worth a try; `may_be_taken` that the
    whole message was sent and only the reply is missing; `declared_size` that MAIL had SIZE.
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
    declared_size: bool = False


class Outcome(NamedTuple):
    """The meaning of how an attempt ended.

    `reason` is a short class of trouble, `check` what the operator should look at; for a
    delivery `check` is the intake's reply. `fewer` asks for fewer connections, `at_least` is
    the shortest wait in seconds before the destination is probed. `suspect`: the destination
    goes on hold, but this message may be the cause.
    """

    verdict: Verdict
    reason: str = ""
    check: str = ""
    maybe_duplicate: bool = False
    fewer: bool = False
    at_least: float = 0.0
    suspect: bool = False


# The table


class _When(StrEnum):
    """A condition of a row beyond stage and code."""

    SERVED_BEFORE = "the connection carried reports before, and the copy was not sent too often"
    DECLARED_SIZE = "MAIL had SIZE"
    GREYLIST = "the text speaks of greylisting"


@dataclass(frozen=True, slots=True)
class _Row:
    """`stages`: empty for all. `codes`: a code, a class such as "4yz", or "any".

    `enhanced`: one of these enhanced codes ("" for a reply without one); empty for all.
    `verdict` None blames the host: the next one, or a hold if none is left.
    """

    stages: tuple[Stage, ...]
    codes: tuple[str, ...]
    verdict: Verdict | None
    reason: str
    enhanced: tuple[str, ...] = ()
    when: _When | None = None
    fewer: bool = False
    at_least: float = 0.0

    def fits(self, trouble: Trouble, reply: Reply) -> bool:
        if self.stages and trouble.stage not in self.stages:
            return False
        if not {str(reply.code), f"{reply.code // 100}yz", "any"}.intersection(self.codes):
            return False
        if self.enhanced and reply.enhanced not in self.enhanced:
            return False
        return self.when is None or _holds(self.when, trouble, reply)


ALL: tuple[Stage, ...] = ()
ENVELOPE = (Stage.RSET, Stage.MAIL, Stage.RCPT, Stage.DATA)
GREETING = (Stage.BANNER, Stage.EHLO)
MAIL, DOT, STARTTLS = (Stage.MAIL,), (Stage.DOT,), (Stage.STARTTLS,)

HOST = None
AGAIN, WITHOUT_SIZE = Verdict.AGAIN, Verdict.WITHOUT_SIZE
HOLD, DEFER, DEAD = Verdict.HOLD, Verdict.DEFER, Verdict.DEAD
SERVED, GREY = _When.SERVED_BEFORE, _When.GREYLIST

REPLIES: tuple[_Row, ...] = (
    # RFC 3207 section 4: whatever the reply to STARTTLS says, there is no TLS.
    _Row(STARTTLS, ("any",), HOST, "TLS Error"),
    _Row(ALL, ("530",), HOST, "TLS Error", enhanced=("", "5.7.0")),
    # RFC 5321 3.8: 421 may come at any time, and ends the session.
    _Row(ENVELOPE, ("421",), AGAIN, "Connection Limit", when=SERVED),
    _Row(DOT, ("421",), DEFER, "Intake Busy"),
    _Row(ALL, ("421",), HOST, "Intake Busy", fewer=True),
    _Row(GREETING, ("any",), HOST, "Host Refused"),
    # RFC 1870 section 6
    _Row(ALL, ("552",), DEAD, "too-large", enhanced=("", "5.3.4", "5.2.3")),
    # The content: one message is judged.
    _Row(DOT, ("5yz",), DEAD, "Message Refused"),
    _Row(DOT, ("452",), DEFER, "Message Deferred", fewer=True),
    _Row(DOT, ("any",), DEFER, "Message Deferred", enhanced=("4.3.1",), fewer=True),
    _Row(DOT, ("any",), DEFER, "Message Deferred"),
    # The envelope: the same for every report, so the destination is judged.
    _Row(ALL, ("452",), HOLD, "Intake Busy", fewer=True),
    _Row(ALL, ("4yz",), HOLD, "Intake Busy", enhanced=("4.3.1", "4.5.3"), fewer=True),
    _Row(MAIL, ("4yz",), HOST, "Intake Deferred"),
    _Row(ALL, ("4yz",), HOLD, "Intake Deferred", ("4.7.1", "4.2.0"), at_least=GREYLIST_WAIT),
    _Row(ALL, ("4yz",), HOLD, "Intake Deferred", when=GREY, at_least=GREYLIST_WAIT),
    _Row(ALL, ("4yz",), HOLD, "Intake Deferred"),
    _Row(MAIL, ("501", "504", "555"), WITHOUT_SIZE, "Intake Refused", when=_When.DECLARED_SIZE),
    _Row(ALL, ("any",), HOLD, "Intake Refused"),
)

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
    row = next(row for row in REPLIES if row.fits(trouble, reply))
    return Outcome(
        row.verdict or _next_host_or_hold(trouble),
        row.reason,
        f"{trouble.where} answered {trouble.stage} with {reply.text}",
        fewer=row.fewer,
        at_least=row.at_least,
    )


def _judge_fault(trouble: Trouble) -> Outcome:
    fault = trouble.fault or SessionFault.DROPPED
    reason, check = _FAULT_REASONS[fault], f"{trouble.where} {trouble.text}"
    if fault is SessionFault.NO_STARTTLS:
        return Outcome(_next_host_or_hold(trouble), reason, f"{trouble.where} offered no STARTTLS")
    if fault is SessionFault.TLS:
        return Outcome(_next_host_or_hold(trouble), reason, check)
    check = f"{check} ({trouble.stage})"
    if trouble.may_be_taken or trouble.stage in (Stage.CONTENT, Stage.DOT):
        return Outcome(Verdict.DEFER, reason, check)
    if trouble.stage in ENVELOPE and _served_before(trouble):
        return Outcome(Verdict.AGAIN, reason, check)
    return Outcome(_next_host_or_hold(trouble), reason, check)


def _next_host_or_hold(trouble: Trouble) -> Verdict:
    return Verdict.NEXT_HOST if trouble.more_hosts else Verdict.HOLD


def _holds(condition: _When, trouble: Trouble, reply: Reply) -> bool:
    match condition:
        case _When.SERVED_BEFORE:
            return _served_before(trouble)
        case _When.DECLARED_SIZE:
            return trouble.declared_size
        case _When.GREYLIST:
            return "greylist" in reply.text.lower()


def _served_before(trouble: Trouble) -> bool:
    return trouble.answered_before > 0 and trouble.sent_again < MAX_AGAIN


def worth_next_host(hosts_left: int, sessions: int) -> bool:
    """Say whether to try one more host after `sessions` of them connected and then failed."""
    return hosts_left > 0 and sessions < MAX_SESSIONS


def in_a_row(outcome: Outcome, failures_before: int) -> Outcome:
    """Turn the latest of too many refusals of single messages into a hold."""
    if failures_before < MANY_IN_A_ROW or outcome.verdict not in (Verdict.DEFER, Verdict.DEAD):
        return outcome
    check = f"{outcome.check} (more than {MANY_IN_A_ROW} messages in a row)"
    return outcome._replace(verdict=Verdict.HOLD, check=check, suspect=True)


# What ends an attempt without a peer's trouble


def accepted(reply: Reply) -> Outcome:
    """The intake took the message over."""
    return Outcome(Verdict.DELIVERED, check=reply.text)


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


def too_large(size: int, limit: int) -> Outcome:
    """The report has more octets than the intake says it accepts (RFC 1870 6.1)."""
    check = f"the report has {size} octets, the intake accepts at most {limit}"
    return Outcome(Verdict.DEAD, "too-large", check)
