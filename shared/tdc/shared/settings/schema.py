"""PURE. The one table of settings: name, kind, default, unit, rule and help.

The CLI's help, the reference in docs/, the wire codec and the validation all read this
table; a setting exists if and only if it has a row here (DESIGN section 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from tdc.shared.mail.address import AddressError, Domain, parse_address, parse_domain
from tdc.shared.settings.values import Policy, PolicyAction, Settings, Value

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

# RFC 5322 2.2: a field name is printable ASCII without a colon; we allow the usual subset.
_HEADER_NAME = re.compile(r"X-[A-Za-z0-9-]{1,70}")
_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")


def setting(name: str) -> Setting:
    """Return the row of `name`; raises SettingError with the nearest names if there is none."""
    try:
        return SCHEMA[name]
    except KeyError:
        raise SettingError(_unknown(name)) from None


def _unknown(name: str) -> str:
    tail = name.rsplit(".", 1)[-1]
    near = sorted(known for known in SCHEMA if tail and (tail in known or known in name))
    hint = f"; did you mean {', '.join(near)}?" if near else f"; known are {', '.join(SCHEMA)}"
    return f"unknown setting {name!r}{hint}"


def default_values() -> dict[str, Value | None]:
    """Return every setting with its built-in default."""
    return {name: row.default for name, row in SCHEMA.items()}


def checked(present: Mapping[str, object]) -> Settings:
    """Make the settings of a level from doubtful input; raises SettingError at the first fault."""
    return Settings.of({name: check_value(name, value) for name, value in present.items()})


def check_value(name: str, value: object) -> Value:
    """Return `value` in its normal form if the row of `name` allows it; raises SettingError.

    Addresses keep their local part and get a lower-case domain; lists lose duplicates but keep
    their order.
    """
    row = setting(name)
    try:
        return _CHECKS[row.kind](row, value)
    except (SettingError, AddressError) as error:
        raise SettingError(f"{name}: {error}") from None


def _flag(_: Setting, value: object) -> Value:
    if not isinstance(value, bool):
        raise SettingError(f"{value!r} is neither true nor false")
    return value


def _number(row: Setting, value: object) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingError(f"{value!r} is not a whole number of {_UNITS[row.kind]}")
    if not row.low <= value <= row.high:
        raise SettingError(f"{value} is not between {row.low} and {row.high} {_UNITS[row.kind]}")
    return value


_UNITS = {Kind.COUNT: "items", Kind.SECONDS: "seconds", Kind.BYTES: "bytes"}


def _choice(row: Setting, value: object) -> Value:
    if value not in row.choices or not isinstance(value, str):
        raise SettingError(f"{value!r} is not one of {', '.join(row.choices)}")
    return value


def _address(_: Setting, value: object) -> Value:
    return str(parse_address(_text_of(value)))


def _text(row: Setting, value: object) -> Value:
    text = _text_of(value)
    if row.name == "remote_ip_header" and not _HEADER_NAME.fullmatch(text):
        raise SettingError(f"{text!r} is not a header name of the form X-Name")
    return text


def _text_of(value: object) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{value!r} is not text")
    return value


def _list_of(value: object) -> list[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise SettingError(f"{value!r} is not a list")
    return [_text_of(item) for item in value]


def _text_list(row: Setting, value: object) -> Value:
    items = [_LIST_ITEMS[row.name](item) for item in _list_of(value)]
    return tuple(dict.fromkeys(items))


def _certificate_name(text: str) -> str:
    dot = "." if text.startswith(".") else ""
    return dot + parse_domain(text.removeprefix("."))


def _pin(text: str) -> str:
    pin = text.lower()
    if not _PIN.fullmatch(pin):
        raise SettingError(f"{text!r} is not sha256: followed by 64 hexadecimal digits")
    return pin


def _incoming_domain(text: str) -> Domain:
    return parse_domain(text)


_LIST_ITEMS = {
    "incoming_domains": _incoming_domain,
    "tls.names": _certificate_name,
    "tls.pins": _pin,
}


def _route(_: Setting, value: object) -> Value:
    items = [value] if isinstance(value, str) else _list_of(value)
    if items == [USE_DNS]:
        return (USE_DNS,)
    if not items or USE_DNS in items:
        raise SettingError(f"a route is either {USE_DNS} alone or a list of host[:port]")
    return tuple(dict.fromkeys(_hop(item) for item in items))


def _hop(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise SettingError(f"{text!r} is not host or host:port")
    if match[2] is not None and not 1 <= int(match[2]) <= 65_535:
        raise SettingError(f"{text!r} has no port between 1 and 65535")
    return text.lower()


def _policies(_: Setting, value: object) -> Value:
    if not isinstance(value, list | tuple):
        raise SettingError(f"{value!r} is not a list of policies")
    policies = tuple(_policy(item) for item in value)
    names = [policy.name for policy in policies]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"two policies are named {name!r}")
    return policies


_POLICY_FIELDS = {"name", "action", "senders", "recipients", "intake_address"}


def _policy(item: object) -> Policy:
    fields = _policy_fields(item)
    unknown = sorted(fields.keys() - _POLICY_FIELDS)
    if unknown:
        raise SettingError(f"a policy has no field {', '.join(unknown)}")
    name, action = fields.get("name"), fields.get("action")
    if not isinstance(name, str) or not _POLICY_NAME.fullmatch(name):
        raise SettingError(f"{name!r} is not a policy name")
    if action not in set(PolicyAction):
        raise SettingError(f"policy {name!r}: action {action!r} is not no-scan, default or custom")
    return Policy(
        name=name,
        action=PolicyAction(cast("str", action)),
        senders=_patterns(fields.get("senders", ())),
        recipients=_patterns(fields.get("recipients", ())),
        intake_address=_policy_intake(name, PolicyAction(cast("str", action)), fields),
    )


def _policy_fields(item: object) -> Mapping[str, object]:
    if isinstance(item, Policy):
        return {name: getattr(item, name) for name in _POLICY_FIELDS}
    if isinstance(item, Mapping):
        return cast("Mapping[str, object]", item)
    raise SettingError(f"{item!r} is not a policy")


def _policy_intake(name: str, action: PolicyAction, fields: Mapping[str, object]) -> str | None:
    intake = fields.get("intake_address")
    if action is not PolicyAction.CUSTOM:
        if intake:
            raise SettingError(f"policy {name!r}: only action custom has an intake_address")
        return None
    if not intake:
        raise SettingError(f"policy {name!r}: action custom needs an intake_address")
    return str(parse_address(_text_of(intake)))


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_pattern(text) for text in _list_of(value)))


def _pattern(text: str) -> str:
    return str(parse_address(text)) if "@" in text else parse_domain(text)


_CHECKS = {
    Kind.FLAG: _flag,
    Kind.COUNT: _number,
    Kind.SECONDS: _number,
    Kind.BYTES: _number,
    Kind.CHOICE: _choice,
    Kind.ADDRESS: _address,
    Kind.TEXT: _text,
    Kind.TEXT_LIST: _text_list,
    Kind.ROUTE: _route,
    Kind.POLICIES: _policies,
}
