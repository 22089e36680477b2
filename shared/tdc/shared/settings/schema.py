"""PURE. The one table of settings: name, kind, default, limits and help.

A setting exists if and only if it has a row here. A new setting is this row, a field of
tdc.v1.Settings and a field of ConnectorSettings, and the behaviour it is for: parsing, wire, JSON,
help, completion and docs/settings.md all follow from the row.

The default of a new setting must be what programs did before they had it: an agent that does not
know a setting acts as by its default (`known`). A setting's default never changes afterwards.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tdc.shared.settings.values import Value

SCHEMA_VERSION = 1
"""Raised when this version writes a value that the version before can't read."""

USE_DNS = "usedns"

UNLIMITED = 2**53
"""The highest number of a setting that has no limit of its own: JSON carries it exactly."""


class Kind(StrEnum):
    """The type of a setting's value."""

    FLAG = "flag"  # bool
    COUNT = "count"  # int
    SECONDS = "duration"  # int, seconds
    BYTES = "size"  # int, bytes
    CHOICE = "choice"  # str, one of `choices`
    ADDRESS = "address"  # str, local@domain
    TEXT = "text"  # str of a `form`
    TEXT_LIST = "list"  # tuple[str, ...], each entry of a `form`
    ROUTE = "route"  # tuple[str, ...]: ("usedns",) or host[:port] entries
    POLICIES = "policies"  # tuple[Policy, ...]


class Form(StrEnum):
    """What a text, or each entry of a list, looks like; the value is an example."""

    DOMAIN = "example.com"
    CERTIFICATE_NAME = "mx.example.com or .example.com"
    PIN = "sha256:HEX"
    HEADER_NAME = "X-Name"


class SettingError(ValueError):
    """A setting that does not exist, or a value that its row does not allow.

    The text is for the operator: what was given, and what would be right.
    """


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `low` and `high` are the limits of a number, both allowed.

    `form` is for free text only, and free text always has one: no setting takes just any text.
    """

    name: str
    kind: Kind
    default: Value | None
    help: str
    choices: tuple[str, ...] = ()
    form: Form | None = None
    low: int = 0
    high: int = UNLIMITED

    @property
    def field(self) -> str:
        """The name of the setting's field in tdc.v1.Settings and in ConnectorSettings."""
        return self.name.replace(".", "_")

    @property
    def optional(self) -> bool:
        """Whether a level may say that there is no value (`values.NONE`)."""
        return self.default is None


_DAY = 86_400
_GIB = 1024**3

_ROWS = (
    Setting("enabled", Kind.FLAG, False, "Copy incoming messages to the intake."),
    Setting(
        "intake_address",
        Kind.ADDRESS,
        None,
        "Address of the intake that journal reports are sent to; required where enabled.",
    ),
    Setting(
        "incoming_domains",
        Kind.TEXT_LIST,
        (),
        "Domains of the organisation: only mail to them is journaled; empty means all mail.",
        form=Form.DOMAIN,
    ),
    Setting(
        "policies",
        Kind.POLICIES,
        (),
        "Ordered rules on sender and recipient; the first match decides where a copy goes.",
    ),
    Setting(
        "smtp_route",
        Kind.ROUTE,
        (USE_DNS,),
        "usedns: the MX of the intake domain; or a list of host[:port], tried in order.",
    ),
    Setting(
        "smtp_route.private",
        Kind.FLAG,
        False,
        "Allow intake hosts at addresses that are not for the public Internet, such as 10.0.0.0/8.",
    ),
    Setting(
        "tls.minimum_version",
        Kind.CHOICE,
        "1.2",
        "Minimum TLS version towards the intake; there is no plaintext mode.",
        choices=("1.2", "1.3"),
    ),
    Setting(
        "tls.verification",
        Kind.CHOICE,
        "webpki",
        "webpki: a trusted certificate for the intake's name; pinned: only those in tls.pins.",
        choices=("webpki", "pinned"),
    ),
    Setting(
        "tls.names",
        Kind.TEXT_LIST,
        (),
        "Names accepted in the intake's certificate; empty means the intake domain or, through its "
        "MX, a name at or below the intake domain. A leading dot accepts all names below.",
        form=Form.CERTIFICATE_NAME,
    ),
    Setting(
        "tls.pins",
        Kind.TEXT_LIST,
        (),
        "With pinned: SHA-256 fingerprints of the intake's certificate.",
        form=Form.PIN,
    ),
    Setting(
        "delivery.max_connections",
        Kind.COUNT,
        10,
        "Maximum concurrent connections per intake, for each machine.",
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
        "Wait after the first failed attempt; doubles with each further one.",
        low=1,
        high=_DAY,
    ),
    Setting(
        "retry.maximum",
        Kind.SECONDS,
        3_600,
        "Maximum wait between attempts.",
        low=1,
        high=_DAY,
    ),
    Setting(
        "retry.lifetime",
        Kind.SECONDS,
        72 * 3_600,
        "Age from which a copy is dead if it keeps failing while others are delivered.",
        low=60,
        high=60 * _DAY,
    ),
    Setting(
        "spool.max_messages",
        Kind.COUNT,
        500_000,
        "Maximum number of copies in the spool.",
        low=1,
        high=100_000_000,
    ),
    Setting(
        "spool.max_bytes",
        Kind.BYTES,
        10 * _GIB,
        "Maximum size of all copies in the spool.",
        low=1,
    ),
    Setting(
        "spool.when_full",
        Kind.CHOICE,
        "pass",
        "pass: the original passes, the missed copy is counted; tempfail: the gateway gets 451.",
        choices=("pass", "tempfail"),
    ),
    Setting(
        "max_message_size",
        Kind.BYTES,
        100 * 1024**2,
        "Larger originals pass uncopied, and are counted.",
        low=1,
        high=_GIB,
    ),
    Setting(
        "report_from",
        Kind.ADDRESS,
        None,
        "From address of journal reports; by default tdc@ the gateway's name.",
    ),
    Setting(
        "report_envelope_sender",
        Kind.ADDRESS,
        None,
        "Envelope sender of journal reports; by default the null sender.",
    ),
    Setting(
        "remote_ip_header",
        Kind.TEXT,
        None,
        "Header that is added on top of the copy, with the client's address.",
        form=Form.HEADER_NAME,
    ),
    Setting(
        "log.level",
        Kind.CHOICE,
        "info",
        "Minimum severity to log.",
        choices=("debug", "info", "warning", "error"),
    ),
    Setting(
        "log.format",
        Kind.CHOICE,
        "text",
        "text: mail-log style; json: one object per line.",
        choices=("text", "json"),
    ),
)

SCHEMA: Mapping[str, Setting] = {row.name: row for row in _ROWS}


def setting(name: str) -> Setting:
    """The row of `name`; raises SettingError with similar names if there is none."""
    try:
        return SCHEMA[name]
    except KeyError:
        raise SettingError(_unknown(name)) from None


def _unknown(name: str) -> str:
    tail = name.rsplit(".", 1)[-1]
    near = sorted(known for known in SCHEMA if tail and (tail in known or known in name))
    near = near or difflib.get_close_matches(name[:80], SCHEMA, n=3)
    hint = (
        f"; did you mean {', '.join(near)}?" if near else f"; valid names are {', '.join(SCHEMA)}"
    )
    return f"unknown setting {name!r}{hint}"


def default_values() -> dict[str, Value | None]:
    """Every setting with its built-in default."""
    return {name: row.default for name, row in SCHEMA.items()}
