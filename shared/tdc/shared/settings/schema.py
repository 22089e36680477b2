"""PURE. The one table of settings: name, kind, default, unit, rule and help.

The CLI's help, the reference in docs/, the wire codec and the validation all read this
table; a setting exists if and only if it has a row here (DESIGN section 3).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.settings.values import Value

SCHEMA_VERSION = 1
"""Grows when a value written by this version can't be read by the one before."""

USE_DNS = "usedns"


class Kind(StrEnum):
    """The type of a setting's value."""

    FLAG = "flag"  # bool
    COUNT = "count"  # int
    SECONDS = "duration"  # int, seconds
    BYTES = "size"  # int, bytes
    CHOICE = "choice"  # str, one of `choices`
    ADDRESS = "address"  # str, local@domain
    TEXT = "text"  # str
    TEXT_LIST = "list"  # tuple[str, ...]
    ROUTE = "route"  # tuple[str, ...]: ("usedns",) or host[:port] entries
    POLICIES = "policies"  # tuple[Policy, ...]


class SettingError(ValueError):
    """A setting that does not exist, or a value that its row does not allow.

    The text is one sentence for the operator: what was given, and what would be right.
    """


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `low` and `high` bound numbers, inclusive."""

    name: str
    kind: Kind
    default: Value | None
    help: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 2**53

    @property
    def field(self) -> str:
        """What the setting is called where a name can't hold a dot: in tdc.v1, in Python."""
        return self.name.replace(".", "_")


_DAY = 86_400
_GIB = 1024**3

_ROWS = (
    Setting("enabled", Kind.FLAG, False, "Copy incoming messages to the intake."),
    Setting(
        "intake_address",
        Kind.ADDRESS,
        None,
        "Message intake address that journal reports are sent to; required where enabled.",
    ),
    Setting(
        "incoming_domains",
        Kind.TEXT_LIST,
        (),
        "Domains of the organisation: only their recipients are journaled; empty means all.",
    ),
    Setting(
        "policies",
        Kind.POLICIES,
        (),
        "Ordered rules on sender or recipient; the first that matches decides where a copy goes.",
    ),
    Setting(
        "smtp_route",
        Kind.ROUTE,
        (USE_DNS,),
        "usedns: the MX of the intake domain; or a list of host[:port], tried in order.",
    ),
    Setting(
        "tls.minimum_version",
        Kind.CHOICE,
        "1.2",
        "Lowest TLS version towards the intake; there is no plaintext mode.",
        choices=("1.2", "1.3"),
    ),
    Setting(
        "tls.verification",
        Kind.CHOICE,
        "webpki",
        "webpki: a trusted certificate for the intake's name; pinned: only what tls.pins lists.",
        choices=("webpki", "pinned"),
    ),
    Setting(
        "tls.names",
        Kind.TEXT_LIST,
        (),
        "Names the intake's certificate may carry; empty means the intake domain or, by its MX, "
        "a name at or below the intake domain. A leading dot admits all names below.",
    ),
    Setting(
        "tls.pins",
        Kind.TEXT_LIST,
        (),
        "For pinned: sha256:HEX fingerprints of the intake's certificate.",
    ),
    Setting(
        "delivery.max_connections",
        Kind.COUNT,
        10,
        "Most connections to one intake at a time, counted per machine.",
        low=1,
        high=1_000,
    ),
    Setting(
        "delivery.messages_per_connection",
        Kind.COUNT,
        100,
        "Journal reports sent over one connection before it is closed.",
        low=1,
        high=100_000,
    ),
    Setting(
        "retry.initial",
        Kind.SECONDS,
        60,
        "Wait after the first failed attempt; doubles from there.",
        low=1,
        high=_DAY,
    ),
    Setting(
        "retry.maximum",
        Kind.SECONDS,
        3_600,
        "Longest wait between two attempts.",
        low=1,
        high=_DAY,
    ),
    Setting(
        "retry.lifetime",
        Kind.SECONDS,
        72 * 3_600,
        "Age at which an undelivered copy goes to the dead-letter list.",
        low=60,
        high=60 * _DAY,
    ),
    Setting(
        "spool.max_messages",
        Kind.COUNT,
        500_000,
        "Most copies in the spool.",
        low=1,
        high=100_000_000,
    ),
    Setting(
        "spool.max_bytes",
        Kind.BYTES,
        10 * _GIB,
        "Most bytes of copies in the spool.",
        low=1,
    ),
    Setting(
        "spool.when_full",
        Kind.CHOICE,
        "pass",
        "pass: the original goes on, the missed copy is counted; tempfail: the gateway gets 451.",
        choices=("pass", "tempfail"),
    ),
    Setting(
        "max_message_size",
        Kind.BYTES,
        100 * 1024**2,
        "Larger originals go on uncopied, and are counted.",
        low=1,
        high=_GIB,
    ),
    Setting(
        "report_from",
        Kind.ADDRESS,
        None,
        "From of journal reports; without it, tdc@ the machine's name.",
    ),
    Setting(
        "report_envelope_sender",
        Kind.ADDRESS,
        None,
        "Envelope sender of journal reports; without it, the null sender.",
    ),
    Setting(
        "remote_ip_header",
        Kind.TEXT,
        None,
        "Name of a header put on top of the copy with the client's address.",
    ),
    Setting(
        "log.level",
        Kind.CHOICE,
        "info",
        "Least severe log line written.",
        choices=("debug", "info", "warning", "error"),
    ),
    Setting(
        "log.format",
        Kind.CHOICE,
        "text",
        "text: mail-log style; json: one object a line.",
        choices=("text", "json"),
    ),
)

SCHEMA: Mapping[str, Setting] = {row.name: row for row in _ROWS}


def setting(name: str) -> Setting:
    """Return the row of `name`; raises SettingError with the nearest names if there is none."""
    try:
        return SCHEMA[name]
    except KeyError:
        raise SettingError(_unknown(name)) from None


def _unknown(name: str) -> str:
    tail = name.rsplit(".", 1)[-1]
    near = sorted(known for known in SCHEMA if tail and (tail in known or known in name))
    near = near or difflib.get_close_matches(name[:80], SCHEMA, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else f"; known are {', '.join(SCHEMA)}"
    return f"unknown setting {name!r}{hint}"


def default_values() -> dict[str, Value | None]:
    """Return every setting with its built-in default."""
    return {name: row.default for name, row in SCHEMA.items()}
