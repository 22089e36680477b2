"""PURE. What a reply or an error means, by the size of the damage: host, destination, message.

One table (RELIABILITY section 3). A journal feed differs from users' mail: all reports go to one
address, so a refusal before the content says something about the destination and holds the
whole queue; only what is refused behind the content is trouble of that message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from tdc.node_agent.smtp.dialogue import Stage
from tdc.node_agent.smtp.replies import Reply

MANY_IN_A_ROW = 20
"""More refusals of single messages than this without a success are the destination's fault."""

GREYLIST_WAIT = 300.0
"""Least wait in seconds after a greylisting reply: sooner attempts only start it over."""


class Verdict(StrEnum):
    """What becomes of the message, the host and the destination."""

    DELIVERED = "delivered"
    AGAIN = "again"  # at once on another connection, nobody is to blame
    WITHOUT_SIZE = "without SIZE"  # at once, without the optional parameter
    NEXT_HOST = "next host"
    HOLD = "hold the destination"
    DEFER = "defer the message"
    DEAD = "dead letter"


class Error(StrEnum):
    """What went wrong where there was no reply."""

    DNS = "dns"
    REFUSED = "connection failed"
    TIMEOUT = "timeout"
    DROPPED = "connection lost"
    GARBAGE = "protocol error"
    NO_STARTTLS = "no STARTTLS"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failure: where, at which stage, and the reply or the error with its text.

    `answered_before` counts reports accepted or refused on this connection; `more_hosts` says
    whether another host is left to try; `may_be_taken` that the whole message was sent and the
    reply is missing; `declared_size` that MAIL carried SIZE.
    """

    where: str
    stage: Stage
    reply: Reply | None = None
    error: Error | None = None
    text: str = ""
    more_hosts: bool = False
    answered_before: int = 0
    may_be_taken: bool = False
    declared_size: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do. `reason` is a short class, `check` what to look at, both for the operator.

    `fewer` asks for fewer connections, `at_least` for a wait of so many seconds.
    """

    verdict: Verdict
    reason: str = ""
    check: str = ""
    maybe_duplicate: bool = False
    fewer: bool = False
    at_least: float = 0.0


def judge(trouble: Trouble) -> Outcome:
    """Return the outcome of one failure, or of the reply that accepted the message."""
    if trouble.reply is not None:
        return _judge_reply(trouble, trouble.reply)
    outcome = _judge_error(trouble)
    return replace(outcome, maybe_duplicate=trouble.may_be_taken)


def in_a_row(outcome: Outcome, failures_before: int) -> Outcome:
    """Turn the latest of too many refusals of single messages into a hold."""
    if failures_before < MANY_IN_A_ROW or outcome.verdict not in (Verdict.DEFER, Verdict.DEAD):
        return outcome
    check = f"{outcome.check} (more than {MANY_IN_A_ROW} messages in a row)"
    return replace(outcome, verdict=Verdict.HOLD, check=check)


def _judge_error(trouble: Trouble) -> Outcome:
    match trouble.error:
        case Error.NO_STARTTLS:
            return _host(trouble, "TLS Error", f"{trouble.where} offered no STARTTLS")
        case Error.TLS:
            return _host(trouble, "TLS Error", f"{trouble.where} {trouble.text}")
        case Error.DNS:
            return Outcome(Verdict.HOLD, "DNS Error", trouble.text)
    reason = _ERROR_REASONS.get(trouble.error or Error.DROPPED, "Connection Error")
    check = f"{trouble.where} {trouble.text} ({trouble.stage})"
    if trouble.may_be_taken or trouble.stage in (Stage.CONTENT, Stage.DOT):
        return Outcome(Verdict.DEFER, reason, check)
    if trouble.stage in _IN_TRANSACTION and trouble.answered_before:
        return Outcome(Verdict.AGAIN, reason, check)
    return _host(trouble, reason, check)


_IN_TRANSACTION = {Stage.RSET, Stage.MAIL, Stage.RCPT, Stage.DATA}
_ERROR_REASONS = {
    Error.REFUSED: "Connection Error",
    Error.TIMEOUT: "Timeout",
    Error.DROPPED: "Connection Error",
    Error.GARBAGE: "Protocol Error",
}


def _host(trouble: Trouble, reason: str, check: str) -> Outcome:
    return Outcome(Verdict.NEXT_HOST if trouble.more_hosts else Verdict.HOLD, reason, check)


def _judge_reply(trouble: Trouble, reply: Reply) -> Outcome:
    if reply.positive:
        return Outcome(Verdict.DELIVERED)
    stage, check = trouble.stage, f"{trouble.where} answered {trouble.stage} with {reply.text}"
    if stage is Stage.STARTTLS or _wants_tls(reply):
        return _host(trouble, "TLS Error", check)
    if reply.code == 421:
        return _judge_goodbye(trouble, check)
    if stage in (Stage.BANNER, Stage.EHLO):
        return _host(trouble, "Host Refused", check)
    if stage is Stage.DOT:
        return _judge_content(reply, check)
    if _too_large(reply):
        return Outcome(Verdict.DEAD, "too-large", check)
    if reply.transient:
        return _judge_transient(trouble, reply, check)
    if stage is Stage.MAIL and reply.code in (501, 504, 555) and trouble.declared_size:
        return Outcome(Verdict.WITHOUT_SIZE, "Intake Refused", check)
    return Outcome(Verdict.HOLD, "Intake Refused", check)


def _wants_tls(reply: Reply) -> bool:
    return reply.code == 530 and reply.enhanced in ("", "5.7.0")  # RFC 3207 section 4


def _too_large(reply: Reply) -> bool:
    return reply.code == 552 and reply.enhanced in ("", "5.3.4", "5.2.3")  # RFC 1870 section 6


def _judge_goodbye(trouble: Trouble, check: str) -> Outcome:
    # The intake limits messages for each connection: a fact to learn, not an error.
    if trouble.stage in _IN_TRANSACTION and trouble.answered_before:
        return Outcome(Verdict.AGAIN, "Connection Limit", check)
    if trouble.stage is Stage.DOT:
        return Outcome(Verdict.DEFER, "Intake Busy", check)
    return replace(_host(trouble, "Intake Busy", check), fewer=True)


def _judge_transient(trouble: Trouble, reply: Reply, check: str) -> Outcome:
    if reply.code == 452 or reply.enhanced in ("4.3.1", "4.5.3"):
        return Outcome(Verdict.HOLD, "Intake Busy", check, fewer=True)
    if trouble.stage is Stage.MAIL:
        return _host(trouble, "Intake Deferred", check)
    grey = reply.enhanced in ("4.7.1", "4.2.0") or "greylist" in reply.text.lower()
    return Outcome(Verdict.HOLD, "Intake Deferred", check, at_least=GREYLIST_WAIT if grey else 0)


def _judge_content(reply: Reply, check: str) -> Outcome:
    if _too_large(reply):
        return Outcome(Verdict.DEAD, "too-large", check)
    if reply.permanent:
        return Outcome(Verdict.DEAD, "Message Refused", check)
    busy = reply.code == 452 or reply.enhanced == "4.3.1"
    return Outcome(Verdict.DEFER, "Message Deferred", check, fewer=busy)
