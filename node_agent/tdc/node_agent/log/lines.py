"""The `TDC:` lines of the mail log, one method each (docs/log-lines.md has them all).

In: facts of the connector. Out: lines in the mail-log style or JSON, on the logger ``tdc``.
Promises: text from mail and from peers can't break a line or control a terminal. A line never
makes mail wait: a thread writes it, and if that can't keep up lines are dropped and counted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from tdc.node_agent.log.ids import NO_IDS, MessageIds
from tdc.shared.connector.selection import NotDue, Rule
from tdc.shared.edge.background_log import BackgroundHandler, Sink, standard_error
from tdc.shared.edge.clock import wall

DEFAULT_INTAKE_NAME = "Cisco Secure Email Threat Defense"
MAX_TEXT = 500  # characters shown of a text from mail or a peer

# Not from strftime: the log must not depend on the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SUSPENDED = {
    "copying": "Originals pass on, uncopied, and each copy that was due counts as missed.",
    "delivery": "Copies are taken and kept; nothing is sent to the intake.",
}
_RULES = {
    NotDue.DISABLED: "copying is disabled",
    NotDue.JOURNAL_REPORT: "own report",
    NotDue.TO_INTAKE: "addressed to the intake",
    NotDue.NOT_INCOMING: "not incoming",
    NotDue.NO_SCAN: "no-scan policy",
}


def _shown(ids: MessageIds) -> str:
    r"""`` Message-ID <1@b.example>, queue id 4F1.``, or what there is of it."""
    known = [f"Message-ID {escape(ids.message_id)}"] if ids.message_id else []
    if ids.queue_id:
        known.append(f"queue id {escape(ids.queue_id)}")
    return f" {', '.join(known)}." if known else ""


def escape(text: str) -> str:
    r"""`text` on one line, without control and invisible characters, cut at MAX_TEXT.

    What `str.isprintable` refuses (C0, C1, line separators, bidirectional controls, lone
    surrogates) becomes ``\xNN`` or ``\uNNNN``; a backslash is doubled, so no two texts look
    the same.
    """
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "…"
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class TdcLog:
    """Writes the lines. One instance serves the agent; any thread may use it.

    `intake_name` is the scanner's display name (agent.toml); `stream` is where lines go,
    standard error by default; `open_again` is called, in a thread, to have that reopened.
    """

    def __init__(
        self,
        intake_name: str = DEFAULT_INTAKE_NAME,
        *,
        logger: logging.Logger | None = None,
        stream: Sink | None = None,
        open_again: Callable[[], Sink] | None = None,
    ) -> None:
        self._intake_name = escape(intake_name)
        self._logger = logger or logging.getLogger("tdc.node_agent")
        self._stream = stream
        self._open_again = open_again
        self._handler: BackgroundHandler | None = None

    def configure(self, level: str, log_format: str) -> None:
        """Set level (`log.level`) and format (`log.format`); may be called at any time."""
        if self._handler is None:
            sink = self._stream or standard_error()
            self._handler = BackgroundHandler(sink, "TDC: ", self._open_again)
            self._logger.addHandler(self._handler)
        self._handler.setFormatter(JsonFormatter() if log_format == "json" else MailLogFormatter())
        self._logger.setLevel(_LEVELS[level])

    def reopen(self) -> None:
        """Have the file opened again: a program that rotates logs has moved it away."""
        if self._handler is not None:
            self._handler.reopen()

    def close(self) -> None:
        """Write what is waiting and stop the thread."""
        if self._handler is not None:
            self._logger.removeHandler(self._handler)
            self._handler.close()
            self._handler = None

    @property
    def shows_debug(self) -> bool:
        """Whether lines of level debug are written."""
        return self._logger.isEnabledFor(logging.DEBUG)

    # Decisions

    def not_due(self, rule: Rule, left_out: int, recipients: int, ids: MessageIds = NO_IDS) -> None:
        """No copy for these recipients of a message. At debug where copying is disabled: a machine
        on which the connector does nothing must not write a line for each message.
        """
        level = logging.DEBUG if rule.reason is NotDue.DISABLED else logging.INFO
        if not self._logger.isEnabledFor(level):
            return
        whom = "" if left_out == recipients else f" for {left_out} of {recipients} recipients"
        policy = f" {escape(rule.policy)}" if rule.policy else ""
        text = f"No copy due{whom}: {_RULES[rule.reason]}{policy}.{_shown(ids)}"
        facts: dict[str, object] = {"rule": rule.reason.value, "policy": rule.policy}
        facts |= {"left_out": left_out, "recipients": recipients}
        self._write(level, "not-due", text, **facts, **ids._asdict())

    # The life of a copy

    def queued(self, mid: int, ids: MessageIds = NO_IDS) -> None:
        """The copy is durable and due."""
        text = f"Message {mid} queued for delivery.{_shown(ids)}"
        self._write(logging.INFO, "queued", text, mid=mid, **ids._asdict())

    def started(self, dcid: int, mid: int, recipient: str) -> None:
        """A report is being sent on a connection."""
        text = f"(DCID {dcid}) Delivery started for message {mid} to {escape(recipient)}."
        self._write(logging.INFO, "started", text, mid=mid, dcid=dcid, recipient=recipient)

    def delivered(self, mid: int, dcid: int, reply: str, tls_version: str) -> None:
        """The intake accepted the report."""
        text = (
            f"Message {mid} delivered to {self._intake_name}"
            f" (DCID {dcid}, {escape(tls_version)}): {escape(reply)}"
        )
        facts = {"mid": mid, "dcid": dcid, "reply": reply, "tls_version": tls_version}
        self._write(logging.INFO, "delivered", text, **facts)

    def failed(self, mid: int, reason: str, check: str) -> None:
        """An attempt failed; `reason` is a short class (TLS Error), `check` what to look at."""
        text = f"Message {mid} delivery failed to {self._intake_name}: {escape(reason)}."
        self._write(logging.WARNING, "failed", text, mid=mid, reason=reason)
        text = f"Message {mid} {escape(reason)}: {escape(check)}"
        self._write(logging.WARNING, "failed-check", text, mid=mid, reason=reason, check=check)

    def dead(self, mid: int, reason: str) -> None:
        """The copy is not tried any more: refused, too old, damaged, or the agent dies of it."""
        text = f"Message {mid} moved to the dead-letter list: {escape(reason)}"
        self._write(logging.ERROR, "dead", text, mid=mid, reason=reason)

    def missed(self, reason: str, check: str, ids: MessageIds = NO_IDS) -> None:
        """An original was passed on without its copy."""
        text = f"Copy missed: {escape(reason)}. {escape(check)}{_shown(ids)}"
        facts = {"reason": reason, "check": check, **ids._asdict()}
        self._write(logging.ERROR, "missed", text, **facts)

    def not_accepted(self, reason: str, ids: MessageIds = NO_IDS) -> None:
        """An original was put back to the MTA, by us and not by the next hop; no copy is kept."""
        text = f"Message not accepted, MTA will retry: {escape(reason)}.{_shown(ids)}"
        self._write(logging.WARNING, "not-accepted", text, reason=reason, **ids._asdict())

    # Connections and destinations

    def connected(self, dcid: int, host: str, address: str, tls_version: str) -> None:
        """A connection to the intake is up, verified."""
        text = (
            f"(DCID {dcid}) Connected to {escape(host)} [{escape(address)}], {escape(tls_version)}."
        )
        facts = {"dcid": dcid, "host": host, "address": address, "tls_version": tls_version}
        self._write(logging.INFO, "connected", text, **facts)

    def held(self, destination: str, reason: str, check: str, retry_in: float) -> None:
        """All copies to a destination wait; the next probe is in `retry_in` seconds."""
        text = (
            f"Delivery to {escape(destination)} on hold: {escape(reason)}: {escape(check)};"
            f" next try in {retry_in:.0f} s"
        )
        facts = {"destination": destination, "reason": reason, "check": check}
        self._write(logging.ERROR, "held", text, **facts, retry_in=round(retry_in))

    def released(self, destination: str) -> None:
        """The destination accepts reports again."""
        text = f"Delivery to {escape(destination)} resumed."
        self._write(logging.INFO, "released", text, destination=destination)

    def refusing(self, destination: str, waiting: int, check: str) -> None:
        """A destination refuses some reports: an alarm, once until none of them waits."""
        text = (
            f"{escape(destination)} refuses some reports: {waiting} wait to be tried again;"
            f" last: {escape(check)}"
        )
        facts = {"destination": destination, "waiting": waiting, "check": check}
        self._write(logging.ERROR, "refusing", text, **facts)

    def revived(self, destination: str, copies: int) -> None:
        """Copies that died while the destination was at fault are queued again."""
        where = escape(destination)
        text = f"{copies} dead copies for {where} are queued again: it refused all."
        if copies == 1:
            text = f"1 dead copy for {where} is queued again: it refused all."
        self._write(logging.WARNING, "revived", text, destination=destination, copies=copies)

    # Spool, settings, agent

    def spool_unhealthy(self, reason: str) -> None:
        """The spool is not writable: no copies, no delivery."""
        consequence = "No copies are taken or delivered until it recovers."
        text = f"Spool is not writable: {escape(reason)}. {consequence}"
        self._write(logging.ERROR, "spool-unhealthy", text, reason=reason)

    def spool_healthy(self) -> None:
        """The spool is writable again."""
        self._write(logging.WARNING, "spool-healthy", "Spool is writable again.")

    def suspended(self, work: str, by: str, how: str) -> None:
        """An operator suspends copying, delivery or both; `how` says by whom, until when, why."""
        means = [_SUSPENDED[each] for each in _SUSPENDED if each in work]
        text = f"{escape(work.capitalize())} suspended {escape(how)}. {' '.join(means)}"
        self._write(logging.WARNING, "suspended", text, work=work, by=by, how=how)

    def resumed(self, work: str, why: str) -> None:
        """Copying or delivery goes on."""
        text = f"{escape(work.capitalize())} is no longer suspended: {escape(why)}."
        self._write(logging.WARNING, "resumed", text, work=work, why=why)

    def queue_work(self, operator: str, what: str, copies: int, size: int) -> None:
        """An operator changed copies in the queue; `what` says how."""
        number = "1 copy" if copies == 1 else f"{copies} copies"
        text = f"Operator {escape(operator)} {escape(what)}: {number}, {size} bytes."
        facts = {"operator": operator, "what": what, "copies": copies, "bytes": size}
        self._write(logging.WARNING, "queue-work", text, **facts)

    def settings_applied(self, revision: int, content_hash: str) -> None:
        """New effective settings are in force."""
        text = f"Settings of revision {revision} applied ({escape(content_hash)[:12]})."
        self._write(logging.INFO, "settings-applied", text, revision=revision, hash=content_hash)

    def settings_rejected(self, revision: int, reason: str) -> None:
        """Offered settings were refused; those in force stay."""
        text = f"Settings of revision {revision} rejected: {escape(reason)}"
        self._write(logging.ERROR, "settings-rejected", text, revision=revision, reason=reason)

    def info(self, text: str) -> None:
        """Log a step in the agent's life (started, connected to a manager)."""
        self._write(logging.INFO, "agent", escape(text))

    def warning(self, text: str) -> None:
        """Log a problem of the agent that goes away by itself."""
        self._write(logging.WARNING, "agent", escape(text))

    def error(self, text: str) -> None:
        """Log a problem of the agent that needs an operator."""
        self._write(logging.ERROR, "agent", escape(text))

    def _write(self, level: int, event: str, text: str, **facts: object) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        logger.handle(_Line(level, "TDC: " + text, event, facts))


class _Line(logging.LogRecord):
    """A record made from a template, because a message makes three of them.

    That saves the walk up the stack in which Logger.log looks for its caller, and what LogRecord
    asks each time about process and thread, which no line shows.
    """

    _TEMPLATE = vars(logging.LogRecord("tdc", logging.INFO, "", 0, "", None, None))

    def __init__(self, level: int, text: str, event: str, facts: dict[str, object]) -> None:
        self.__dict__.update(self._TEMPLATE)
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.msg = text
        self.created = wall()
        self.tdc_event, self.tdc_facts = event, facts


class MailLogFormatter(logging.Formatter):
    """``23 Nov 2026 09:15:02 (GMT +00:00) TDC: …``, in the machine's time zone."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._stamp = ""

    def format(self, record: logging.LogRecord) -> str:
        """The line; the stamp is made once a second."""
        second = int(record.created)
        if second != self._second:
            self._stamp, self._second = mail_log_stamp(second), second
        return f"{self._stamp} {record.getMessage()}"


def mail_log_stamp(second: int) -> str:
    """Unix time as the mail log writes it: ``23 Nov 2026 09:15:02 (GMT +00:00)``."""
    local = datetime.fromtimestamp(second, tz=UTC).astimezone()
    zone = local.strftime("%z")
    clock = local.strftime("%H:%M:%S")
    day = f"{local.day:02d} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day} {clock} (GMT {zone[:3]}:{zone[3:5]})"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, event, its facts, text."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; json.dumps escapes what came from mail."""
        line = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat("T", "milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "tdc_event", "agent"),
            **getattr(record, "tdc_facts", {}),
            "text": record.getMessage(),
        }
        return json.dumps(line)
